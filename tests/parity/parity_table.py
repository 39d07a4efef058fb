# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Writes the table of docs/models.md: how near the program comes to transformers on a tiny model of every family.

.venv/bin/python tests/parity/parity_table.py
"""

from __future__ import annotations

import datetime
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from families import FAMILIES, save_family
from family_cases import CASES, EXACT, PAIRS, PROMPTS, cases_of, program_logits, reference_method, settings_of
from product import run_sweep
from reference.attribution import Attributor, exact_patching
from reference.pairs import fitting_pairs
from reference.tapped import TappedModel
from switches import switches_of
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- table of parity: begin -->\n", "<!-- table of parity: end -->\n"
HALF_ULP = 2.0**-24  # scores are stored in float32
COLUMNS = {"gradients": "atp", "IG-inputs": "ig-inputs", "IG-activations": "ig-acts", "RelP": "relp"}


def difference(found: np.ndarray, expected: np.ndarray, *, rounding: float = 0.0) -> float:
    """The largest difference, beyond each value's own rounding, as a share of the largest value."""
    assert found.shape == expected.shape
    return float(max(0.0, (np.abs(found - expected) - rounding * np.abs(expected)).max()) / np.abs(expected).max())


def logits_of(binary: Path, folder: Path, model: TappedModel) -> float:
    """The worse of two prompts, at every position."""
    worst = 0.0
    for prompt in PROMPTS:
        ids, logits = program_logits(binary, folder, prompt, folder / "logits.h5")
        with torch.no_grad():
            expected = model.model(input_ids=torch.tensor(ids)[None], use_cache=False).logits[0].numpy()
        worst = max(worst, difference(logits, expected))
    return worst


def differences(name: str, binary: Path, folder: Path) -> dict[str, float]:
    """One row of the table."""
    save_family(name, folder / name)
    model = TappedModel.load(folder / name, torch.float64)
    pairs = fitting_pairs(
        folder / name / "pairs.jsonl", Tokenizer.from_file(str(folder / name / "tokenizer.json")), PAIRS
    )
    row = {"logits": logits_of(binary, folder / name, model)}
    cases = {column: cases_of(name)[label] for column, label in COLUMNS.items()}
    runs = [{"attribution": case} for case in [*cases.values(), EXACT]]
    *found, exact = run_sweep(binary, folder, settings_of(folder / name), runs)
    attributor = Attributor(model, pairs)
    for (column, case), results in zip(cases.items(), found, strict=True):
        expected = attributor.compute(reference_method(name, case))
        row[column] = difference(results["/attribution/scores"], expected.aggregate(), rounding=HALF_ULP)
        if case.get("inputs"):
            tokens = difference(results["/attribution/inputs"], expected.stacked("inputs"), rounding=HALF_ULP)
            row[column] = max(row[column], tokens)
    patched = exact["/attribution/scores"]
    nodes = [tuple(map(int, node)) for node in np.argwhere(np.nan_to_num(patched))][:40]
    each = [exact_patching(model, p, t, nodes) for p, t in zip(pairs, attributor.targets, strict=True)]
    ours = np.array([patched[node] for node in nodes])
    row["exact patching"] = difference(ours, np.mean(each, axis=0), rounding=HALF_ULP)
    return row


def table(binary: Path) -> str:
    """Markdown, a row each model."""
    titles = ["model", "family", "switches", "logits", *COLUMNS, "exact patching"]
    lines = [
        f"Made by `tests/parity/parity_table.py` on {datetime.datetime.now(tz=datetime.UTC).date()} against "
        f"transformers {transformers.__version__} and torch {torch.__version__.split('+')[0]}.",
        "",
        "| " + " | ".join(titles) + " |",
        "|" + "---|" * len(titles),
    ]
    for name, family in FAMILIES.items():
        with tempfile.TemporaryDirectory() as folder:
            row = differences(name, binary, Path(folder))
        numbers = [f"{value:.0e}" if value else "0" for value in row.values()]
        lines.append(
            "| " + " | ".join([f"`{name}`", f"`{family.model_type}`", ", ".join(switches_of(name)), *numbers]) + " |"
        )
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def main() -> None:
    """Replaces the table between its marks."""
    page = ROOT / "docs" / "models.md"
    before, rest = page.read_text().split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(before + BEGIN + table(ROOT / "build" / "release" / "tributary") + END + after)


if __name__ == "__main__":
    assert set(COLUMNS.values()) <= set(CASES)
    main()
