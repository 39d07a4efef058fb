# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""What a user meets while a run goes on: finished folders, full disks, progress, Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import ROOT

DEMO = ROOT / "models" / "smollm2-135m"


def test_it_works_as_it_stands(bench):
    """The other tests break what works."""
    done = bench.run()
    assert done.returncode == 0, done.stderr
    assert "atp" in done.stdout and "faithfulness" in done.stdout and "results.h5" in done.stdout
    assert sorted(file.name for file in bench.out.iterdir()) == ["journal", "report.html", "results.h5", "sweep.json"]


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


def test_no_command(binary):
    """What there is to choose from."""
    done = subprocess.run([binary], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    named = [line.split()[0] for line in done.stderr.splitlines()[1:]]
    commands = ["run", "status", "finalize", "report", "export", "plan", "validate", "schema", "inspect", "doctor"]
    assert sorted(named) == sorted(commands)


@pytest.mark.skipif(not DEMO.is_dir(), reason="the demo model is not there: tools/fetch_model.py makes it")
def test_ctrl_c_stops_cleanly(binary, tmp_path):
    """Exit 75, or 76 where no unit was finished yet; a line that says so, no results."""
    sweep = ROOT / "experiments" / "agreement.yaml"
    more = ["attribution.method=ig-acts", "attribution.quadrature=right", "attribution.steps=20", "threads=1"]
    command = [str(binary), "run", str(sweep), *more, "--out", str(tmp_path / "out")]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    first = running.stderr.readline()  # the first progress line
    assert "attribution" in first and "/" in first
    running.send_signal(signal.SIGINT)
    _, rest = running.communicate(timeout=120)
    assert running.returncode == (76 if "finished no unit" in rest else 75), rest
    assert "stopped" in rest
    assert not (tmp_path / "out" / "results.h5").exists()
    assert not list((tmp_path / "out").rglob("*.part"))


def test_a_standard_output_that_is_full(bench):
    """What was to be read is not there: not a success."""
    sweep = bench.folder / "sweep.yaml"
    sweep.write_text(json.dumps(bench.settings))
    for words in (["plan", sweep], ["validate", sweep], ["inspect", bench.model], ["schema"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run([bench.binary, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 1, words
        assert "standard output cannot be written" in done.stderr


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
