# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""What a user meets: bad input named clearly with exit 2 and nothing half-written, progress, Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import ROOT

DEMO = ROOT / "models" / "smollm2-135m"


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


@pytest.fixture
def bench(binary, tmp_path, tiny_folder) -> Workbench:
    """A workbench on the tiny Llama model; it works as it stands."""
    return Workbench(binary, tmp_path, tiny_folder("llama"))


def test_it_works_as_it_stands(bench):
    """The other tests break what works."""
    done = bench.run()
    assert done.returncode == 0, done.stderr
    assert "atp" in done.stdout and "faithfulness" in done.stdout and "results.h5" in done.stdout
    assert sorted(file.name for file in bench.out.iterdir()) == ["journal", "report.html", "results.h5", "sweep.json"]


def test_missing_weights(bench):
    """No safetensors at all."""
    (bench.model / "model.safetensors").unlink()
    bench.refused("model.safetensors")


def test_truncated_weights(bench):
    """A download that stopped."""
    file = bench.model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    bench.refused("model.safetensors")


def test_a_header_that_lies(bench):
    """Sizes that do not fit shapes, and a header longer than the file."""
    header, data = bench.weights()
    name = next(n for n in header if n != "__metadata__")
    header[name]["shape"][0] += 1
    bench.write_weights(header, data)
    bench.refused("model.safetensors", name)
    (bench.model / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    bench.refused("model.safetensors")


def test_nan_weights(bench):
    """One NaN anywhere."""
    header, data = bench.weights()
    name = "model.layers.1.mlp.up_proj.weight"
    begin = header[name]["data_offsets"][0]
    bench.write_weights(header, data[:begin] + np.array([np.nan]).tobytes() + data[begin + 8 :])
    bench.refused("NaN", "layer 1 gate and up")


def test_unknown_architecture(bench):
    """The message lists the known ones."""
    bench.edit_config(model_type="mamba")
    bench.refused("config.json", "mamba", "llama", "mistral", "gpt2")


def test_a_config_that_does_not_fit_the_weights(bench):
    """Another width, an option we do not compute, a tensor too many."""
    bench.edit_config(hidden_act="mish")
    bench.refused("hidden_act", "mish", "silu")
    bench.edit_config(hidden_act="silu", intermediate_size=7)
    bench.refused("gate_proj", "shape")


def test_a_stored_tensor_that_would_be_ignored(bench):
    """A bias the description does not know would silently make another model."""
    header, data = bench.weights()
    header["model.layers.0.mlp.extra.bias"] = {"dtype": "F64", "shape": [1], "data_offsets": [len(data), len(data) + 8]}
    bench.write_weights(header, data + bytes(8))
    bench.refused("model.layers.0.mlp.extra.bias")


def test_broken_json_has_line_and_column(bench):
    """In config.json and in the pairs."""
    (bench.model / "config.json").write_text('{"model_type": "llama",\n "hidden_size": }')
    bench.refused("config.json:2:")


def test_broken_pairs(bench):
    """Every broken line is named."""
    good = bench.pairs.read_text()
    bench.edit_pairs(lambda lines: lines.__setitem__(2, lines[2][:-5]))
    bench.refused("pairs.jsonl:3:")
    bench.pairs.write_text("")
    bench.refused("pairs.jsonl", "holds no pairs")
    bench.pairs.write_bytes(good.encode()[:40] + b"\xff\xfe" + good.encode()[40:])
    bench.refused("pairs.jsonl:1", "UTF-8")


def test_unfit_pairs_are_all_named_or_skipped(bench):
    """Unequal lengths and answers of several tokens."""

    def spoil(lines: list[str]) -> None:
        first, second = json.loads(lines[0]), json.loads(lines[1])
        first["patch_prefix"] += " and some more words"
        second["clean_answer"] = " zqxj vwkp zqxj"
        lines[0], lines[1] = json.dumps(first), json.dumps(second)

    bench.edit_pairs(spoil)
    message = bench.refused("pairs.jsonl:1", "pairs.jsonl:2", "tokens")
    assert "clean has" in message
    bench.settings["pairs"] = {"train_file": "pairs.jsonl", "train": 4, "unfit": "skip"}
    done = bench.run()
    assert done.returncode == 0, done.stderr
    assert "2 skipped as unfit" in done.stdout


def test_overlap_is_refused_unless_allowed(bench):
    """Held-out prompts that were trained on."""
    bench.settings["pairs"] = {"train_file": "pairs.jsonl", "test_file": "pairs.jsonl", "train": 3, "test": 3}
    bench.refused("overlap")
    bench.settings["pairs"]["overlap"] = "allow"
    assert bench.run().returncode == 0


def test_every_mistake_of_a_sweep_file_in_one_go(bench):
    """Unknown, duplicate, mistyped, missing and bad values, each with its place."""
    (bench.folder / "bad.yaml").write_text(
        "schema: 1\nname: x\nmodel: {path: model, dtype: float16}\npairs: {file: pairs.jsonl, file: pairs.jsonl}\n"
        "attribution:\n  method: ig-act\n  stpes: 10\n  tolerance: much\n"
    )
    command = [str(bench.binary), "run", "bad.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=bench.folder)
    assert done.returncode == 2
    for words in (
        ("bad.yaml:3:", "float16", "bfloat16"),
        ("bad.yaml:4:", "file"),
        ("bad.yaml:6:", "ig-act", "ig-acts"),
        ("bad.yaml:7:3", "stpes", "steps"),
        ("bad.yaml:8:", "tolerance"),
    ):
        assert any(all(word in line for word in words) for line in done.stderr.splitlines()), (words, done.stderr)


def test_methods_that_do_not_fit_their_settings(bench):
    """Checked against the table of methods, with the key's place."""
    bench.settings["attribution"] = {"method": "atp", "quadrature": "right"}
    bench.refused("sweep.yaml:1:", "attribution.quadrature", "atp")
    bench.settings["attribution"] = {"method": "conductance", "direction": "denoise"}
    bench.refused("attribution.direction", "denoise")


def test_a_rule_that_never_fires(binary, tmp_path, tiny_folder):
    """Asked for by name it is an error, in a preset a note."""
    bench = Workbench(binary, tmp_path, tiny_folder("gpt2"))
    bench.settings["attribution"] = {"method": "atp", "rules": {"half": True}}
    bench.refused("half", "gpt2", "0 times")
    bench.settings["attribution"] = {"method": "relp"}
    done = bench.run()
    assert done.returncode == 0 and "half" in done.stderr
    with h5py.File(bench.out / "results.h5") as results:
        assert results["attribution"].attrs["fired_half"] == 0
        assert "half" not in results["attribution"].attrs["rules"]
        assert results["attribution"].attrs["fired_norm"] > 0


def test_a_folder_of_other_results(bench):
    """The same again is done already; another configuration is refused until --fresh."""
    assert bench.run().returncode == 0
    before = (bench.out / "results.h5").read_bytes()
    again = bench.run("threads=2")
    assert again.returncode == 0 and "complete already" in again.stdout
    bench.settings["attribution"] = {"method": "relp"}
    done = bench.run()
    assert done.returncode == 2 and "--fresh" in done.stderr
    assert (bench.out / "results.h5").read_bytes() == before
    assert bench.run("--fresh").returncode == 0
    assert (bench.out / "results.h5").read_bytes() != before


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="mounting needs root")
@pytest.mark.parametrize("options", ["size=8k", "ro,size=8m"])
def test_full_and_read_only_disks(bench, options):
    """Found before any work."""
    bench.out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(bench.out)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is forbidden here")
    try:
        bench.refused(str(bench.out), "--out")
    finally:
        subprocess.run(["umount", str(bench.out)], check=True)


@pytest.mark.skipif(not DEMO.is_dir(), reason="the demo model is not there: tools/fetch_model.py makes it")
def test_ctrl_c_stops_cleanly(binary, tmp_path):
    """Exit 75, a line that says so, no results."""
    sweep = ROOT / "experiments" / "agreement.yaml"
    more = ["attribution.method=ig-acts", "attribution.quadrature=right", "attribution.steps=20", "threads=1"]
    command = [str(binary), "run", str(sweep), *more, "--out", str(tmp_path / "out")]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    first = running.stderr.readline()  # the first progress line
    assert "attribution" in first and "/" in first
    running.send_signal(signal.SIGINT)
    _, rest = running.communicate(timeout=120)
    assert running.returncode == 75, rest
    assert "stopped" in rest
    assert not (tmp_path / "out" / "results.h5").exists()
    assert not list((tmp_path / "out").rglob("*.part"))


def test_a_bar_on_a_terminal(bench):
    """Redrawn in one line and wiped; no bar in a log."""
    bench.settings["attribution"] = {"method": "exact-patching", "sample": 100}
    (bench.folder / "sweep.yaml").write_text(json.dumps(bench.settings))
    main, terminal = pty.openpty()
    command = [str(bench.binary), "run", "sweep.yaml", "--out", str(bench.out)]
    running = subprocess.Popen(command, cwd=bench.folder, stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    shown = b""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            piece = os.read(main, 4096)
        except OSError:  # the other end closed
            break
        if not piece:
            break
        shown += piece
    os.close(main)
    assert running.wait(timeout=60) == 0
    assert b"\r" in shown and b"%" in shown
    assert b"\r" not in bench.run("--fresh").stderr.encode()


def test_the_schema_is_the_table_that_validates(binary):
    """Every key with its type, default and meaning."""
    done = subprocess.run([str(binary), "schema"], capture_output=True, text=True, check=True)
    for key in ("attribution.method", "pairs.unfit", "circuit.ablation", "threads", "batch_rows", "model.dtype"):
        assert key in done.stdout
    assert "relp-jafari" in done.stdout and "resample" in done.stdout


def test_unpaired_prompts(bench):
    """Zero and mean baselines, metrics without a second answer."""

    def unpair(lines: list[str]) -> None:
        for i, line in enumerate(lines):
            pair = json.loads(line)
            lines[i] = json.dumps({k: pair[k] for k in ("clean_prefix", "clean_answer")})

    bench.edit_pairs(unpair)
    bench.refused("patch_prefix")
    bench.settings["attribution"] = {"method": "ig-acts", "baseline": "zero"}
    bench.refused("patch_answer", "metric")
    for metric in ("logit", "sum-of-logits"):
        for baseline in ("zero", "mean"):
            bench.settings["metric"] = metric
            bench.settings["attribution"] = {
                "method": "ig-acts",
                "quadrature": "midpoint",
                "steps": 64,
                "baseline": baseline,
            }
            done = bench.run("--fresh")
            assert done.returncode == 0, done.stderr
            with h5py.File(bench.out / "results.h5") as results:
                metrics = results["attribution/metric"][()]
                assert np.isfinite(metrics[:, 0]).all() and np.isnan(metrics[:, 1]).all()
                # The identity of integrated gradients needs no second prompt.
                assert np.abs(results["attribution/residual"][()]).max() < 1e-2 * np.abs(metrics[:, 0]).max()


def test_sizes_that_only_the_model_knows(bench):
    """Given values are refused before any work, defaults shrink to the model."""
    bench.settings["circuit"] = {"counts": [10**6]}
    bench.refused("circuit.counts", "sweep.yaml:1:")
    bench.settings["circuit"] = {}
    bench.settings["metric"], bench.settings["metric_top"] = "sum-of-logits", 999
    bench.refused("metric_top", "vocabulary")
    bench.settings["metric_top"] = 3
    bench.settings["attribution"] = {"method": "exact-patching"}
    done = bench.run()
    assert done.returncode == 0, done.stderr
    bench.settings["circuit"] = {"ablation_pairs": "train"}
    assert bench.run("--fresh").returncode == 0


def test_a_sweep_is_checked_whole_before_it_starts(bench):
    """A run in the middle that cannot be is named, and nothing is computed."""
    bench.settings["sweep"] = {
        "grid": {"attribution.method": ["atp", "ig-inputs"], "attribution.direction": ["clean", "denoise"]}
    }
    bench.refused("method=ig-inputs,direction=denoise")


def test_positions_summed_take_all_lengths(bench):
    """Pairs of several token lengths go in buckets; nodes have one position."""

    def lengthen(lines: list[str]) -> None:
        for i in (1, 3, 5):
            pair = json.loads(lines[i])
            for key in ("clean_prefix", "patch_prefix"):
                pair[key] += " the the"
            lines[i] = json.dumps(pair)

    bench.edit_pairs(lengthen)
    bench.settings["pairs"] = {"file": "pairs.jsonl"}
    bench.refused("positions")
    bench.settings["positions"] = "sum"
    bench.settings["pairs"] |= {"train": 8, "test": 6}
    done = bench.run()
    assert done.returncode == 0, done.stderr
    bench.settings["attribution"]["baseline"] = "mean"  # taken length by length
    assert bench.run("--fresh").returncode == 0
    with h5py.File(bench.out / "results.h5") as results:
        assert results["attribution/scores"].shape[1] == 1
        ids = results["pairs/clean_ids"][()]
        assert len({int((row >= 0).sum()) for row in ids}) > 1


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"grid": {"attribution.stpes": [1, 2]}}, ("attribution.stpes", "did you mean 'attribution.steps'")),
        ({"zip": {"pairs.seed": [1, 2], "attribution.method": ["atp"]}}, ("sweep.zip", "equally long")),
        ({"grid": {"pairs.seed": [1, 2]}, "exclude": [{"pairs.seed": 1}, {"pairs.seed": 2}]}, ("leaves no run",)),
        ({"grid": {"pairs.seed": [1]}, "include": [{"pairs.seed": 4}, {"pairs.seed": 4}]}, ("two runs of one name",)),
        ({"grid": {"attribution.method": ["atp", "atp"]}}, ("twice",)),
        ({"grid": []}, ("must be a mapping",)),
    ],
)
def test_sweeps_that_cannot_be(sweep, words, bench):
    """Each mistake of a sweep with its words."""
    bench.settings["sweep"] = sweep
    bench.refused(*words)


def test_a_grid_gives_a_folder_a_run(bench):
    """One run's mistake leaves the others."""
    bench.settings["sweep"] = {"grid": {"attribution.method": ["atp", "relp"], "circuit.counts": [[10], [10**9]]}}
    done = bench.run()
    assert done.returncode == 2 and "1000000000" in done.stderr
    assert sorted(file.parent.parent.name for file in bench.out.rglob("results.h5")) == ["out", "out"]
    page = (bench.out / "report.html").read_text()
    assert "is not finished" in page, "the report is there, and says what is missing"
