#!/usr/bin/env python3
# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Runs clang-tidy on the C++ sources that changed, a few at a time, within a time budget.

A changed header stands for the source of the same name. Uses the compile commands of the `tidy` preset: the others
name gcc's precompiled headers, which clang cannot read.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ROOT / "build" / "tidy" / "compile_commands.json"


def git(*arguments):
    result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return result.stdout.split("\n") if result.returncode == 0 else None


def base_of_change():
    """The commit the change started from: where it left the main branch or, on that branch, the commit before."""
    head = git("rev-parse", "--verify", "--quiet", "HEAD")
    for branch in ("origin/main", "main"):
        base = git("merge-base", "HEAD", branch)
        if base and base != head:
            return base[0]
    before = git("rev-parse", "--verify", "--quiet", "HEAD~1")
    return before[0] if before else None


def changed_files():
    """Paths that differ from the base, committed or not; None when there is no base to compare with."""
    base = base_of_change()
    if base is None:
        return None
    return {*git("diff", "--name-only", base), *git("ls-files", "--others", "--exclude-standard")}


def sources_to_check(everything):
    files = {Path(entry["file"]).resolve() for entry in json.loads(COMMANDS.read_text(encoding="utf-8"))}
    known = sorted(file for file in files if file.suffix == ".cpp")  # the assembler has no lint
    changed = None if everything else changed_files()
    if changed is None:
        return known
    stems = {Path(name).with_suffix("") for name in changed if name.endswith((".cpp", ".h"))}
    return [source for source in known if source.relative_to(ROOT).with_suffix("") in stems]


def check(source, deadline):
    """clang-tidy's complaints about one source, "" when it has none, None when there was no time left to look."""
    if deadline is not None and time.monotonic() > deadline:
        return None
    command = ["clang-tidy", "--quiet", "-p", str(COMMANDS.parent), str(source)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if result.returncode == 0 else result.stdout + result.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--all", action="store_true", help="check every source, however long it takes")
    parser.add_argument("--seconds", type=float, default=300, help="start no more files after this time (default 300)")
    options = parser.parse_args()

    sources = sources_to_check(options.all)
    deadline = None if options.all else time.monotonic() + options.seconds
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as pool:
        results = list(pool.map(lambda source: check(source, deadline), sources))

    failed = [result for result in results if result]
    unseen = [source.relative_to(ROOT) for source, result in zip(sources, results, strict=True) if result is None]
    print(*failed, sep="\n", end="\n" if failed else "")
    print(f"clang-tidy: {len(sources) - len(unseen)} files checked, {len(failed)} with complaints")
    if unseen:
        print(f"clang-tidy: no time for {len(unseen)} more ({', '.join(map(str, unseen))}): ./run lint --all")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
