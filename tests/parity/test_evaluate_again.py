# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Evaluating again costs no attribution, and a sweep that grows keeps what it has."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import h5py
import pytest
from feature_files import random_dictionary, write_saelens
from product import hashes
from reference.sites import SiteModel

FOUR = ["relp", "atp", "ig-inputs", "conductance"]


class Sweep:
    """A sweep of a tiny model that a test changes and runs again."""

    def __init__(self, binary: Path, folder: Path, model: Path) -> None:
        self.binary, self.folder, self.out = binary, folder, folder / "out"
        self.pairs = folder / "pairs.jsonl"
        shutil.copy(model / "pairs.jsonl", self.pairs)
        lines = self.pairs.read_text().splitlines(keepends=True)
        (folder / "other.jsonl").write_text("".join(reversed(lines)))
        self.settings: dict = {
            "schema": 1,
            "name": "again",
            "model": {"path": str(model), "dtype": "float32"},
            "pairs": {"train_file": "pairs.jsonl", "test_file": "pairs.jsonl", "train": 6, "test": 4}
            | {"overlap": "allow"},
            "attribution": {"method": "relp"},
            "circuit": {"counts": [5, 20]},
            "unit": {"pairs": 1},
        }

    def command(self, *more: str) -> list[str]:
        (self.folder / "sweep.yaml").write_text(json.dumps(self.settings))
        return [str(self.binary), "run", "sweep.yaml", "--out", str(self.out), *more]

    def run(self, *more: str, code: int = 0) -> str:
        done = subprocess.run(
            self.command(*more), cwd=self.folder, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr

    def facts(self, run: str = ".") -> dict[str, object]:
        with h5py.File(self.out / run / "results.h5") as results:
            return dict(results["provenance"].attrs)

    def hashes(self, run: str = ".") -> dict[str, str]:
        return hashes(self.out / run / "results.h5")


@pytest.fixture
def sweep(binary, tmp_path, tiny_folder) -> Sweep:
    """In an empty folder."""
    return Sweep(binary, tmp_path, tiny_folder("llama"))


def scores_of(found: dict[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in found.items() if name.startswith("attribution/")}


CHANGES = {
    "counts": ({"circuit": {"counts": [5, 20, 50]}}, ["circuit.counts"]),
    "ablation": ({"circuit": {"counts": [5, 20], "ablation": "zero"}}, ["circuit.ablation"]),
    "steering": ({"steering": {"factors": [0, 1, 2]}}, ["steering.factors"]),
    "agreement": ({"agreement": {"sample": 10}}, ["agreement.sample"]),
    "held-out pairs": ({"pairs": {"test_file": "other.jsonl"}}, ["the held-out pairs"]),
    "fewer held-out pairs": ({"pairs": {"test": 3}}, ["pairs.test"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_evaluation_costs_its_own_stages(change, sweep):
    """The scores are those of before, bit for bit; what is evaluated is what a run from nothing gives."""
    sweep.run()
    before = sweep.hashes()
    settings, words = CHANGES[change]
    for group, keys in settings.items():
        sweep.settings[group] = sweep.settings.get(group, {}) | keys
    said = sweep.run()
    for word in ["evaluated again", *words]:
        assert word in said
    facts = sweep.facts()
    assert int(facts["units_restored"]) >= 6  # all of the attribution's
    again = sweep.hashes()
    assert scores_of(again) == scores_of(before)
    sweep.out = sweep.folder / "from nothing"
    sweep.run()
    assert sweep.hashes() == again
    assert int(sweep.facts()["units_computed"]) == int(facts["units_computed"]) + int(facts["units_restored"])


def test_features_are_evaluated_again(sweep, tiny_model, tiny_pairs):
    """Their list and its scores come from the journal too; other dictionaries are another run."""
    model, pairs = SiteModel(tiny_model("llama").model), tiny_pairs("llama", 6)
    folders = [sweep.folder / name for name in ("sae", "other")]
    for seed, folder in enumerate(folders):
        write_saelens(folder, random_dictionary(model, pairs, "resid_post", 1, seed=seed))
    sweep.settings |= {"nodes": ["features"], "features": [{"path": str(folders[0])}]}
    sweep.run()
    before = sweep.hashes()
    sweep.settings["circuit"] = {"counts": [3, 9], "ablation": "resample"}
    sweep.settings["agreement"] = {"sample": 10}
    assert "evaluated again" in sweep.run()
    assert int(sweep.facts()["units_restored"]) >= 6
    again = sweep.hashes()
    assert {name: again[name] for name in before if name.startswith("nodes/")}.items() <= before.items()
    sweep.settings["features"] = [{"path": str(folders[1])}]
    sweep.run(code=2)
    sweep.out = sweep.folder / "from nothing"
    sweep.settings["features"] = [{"path": str(folders[0])}]
    sweep.run()
    assert sweep.hashes() == again


def seconds(facts: dict[str, object], name: str) -> float:
    return json.loads(str(facts[name])).get("attribution", 0)


def test_time_of_earlier_starts_is_kept(sweep):
    """What the scores took stays with them, beside what this start took; so costs add up after a stop, too."""
    sweep.run()
    first = sweep.facts()
    assert seconds(first, "seconds_earlier") == 0 < seconds(first, "seconds")
    for counts in ([5], [6]):
        before = sweep.facts()
        sweep.settings["circuit"] = {"counts": counts}
        sweep.run()
        again = sweep.facts()
        added = seconds(again, "seconds_earlier") - seconds(before, "seconds_earlier")
        assert 0 < added <= seconds(before, "seconds") + 1e-6  # all but what follows once the time is noted
        assert "circuits" in json.loads(again["seconds"])
    words = [str(sweep.binary), "export", str(sweep.out), "--to", str(sweep.folder / "tables")]
    subprocess.run(words, check=True, capture_output=True)
    tables = json.loads((sweep.folder / "tables" / "tables.json").read_text())["tables"]
    columns = next(table for table in tables if table["name"] == "runs")["columns"]
    (told,) = next(column["values"] for column in columns if column["name"] == "seconds")
    every = [json.loads(str(again[name])).values() for name in ("seconds", "seconds_earlier")]
    assert told == pytest.approx(sum(sum(one) for one in every))


def test_a_circuit_is_not_evaluated_again_for_steering(sweep):
    """Stages know what they depend on."""
    sweep.run()
    sweep.settings["steering"] = {"factors": [0, 2]}
    sweep.run()
    assert sweep.facts()["units_computed"] == 4  # one a held-out pair


def test_going_back_costs_nothing(sweep):
    """The journal holds both evaluations."""
    sweep.run()
    before = sweep.hashes()
    sweep.settings["circuit"]["ablation"] = "zero"
    sweep.run()
    sweep.settings["circuit"]["ablation"] = "mean"
    sweep.run()
    assert sweep.facts()["units_computed"] == 0
    assert sweep.hashes() == before


def test_another_sample_of_agreement(sweep):
    """Other neurons are patched and scored, the attribution is kept, and the first sample is still known."""
    sweep.settings["sweep"] = {"grid": {"attribution.method": ["relp", "atp"]}}
    sweep.settings["agreement"] = {"sample": 10}
    sweep.run()
    first = sweep.hashes("method=relp")
    for sample, seed in ((20, 0), (20, 1)):
        sweep.settings["agreement"] = {"sample": sample, "seed": seed}
        assert "agreement.s" in sweep.run()
        found = sweep.hashes("method=relp")
        assert scores_of(found) == scores_of(first)
        with h5py.File(sweep.out / "method=relp" / "results.h5") as results:
            assert 15 <= len(results["agreement/exact"][0]) <= 20
    sweep.settings["agreement"] = {"sample": 10}
    sweep.run()
    assert sweep.facts("method=relp")["units_computed"] == 0
    assert sweep.hashes("method=relp") == first


def test_a_grid_over_samples_attributes_once(sweep):
    """Each run gets what it gets alone."""
    sweep.settings["sweep"] = {"grid": {"agreement.sample": [10, 30]}}
    sweep.run()
    found = [sweep.hashes(f"sample={sample}") for sample in (10, 30)]
    assert scores_of(found[0]) == scores_of(found[1])
    del sweep.settings["sweep"]
    sweep.settings["agreement"] = {"sample": 30}
    sweep.out = sweep.folder / "alone"
    sweep.run()
    assert sweep.hashes() == found[1]


def test_a_finished_sweep_of_four_methods(sweep):
    """New counts, another ablation and steering for all of them, with kills in between."""
    sweep.settings["sweep"] = {"grid": {"attribution.method": FOUR}}
    sweep.run()
    names = [f"method={method}" for method in FOUR]
    before = {name: scores_of(sweep.hashes(name)) for name in names}
    sweep.settings["circuit"] = {"counts": [3, 9, 27], "ablation": "resample"}
    sweep.settings["steering"] = {"factors": [0, 1]}
    for after in (0.4, 0.7, 1.0):
        running = subprocess.Popen(
            sweep.command(), cwd=sweep.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(after)
        running.send_signal(signal.SIGKILL)
        running.wait()
    sweep.run()
    for name in names:
        found = sweep.hashes(name)
        assert scores_of(found) == before[name]
        assert "steering/metric" in found
        with h5py.File(sweep.out / name / "results.h5") as results:
            assert list(results["circuit/count"]) == [3, 9, 27]
            assert results["circuit"].attrs["ablation"] == "resample"


def test_a_grid_over_evaluations_attributes_once(sweep):
    """Runs that evaluate the same scores share them."""
    sweep.settings["sweep"] = {"grid": {"circuit.ablation": ["mean", "zero", "resample"]}}
    sweep.run()
    found = [sweep.hashes(f"ablation={name}") for name in ("mean", "zero", "resample")]
    assert scores_of(found[0]) == scores_of(found[1]) == scores_of(found[2])
    assert found[0]["circuit/faithfulness"] != found[1]["circuit/faithfulness"]
    assert sweep.facts("ablation=mean")["units_restored"] == 0
    assert sweep.facts("ablation=zero")["units_restored"] == 6 + 1 + 3  # performance and first nodes too


def test_the_page_says_which_ablation(sweep):
    """Curves of two ablations in one folder are told apart by name."""
    sweep.settings["sweep"] = {"grid": {"circuit.ablation": ["mean", "zero"]}}
    sweep.run()
    exported = sweep.folder / "tables"
    subprocess.run([str(sweep.binary), "export", str(sweep.out), "--to", str(exported)], check=True)
    lines = (exported / "runs.csv").read_text()
    assert "ablation mean" in lines and "ablation zero" in lines


def test_other_scores_are_refused_by_name(sweep):
    """Which key differs is said."""
    sweep.run()
    sweep.settings["attribution"]["method"] = "atp"
    sweep.settings["circuit"]["counts"] = [7]
    said = sweep.run(code=2)
    assert "attribution.method" in said and "circuit.counts" in said and "--fresh" in said
    sweep.settings["attribution"]["method"] = "relp"
    sweep.settings["pairs"]["train_file"] = "other.jsonl"
    assert "the training pairs" in sweep.run(code=2)


GROWTH = {
    "from one value to two": ({}, {"attribution.method": ["relp", "atp"]}, {".": "method=relp"}),
    "by a value in front": (
        {"attribution.method": ["atp", "relp"]},
        {"attribution.method": ["ig-inputs", "atp", "relp"]},
        {"method=atp": "method=atp", "method=relp": "method=relp"},
    ),
    "by a key whose old value stands first": (
        {"attribution.method": ["atp", "relp"]},
        {"attribution.method": ["atp", "relp"], "attribution.direction": ["clean", "denoise"]},
        {"method=atp": "method=atp,direction=clean", "method=relp": "method=relp,direction=clean"},
    ),
}


def test_results_of_others_below_stay_where_they_are(sweep):
    """A run whose folder holds the folder of an independent one with the same settings."""
    whole, below = sweep.out, sweep.out / "one"
    sweep.out = below
    sweep.run()
    sweep.out = whole
    before = (below / "results.h5").stat()
    sweep.run()
    after = (below / "results.h5").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert (below / "report.html").exists()


def test_a_shrunk_grid_renews_its_names(sweep):
    """Results are moved, nothing is computed, and report names no run that the sweep has no more."""
    sweep.settings["sweep"] = {"grid": {"attribution.method": ["relp", "atp"]}}
    sweep.run()
    del sweep.settings["sweep"]
    sweep.run()
    assert json.loads((sweep.out / "sweep.json").read_text())["runs"] == ["."]
    said = subprocess.run([sweep.binary, "report", sweep.out], capture_output=True, text=True, check=True).stdout
    assert "not finished" not in said
    assert (sweep.out / "report.html").exists()


@pytest.mark.parametrize("growth", GROWTH)
def test_a_grown_grid_keeps_its_runs(growth, sweep):
    """They are found by what they are, whatever their folder is called."""
    first, grown, moved = GROWTH[growth]
    if first:
        sweep.settings["sweep"] = {"grid": first}
    sweep.run()
    inodes = {old: (sweep.out / old / "results.h5").stat().st_ino for old in moved}
    sweep.settings["sweep"] = {"grid": grown}
    sweep.run()
    for old, new in moved.items():
        assert (sweep.out / new / "results.h5").stat().st_ino == inodes[old], (old, new)
        if old != new:
            assert not (sweep.out / old / "results.h5").exists()
    every = {str(file.parent.relative_to(sweep.out)) for file in sweep.out.rglob("results.h5")}
    assert every == set(json.loads((sweep.out / "sweep.json").read_text())["runs"])
