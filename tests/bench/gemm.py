# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The matrix-multiplication peak of this machine: the best rate that torch.mm sustains on shapes of the model.

Run as a program this file is one worker. Workers agree on when each shape starts, so that several measure together.
"""

from __future__ import annotations

import json
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
START_UP = 8.0  # seconds a worker may take to be ready


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
    start = time.time() + START_UP
    command = [sys.executable, __file__, str(threads), str(slot), str(start)]
    # Idle threads of one call must not sleep here: the next call follows at once.
    surroundings = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "MKL_CBWR")} | environment
    workers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=surroundings) for _ in range(processes)
    ]
    outputs = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        raise RuntimeError(f"a worker of {' '.join(command)} failed")
    columns = zip(*(json.loads(output) for output in outputs), strict=True)
    return [column[0] | {"gflops": sum(rate["gflops"] for rate in column)} for column in columns]


def worker(threads: int, slot: float, start: float) -> list[dict]:
    """Rates of one process, shape by shape; slot number i begins at start + i * slot."""
    import torch

    torch.set_num_threads(threads)
    rates = []
    for number, (dtype, shape) in enumerate((d, s) for d in DTYPES for s in SHAPES):
        rows, inputs, outputs = shape
        a = torch.randn(rows, inputs).to(getattr(torch, dtype))
        b = torch.randn(outputs, inputs).to(getattr(torch, dtype)).t()
        torch.mm(a, b)
        if (late := time.time() - start - number * slot) > slot / 2:
            raise RuntimeError(f"a worker is {late:.1f} s late")
        time.sleep(max(0, -late))
        calls, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < slot * 0.8:
            torch.mm(a, b)
            calls += 1
        rates.append({"dtype": dtype, "shape": shape, "gflops": 2e-9 * rows * inputs * outputs * calls / spent})
    return rates


if __name__ == "__main__":
    print(json.dumps(worker(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))))
