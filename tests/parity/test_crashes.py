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

import pytest
from kill_rounds import run_rounds
from product import hashes, mpi_environment, processes_of
from short_run import Work, blocks_of


def test_killed_runs_go_on(binary, tmp_path):
    """A few rounds of tests/parity/kill_rounds.py, which does a hundred."""
    tally = run_rounds(binary, tmp_path, 4, random.randrange(10**6))
    print(tally.text())  # noqa: T201
    assert tally.kills.total() > 0


@pytest.fixture
def work(binary, tmp_path, tiny_folder) -> Work:
    """In an empty folder."""
    return Work(binary, tmp_path, tiny_folder("llama"))


@pytest.fixture(scope="module")
def peace(binary, tmp_path_factory, tiny_folder) -> dict[str, str]:
    """The hashes of an undisturbed run."""
    return Work(binary, tmp_path_factory.mktemp("peace"), tiny_folder("llama")).finished()


def rank_of(process: int) -> int:
    """The rank that mpirun gave a process."""
    environment = Path(f"/proc/{process}/environ").read_text().split("\0")
    return int(dict(line.split("=", 1) for line in environment if line)["OMPI_COMM_WORLD_RANK"])


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


@pytest.mark.parametrize(
    ("mpi", "number"), [("openmpi", signal.SIGUSR1), ("mpich", signal.SIGUSR1), ("mpich", signal.SIGTERM)]
)
def test_signals_reach_all_ranks(mpi, number, work, peace):
    """mpirun passes them on, and gives back 75."""
    running = work.start(ranks=3, mpi=mpi, env=mpi_environment(work.folder / "session"), start_new_session=True)
    work.wait_for_units(3)
    running.send_signal(number)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 75, errors
    assert not processes_of(work.binary)
    assert work.run().returncode == 0
    assert hashes(work.out / "results.h5") == peace


def test_a_time_limit(work):
    """Stops before it is over; a start that has finished nothing says so, and one that has goes on."""
    work.settings["attribution"]["steps"] = 100000
    work.settings["unit"]["pairs"] = 16  # nobody is through such a unit in a second
    work.write()
    done = work.run("--time", "1s")
    assert done.returncode == 76, done.stderr
    assert "has finished no unit" in done.stderr
    assert "stopped at the end of the time that --time gives" in done.stderr and "on request" not in done.stderr
    assert "stopped before anything was finished" in work.tool("status").stdout
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


def test_fresh_starts_over(work, peace):
    """Only when asked; and what it replaces is there until it is done."""
    work.killed_after(3)
    assert work.run("--fresh").returncode == 0
    assert work.facts()["units_restored"] == 0
    assert hashes(work.out / "results.h5") == peace
    shutil.rmtree(work.out / "journal")  # whose units are not those that are waited for
    running = work.start("--fresh")
    work.wait_for_units(2)
    running.kill()
    running.communicate()
    replaced = work.out / "results.h5.replaced"
    assert hashes(replaced) == peace and not (work.out / "results.h5").exists()
    assert work.run().returncode == 0
    assert hashes(work.out / "results.h5") == peace and not replaced.exists()


def test_litter_of_killed_writers_is_swept(work, peace):
    """Temporary files of blocks, results and settings; a run that is killed while it writes leaves them."""
    work.killed_after(3)
    litter = [folder / ".tributary-99999-0.part" for folder in {work.out, *(b.parent for b in blocks_of(work))}]
    litter += [group.with_name(".tributary-99999-1.part") for group in work.out.glob("journal/*/group.json")]
    for file in litter:
        file.write_bytes(bytes(1000))
    assert len(litter) >= 3
    assert work.run().returncode == 0
    assert not list(work.out.rglob("*.part"))
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
