# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""`plan` for machines that are elsewhere: from config.json alone, in a moment, with lines that can be submitted."""

from __future__ import annotations

import json
import os
import re
import resource
import shlex
import shutil
import subprocess
from pathlib import Path

import h5py
import pytest
import torch
from conftest import ROOT
from tiny_models import MODELS, ROTARY, TinyModel, save_tiny_model
from workbench import Workbench

LARGE = {  # an eight-billion-parameter Llama
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "dtype": "bfloat16",
}
BILLION = 8.03e9  # its parameters


def plan(bench: Workbench, *more: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`tributary plan` on the settings as they are now."""
    sweep = bench.folder / "sweep.yaml"
    sweep.write_text(json.dumps(bench.settings))
    command = [str(bench.binary), "plan", str(sweep), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd or bench.folder, timeout=60)


def planned_bytes(done: subprocess.CompletedProcess[str]) -> float:
    """What a rank will take at most."""
    assert done.returncode == 0, done.stderr
    amount, unit = re.search(r"takes at most ([\d.]+) (MiB|GiB)", done.stdout).groups()
    return float(amount) * {"MiB": 2**20, "GiB": 2**30}[unit]


@pytest.mark.parametrize("weights", ["absent", "headers only"])
def test_a_large_model_on_a_login_node(weights, bench):
    """No weights, no card, an answer in a second."""
    bench.edit_config(**LARGE)
    stored = bench.model / "model.safetensors"
    if weights == "absent":
        stored.unlink()
    else:
        stored.write_bytes(stored.read_bytes()[:4096])
    bench.settings["model"] = {"path": "model", "dtype": "bfloat16", "device": "cuda"}
    bench.settings["attribution"] = {"method": "ig-acts", "quadrature": "midpoint", "steps": 10}
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = plan(bench, "--nodes", "4", "--cards", "16", "--memory", "80G")
    seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    peak = planned_bytes(done)
    assert seconds < 5, f"{seconds} s of a processor"
    # A float32 network stands beside the bfloat16 one, to compare with.
    assert 6 * BILLION < peak < 80 * 2**30
    assert str(32 * 14336 * 5) in done.stdout.replace(",", ""), "nodes: layers × neurons × positions"
    assert "on 16 ranks with a card each" in done.stdout and "TFLOP/s" in done.stdout
    assert "--nodes=4 --ntasks-per-node=4 --gpus-per-node=4" in done.stdout
    small = plan(bench, "--cards", "16", "--memory", "24G")
    assert small.returncode == 2 and "24.0 GiB are not enough" in small.stderr and "for weights" in small.stderr


def test_more_nodes_than_a_ranking_holds(bench):
    """Said before anything is computed, with the way out."""
    bench.edit_config(**LARGE | {"num_hidden_layers": 120, "intermediate_size": 2**22})
    done = plan(bench)
    assert done.returncode == 2, done.stdout
    assert "no ranking holds more than 2147483647; take positions: sum" in done.stderr
    assert plan(bench, "positions=sum").returncode == 0


def test_memory_is_what_a_run_then_expects(bench, monkeypatch):
    """A plan on a narrow stand-in is that of the run, which measures the network itself. A run counts also what its
    start-up check has left in the allocator, some 40 MB here."""
    wide = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_key_value_heads": 4}
    monkeypatch.setitem(MODELS, "wide", TinyModel("llama", ROTARY | wide | {"head_dim": 64, "num_hidden_layers": 2}))
    shutil.rmtree(bench.model)
    save_tiny_model("wide", bench.model, torch.float32)
    bench.settings["model"]["dtype"] = "float32"
    bench.settings["pairs"] = {"file": "pairs.jsonl", "train": 8, "test": 2}
    bench.settings["attribution"] = {"method": "ig-inputs", "quadrature": "right", "steps": 40, "spread": "skip"}
    promised = planned_bytes(plan(bench, "threads=1", "batch_rows=4096"))
    done = bench.run("threads=1", "batch_rows=4096")
    assert done.returncode == 0, done.stderr
    with h5py.File(bench.out / "results.h5") as results:
        facts = dict(results["provenance"].attrs)
    weights = (bench.model / "model.safetensors").stat().st_size
    assert facts["expected_peak_bytes"] > 4 * weights, "rows count for more than weights here"
    assert promised == pytest.approx(facts["expected_peak_bytes"], rel=0.1)


def test_what_contradicts_itself(bench):
    """Each with the option to change."""
    for words, options in (
        ("--cards: a plan for cards needs to know", ("--cards", "4")),
        ("--cards: 6 cannot be shared out evenly to 4 nodes", ("--nodes", "4", "--cards", "6", "--memory", "24G")),
        ("--cards: each rank has a card", ("--ranks", "4", "--cards", "6", "--memory", "24G")),
        ("--memory: 'much' is no size", ("--memory", "much")),
        ("model.device: cpu runs on no card", ("--cards", "4", "--memory", "24G", "model.device=cpu")),
    ):
        done = plan(bench, *options)
        assert done.returncode == 2, done.stdout
        assert words in done.stderr, done.stderr


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="there is a card")
def test_cuda_without_a_card_asks_for_a_description(bench):
    """And is planned where it is given."""
    bench.settings["model"]["device"] = "cuda"
    done = plan(bench)
    assert done.returncode == 2 and "--cards 4 --memory 24G" in done.stderr
    assert plan(bench, "--cards", "2", "--memory", "24G").returncode == 0


def test_more_nodes_are_quicker_and_share_nothing(bench):
    """Estimates for ranks, on nodes or not."""
    bench.settings["attribution"] = {"method": "ig-acts", "quadrature": "midpoint", "steps": 200}
    assert "on 1 rank" in plan(bench).stdout
    assert "on 6 ranks" in plan(bench, "--ranks", "6").stdout
    done = plan(bench, "--nodes", "2", "--ranks", "6")
    assert "on 6 ranks" in done.stdout and "--nodes=2 --ntasks-per-node=3" in done.stdout
    assert "on 3 ranks" in plan(bench, "--nodes", "3").stdout


def expected_seconds(done: subprocess.CompletedProcess[str]) -> int:
    """Of the whole sweep."""
    assert done.returncode == 0, done.stderr
    text = re.search(r"on \d+ ranks? [^\n]*?: about ([^,(]+)", done.stdout).group(1)
    units = {"h": 3600, "min": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+) (h|min|s)\b", text))


def test_cards_share_the_work(bench):
    """Four times the cards take about a quarter of the time, as long as there is work for all."""
    bench.edit_config(**LARGE)
    bench.settings["model"] = {"path": "model", "dtype": "bfloat16", "device": "cuda"}
    bench.settings["attribution"] = {"method": "ig-acts", "quadrature": "midpoint", "steps": 200}
    bench.settings["pairs"] = {"train_file": "pairs.jsonl"}
    bench.settings["unit"] = {"pairs": 1}
    del bench.settings["circuit"]
    few, many = (plan(bench, "--cards", cards, "--memory", "80G") for cards in ("2", "8"))
    assert 0.2 < expected_seconds(many) / expected_seconds(few) < 0.4


def test_ranks_of_a_node_share_its_memory(bench):
    """So that calls get smaller; ranks on nodes of their own have all of it."""

    def rows(*machines: str) -> int:
        return int(
            re.search(r"\((\d+) rows in a network call\)", plan(bench, *machines, "memory=auto").stdout).group(1)
        )

    assert rows("--nodes", "1", "--ranks", "100000") < rows("--nodes", "100000") == rows()


def submitted(line: str, folder: Path) -> list[str]:
    """The words that sbatch would get from a shell in this folder, and whether its script is there."""
    tools = folder / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "sbatch").write_text('#!/bin/sh\necho "TRIBUTARY=$TRIBUTARY"\nprintf "%s\\n" "$@"\n')
    (tools / "sbatch").chmod(0o755)
    environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("where", ["sources", "elsewhere", "installed"])
def test_the_lines_name_scripts_that_are_there(where, bench, tmp_path):
    """From the sources' folder, from any other, and of an installed program."""
    folder = ROOT if where == "sources" else tmp_path
    if where == "installed":
        prefix = tmp_path / "prefix"
        build = bench.binary.parent
        if not (build / "cmake_install.cmake").is_file():
            pytest.skip("TRIBUTARY_BINARY is not in a build folder")
        subprocess.run(["cmake", "--install", str(build), "--prefix", str(prefix)], check=True, capture_output=True)
        bench.binary = prefix / "bin" / "tributary"
    bench.settings["sweep"] = {"grid": {"attribution.method": ["atp", "relp"]}}
    done = plan(bench, "--ranks", "2", cwd=folder)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "sbatch " in line]
    assert len(lines) == 2 and "--array=0-1" in lines[1]
    assert "in a Slurm array each computes all of its own" in done.stdout
    for line in lines:
        program, *words = submitted(line, folder if where != "sources" else tmp_path)
        script = next(word for word in words if word.endswith(".sbatch"))
        assert (folder / script).is_file(), line
        assert str(bench.folder / "sweep.yaml") in words
        if where != "sources":
            assert Path(program.removeprefix("TRIBUTARY=")).samefile(bench.binary)


def test_without_job_scripts_the_launcher_itself(bench, tmp_path):
    """A program that was copied alone still says how to start it."""
    alone = tmp_path / "alone" / "deep" / "tributary"
    alone.parent.mkdir(parents=True)
    shutil.copy(bench.binary, alone)
    bench.binary = alone
    done = plan(bench)
    line = next(line for line in done.stdout.splitlines() if "sbatch " in line)
    assert ".sbatch" not in line and f"run {bench.folder / 'sweep.yaml'}" in shlex.split(line)[-1]


def test_what_is_there_already(bench):
    """Results of these keys, of the same scores, of others; the model's weights are taken to be those."""
    assert bench.run().returncode == 0
    folder = ("--out", str(bench.out))
    assert re.search(r"\byes\b", plan(bench, *folder).stdout)
    bench.settings["circuit"] = {"counts": [7]}
    assert re.search(r"\bscores\b", plan(bench, *folder).stdout)
    bench.settings["attribution"] = {"method": "relp"}
    assert "other results there" in plan(bench, *folder).stdout
