#!/usr/bin/env python3
# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Keeps the rooms apart: reads the #include lines of every C++ source and names those a room may not have.

Usage: check_layers.py [ROOT]. Exit 1 when a rule is broken; the rules are the tables below (map: CONTRIBUTING.md).
"""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOMS = ("common", "io", "attribution", "runner")
TORCH = r"(torch|ATen|c10|caffe2)/"
MPI = r"(mpi|mpi-ext)\.h$|openmpi/"
MPI_FILES = r"runner/cluster/(comm|messages)\.(h|cpp)$"


@dataclass(frozen=True)
class Rule:
    """Files whose path matches `where` may not include what matches `what`, except files that match `but`."""

    where: str
    what: str
    why: str
    but: str = r"(?!)"


RULES = (
    Rule(r"common/", r"(io|attribution|runner)/", "common/ is below every room"),
    Rule(r"common/", TORCH, "common/ knows no tensors"),
    Rule(r"io/", r"attribution/", "io/ knows no maths"),
    Rule(r"io/", r"runner/", "io/ is below the program"),
    Rule(r"io/", TORCH, "io/ knows no tensors"),
    Rule(r"attribution/", r"io/", "attribution/ knows no files"),
    Rule(r"attribution/", r"runner/", "attribution/ is below the program"),
    Rule(r"attribution/", r"yaml-cpp/", "attribution/ knows no YAML"),
    Rule(r"attribution/", r"hdf5(_hl)?\.h$|H5", "attribution/ knows no HDF5"),
    Rule(r"", MPI, "MPI appears in runner/cluster/comm.* and runner/cluster/messages.* only", but=MPI_FILES),
)

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


def sources(root):
    for room in (*ROOMS, "tests"):
        for path in sorted((root / room).rglob("*")):
            if path.suffix in {".h", ".cpp"}:
                yield path


def includes(path):
    """(line number, included name) of each #include line."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if found := INCLUDE.match(line):
            yield number, found[1]


def from_root(root, path, name):
    """The included name as seen from the root, so that "../runner/job/plan.h" and "detail/x.h" hide nothing."""
    beside = path.parent / name
    if not beside.is_file():
        return os.path.normpath(name)
    return Path(os.path.normpath(beside)).relative_to(root).as_posix()


def room_of(place):
    """The room a source belongs to; the tests of a room belong to it."""
    parts = place.removeprefix("tests/").split("/")
    return parts[0] if parts[0] in ROOMS else None


def reasons(place, name):
    """Why the file at `place` may not include `name`."""
    for rule in RULES:
        if re.match(rule.where, place) and re.match(rule.what, name) and not re.match(rule.but, place):
            yield rule.why
    owner = room_of(name)
    if owner and "/detail/" in name and room_of(place) != owner:
        yield f"{owner}/…/detail/ is private to {owner}/"


def violations(root):
    for path in sources(root):
        place = path.relative_to(root).as_posix()
        for number, written in includes(path):
            for why in reasons(place, from_root(root, path, written)):
                yield f'{place}:{number}: includes "{written}" ({why})'


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    found = list(violations(root))
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
