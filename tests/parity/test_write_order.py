# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""A machine that loses power keeps what was told to be done: the calls of a run's files, in their order."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from short_run import Work

# Says of every call what it was called with, a line each, after it has returned.
RECORDER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const char* call, int folder, int file, const char* name, const char* other) {
  static int log = -1;
  static ssize_t (*put)(int, const void*, size_t);
  if (!put) put = (ssize_t (*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
  if (log < 0) {
    int (*open_file)(const char*, int, ...) = (int (*)(const char*, int, ...))dlsym(RTLD_NEXT, "open");
    log = open_file(getenv("CALLS"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  }
  char line[8192];
  const int size = snprintf(line, sizeof line, "%s\t%d\t%d\t%s\t%s\n", call, folder, file, name, other);
  put(log, line, (size_t)size);
}

int openat(int folder, const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const int mode = flags & O_CREAT ? va_arg(more, int) : 0;
  va_end(more);
  const int file = ((int (*)(int, const char*, int, ...))dlsym(RTLD_NEXT, "openat"))(folder, path, flags, mode);
  if (flags & O_CREAT) say("create", folder, file, path, "");
  return file;
}
int openat64(int folder, const char* path, int flags, ...) __attribute__((alias("openat")));

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const int mode = flags & O_CREAT ? va_arg(more, int) : 0;
  va_end(more);
  const int file = ((int (*)(const char*, int, ...))dlsym(RTLD_NEXT, "open"))(path, flags, mode);
  if (flags & O_DIRECTORY) say("folder", -1, file, path, "");
  return file;
}
int open64(const char* path, int flags, ...) __attribute__((alias("open")));

ssize_t write(int file, const void* bytes, size_t size) {
  const ssize_t done = ((ssize_t (*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write"))(file, bytes, size);
  say("write", -1, file, "", "");
  return done;
}

int fsync(int file) {
  const int done = ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
  say("sync", -1, file, "", "");
  return done;
}

int renameat(int from, const char* old, int to, const char* now) {
  const int done = ((int (*)(int, const char*, int, const char*))dlsym(RTLD_NEXT, "renameat"))(from, old, to, now);
  say("rename", to, -1, old, now);
  return done;
}

int unlink(const char* path) {
  const int done = ((int (*)(const char*))dlsym(RTLD_NEXT, "unlink"))(path);
  say("remove", -1, -1, path, "");
  return done;
}

int remove(const char* path) {
  const int done = ((int (*)(const char*))dlsym(RTLD_NEXT, "remove"))(path);
  say("remove", -1, -1, path, "");
  return done;
}
"""


@pytest.fixture
def calls(binary, tmp_path, tiny_folder) -> list[list[str]]:
    """Of a run on one thread, whose files do not mix: call, folder, file, name, new name."""
    source, library, log = tmp_path / "recorder.c", tmp_path / "recorder.so", tmp_path / "calls"
    source.write_text(RECORDER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, timeout=60)
    work = Work(binary, tmp_path, tiny_folder("llama"))
    work.settings["attribution"]["steps"] = 10
    work.write()
    environment = os.environ | {"LD_PRELOAD": str(library), "CALLS": str(log)}
    subprocess.run(work.command(), cwd=tmp_path, check=True, capture_output=True, env=environment, timeout=120)
    return [line.split("\t") for line in log.read_text().splitlines()]


def durable_files(calls: list[list[str]]) -> dict[str, int]:
    """By path: at which call a file was safe. What is renamed has been synced since its last byte, and then its folder
    is; files that say how a run stands (state.json, a heartbeat) need not outlive the machine and are left out.
    """
    folders: dict[str, str] = {}
    made: dict[str, str] = {}  # name of an unfinished file → its descriptor
    synced: dict[str, bool] = {}  # by descriptor: since the last write
    renamed: dict[str, str] = {}  # by folder's descriptor: path that waits for the folder's sync
    safe: dict[str, int] = {}
    for place, (call, folder, file, name, now) in enumerate(calls):
        if call == "folder":
            folders[file] = name
        elif call == "create":
            made[name] = file
            synced[file] = False
        elif call == "write":
            synced[file] = False
        elif call == "sync" and file in renamed:
            safe[renamed.pop(file)] = place
        elif call == "sync":
            synced[file] = True
        elif call == "rename":
            path = str(Path(folders[folder]) / now)
            if synced[made[name]]:
                renamed[folder] = path
    return safe


def test_files_are_on_disk_before_anything_relies_on_them(calls):
    """Blocks and results are synced, renamed and their folders synced; blocks go once the one file of all is safe."""
    safe = durable_files(calls)
    names = [Path(path).name for path in safe]
    blocks = [path for path in safe if path.endswith(".block") and not path.endswith("all.block")]
    assert len(blocks) >= 16
    assert "group.json" in names and "results.h5" in names
    renames = [call for call in calls if call[0] == "rename"]
    assert {call[4] for call in renames} - set(names) <= {"state.json", "lock.heartbeat"}
    removed = [(place, call[3]) for place, call in enumerate(calls) if call[0] == "remove" and call[3] in blocks]
    few = 8  # blocks that stay as they are
    many = {path for path in blocks if sum(Path(path).parent == Path(other).parent for other in blocks) > few}
    assert many
    assert {path for _, path in removed} == many
    for place, path in removed:
        assert safe[str(Path(path).with_name("all.block"))] < place
