# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The linearisation gap is measured on a few seeded pairs, with the numbers that all pairs would have."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from product import Results, run_sweep

GAP = "/attribution/linearisation_gap"


@pytest.fixture(scope="module")
def measured(binary: Path, tiny_folder, tmp_path_factory: pytest.TempPathFactory):
    """Results by the value of linearisation_gap, for so many training pairs; None: as it is by default."""
    made: dict[tuple, Results] = {}
    folder = tiny_folder("llama")
    text = (folder / "pairs.jsonl").read_text().splitlines()

    def results(pairs: int, gap: object, **more: object) -> Results:
        key = (pairs, gap, str(more))
        if key not in made:
            place = tmp_path_factory.mktemp("gap")
            # The same pairs again and again: what is measured depends on the number alone.
            lines = [text[i % len(text)] for i in range(pairs)]
            (place / "pairs.jsonl").write_text("\n".join(lines) + "\n")
            settings = {
                "model": {"path": str(folder), "dtype": "float64"},
                "pairs": {"train_file": "pairs.jsonl", "test_file": "pairs.jsonl", "test": 2, "overlap": "allow"},
                "metric": "logit-difference",
                "attribution": {"method": "atp"} | ({} if gap is None else {"linearisation_gap": gap}),
                "circuit": {"counts": [1]},
            } | more
            made[key] = run_sweep(binary, place, settings, [{"positions": "keep"}])[0]
        return made[key]

    return results


def rows_measured(results: Results) -> np.ndarray:
    """Which pairs have a gap; one that has it has it in every layer."""
    here = np.isfinite(results[GAP])
    assert (here.all(axis=1) == here.any(axis=1)).all()
    return np.flatnonzero(here.all(axis=1))


@pytest.mark.parametrize(
    ("pairs", "gap", "expected"), [(3, None, 1), (39, None, 1), (40, None, 2), (45, 7, 7), (3, 9, 3)]
)
def test_so_many_pairs_are_measured(measured, pairs: int, gap: object, expected: int) -> None:
    """By default two, but at most a twentieth, and at least one; their numbers are those of `all`."""
    found, everything = measured(pairs, gap), measured(pairs, "all")
    chosen = rows_measured(found)
    assert len(chosen) == expected
    assert found[GAP].shape == everything[GAP].shape
    assert np.array_equal(found[GAP][chosen], everything[GAP][chosen])
    assert len(rows_measured(everything)) == pairs
    assert found["/attribution/scores"].tobytes() == everything["/attribution/scores"].tobytes()


def test_units_change_nothing(measured) -> None:
    """Pairs that are not measured are NaN wherever a unit ends."""
    assert measured(45, 7)[GAP].tobytes() == measured(45, 7, unit={"pairs": 1})[GAP].tobytes()


def test_none_is_measured(measured) -> None:
    """skip: no such dataset."""
    assert GAP not in measured(3, "skip")


def write_sweep(file: Path, model: Path) -> None:
    """RelP on four pairs."""
    settings = {
        "schema": 1,
        "name": "one",
        "model": {"path": str(model)},
        "pairs": {"train_file": str(model / "pairs.jsonl"), "train": 4, "test": 0},
        "metric": "logit-difference",
        "attribution": {"method": "relp"},
    }
    file.write_text(json.dumps(settings))


def test_the_summary_says_of_how_many(binary: Path, tiny_folder, tmp_path: Path) -> None:
    """With the standard error where there are two or more."""
    write_sweep(tmp_path / "sweep.yaml", tiny_folder("llama"))
    said = {}
    for gap in ("auto", 3, "all"):
        out = tmp_path / str(gap)
        command = [binary, "run", "sweep.yaml", f"attribution.linearisation_gap={gap}", "--out", out]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
        said[gap] = next(line for line in done.stdout.splitlines() if line.startswith("gap "))
    assert "logits on 1 of 4 pairs" in said["auto"]
    assert "±" not in said["auto"]
    assert "±" in said[3]
    assert "logits on 3 of 4 pairs" in said[3]
    assert "pairs" not in said["all"]


@pytest.mark.parametrize("wrong", ["measure", "0", "-1", "2.5"])
def test_other_words_are_refused(binary: Path, tiny_folder, tmp_path: Path, wrong: str) -> None:
    """With those that there are."""
    write_sweep(tmp_path / "sweep.yaml", tiny_folder("llama"))
    command = [binary, "validate", "sweep.yaml", f"attribution.linearisation_gap={wrong}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "attribution.linearisation_gap" in done.stderr
    assert ("skip" if wrong == "measure" else "least 1" if wrong in ("0", "-1") else wrong) in done.stderr
