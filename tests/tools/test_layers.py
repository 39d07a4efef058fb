# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The layering check itself: one small tree for each rule that a source can break."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECK = ROOT / "tools" / "check_layers.py"


def check(root):
    return subprocess.run([sys.executable, CHECK, root], capture_output=True, text=True, check=False)


def write(root, place, *lines):
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def tree(tmp_path):
    """A tree in which every room includes all that it may."""
    write(tmp_path, "common/errors.h", "#include <string>", "#include <fmt/format.h>")
    write(tmp_path, "io/detail/hdf5.h", "#include <hdf5.h>")
    write(tmp_path, "io/config.cpp", '#include "io/detail/hdf5.h"', "#include <yaml-cpp/yaml.h>")
    write(tmp_path, "attribution/model/block.cpp", "#include <ATen/ATen.h>", '#include "common/errors.h"')
    write(tmp_path, "attribution/detail/rotary.h", "#include <ATen/ATen.h>")
    write(tmp_path, "runner/cluster/comm.cpp", "#include <mpi.h>", '#include "io/config.h"', '#include "attribution/run.h"')
    write(tmp_path, "tests/io/hdf5_test.cpp", '#include "io/detail/hdf5.h"', "#include <gtest/gtest.h>")
    return tmp_path


def test_allowed_includes_pass(tree):
    result = check(tree)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("common/text.cpp", '#include "io/config.h"'),
        ("common/text.cpp", '#include "attribution/run.h"'),
        ("common/text.cpp", '#include "runner/plan.h"'),
        ("common/text.cpp", "#include <ATen/ATen.h>"),
        ("io/pairs.cpp", '#include "attribution/run.h"'),
        ("io/pairs.cpp", '#include "runner/plan.h"'),
        ("io/pairs.cpp", "#include <torch/torch.h>"),
        ("io/pairs.cpp", "#  include <ATen/ATen.h>"),
        ("io/pairs.cpp", "#include <c10/core/Device.h>"),
        ("io/pairs.cpp", "#include <mpi.h>"),
        ("attribution/run.cpp", '#include "io/config.h"'),
        ("attribution/run.cpp", '#include "runner/plan.h"'),
        ("attribution/run.cpp", "#include <yaml-cpp/yaml.h>"),
        ("attribution/run.cpp", "#include <hdf5.h>"),
        ("attribution/run.cpp", "#include <hdf5_hl.h>"),
        ("attribution/run.cpp", "#include <mpi.h>"),
        ("runner/plan.cpp", "#include <mpi.h>"),
        ("runner/common.cpp", "#include <mpi.h>"),
        ("runner/plan.cpp", '#include "io/detail/hdf5.h"'),
        ("runner/plan.cpp", '#include "attribution/detail/rotary.h"'),
        ("tests/runner/plan_test.cpp", '#include "io/detail/hdf5.h"'),
        ("tests/runner/plan_test.cpp", "#include <mpi.h>"),
        ("attribution/run.cpp", '#include "../io/config.cpp"'),
        ("runner/plan.cpp", '#include "../io/detail/hdf5.h"'),
    ],
)
def test_forbidden_include_is_named(tree, place, line):
    write(tree, place, "// a comment", line)
    result = check(tree)
    assert result.returncode == 1
    assert result.stdout.startswith(f"{place}:2: includes ")
    assert len(result.stdout.splitlines()) == 1


def test_the_project_keeps_its_own_rules():
    result = check(ROOT)
    assert result.returncode == 0, result.stdout
