# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Model files that somebody changes under a run: never a wrong number, never an end without a word."""

from __future__ import annotations

import mmap
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from product import hashes, mpi_environment, processes_of
from short_run import Work


@pytest.fixture
def work(binary, tmp_path, tiny_folder) -> Work:
    """On a model of its own, whose weights are used where they lie in the file."""
    model = tmp_path / "model"
    shutil.copytree(tiny_folder("llama"), model)
    work = Work(binary, tmp_path, model)
    work.settings["model"]["dtype"] = "float64"
    work.settings["attribution"]["steps"] = 2000
    work.write()
    return work


@pytest.fixture(scope="module")
def truth(binary, tmp_path_factory, tiny_folder) -> dict[str, str]:
    """The hashes of an undisturbed run."""
    folder = tmp_path_factory.mktemp("truth")
    work = Work(binary, folder, tiny_folder("llama"))
    work.settings["model"]["dtype"] = "float64"
    work.settings["attribution"]["steps"] = 2000
    work.write()
    return work.finished()


def weights(work: Work) -> Path:
    return work.folder / "model" / "model.safetensors"


def other_weights(work: Work) -> bytes:
    """A checkpoint of the same size with other numbers."""
    data = bytearray(weights(work).read_bytes())
    begin = 8 + int.from_bytes(data[:8], "little")
    for at in range(begin + 5, len(data) - 8, 64):
        data[at] ^= 1
    return bytes(data)


def overwrite(work: Work) -> None:
    """In place, byte by byte, as programs do that map a file for writing or open it with r+."""
    with weights(work).open("r+b") as file:
        file.write(other_weights(work))


def overwrite_behind_old_times(work: Work) -> None:
    times = weights(work).stat()
    overwrite(work)
    os.utime(weights(work), ns=(times.st_atime_ns, times.st_mtime_ns))


def cut(work: Work) -> None:
    os.truncate(weights(work), 4096)


def empty(work: Work) -> None:
    os.truncate(weights(work), 0)


def copy_over(work: Work) -> None:
    """As cp does: the file is emptied, then filled."""
    weights(work).write_bytes(other_weights(work))


ALONE = [(change, 1, "") for change in (overwrite, overwrite_behind_old_times, cut, empty, copy_over)]


TOGETHER = [(change, 2, mpi) for change in (overwrite, cut) for mpi in ("openmpi", "mpich")]


@pytest.mark.parametrize(("change", "ranks", "mpi"), [*ALONE, *TOGETHER])
def test_a_checkpoint_that_changes_ends_the_run(change, ranks, mpi, work, truth):
    """The file is named, no results are written, and what was finished before is kept and right."""
    original = weights(work).read_bytes()
    running = work.start(ranks=ranks, mpi=mpi, env=mpi_environment(work.folder / "session"), start_new_session=True)
    work.wait_for_units(3)
    change(work)
    try:
        _, errors = running.communicate(timeout=60)
    finally:
        for process in processes_of(work.binary):
            os.kill(process, signal.SIGKILL)
    assert str(weights(work)) in errors, errors
    assert "put the file back" in errors.lower()
    assert "disturbs nobody" in errors
    assert "tributary: warning" not in errors, "what follows from the change is no news"
    assert running.returncode == 74, errors
    assert not (work.out / "results.h5").exists()

    weights(work).write_bytes(original)
    done = work.run()
    assert done.returncode == 0, done.stderr
    assert work.facts()["units_restored"] >= 3
    assert hashes(work.out / "results.h5") == truth


def test_a_writer_that_leaves_no_time_behind(work, truth):
    """Through a mapping whose pages were written to before: the contents tell, and nothing of the mixture is kept."""
    original = weights(work).read_bytes()
    with weights(work).open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[-1] = original[-1]
        mapped[len(original) // 2] = original[len(original) // 2]
        running = work.start()
        work.wait_for_units(3)
        mapped[:] = other_weights(work)
        _, errors = running.communicate(timeout=60)
        mapped[:] = original
    assert running.returncode == 74, errors
    assert "its weights are not those of the start" in errors or "was written to" in errors
    assert not (work.out / "results.h5").exists()
    assert work.run().returncode == 0
    assert hashes(work.out / "results.h5") == truth


def test_a_checkpoint_that_is_replaced_disturbs_nobody(work, truth):
    """Its file is still the one that was opened; the new one is another model."""
    new = work.folder / "new.safetensors"
    new.write_bytes(other_weights(work))
    running = work.start()
    work.wait_for_units(3)
    new.rename(weights(work))
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    assert hashes(work.out / "results.h5") == truth
    again = work.run()
    assert again.returncode == 2
    assert "the model" in again.stderr


def test_the_tokenizer_of_the_results_is_the_one_that_was_read(work, truth):
    """tokenizer.json and config.json are read once: what becomes of them changes nothing, provenance included."""
    before = work.run("attribution.steps=2")
    assert before.returncode == 0, before.stderr
    expected = work.facts()["tokenizer_hash"]
    shutil.rmtree(work.out)
    running = work.start()
    work.wait_for_units(3)
    for name in ("tokenizer.json", "config.json"):
        with (work.folder / "model" / name).open("a") as file:
            file.write(" ")
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    assert work.facts()["tokenizer_hash"] == expected
    assert hashes(work.out / "results.h5") == truth


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "pairs.jsonl"])
def test_pipes_and_sockets_are_refused_at_once(name, work, monkeypatch):
    """Nothing is waited for."""
    file = work.folder / "model" / name
    work.settings["pairs"] |= {"train_file": str(work.folder / "model/pairs.jsonl"), "test": 0}
    work.settings["pairs"].pop("test_file")
    work.settings.pop("circuit")
    work.write()
    file.unlink()
    os.mkfifo(file)
    done = subprocess.run(work.command(), cwd=work.folder, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2
    assert f"{file}: this is a pipe" in done.stderr
    file.unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(file.parent)  # a socket's path may have 108 bytes
        listening.bind(name)
        done = subprocess.run(work.command(), cwd=work.folder, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2
    assert f"{file}: this is a socket" in done.stderr


@pytest.mark.parametrize("way", ["cat sweep.yaml | {} run /dev/stdin", "{} run <(cat sweep.yaml)"])
def test_a_sweep_from_a_pipe_is_refused_with_a_way_out(way, work):
    """Its paths would be relative to /dev, and other ranks would read nothing."""
    command = ["bash", "-c", way.format(work.binary)]
    done = subprocess.run(command, cwd=work.folder, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2
    assert "this is a pipe, but a file is needed" in done.stderr
    assert "write what comes from it into a file" in done.stderr
