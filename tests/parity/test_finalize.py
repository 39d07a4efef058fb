# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""A journal that another machine, version or kind of processor has written: finalized, gone on with, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import pytest
from product import hashes
from short_run import Work, blocks_of


@pytest.fixture
def work(binary, tmp_path, tiny_folder) -> Work:
    """In an empty folder."""
    return Work(binary, tmp_path, tiny_folder("llama"))


@pytest.fixture(scope="module")
def peace(binary, tmp_path_factory, tiny_folder) -> dict[str, str]:
    """The hashes of an undisturbed run."""
    return Work(binary, tmp_path_factory.mktemp("peace"), tiny_folder("llama")).finished()


def journal_of(work: Work) -> dict[str, tuple[int, bytes]]:
    """Every file below journal/ with its time and its bytes."""
    files = [file for file in sorted(work.out.glob("journal/**/*")) if file.is_file()]
    return {str(file): (file.stat().st_mtime_ns, file.read_bytes()) for file in files}


def as_if_computed_elsewhere(work: Work) -> dict[Path, bytes]:
    """Makes of a journal one of another identity, on a card of another machine; gives the files as they were."""
    (group,) = work.out.glob("journal/*/group.json")
    record = group.with_name("run-0.json")
    before = {file: file.read_bytes() for file in (group, record)}
    runs, facts = json.loads(before[group]), json.loads(before[record])
    facts["scores"] = runs["runs"][0]["identity"] = "0" * 32
    facts["results"] = "1" * 32
    facts["computing"] |= {"hosts": ["far-away"], "devices": ["cuda:0"], "numbers_version": "0", "cpu": "another"}
    group.write_text(json.dumps(runs))
    record.write_text(json.dumps(facts))
    return before


def test_finalize_on_a_login_node(work, peace):
    """Where device, version and keys give another identity: results say what was computed, and the journal stays."""
    kept = work.killed_after(4)
    damaged = blocks_of(work)[1]
    sound = damaged.read_bytes()
    damaged.write_bytes(sound[:-7])
    before = as_if_computed_elsewhere(work)
    journal = journal_of(work)
    early = work.tool("finalize")
    assert early.returncode == 2 and "misses units" in early.stderr and "is damaged" in early.stderr
    assert journal_of(work) == journal
    for file, text in before.items():
        file.write_bytes(text)
    damaged.write_bytes(sound)
    assert work.run().returncode == 0
    assert work.facts()["units_restored"] == kept
    (work.out / "results.h5").unlink()
    before = as_if_computed_elsewhere(work)
    journal = journal_of(work)
    done = work.tool("finalize")
    assert done.returncode == 0, done.stderr
    assert journal_of(work) == journal
    assert hashes(work.out / "results.h5") == peace
    facts = work.facts()
    assert (facts["identity"], facts["scores_identity"]) == ("1" * 32, "0" * 32)
    assert (facts["numbers_version"], facts["cpu"]) == ("0", "another") and "finalized" in facts
    with h5py.File(work.out / "results.h5") as results:
        assert results["/provenance/hosts"].asstr()[()].tolist() == ["far-away"]
        assert results["/provenance/devices"].asstr()[()].tolist() == ["cuda:0"]
    (work.out / "results.h5").unlink()
    for file, text in before.items():
        file.write_bytes(text)
    assert work.run().returncode == 0
    assert work.facts()["units_computed"] == 0
    assert hashes(work.out / "results.h5") == peace


def test_finalize_compares_what_was_computed(work):
    """Blocks of other pairs are nobody's results here; and while a run is at work it is left alone."""
    assert work.run().returncode == 0
    (work.out / "results.h5").unlink()
    (record,) = work.out.glob("journal/*/run-0.json")
    facts = json.loads(record.read_text())
    record.write_text(json.dumps(facts | {"training_pairs": "0" * 32}))
    journal = journal_of(work)
    done = work.tool("finalize")
    assert done.returncode == 2 and "other pairs" in done.stderr
    assert journal_of(work) == journal and not (work.out / "results.h5").exists()
    shutil.rmtree(work.out / "journal")
    running = work.start("attribution.steps=100000")
    work.wait_for_units(1)
    done = work.tool("finalize")
    running.kill()
    running.communicate()
    assert done.returncode == 2 and f"process {running.pid}" in done.stderr


def test_another_kind_of_processor(work, monkeypatch):
    """The run goes on with a warning, and results say that they are mixed; where that is not wanted it is refused."""
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    kept = work.killed_after(3)
    monkeypatch.delenv("ATEN_CPU_CAPABILITY")
    done = work.run("processors=one")
    if done.returncode == 0:
        pytest.skip("this processor has no instructions beyond the default ones")
    assert done.returncode == 2, done.stderr
    assert "was computed on" in done.stderr and "DEFAULT" in done.stderr and "processors: one" in done.stderr
    assert work.units() == kept
    done = work.run()
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the journal holds blocks that were computed on") == 1 and "DEFAULT" in done.stderr
    facts = work.facts()
    assert facts["units_restored"] == kept
    assert sorted("DEFAULT" in kind for kind in facts["processors"]) == [False, True]
    (work.out / "results.h5").unlink()
    assert work.tool("finalize").returncode == 0
    assert work.facts()["processors"].tolist() == facts["processors"].tolist()
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert work.run("--fresh", "processors=one").returncode == 0
    assert ["DEFAULT" in kind for kind in work.facts()["processors"]] == [True]


def test_blocks_of_other_libraries_are_told_apart(work):
    """A program that was built with another torch or compiler has other kernels: its blocks carry another label."""
    kept = work.killed_after(3)
    for block in blocks_of(work):
        assert b", torch " in block.read_bytes() and b", compiler " in block.read_bytes()
    done = work.run("processors=one")
    assert done.returncode == 0 and "warning" not in done.stderr
    assert work.facts()["units_restored"] == kept
