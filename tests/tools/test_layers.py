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
    """A tree in which folders include what they may."""
    write(tmp_path, "common/errors.h", "#include <string>", "#include <fmt/format.h>")
    write(tmp_path, "io/results.h", "#include <string>")
    write(tmp_path, "io/detail/base/utf8.h", "#include <string>")
    write(tmp_path, "io/detail/results/hdf5.h", "#include <hdf5.h>", '#include "io/detail/base/utf8.h"')
    write(tmp_path, "io/config.cpp", '#include "io/detail/results/hdf5.h"', "#include <yaml-cpp/yaml.h>")
    write(tmp_path, "attribution/model/block.h", "#include <ATen/ATen.h>", '#include "common/errors.h"')
    write(tmp_path, "attribution/model/detail/rows.h", '#include "attribution/model/block.h"')
    write(tmp_path, "attribution/nodes/neuron.h", "#include <cstdint>")
    write(tmp_path, "attribution/methods/path.cpp", '#include "attribution/model/detail/rows.h"')
    write(tmp_path, "runner/cluster/comm.h", "#include <string>")
    write(tmp_path, "runner/mpi/mpi_layer.h", "struct MpiLayer;")
    write(tmp_path, "runner/mpi/mpi_layer.c", '#include "mpi_layer.h"', "#include <mpi.h>")
    write(tmp_path, "runner/cluster/comm.cpp", '#include "runner/mpi/mpi_layer.h"', '#include "runner/cluster/comm.h"')
    write(tmp_path, "runner/machine/host.h", "#include <string>")
    write(tmp_path, "runner/machine/device.h", "#include <c10/core/Device.h>")
    write(tmp_path, "runner/journal/lock.cpp", '#include "runner/machine/host.h"', '#include "io/results.h"')
    write(tmp_path, "runner/job/job.h", '#include "attribution/model/block.h"', '#include "runner/machine/device.h"')
    write(tmp_path, "runner/stages/stage.cpp", '#include "runner/job/job.h"')
    write(tmp_path, "runner/report/page.cpp", '#include "attribution/nodes/neuron.h"')
    write(tmp_path, "runner/main.cpp", '#include "runner/job/job.h"', '#include "runner/cluster/comm.h"')
    write(tmp_path, "tests/io/hdf5_test.cpp", '#include "io/detail/results/hdf5.h"', "#include <gtest/gtest.h>")
    return tmp_path


def test_allowed_includes_pass(tree):
    result = check(tree)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize(
    ("place", "line"),
    [
        # between rooms
        ("common/text.cpp", '#include "io/results.h"'),
        ("common/text.cpp", '#include "attribution/nodes/neuron.h"'),
        ("common/text.cpp", '#include "runner/machine/host.h"'),
        ("io/pairs.cpp", '#include "attribution/nodes/neuron.h"'),
        ("io/pairs.cpp", '#include "runner/machine/host.h"'),
        ("attribution/model/run.cpp", '#include "io/results.h"'),
        ("attribution/model/run.cpp", '#include "runner/machine/host.h"'),
        ("attribution/model/run.cpp", '#include "../../io/results.h"'),
        ("runner/job/plan.cpp", '#include "io/detail/results/hdf5.h"'),
        ("runner/job/plan.cpp", '#include "attribution/model/detail/rows.h"'),
        ("runner/job/plan.cpp", '#include "../../io/detail/results/hdf5.h"'),
        ("tests/runner/plan_test.cpp", '#include "io/detail/results/hdf5.h"'),
        # inside a room
        ("io/detail/base/text.cpp", '#include "io/detail/results/hdf5.h"'),
        ("io/detail/pairs/judge.cpp", '#include "io/detail/results/hdf5.h"'),
        ("io/detail/pairs/judge.cpp", '#include "io/results.h"'),
        ("attribution/model/run.cpp", '#include "attribution/nodes/neuron.h"'),
        ("attribution/nodes/run.cpp", '#include "attribution/methods/path.h"'),
        ("attribution/methods/run.cpp", '#include "attribution/circuit/curve.h"'),
        ("runner/cluster/run.cpp", '#include "runner/machine/host.h"'),
        ("runner/cluster/run.cpp", '#include "io/results.h"'),
        ("runner/mpi/launchers.cpp", '#include "runner/cluster/comm.h"'),
        ("runner/machine/run.cpp", '#include "runner/job/job.h"'),
        ("runner/job/run.cpp", '#include "runner/stages/stage.h"'),
        ("runner/journal/run.cpp", '#include "runner/job/job.h"'),
        ("runner/report/run.cpp", '#include "runner/cluster/comm.h"'),
        # libraries
        ("common/text.cpp", "#include <ATen/ATen.h>"),
        ("io/pairs.cpp", "#include <torch/torch.h>"),
        ("io/pairs.cpp", "#  include <c10/core/Device.h>"),
        ("io/pairs.cpp", "#include <mpi.h>"),
        ("attribution/model/run.cpp", "#include <yaml-cpp/yaml.h>"),
        ("attribution/model/run.cpp", "#include <hdf5.h>"),
        ("attribution/model/run.cpp", "#include <hdf5_hl.h>"),
        ("attribution/model/run.cpp", "#include <mpi.h>"),
        ("runner/job/plan.cpp", "#include <mpi.h>"),
        ("runner/cluster/comm.cpp", "#include <mpi.h>"),
        ("runner/mpi/launchers.c", "#include <mpi.h>"),
        ("runner/cluster/run.cpp", "#include <ATen/ATen.h>"),
        ("runner/report/run.cpp", '#include "attribution/model/block.h"'),  # which includes ATen
        ("tests/runner/plan_test.cpp", "#include <mpi.h>"),
    ],
)
def test_forbidden_include_is_named(tree, place, line):
    write(tree, place, "// a comment", line)
    result = check(tree)
    assert result.returncode == 1
    assert result.stdout.startswith(f"{place}:2: includes ")
    assert len(result.stdout.splitlines()) == 1


def test_a_circle_is_named_by_its_files(tree):
    write(tree, "runner/job/a.h", '#include "runner/job/b.h"')
    write(tree, "runner/job/b.h", '#include "runner/job/c.h"')
    write(tree, "runner/job/c.h", '#include "runner/job/a.h"')
    result = check(tree)
    assert result.returncode == 1
    assert result.stdout == "a circle of includes: runner/job/a.h → runner/job/b.h → runner/job/c.h → runner/job/a.h\n"


def test_the_project_keeps_its_own_rules():
    result = check(ROOT)
    assert result.returncode == 0, result.stdout
