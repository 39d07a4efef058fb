# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Files of weights, whole and changed at random: what the `safetensors` package reads we read, and the same of it; what
it refuses we refuse. Where we are stricter, the reasons are listed.

The driver binary lies in $TRIBUTARY_BUILD (default: build/release/tests).
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import struct
import subprocess

import pytest
import safetensors

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRIVER = pathlib.Path(os.environ.get("TRIBUTARY_BUILD", ROOT / "build/release/tests")) / "safetensors_driver"
FILES = int(os.environ.get("TRIBUTARY_SAFETENSORS_FILES", "4000"))

pytestmark = pytest.mark.skipif(not DRIVER.exists(), reason=f"{DRIVER} is not built")

BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
WEIGHTS = {"F64", "F32", "F16", "BF16"}
# What only we refuse: numbers that no weight has, and names that a reader would have to choose between.
STRICTER = ("only F64, F32, F16 and BF16 weights can be read", "twice")
NUMBERS = [0, 1, 2, 3, 4, 8, -1, 1.0, 1e3, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64, True, None, "4", [4], {}]
NAMES = ["", "w", "a.weight", "a.weight ", "é", "\u0000", '"', "__metadata__", "x" * 300]


def whole(rng: random.Random) -> tuple[list, bytes]:
    """A right header as pairs (a dict could not name a tensor twice), and its data."""
    entries, end = [], 0
    for name in rng.sample(["w", "a.weight", "b", "lm_head.weight", "é"], rng.randint(0, 4)):
        dtype = rng.choice(list(BYTES))
        shape = [rng.randint(0, 3) for _ in range(rng.randint(0, 3))]
        size = BYTES[dtype]
        for extent in shape:
            size *= extent
        entries.append([name, [["dtype", dtype], ["shape", shape], ["data_offsets", [end, end + size]]]])
        end += size
    rng.shuffle(entries)
    if rng.random() < 0.3:
        entries.insert(0, ["__metadata__", [["format", "pt"]]])
    return entries, rng.randbytes(end)


def text_of(value: object) -> str:
    """JSON of nested lists, in which lists of pairs with a name stand for objects."""
    if (
        isinstance(value, list)
        and value
        and all(isinstance(e, list) and len(e) == 2 and isinstance(e[0], str) for e in value)
    ):
        return "{" + ",".join(f"{json.dumps(name)}:{text_of(inner)}" for name, inner in value) + "}"
    return json.dumps(value)


def change_entries(rng: random.Random, entries: list) -> None:
    """One change of a name, a type, a shape, a range or the list of tensors itself."""
    if not entries:
        entries.append([rng.choice(NAMES), [["dtype", "F32"], ["shape", [0]], ["data_offsets", [0, 0]]]])
        return
    entry = rng.choice(entries)
    fields = entry[1] if isinstance(entry[1], list) and len(entry[1]) != 1 else []
    match rng.randrange(8):
        case 0:
            entry[0] = rng.choice(NAMES)
        case 1:
            entries.append(rng.choice(entries))
        case 2:
            entries.remove(entry)
        case 3 if fields:
            fields.remove(rng.choice(fields))
        case 4 if fields:
            fields.append([rng.choice(["dtype", "shape", "data_offsets", "more"]), rng.choice(NUMBERS)])
        case 5:
            entry[1] = rng.choice(NUMBERS)
        case _:
            for field in fields:
                if field[0] == "dtype" and rng.random() < 0.4:
                    field[1] = rng.choice([*BYTES, "F8_E4M3", "C64", "f32", "", 3])
                elif isinstance(field[1], list) and field[1] and rng.random() < 0.4:
                    field[1] = list(field[1])
                    field[1][rng.randrange(len(field[1]))] = rng.choice(NUMBERS)
                elif isinstance(field[1], list) and rng.random() < 0.2:
                    field[1] = [*field[1], rng.choice(NUMBERS)]


def changed_file(rng: random.Random) -> bytes:
    entries, data = whole(rng)
    for _ in range(rng.choice([0, 1, 1, 1, 2])):
        change_entries(rng, entries)
    header = (text_of(entries) if entries else "{}").encode()
    header += rng.choice([b"", b"", b"", b" " * (-len(header) % 8), b"\n", b"\0", b"x"])
    header = rng.choice([b"", b"", b"", b"", b"", b"", b" "]) + header
    length = len(header) + rng.choice([0] * 12 + [1, -1, 8, 2**40])
    data = rng.choice([data] * 8 + [data[:-1], data + b"\0", b""])
    content = bytearray(struct.pack("<Q", length % 2**64) + header + data)
    if rng.random() < 0.1 and content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    if rng.random() < 0.05:
        del content[rng.randrange(len(content) + 1) :]
    return bytes(content)


def as_the_package_reads(content: bytes) -> list | None:
    """[name, type, shape, data] of all tensors by name; None where it refuses."""
    try:
        tensors = safetensors.deserialize(content)
    except Exception:  # noqa: BLE001  Each of its errors is a refusal.
        return None
    return sorted([name, t["dtype"], t["shape"], bytes(t["data"])] for name, t in tensors)


def test_files_are_read_as_the_package_reads_them(tmp_path):
    rng = random.Random(20261126)
    contents = [changed_file(rng) for _ in range(FILES)]
    paths = [tmp_path / str(i) for i in range(FILES)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    asked = "".join(f"{path}\n" for path in paths)
    done = subprocess.run([DRIVER], input=asked, capture_output=True, text=True, timeout=300, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == FILES

    read = refused = stricter = 0
    for content, ours in zip(contents, answers, strict=True):
        truth = as_the_package_reads(content)
        if isinstance(ours, dict):
            if truth is None:
                refused += 1
                continue
            assert any(reason in ours["error"] for reason in STRICTER), (content, ours, truth)
            stricter += 1
            continue
        assert truth is not None, (content, ours)
        weights = [tensor for tensor in truth if tensor[1] in WEIGHTS]
        assert [[n, t, s, content[at : at + size]] for n, t, s, at, size in ours] == weights, content
        read += 1
    assert read > FILES / 10, "most files were refused: little was compared"
    assert refused > FILES / 10
    assert stricter > 0
