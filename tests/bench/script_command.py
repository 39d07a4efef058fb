# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The script as its user starts it: imports, loading, one batch of all pairs. Usage: MODEL PAIRS COUNT"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "parity"))

import torch  # noqa: E402
from peers import Batch, Peers  # noqa: E402
from reference.pairs import fitting_pairs  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

if __name__ == "__main__":
    torch.set_num_threads(2)
    folder = Path(sys.argv[1])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    pairs = fitting_pairs(Path(sys.argv[2]), tokenizer, int(sys.argv[3]))
    print(float(Peers(folder).script_atp(Batch.of(pairs)).abs().sum()))
