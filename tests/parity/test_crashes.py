# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Whatever dies, nothing finished is lost: kills, stops, full disks, damaged journals, ranks that hang."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import h5py
import pytest
from kill_rounds import journalled_units, run_rounds
from product import hashes, mpi_environment, mpirun, processes_of


def test_killed_runs_go_on(binary, tmp_path):
    """A few rounds of tests/parity/kill_rounds.py, which does a hundred."""
    tally = run_rounds(binary, tmp_path, 4, random.randrange(10**6))
    print(tally.text())  # noqa: T201
    assert tally.kills.total() > 0


class Work:
    """A run of a few seconds in sixteen units."""

    def __init__(self, binary: Path, folder: Path, model: Path) -> None:
        self.binary, self.folder = binary, folder
        pairs = str(model / "pairs.jsonl")
        self.settings = {
            "schema": 1,
            "name": "crash",
            "model": {"path": str(model), "dtype": "float32"},
            "pairs": {"train_file": pairs, "test_file": pairs, "train": 16, "test": 8, "overlap": "allow"},
            "attribution": {"method": "ig-acts", "quadrature": "right", "steps": 4000},
            "unit": {"pairs": 1},
            "threads": 1,
            "circuit": {"counts": [3, 30]},
        }
        self.out = folder / "out"
        self.write()

    def write(self) -> None:
        (self.folder / "sweep.yaml").write_text(json.dumps(self.settings))

    def command(self, *more: str, ranks: int = 1, mpi: str = "") -> list[str]:
        command = [str(self.binary), "run", "sweep.yaml", "--out", str(self.out), *more]
        return [*mpirun(ranks, mpi), *command] if ranks > 1 else command

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*more), cwd=self.folder, capture_output=True, text=True, check=False, timeout=120
        )

    def start(self, *more: str, ranks: int = 1, mpi: str = "", **keywords: object) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(self.command(*more, ranks=ranks, mpi=mpi), cwd=self.folder, **pipes, **keywords)

    def tool(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        """`tributary status` or `finalize`."""
        command = [str(self.binary), name, str(self.out), *more]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def units(self) -> int:
        return sum(map(len, journalled_units(self.out).values()))

    def wait_for_units(self, count: int) -> None:
        deadline = time.monotonic() + 60
        while self.units() < count:
            assert time.monotonic() < deadline, "no units within a minute"
            time.sleep(0.05)

    def killed_after(self, count: int) -> int:
        """Kills a run that has journalled some units; how many there are then."""
        running = self.start()
        self.wait_for_units(count)
        running.kill()
        running.communicate()
        return self.units()

    def facts(self) -> dict[str, object]:
        with h5py.File(self.out / "results.h5") as results:
            return dict(results["provenance"].attrs)


@pytest.fixture
def work(binary, tmp_path, tiny_folder) -> Work:
    """In an empty folder."""
    return Work(binary, tmp_path, tiny_folder("llama"))


@pytest.fixture(scope="module")
def peace(binary, tmp_path_factory, tiny_folder) -> dict[str, str]:
    """The hashes of an undisturbed run."""
    work = Work(binary, tmp_path_factory.mktemp("peace"), tiny_folder("llama"))
    done = work.run()
    assert done.returncode == 0, done.stderr
    return hashes(work.out / "results.h5")


def rank_of(process: int) -> int:
    """The rank that mpirun gave a process."""
    environment = Path(f"/proc/{process}/environ").read_text().split("\0")
    return int(dict(line.split("=", 1) for line in environment if line)["OMPI_COMM_WORLD_RANK"])


def blocks_of(work: Work) -> list[Path]:
    return sorted(work.out.glob("journal/*/*/*.block"))


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT])
def test_signals_stop_and_the_same_command_goes_on(number, work, peace):
    """Exit 75 within a moment, and nothing that was finished is computed again."""
    running = work.start()
    work.wait_for_units(3)
    running.send_signal(number)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 75, errors
    assert "the same command goes on" in errors
    kept = work.units()
    assert 3 <= kept < 24
    assert work.run().returncode == 0
    assert work.facts()["units_restored"] == kept
    assert hashes(work.out / "results.h5") == peace


@pytest.mark.parametrize("mpi", ["openmpi", "mpich"])
def test_signals_reach_all_ranks(mpi, work, peace):
    """mpirun passes them on, and gives back 75."""
    running = work.start(ranks=3, mpi=mpi, env=mpi_environment(work.folder / "session"), start_new_session=True)
    work.wait_for_units(3)
    running.send_signal(signal.SIGUSR1)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 75, errors
    assert not processes_of(work.binary)
    assert work.run().returncode == 0
    assert hashes(work.out / "results.h5") == peace


def test_a_time_limit(work):
    """Stops before it is over."""
    work.settings["attribution"]["steps"] = 30000  # nobody is through in a second
    work.write()
    done = work.run("--time", "1s")
    assert done.returncode == 75, done.stderr
    assert "not complete" in work.tool("status").stdout
    assert work.run("--time", "soon").returncode == 2


def test_time_enough(work, peace):
    """A limit that is not met changes nothing."""
    assert work.run("--time", "1:00:00").returncode == 0
    assert hashes(work.out / "results.h5") == peace


def test_status_and_finalize(work, peace):
    """From the files alone: while it runs, after a kill, and from the journal to results."""
    assert work.tool("status").returncode == 2
    running = work.start()
    work.wait_for_units(2)
    shown = work.tool("status")
    assert shown.returncode == 0, shown.stderr
    assert "running on host" in shown.stdout and f"process {running.pid}" in shown.stdout
    assert "/ 16 units" in shown.stdout and "not complete" in shown.stdout
    running.kill()
    running.communicate()
    assert "was killed" in work.tool("status").stdout
    early = work.tool("finalize")
    assert early.returncode == 2 and "misses units" in early.stderr
    assert work.run().returncode == 0
    assert "finished" in work.tool("status").stdout and "run       .: complete" in work.tool("status").stdout
    (work.out / "results.h5").unlink()
    again = work.tool("finalize")
    assert again.returncode == 0, again.stderr
    assert hashes(work.out / "results.h5") == peace
    assert work.facts()["units_computed"] == 0


def test_a_second_run_waits_and_is_refused(work):
    """One run a folder; the second says who has it."""
    running = work.start("attribution.steps=100000")
    work.wait_for_units(1)
    began = time.monotonic()
    second = work.run("attribution.steps=100000")
    assert second.returncode == 2
    assert f"process {running.pid}" in second.stderr and "--out" in second.stderr
    assert time.monotonic() - began > 9  # and less than the two minutes that end the test
    running.kill()
    running.communicate()


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-7]),
        lambda file: file.write_bytes(file.read_bytes()[:70] + b"?" + file.read_bytes()[71:]),
    ],
    ids=["empty", "truncated", "flipped"],
)
def test_damaged_blocks(damage, work, peace):
    """Set aside with a warning, computed again; the others are not."""
    kept = work.killed_after(4)
    damage(blocks_of(work)[1])
    done = work.run()
    assert done.returncode == 0, done.stderr
    assert "damaged" in done.stderr and "set aside" in done.stderr
    assert work.facts()["units_restored"] == kept - 1
    assert hashes(work.out / "results.h5") == peace
    assert len(list(work.out.glob("journal/*/*/*.damaged"))) == 1


def test_another_configuration_is_refused(work, peace):
    """Nothing is lost by asking, and a damaged list of runs only costs their units."""
    kept = work.killed_after(3)
    work.settings["attribution"]["steps"] -= 1
    work.write()
    done = work.run()
    assert done.returncode == 2 and "--fresh" in done.stderr and "another configuration" in done.stderr
    work.settings["attribution"]["steps"] += 1
    work.write()
    assert work.units() == kept
    (group,) = work.out.glob("journal/*/group.json")
    group.write_text("{")
    done = work.run()
    assert done.returncode == 0 and "group.json is damaged" in done.stderr
    assert work.facts()["units_restored"] == kept
    assert hashes(work.out / "results.h5") == peace


def test_another_version_is_refused(work, peace):
    """A version whose numbers differ gives a run another identity, which is all that the journal knows of it."""
    kept = work.killed_after(3)
    (file,) = work.out.glob("journal/*/group.json")
    ours = file.read_text()
    group = json.loads(ours)
    group["runs"][0]["identity"] = "0" * len(group["runs"][0]["identity"])
    file.write_text(json.dumps(group))
    done = work.run()
    assert done.returncode == 2 and "--fresh" in done.stderr and "of another version" in done.stderr
    assert work.units() == kept
    file.write_text(ours)
    assert work.run().returncode == 0
    assert work.facts()["units_restored"] == kept
    assert hashes(work.out / "results.h5") == peace


def test_another_kind_of_processor_is_refused(work, monkeypatch):
    """What was computed with other instructions is not mixed in; where they are at hand the run goes on."""
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    kept = work.killed_after(3)
    monkeypatch.delenv("ATEN_CPU_CAPABILITY")
    done = work.run()
    if done.returncode == 0:
        pytest.skip("this processor has no instructions beyond the default ones")
    assert done.returncode == 2, done.stderr
    assert "was computed on" in done.stderr and "DEFAULT" in done.stderr and "--fresh" in done.stderr
    assert work.units() == kept
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert work.run().returncode == 0
    assert work.facts()["units_restored"] == kept
    assert work.facts()["cpu_capability"] == "DEFAULT"


def test_fresh_starts_over(work, peace):
    """Only when asked."""
    work.killed_after(3)
    assert work.run("--fresh").returncode == 0
    assert work.facts()["units_restored"] == 0
    assert hashes(work.out / "results.h5") == peace


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="mounting needs root")
def test_a_disk_that_fills_up(work, peace):
    """The reason is said, what was finished is kept, and with room the same command goes on."""
    work.out.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(work.out)], check=False).returncode != 0:
        pytest.skip("mounting is forbidden here")
    try:
        running = work.start()
        work.wait_for_units(2)
        filler = work.out / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                for _ in range(4096):
                    file.write(bytes(1024))
            except OSError:
                pass
        _, errors = running.communicate(timeout=60)
        assert running.returncode not in (0, 75), errors
        assert "space" in errors
        kept = work.units()
        assert kept >= 2
        filler.unlink(missing_ok=True)
        done = work.run()
        assert done.returncode == 0, done.stderr
        assert work.facts()["units_restored"] == kept
        assert hashes(work.out / "results.h5") == peace
    finally:
        subprocess.run(["umount", "--lazy", str(work.out)], check=True)


def test_a_folder_that_goes_away(work):
    """A clear message, and an end."""
    running = work.start()
    work.wait_for_units(2)
    shutil.rmtree(work.out)
    _, errors = running.communicate(timeout=60)
    assert running.returncode not in (0, 75)
    assert "the folder does not exist" in errors


def test_a_rank_that_hangs_is_named(work):
    """By a warning and by status; a dead rank ends all."""
    running = work.start(
        "--warn-after", "1.5", ranks=2, env=mpi_environment(work.folder / "session"), start_new_session=True
    )
    work.wait_for_units(2)
    ranks = {rank_of(process): process for process in processes_of(work.binary)}
    os.kill(ranks[1], signal.SIGSTOP)
    lines = []
    for line in running.stderr:
        lines.append(line)
        if "rank 1" in line:
            break
    assert "has said nothing" in lines[-1] and "unit" in lines[-1]
    os.kill(ranks[1], signal.SIGKILL)
    running.communicate(timeout=60)
    assert running.returncode != 0
    assert not processes_of(work.binary)


def test_what_goes_wrong_on_one_rank_ends_all(work):
    """A rank whose copy of the model lacks a file: its reason is said, and nobody waits for it."""
    model = Path(work.settings["model"]["path"])
    shutil.copytree(model, work.folder / "copy")
    (work.folder / "copy" / "tokenizer.json").unlink()
    other = work.settings | {"model": work.settings["model"] | {"path": "copy"}}
    (work.folder / "other.yaml").write_text(json.dumps(other))
    words = work.command()
    elsewhere = [word.replace("sweep.yaml", "other.yaml") for word in words]
    done = subprocess.run(
        ["mpirun", "-n", "1", *words, ":", "-n", "1", *elsewhere],
        cwd=work.folder,
        env=mpi_environment(work.folder / "session"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert "tokenizer.json" in done.stderr
    assert not processes_of(work.binary)


def test_status_knows_a_clock_that_was_set_back(work):
    """Times are only shown: nothing is decided by them."""
    work.killed_after(2)
    state = work.out / "journal" / "state.json"
    facts = json.loads(state.read_text())
    facts["written"] += 10**6
    state.write_text(json.dumps(facts))
    shown = work.tool("status")
    assert shown.returncode == 0 and "ahead of this one" in shown.stdout
    for block in blocks_of(work):
        os.utime(block, (2**31, 2**31))
    kept = work.units()
    assert work.run().returncode == 0
    assert work.facts()["units_restored"] == kept


def test_an_extended_sweep_computes_only_what_is_new(work):
    """Finished runs stay as they are, whatever joins them."""
    work.settings["attribution"] = {"method": "atp"}
    work.settings["sweep"] = {"grid": {"attribution.method": ["atp", "relp"]}}
    work.write()
    assert work.run().returncode == 0
    before = {file: file.stat().st_mtime_ns for file in work.out.rglob("results.h5")}
    assert len(before) == 2
    work.settings["sweep"]["grid"]["attribution.method"].append("delta")
    work.write()
    assert work.run().returncode == 0
    after = {file: file.stat().st_mtime_ns for file in work.out.rglob("results.h5")}
    assert len(after) == 3
    assert before.items() <= after.items()
