# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Installing without root, moving what was installed, and what ./run says where packages are missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

NOBODY = 65534


def as_user(*command: str) -> list[str]:
    """The command as an ordinary user."""
    if os.geteuid() != 0:
        return list(command)
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]


def install(folder: Path, binary: Path, *components: str) -> Path:
    """cmake --install, moved to another place."""
    build = binary.parent
    for component in ((), *(("--component", name) for name in components)):
        subprocess.run(
            ["cmake", "--install", str(build), "--prefix", str(folder / "first"), *component],
            check=True,
            capture_output=True,
        )
    return (folder / "first").rename(folder / "moved")


@pytest.mark.parametrize("components", [(), ("torch",)], ids=["torch where it is", "bundled"])
def test_an_installed_folder_works_elsewhere(components, binary, tmp_path, tiny_folder):
    """As an ordinary user, with an empty environment, from another place."""
    if not (binary.parent / "cmake_install.cmake").is_file():
        pytest.skip("TRIBUTARY_BINARY is not in a build folder")
    moved = install(tmp_path, binary, *components)
    work = Path("/tmp") / f"tributary-install-{os.getpid()}"  # folders above are not for others
    shutil.copytree(moved, work / "app")
    shutil.copytree(tiny_folder("llama"), work / "model")
    (work / "model" / "model.safetensors").chmod(0o644)
    try:
        program = str(work / "app" / "bin" / "tributary")
        found = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        (torch,) = [line.split()[2] for line in found.splitlines() if "libtorch_cpu.so" in line]
        assert torch.startswith(str(work)) == bool(components)
        settings = {
            "schema": 1,
            "name": "installed",
            "model": {"path": "model", "dtype": "float32"},
            "pairs": {"file": "model/pairs.jsonl", "train": 4, "test": 2},
            "attribution": {"method": "atp"},
            "circuit": {"counts": [3]},
        }
        (work / "sweep.yaml").write_text(json.dumps(settings))
        work.chmod(0o777)
        done = subprocess.run(
            as_user("env", "-i", program, "run", "sweep.yaml", "--out", "out"),
            cwd=work,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert (work / "out" / "results.h5").is_file()
        share = work / "app" / "share" / "tributary"
        assert os.access(share / "slurm" / "lab", os.X_OK)
        assert (share / "experiments" / "agreement.yaml").is_file()
    finally:
        shutil.rmtree(work)


def test_what_is_missing_is_named(tmp_path):
    """An ordinary user without sudo is told the packages by their names here and elsewhere; root is not asked for."""
    folder = Path("/tmp") / f"tributary-missing-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        (folder / "tools").mkdir()
        for name in ("run", "tools/debian-packages.txt", "tools/requirements.txt"):
            shutil.copy(ROOT / name, folder / name)
        programs = folder / "bin"
        programs.mkdir()
        query = '#!/bin/sh\ncase "$*" in *libhdf5-dev*|*ninja-build*) exit 1 ;; esac\nexec /usr/bin/dpkg-query "$@"\n'
        for name, text in (("dpkg-query", query), ("sudo", "#!/bin/sh\nexit 1\n"), ("apt-get", "#!/bin/sh\nexit 77\n")):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        done = subprocess.run(
            as_user("env", f"PATH={programs}:{os.environ['PATH']}", "TRIBUTARY_TORCH_DIR=/x", "./run", "build"),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [line.split() for line in done.stderr.splitlines()]
        assert ["libhdf5-dev", "hdf5", "hdf5"] in lines
        assert ["ninja-build", "ninja", "ninja"] in lines
        assert ["cmake", "cmake", "cmake"] not in lines
        assert "CMAKE_PREFIX_PATH" in done.stderr and "TRIBUTARY_TORCH_DIR" in done.stderr
        assert done.returncode != 0  # there is nothing to build in this folder
    finally:
        shutil.rmtree(folder)
