# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""What is installed for whom: the lists of ./run, and that what a first result needs of them is enough for it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

REQUIREMENTS = ROOT / "tools" / "requirements.txt"


def rows_for(*purposes: str) -> list[str]:
    """The names of the Python packages that are installed for these purposes."""
    rows = re.findall(r"^([\w.-]+)==\S+ +# (\w+)$", REQUIREMENTS.read_text(), re.MULTILINE)
    assert {purpose for _, purpose in rows} == {"torch", "cuda", "page", "model", "test"}
    return [name for name, purpose in rows if purpose in purposes]


def files_of(package: str) -> list[Path]:
    """Where an installed Python package's files lie."""
    return [Path(file.locate()).resolve() for file in importlib.metadata.files(package) or ()]


def run_without_packages(tmp_path: Path, command: str) -> str:
    """What ./run COMMAND says on a machine without any Debian package, where apt-get fails."""
    for name in ("run", "tools/debian-packages.txt", "tools/requirements.txt", "experiments/hot_or_cold.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("dpkg-query", "apt-get", "sudo"):
        (programs / name).write_text('#!/bin/sh\necho "$0 $*"\nexit 1\n')
        (programs / name).chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    done = subprocess.run(
        ["./run", command], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    return done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="Debian packages are looked up on Debian")
def test_a_first_result_needs_no_test_packages(tmp_path):
    """GTest, Slurm and a browser are asked for by the tests alone."""
    for_tests = {"libgtest-dev", "slurmd", "chromium"}
    for command, wanted in (("demo", set()), ("test", for_tests)):
        folder = tmp_path / command
        folder.mkdir()
        words = set(re.split(r"[^\w+-]+", run_without_packages(folder, command)))
        assert words & for_tests == wanted
        assert {"cmake", "libhdf5-dev"} <= words and not {"clang-tidy", "shellcheck"} & words


def test_package_list_has_a_column_for_each_release():
    """Six words a line: purpose, package, pattern in Debian 12 and 13, conda-forge, module."""
    lines = [line.split() for line in (ROOT / "tools" / "debian-packages.txt").read_text().splitlines()]
    rows = [line for line in lines if line[0] != "#"]
    assert len(rows) > 20
    assert all(len(row) == 6 and row[0] in {"build", "test", "lint"} for row in rows)


def test_the_list_of_python_packages_is_complete():
    """It is installed as it stands, without pip's looking for what a package needs."""
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_program_loads_only_what_its_rows_install(binary):
    """Of the Python environment it loads libraries of the packages marked `torch`: a card's are not among them."""
    found = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=True).stdout
    assert "not found" not in found
    paths = [Path(path).resolve() for path in re.findall(r"=> (/\S+)", found)]
    loaded = [path for path in paths if "site-packages" in path.parts]
    if not loaded:
        pytest.skip("the program was built with a torch outside the Python environment")
    installed = {file for name in rows_for("torch") for file in files_of(name)}
    assert [path for path in loaded if path not in installed] == []


def test_the_demo_model_needs_only_its_rows(tmp_path):
    """tools/fetch_model.py starts where there is nothing but the packages marked `model`."""
    site = Path(importlib.metadata.distribution("numpy").locate_file("")).resolve()
    for name in rows_for("model"):
        for top in {file.relative_to(site).parts[0] for file in files_of(name) if file.is_relative_to(site)}:
            if top != "__pycache__":
                (tmp_path / top).symlink_to(site / top)
    script = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT / 'tools')!r}]; import fetch_model"
    # -I -S: without the environment's own packages.
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
