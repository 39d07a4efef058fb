#!/usr/bin/env python3
# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Parses the YAML, JSON and JSON-lines files it is given; exit 1 when one of them is not well-formed."""

import json
import sys
from pathlib import Path

import yaml


def parse(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        json.loads(text)
    elif path.suffix == ".jsonl":
        for number, line in enumerate(text.splitlines(), start=1):
            try:
                json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"line {number}: {error}") from error
    else:
        yaml.safe_load(text)


def main():
    failed = False
    for name in sys.argv[1:]:
        try:
            parse(Path(name))
        except (ValueError, yaml.YAMLError) as error:
            failed = True
            print(f"{name}: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
