# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The matrix-multiplication peak of this machine: the best rate that torch.mm sustains on shapes of the model.

Run as a program this file is one worker. Workers agree on when each shape starts, so that several measure together.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time

DTYPES = ("float32", "bfloat16")
# rows, inputs, outputs: gate and up together, down, either backward; two square ones as a reference
SHAPES = [
    (512, 576, 3072),
    (1024, 576, 3072),
    (512, 1536, 576),
    (1024, 1536, 576),
    (1024, 3072, 576),
    (1024, 1024, 1024),
    (2048, 2048, 2048),
]
# (processes, threads each), and MKL's own choice of kernels against the one that the program asks for
LAYOUTS = [(1, 2), (2, 1)]
ENVIRONMENTS = [{}, {"MKL_CBWR": "AUTO,STRICT"}]


def gemm_peak(slot: float) -> dict:
    """Best GFLOP/s per dtype over shapes, layouts and environments, each measured for `slot` seconds; and all rates."""
    rates = []
    for processes, threads in LAYOUTS:
        for environment in ENVIRONMENTS:
            for rate in _together(processes, threads, environment, slot):
                rates.append({"processes": processes, "threads": threads, "environment": environment} | rate)
    best = {dtype: max(r["gflops"] for r in rates if r["dtype"] == dtype) for dtype in DTYPES}
    return best | {"rates": rates}


def _together(processes: int, threads: int, environment: dict[str, str], slot: float) -> list[dict]:
    """Rates of all shapes, added up over workers that run at the same time."""
    command = [sys.executable, __file__, str(threads), str(slot)]
    # Idle threads of one call must not sleep here: the next call follows at once.
    surroundings = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "MKL_CBWR")} | environment
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, env=surroundings, **pipes) for _ in range(processes)]
    ready = [worker.stdout.readline() for worker in workers]
    start = time.time() + 0.1
    for worker in workers:
        worker.stdin.write(f"{start}\n")
        worker.stdin.flush()
    outputs = [worker.communicate()[0] for worker in workers]
    if not all(ready) or any(worker.returncode for worker in workers):
        raise RuntimeError(f"{' '.join(command)} failed")
    columns = zip(*(json.loads(output) for output in outputs), strict=True)
    return [column[0] | {"gflops": sum(rate["gflops"] for rate in column)} for column in columns]


def worker(threads: int, slot: float) -> list[dict]:
    """Rates of one process, shape by shape; slot number i begins i * slot after the start that it is told."""
    import torch

    torch.set_num_threads(threads)
    operands = []
    for dtype, (rows, inputs, outputs) in (kind := [(d, s) for d in DTYPES for s in SHAPES]):
        a, b = torch.randn(rows, inputs), torch.randn(outputs, inputs)
        operands.append([x.to(getattr(torch, dtype)) for x in (a, b)])
        torch.mm(operands[-1][0], operands[-1][1].t())
    print("ready", flush=True)
    start = float(sys.stdin.readline())
    rates = []
    for number, ((dtype, shape), (a, b)) in enumerate(zip(kind, operands, strict=True)):
        time.sleep(max(0.0, start + number * slot - time.time()))
        end = start + (number + 0.9) * slot
        calls, began = 0, time.time()
        while calls == 0 or time.time() < end:
            torch.mm(a, b.t())
            calls += 1
        spent = time.time() - began
        rates.append({"dtype": dtype, "shape": shape, "gflops": 2e-9 * math.prod(shape) * calls / spent})
    return rates


if __name__ == "__main__":
    print(json.dumps(worker(int(sys.argv[1]), float(sys.argv[2]))))
