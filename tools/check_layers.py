#!/usr/bin/env python3
# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Keeps the rooms apart: names the #include lines of our C++ sources that no arrow of the table allows.

Usage: check_layers.py [ROOT]. Exit 1 when a rule is broken. The rules are tables (map: CONTRIBUTING.md): ARROWS
between our own folders, LIBRARIES that only some of them may know, and no file may include itself in a circle.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOMS = ("common", "io", "attribution", "runner")

# What the sources of a folder may include besides their own folder and common/: other folders, or single headers.
ARROWS = {
    "common": (),
    "io": ("io/detail", "io/page"),
    "io/page": (),
    "io/detail/base": ("io/mapped_files.h",),
    "io/detail/checkpoint": ("io/detail/base", "io/checkpoint.h"),
    "io/detail/tokenizer": ("io/detail/base", "io/tokenizer.h"),
    "io/detail/pairs": ("io/detail/base", "io/pairs.h", "io/tokenizer.h"),
    "io/detail/config": ("io/detail/base", "io/config.h"),
    "io/detail/features": (
        "io/detail/base",
        "io/detail/checkpoint",
        "io/detail/config/yaml_reader.h",
        "io/checkpoint.h",
        "io/feature_file.h",
    ),
    "io/detail/results": ("io/detail/base", "io/results.h", "io/atomic_file.h"),
    "io/detail/scores": ("io/detail/base", "io/detail/results", "io/score_file.h"),
    "attribution/model": (),
    "attribution/nodes": ("attribution/model",),
    "attribution/methods": ("attribution/model", "attribution/nodes"),
    "attribution/circuit": ("attribution/model", "attribution/nodes", "attribution/methods"),
    "runner/mpi": (),
    "runner/cluster": ("runner/mpi",),
    "runner/machine": ("runner/cluster",),
    "runner/journal": ("runner/cluster", "runner/machine/host.h", "io"),
    "runner/job": ("runner/cluster", "runner/machine", "io", "attribution"),
    "runner/stages": ("runner/cluster", "runner/machine", "runner/journal", "runner/job", "io", "attribution"),
    "runner/results": ("runner/cluster", "runner/machine", "runner/job", "runner/stages", "io", "attribution"),
    "runner/report": ("runner/machine/host.h", "runner/results/schema.h", "io", "attribution"),
    "runner/commands": ("runner", "io", "attribution"),
    "runner": ("runner", "io", "attribution"),
}

TORCH = r"(torch|ATen|c10|caffe2)/"
MPI = r"(mpi|mpi-ext)\.h$|openmpi/"


@dataclass(frozen=True)
class Library:
    """Sources whose path matches `where` may not reach, through however many headers of ours, what matches `what`."""

    where: str
    what: str
    why: str


LIBRARIES = (
    Library(r"common/", TORCH, "common/ knows no tensors"),
    Library(r"io/", TORCH, "io/ knows no tensors"),
    Library(r"runner/(mpi|cluster|journal|report)/", TORCH, "this part of the program knows no tensors"),
    Library(r"attribution/", r"yaml-cpp/", "attribution/ knows no YAML"),
    Library(r"attribution/", r"hdf5(_hl)?\.h$|H5", "attribution/ knows no HDF5"),
    Library(r"(?!runner/mpi/mpi_layer\.c$)", MPI, "MPI appears in runner/mpi/mpi_layer.c only"),
)

# Through these the Python tests reach any room, as its own tests do.
DRIVER = re.compile(r"tests/parity/\w+_driver\.cpp$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


@dataclass(frozen=True)
class Include:
    line: int
    written: str
    name: str  # seen from the root, so that "../runner/plan.h" and "detail/x.h" hide nothing


def sources(root):
    for room in (*ROOMS, "tests"):
        for path in sorted((root / room).rglob("*")):
            if path.suffix in {".h", ".c", ".cpp", ".inl"}:
                yield path


def includes(root, path):
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if found := INCLUDE.match(text):
            beside = (path.parent / found[2]).resolve()
            inside = found[1] == '"' and beside.is_file() and beside.is_relative_to(root)
            yield Include(line, found[2], beside.relative_to(root).as_posix() if inside else found[2])


def folder_of(place):
    """The row of ARROWS that a source belongs to; None outside the rooms."""
    rows = [folder for folder in ARROWS if place.startswith(folder + "/")]
    return max(rows, key=len, default=None)


def within(name, allowed):
    return name == allowed or name.startswith(allowed + "/")


def room_of(place):
    """The room a source belongs to; the tests of a room belong to it, and those in tests/fuzz to io/."""
    parts = place.removeprefix("tests/").split("/")
    if parts[0] == "fuzz":
        return "io"
    return parts[0] if parts[0] in ROOMS else None


def arrow_reasons(place, name):
    """Why the source at `place` may not include our own file `name`."""
    room, other = room_of(place), room_of(name)
    if other is None:
        return
    if "/detail/" in name and room != other and not DRIVER.match(place):
        yield f"{other}/…/detail/ is private to {other}/"
    elif folder := folder_of(place):  # tests may use all of what their room may use
        allowed = ("common", *ARROWS[folder])
        if folder_of(name) != folder and not any(within(name, one) for one in allowed):
            yield f"{folder}/ may include {', '.join(one + ('' if '.' in one else '/') for one in allowed)}"


def library_reasons(place, include, graph):
    """Why the source at `place` may not include a library's header, itself or by way of one of ours."""
    for rule in LIBRARIES:
        if re.match(rule.where, place.removeprefix("tests/")) and re.match(rule.what, include.name):
            yield rule.why
        elif include.name in graph and not place.startswith("tests/") and re.match(rule.where, place):
            if rule.what != MPI and (way := reach(include.name, rule.what, graph, set())):
                yield f"{rule.why}; it leads to {way}"


def reach(place, what, graph, seen):
    """The first header matching `what` that a file of ours includes, itself or by way of others."""
    seen.add(place)
    for include in graph[place]:
        if re.match(what, include.name):
            return include.name
        if include.name in graph and include.name not in seen and (way := reach(include.name, what, graph, seen)):
            return way
    return None


def circles(graph):
    """Each circle of includes once, as the chain of its files."""
    done, chain = set(), []

    def walk(place):
        if place in chain:
            yield [*chain[chain.index(place) :], place]
        elif place not in done:
            chain.append(place)
            for include in graph[place]:
                if include.name in graph:
                    yield from walk(include.name)
            done.add(chain.pop())

    for place in graph:
        yield from walk(place)


def violations(root):
    graph = {path.relative_to(root).as_posix(): list(includes(root, path)) for path in sources(root)}
    for place, names in graph.items():
        for include in names:
            reasons = (*arrow_reasons(place, include.name), *library_reasons(place, include, graph))
            if reasons:  # the first is enough
                yield f'{place}:{include.line}: includes "{include.written}" ({reasons[0]})'
    for chain in circles(graph):
        yield "a circle of includes: " + " → ".join(chain)


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    found = list(violations(root))
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
