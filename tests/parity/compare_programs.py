# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Runs the same sweeps with two builds of the program and compares every results.h5 byte for byte, /provenance apart:
whoever changes no number shows it with this.

    .venv/bin/python tests/parity/compare_programs.py /path/to/older/tributary --quick

All tiny models in their number types, and the demo model unless --quick. The older program's results are kept in
--keep and used again; exit 1 when anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from product import mpi_environment

ROOT = Path(__file__).resolve().parents[2]
DEMO_MODEL = ROOT / "models" / "smollm2-135m"
DTYPES = ("float64", "float32", "bfloat16")


def run(method: str, elsewhere: dict[str, object] | None = None, /, **attribution: object) -> dict[str, object]:
    """One run of a sweep: keys of `attribution`, and dotted keys of other places."""
    keys = {f"attribution.{key}": value for key, value in ({"method": method} | attribution).items()}
    return keys | (elsewhere or {})


SUMMED = {"positions": "sum"}
# Each of a tiny model's sweep: every kind of stage, score, path and baseline.
QUICK_RUNS = [
    run("atp", keep=12),
    run("relp", keep="full", aggregate="mean-abs"),
    run("ig-acts", audit=2),
    run("ig-acts", quadrature="pilot", pilot_pairs=2, tolerance=0.2),
    run("ig-acts", quadrature="right", steps=3, direction="denoise"),
    run("ig-inputs", steps=3, inputs=True),
    run("conductance", steps=4),
    run("input-ig", steps=5),
    run("exact-patching", sample=40, keep="full"),
    run("gradient-x-activation", baseline="mean"),
    run("atp", SUMMED, baseline="zero", aggregate="mean-abs"),
    run("relp", {"metric": "sum-of-logits", "circuit.ranking": "signed", "circuit.ablation": "resample"}),
]
MORE_RUNS = [
    *(run(name) for name in ("delta", "random", "relp-jafari", "no-norm", "no-activation", "no-half", "no-attention")),
    *(run(name) for name in ("norm-only", "activation-only", "attention-only")),
    *(run("ig-acts", quadrature=rule, steps=5) for rule in ("left", "trapezoid", "trapezoid-captum", "gauss-legendre")),
    *(run("ig-acts", quadrature=rule) for rule in ("radau", "simpson", "boole")),
    run("ig-acts", quadrature="midpoint", steps=3, baseline="zero"),
    run("ig-acts", SUMMED, quadrature="midpoint", steps=3, baseline="mean"),
    run("ig-acts", quadrature="right", steps=3, rules="relp"),
    run("ig-acts", {"unit.layers": 1, "unit.pairs": 2}),
    run("ig-inputs", quadrature="adaptive", max_points=17),
    run("ig-inputs", quadrature="left", steps=3, rules="relp"),
    run("ig-inputs", quadrature="midpoint", steps=3, baseline="mean"),
    run("conductance", quadrature="adaptive", max_points=17, audit=1),
    run("conductance", {"batch_rows": 8}, quadrature="left", steps=4),
    run("conductance", quadrature="pilot", pilot_pairs=2),
    run("captum-conductance", steps=5),
    run("captum-ig", steps=5),
    run("input-ig", SUMMED, quadrature="adaptive", max_points=17),
    run("exact-patching", SUMMED, sample=30, direction="denoise"),
    run("atp", {"circuit.ablation": "zero", "circuit.ablation_pairs": "train"}, direction="denoise"),
    run("atp", SUMMED | {"metric": "logit", "steering.neurons": ["0/1/4", "1/7"]}, keep=30),
    run("delta", {"circuit.fractions": [0.1, 0.5], "circuit.thresholds": [0.01], "circuit.mass": [0.5, 0.9]}),
]


@dataclass
class Case:
    """A sweep file with overrides, as both programs get it."""

    name: str
    sweep: Path
    overrides: list[str] = field(default_factory=list)
    note: str = ""

    def key(self, binary: Path, ranks: int) -> str:
        """Names the results of one program, which may change between two calls."""
        parts = [binary.read_bytes(), self.sweep.read_bytes(), repr((self.overrides, ranks)).encode()]
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]


def tiny_case(folder: Path, name: str, dtype: str, runs: list[dict[str, object]]) -> Case:
    """A tiny model, made where it is missing, with pairs of two lengths and two cases, and its sweep."""
    model = folder / f"{name}-{dtype}"
    if not model.is_dir():
        import torch
        from tiny_models import save_tiny_model

        made = Path(tempfile.mkdtemp(dir=folder))
        save_tiny_model(name, made, getattr(torch, dtype))
        records = [json.loads(line) for line in (made / "pairs.jsonl").read_text().splitlines()]
        for i, record in enumerate(records):
            record["case"] = "odd" if i % 2 else "even"
            if i % 3 == 1:
                record |= {end: record[end] + " the the" for end in ("clean_prefix", "patch_prefix")}
        (made / "pairs.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        made.rename(model)
    pairs = str(model / "pairs.jsonl")
    settings = {
        "schema": 1,
        "name": "compare",
        "model": {"path": str(model), "dtype": dtype},
        "pairs": {"train_file": pairs, "test_file": pairs, "train": 6, "test": 5, "overlap": "allow", "unfit": "skip"},
        "circuit": {"counts": [0, 7, 50]},
        "attribution": {"method": "atp"},
        "agreement": {"sample": 30},
        "steering": {"factors": [-1, 0, 2]},
        "sweep": {"include": runs},
    }
    sweep = folder / f"{name}-{dtype}-{len(runs)}.yaml"
    sweep.write_text(json.dumps(settings, indent=1) + "\n")
    return Case(f"{name} {dtype}", sweep)


def demo_cases() -> Iterator[Case]:
    """The demo model: real shapes, where the arithmetic libraries choose other kernels."""
    agreement = ROOT / "experiments" / "agreement.yaml"
    few = ["pairs.train=4", "pairs.test=4"]
    yield Case("demo", ROOT / "experiments" / "hot_or_cold.yaml", [], "the whole experiment")
    yield Case("agreement: atp, relp", agreement, ["sweep.grid.attribution.method=[atp, relp]"], "the whole experiment")
    paths = "sweep.grid.attribution.method=[ig-acts, ig-inputs, conductance, input-ig]"
    yield Case("agreement: paths", agreement, [paths, *few], "4 + 4 pairs for 60 + 40; adaptive, 10, 20, 50 points")
    exact = ["attribution.method=exact-patching", "attribution.sample=60", "circuit.counts=[10, 60]"]
    yield Case("agreement: exact", agreement, [*exact, *few], "4 + 4 pairs for 60 + 40, 60 neurons for 1000")
    evidence = ["attribution.keep=50", "agreement.sample=30", "steering.factors=[-2, 0, 2]", *few]
    yield Case("agreement: evidence", agreement, evidence, "4 + 4 pairs for 60 + 40; keep, agreement, steering")
    low = ["model.dtype=bfloat16", "pairs.train=2", "pairs.test=2", "circuit.counts=[100]"]
    yield Case("agreement: bfloat16", agreement, low, "relp, 2 + 2 pairs for 60 + 40, one circuit")


def compute(binary: Path, case: Case, ranks: int, out: Path) -> str:
    """Runs a case into a new folder; what went wrong, or nothing."""
    command = [str(binary), "run", str(case.sweep), "--out", str(out), *case.overrides]
    if ranks > 1:
        command = ["mpirun", "-n", str(ranks), *command]
    with tempfile.TemporaryDirectory(prefix="tributary-mpi-") as session:
        environment = mpi_environment(Path(session) / "mpi") | {"OMP_WAIT_POLICY": "PASSIVE"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return "" if done.returncode == 0 else f"{binary} ends with {done.returncode}:\n{done.stderr.strip()[-1500:]}"


def attributes_of(item: h5py.HLObject) -> dict[str, object]:
    """Type and value of each attribute; a dataset's axes are compared by name, not by the addresses that HDF5 keeps."""
    found = {}
    for name in item.attrs:
        if name not in ("DIMENSION_LIST", "REFERENCE_LIST"):
            stored = item.attrs.get_id(name)
            value = item.attrs[name]
            plain = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
            found[f"attribute {name}"] = (stored.get_type().encode(), stored.shape, repr(plain))
    return found


def contents(file: Path) -> dict[str, dict[str, object]]:
    """What is in a results file outside /provenance, by path."""
    found = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if name.split("/")[0] == "provenance":
            return
        facts = attributes_of(item)
        if isinstance(item, h5py.Dataset):
            facts["shape"], facts["type"] = item.shape, item.id.get_type().encode()
            facts["axes"] = [(axis.label, [scale.name for scale in axis.values()]) for axis in item.dims]
            facts["values"] = item[()]
        found["/" + name] = facts

    with h5py.File(file) as stored:
        found["/"] = attributes_of(stored)
        stored.visititems(visit)
    return found


def raw(values: np.ndarray) -> bytes:
    """The bytes of an array."""
    return np.ascontiguousarray(values).tobytes()


def difference(old: dict[str, object] | None, new: dict[str, object] | None) -> str:
    """What differs between two datasets or groups; empty: nothing."""
    if old is None or new is None:
        return "is new" if old is None else "is gone"
    words = [key for key in sorted(old.keys() | new.keys()) if key != "values" and old.get(key) != new.get(key)]
    if not words and "values" in old and raw(old["values"]) != raw(new["values"]):
        a, b = (np.ascontiguousarray(one["values"]).reshape(-1) for one in (old, new))
        unlike = np.array([x.tobytes() != y.tobytes() for x, y in zip(a, b, strict=True)])
        words = [f"{unlike.sum()} of {a.size} values"]
        if a.dtype.kind in "fi":
            apart = np.abs(a[unlike].astype(np.float64) - b[unlike].astype(np.float64))
            words[0] += f", the first at {int(unlike.argmax())}, at most {np.max(apart):.3g} apart"
    return ", ".join(words)


@dataclass
class Row:
    """One sweep on so many ranks."""

    case: Case
    ranks: int
    runs: int = 0
    datasets: int = 0
    size: int = 0
    problems: list[str] = field(default_factory=list)

    def text(self) -> str:
        equal = "no" if self.problems else "yes"
        name = f"{self.case.name}, {self.ranks} rank{'s' if self.ranks > 1 else ''}"
        return f"{name:34} {self.runs:4} {self.datasets:8} {self.size:12} {equal:5} {self.case.note}"


def compare_folders(row: Row, old: Path, new: Path) -> None:
    """Every run of a sweep."""
    names = {str(file.parent.relative_to(out)) for out in (old, new) for file in out.rglob("results.h5")}
    if not names:
        row.problems.append("no results at all")
    for name in sorted(names):
        files = [out / name / "results.h5" for out in (old, new)]
        missing = [str(file) for file in files if not file.is_file()]
        if missing:
            row.problems.append(f"{name}: there is no {missing[0]}")
            continue
        before, after = map(contents, files)
        row.runs += 1
        for path in sorted(before.keys() | after.keys()):
            told = difference(before.get(path), after.get(path))
            if told:
                row.problems.append(f"{name}: {path}: {told}")
            if "values" in before.get(path, {}):
                row.datasets += 1
                row.size += len(raw(before[path]["values"]))


def compare(case: Case, ranks: int, programs: tuple[Path, Path], keep: Path) -> Row:
    """Both programs on one sweep; the older one's results may be there from before."""
    row = Row(case, ranks)
    old = keep / "results" / case.key(programs[0], ranks)
    if not (old / "compared").exists():
        shutil.rmtree(old, ignore_errors=True)
        row.problems += filter(None, [compute(programs[0], case, ranks, old)])
    with tempfile.TemporaryDirectory(prefix="tributary-compare-") as folder:
        new = Path(folder) / "out"
        row.problems += filter(None, [compute(programs[1], case, ranks, new)])
        if not row.problems:
            (old / "compared").touch()
            shutil.rmtree(old / "journal", ignore_errors=True)
            compare_folders(row, old, new)
    return row


def main() -> int:
    """See the top of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, help="the older program")
    parser.add_argument("new", type=Path, nargs="?", default=ROOT / "build" / "release" / "tributary")
    parser.add_argument("--quick", action="store_true", help="tiny models, a dozen runs each, one rank: 2 minutes")
    parser.add_argument("--only", default="", help="sweeps whose name holds this ('gpt2', 'bfloat16', 'agreement')")
    parser.add_argument("--ranks", type=int, nargs="+", help="default: 1 and 3; 1 with --quick")
    parser.add_argument("--keep", type=Path, default=ROOT / ".cache" / "compare", help="models, and the old results")
    options = parser.parse_args()
    programs = (options.old.absolute(), options.new.absolute())
    keep = options.keep.absolute()
    (keep / "models").mkdir(parents=True, exist_ok=True)
    from tiny_models import MODELS

    runs = QUICK_RUNS + ([] if options.quick else MORE_RUNS)
    plain = {row.model_type for row in MODELS.values()} | {"llama3"}
    # The others differ in how their folder is laid out: one number type will do.
    every = [(name, dtype) for name in MODELS for dtype in (DTYPES if name in plain else DTYPES[1:2])]
    wanted = [(name, dtype) for name, dtype in every if options.only in f"{name} {dtype}"]
    cases = [tiny_case(keep / "models", name, dtype, runs) for name, dtype in wanted]
    if not options.quick and DEMO_MODEL.is_dir():
        cases += [case for case in demo_cases() if options.only in case.name]
    print(f"{'sweep':34} {'runs':>4} {'datasets':>8} {'bytes':>12} equal")  # noqa: T201
    rows = []
    for case in cases:
        for ranks in options.ranks or ([1] if options.quick else [1, 3]):
            rows.append(compare(case, ranks, programs, keep))
            print(rows[-1].text(), *rows[-1].problems, sep="\n    ", flush=True)  # noqa: T201
    unlike = [row for row in rows if row.problems]
    print(f"{len(rows) - len(unlike)} of {len(rows)} equal")  # noqa: T201
    return 1 if unlike or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
