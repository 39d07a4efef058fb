# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""A folder in which a run of the program works as it stands, made for tests to break one thing in it."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path


class Workbench:
    """A folder with a copy of a tiny model, its pairs and a sweep file, all there to be broken."""

    def __init__(self, binary: Path, folder: Path, model: Path) -> None:
        self.binary, self.folder = binary, folder
        self.model, self.pairs, self.out = folder / "model", folder / "pairs.jsonl", folder / "out"
        shutil.copytree(model, self.model)
        shutil.copy(model / "pairs.jsonl", self.pairs)
        self.settings: dict = {
            "schema": 1,
            "name": "bench",
            "model": {"path": "model", "dtype": "float64"},
            "pairs": {"file": "pairs.jsonl", "train": 4, "test": 3},
            "attribution": {"method": "atp"},
            "circuit": {"counts": [10]},
        }

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        """`tributary run` on the settings as they are now."""
        sweep = self.folder / "sweep.yaml"
        sweep.write_text(json.dumps(self.settings))
        command = [str(self.binary), "run", "sweep.yaml", "--out", str(self.out), *more]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, timeout=300)

    def refused(self, *words: str, more: tuple[str, ...] = ()) -> str:
        """Exit 2, the words in the message, nothing written."""
        done = self.run(*more)
        assert done.returncode == 2, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        for word in words:
            assert word in done.stderr, f"{word!r} is not in\n{done.stderr}"
        left = list(self.out.rglob("*")) if self.out.is_dir() else []
        assert not [file for file in left if file.is_file()], left
        return done.stderr

    def edit_config(self, **changes: object) -> None:
        """Changes keys of config.json."""
        file = self.model / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    def weights(self) -> tuple[dict, bytes]:
        """Header and data of the safetensors file."""
        raw = (self.model / "model.safetensors").read_bytes()
        (size,) = struct.unpack("<Q", raw[:8])
        return json.loads(raw[8 : 8 + size]), raw[8 + size :]

    def write_weights(self, header: dict, data: bytes) -> None:
        """Writes them back."""
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        (self.model / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)

    def edit_pairs(self, change: Callable[[list[str]], None]) -> None:
        """Changes the lines of the pairs file."""
        lines = self.pairs.read_text().splitlines()
        change(lines)
        self.pairs.write_text("\n".join(lines) + "\n")
