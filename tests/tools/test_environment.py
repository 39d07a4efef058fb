# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Provenance names every environment variable that a run reads or sets."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


# Of no result: where a home folder is (the cache of the Hub lies in it by default), what `plan` writes commands with.
FOR_MESSAGES = {"HOME", "TRIBUTARY"}


def test_every_variable_that_is_read_is_noted():
    """Names beside getenv, setenv, or the function that stands for getenv."""
    text = (ROOT / "runner" / "results" / "provenance.h").read_text()
    table = re.search(r"environment_variables\[\] = \{(.*?)\};", text, re.DOTALL)
    noted = re.findall(r'"(\w+)"', table.group(1))
    assert noted == sorted(set(noted))
    used = set()
    for folder in ("common", "io", "attribution", "runner"):
        for source in (ROOT / folder).rglob("*.cpp"):
            used |= set(re.findall(r'(?:getenv|setenv|environment)\("(\w+)"', source.read_text()))
    assert len(used) >= 5
    assert used - FOR_MESSAGES <= set(noted)
    assert used >= FOR_MESSAGES
