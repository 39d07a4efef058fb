# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Models in the download cache of the Hugging Face Hub: huggingface_hub's own functions find the same folders."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import h5py
import pytest
from huggingface_hub import scan_cache_dir, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from workbench import Workbench

NAME = "acme/tiny-llama"
FIRST, SECOND = "0a" * 20, "1b" * 20


def add_snapshot(root: Path, model: Path, commit: str) -> None:
    """Files as blobs, a folder of links to them, as huggingface_hub lays a cache out."""
    snapshot = root / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (root / "blobs").mkdir(exist_ok=True)
    for file in model.iterdir():
        content = file.read_bytes()
        blob = root / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / file.name).symlink_to(Path("..") / ".." / "blobs" / blob.name)


def add_reference(root: Path, name: str, commit: str) -> None:
    """A branch or tag."""
    file = root / "refs" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(commit)


@pytest.fixture
def cached(bench: Workbench) -> Path:
    """The folder of a repository in a cache at bench.folder/hub: two commits with other weights, main is the second."""
    root = bench.folder / "hub" / "models--acme--tiny-llama"
    add_snapshot(root, bench.model, FIRST)
    bench.edit_config(rms_norm_eps=0.25)
    add_snapshot(root, bench.model, SECOND)
    add_reference(root, "main", SECOND)
    add_reference(root, "step1000", FIRST)
    add_reference(root, "refs/pr/1", FIRST)
    bench.settings["model"]["path"] = NAME
    return root


def program(bench: Workbench, *words: str) -> subprocess.CompletedProcess[str]:
    """The program with the cache of the bench."""
    (bench.folder / "sweep.yaml").write_text(json.dumps(bench.settings))
    environment = os.environ | {"HF_HUB_CACHE": str(bench.folder / "hub")}
    command = [str(bench.binary), *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=bench.folder, env=environment, timeout=300
    )


def inspected_folder(bench: Workbench, *words: str) -> str:
    """The folder that `inspect` has read."""
    done = program(bench, "inspect", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[0].split(" (")[0]


@pytest.mark.parametrize("revision", [None, "main", "step1000", "refs/pr/1", FIRST, SECOND])
def test_the_folder_is_that_of_snapshot_download(revision, bench, cached):
    """By name and by the repository's folder."""
    expected = snapshot_download(NAME, revision=revision, cache_dir=cached.parent, local_files_only=True)
    words = [] if revision is None else ["--revision", revision]
    assert inspected_folder(bench, NAME, *words) == expected
    assert inspected_folder(bench, str(cached), *words) == expected


def test_the_beginning_of_a_commit(bench, cached):
    """Every commit that scan_cache_dir knows."""
    (repository,) = scan_cache_dir(cached.parent).repos
    assert repository.repo_id == NAME and len(repository.revisions) == 2
    for revision in repository.revisions:
        found = inspected_folder(bench, NAME, "--revision", revision.commit_hash[:5])
        assert found == str(revision.snapshot_path)


@pytest.mark.parametrize("revision", ["step2000", "f" * 40])
def test_a_revision_that_is_not_there(revision, bench, cached):
    """Neither finds it; we say how to fetch it."""
    with pytest.raises(LocalEntryNotFoundError):
        snapshot_download(NAME, revision=revision, cache_dir=cached.parent, local_files_only=True)
    done = program(bench, "inspect", NAME, "--revision", revision)
    assert done.returncode == 2
    assert f"`hf download {NAME} --revision {revision}`" in done.stderr


def test_a_repository_that_is_not_there(bench, cached):
    """The message says where was looked and how to fetch it; validate and plan say the same."""
    bench.settings["model"]["path"] = "acme/other"
    for words in (["inspect", "acme/other"], ["validate", "sweep.yaml"], ["plan", "sweep.yaml"], ["run", "sweep.yaml"]):
        done = program(bench, *words)
        assert done.returncode == 2, words
        assert "`hf download acme/other`" in done.stderr and str(cached.parent) in done.stderr
    assert program(bench, "validate", "--file-only", "sweep.yaml").returncode == 0


def test_a_sweep_over_revisions(bench, cached):
    """Results name repository and commit; the folders are named by the revision."""
    bench.settings["sweep"] = {"grid": {"model.revision": ["step1000", "main"]}}
    planned = program(bench, "plan", "sweep.yaml")
    assert planned.returncode == 0, planned.stderr
    assert f"({NAME}, commit {FIRST})" in planned.stdout and f"({NAME}, commit {SECOND})" in planned.stdout
    assert f"({NAME}, commit {SECOND})" in program(bench, "validate", "sweep.yaml").stdout
    done = program(bench, "run", "sweep.yaml", "--out", "out")
    assert done.returncode == 0, done.stderr
    hashes = set()
    for revision, commit in (("step1000", FIRST), ("main", SECOND)):
        with h5py.File(bench.folder / "out" / f"revision={revision}" / "results.h5") as file:
            facts = dict(file["provenance"].attrs)
        assert facts["model"] == NAME
        assert facts["model_revision"] == commit
        hashes.add(facts["model_hash"])
    assert len(hashes) == 2


def test_a_folder_wins(bench, cached):
    """acme/tiny-llama beside the sweep file is meant where it is there, and has no commit."""
    folder = bench.folder / "acme" / "tiny-llama"
    folder.parent.mkdir()
    bench.model.rename(folder)
    assert inspected_folder(bench, NAME) == NAME
    done = program(bench, "run", "sweep.yaml", "--out", "out")
    assert done.returncode == 0, done.stderr
    with h5py.File(bench.folder / "out" / "results.h5") as file:
        facts = dict(file["provenance"].attrs)
    assert facts["model"] == "tiny-llama" and "model_revision" not in facts
    bench.settings["model"]["revision"] = "main"
    done = program(bench, "validate", "sweep.yaml")
    assert done.returncode == 2 and "'model.revision' is 'main'" in done.stderr


@pytest.mark.parametrize("main", ["0" * 40, "", "../../elsewhere"])
def test_a_branch_main_that_is_not_there(main, bench, cached):
    """Another commit is not taken in its place, unless it is asked for."""
    add_reference(cached, "main", main)
    done = program(bench, "inspect", NAME)
    assert done.returncode == 2
    assert "branch main" in done.stderr and SECOND in done.stderr
    assert inspected_folder(bench, NAME, "--revision", FIRST).endswith(FIRST)
