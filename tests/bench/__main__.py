# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Speed and accuracy of the program against its peers, all measured in one run on the same prompt pairs.

    .venv/bin/python tests/bench [--quick] [--only ROW,...] [--pairs N] [--avx2] [--binary FILE] [--json FILE]

Nothing else should run on the machine meanwhile. The whole takes about half an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "parity"))

import captum  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from agreement import Errors, agreement  # noqa: E402
from gemm import DTYPES, gemm_peak  # noqa: E402
from peer_times import PeerTimes  # noqa: E402
from product_runs import PairFiles, Product  # noqa: E402
from reference.pairs import fitting_pairs  # noqa: E402
from report import table  # noqa: E402
from rows import ROWS, WITHOUT_PEERS, Bench  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402


def arguments() -> argparse.Namespace:
    """The command line."""
    shared = Path(os.environ.get("TRIBUTARY_SHARED", ROOT.parent / "shared"))
    parser = argparse.ArgumentParser(prog="tests/bench", description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, help="pairs of every row (40, or 4 with --quick)")
    parser.add_argument("--quick", action="store_true", help="few pairs and short measurements, for trying")
    parser.add_argument("--only", type=lambda text: text.split(","), help=f"some rows of: {','.join(ROWS)}")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "tributary")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "smollm2-135m")
    parser.add_argument("--data", type=Path, default=shared / "data" / "sva", help="folder of nounpp_train.json …")
    parser.add_argument("--avx2", action="store_true", help="both sides without AVX-512, as on older processors")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench.json", help="where all numbers go")
    options = parser.parse_args()
    if unknown := set(options.only or ()) - set(ROWS):
        parser.error(f"no row {', '.join(sorted(unknown))}")
    options.pairs = options.pairs or (4 if options.quick else 40)
    options.only = options.only or list(ROWS)
    return options


def pair_files(data: Path) -> PairFiles:
    """The published noun-PP pairs, or the project's own where they are not at hand."""
    published = PairFiles(data / "nounpp_train.json", data / "nounpp_test.json")
    own = ROOT / "experiments" / "pairs"
    found = published.train.is_file() and published.test.is_file()
    return published if found else PairFiles(own / "agreement_train.jsonl", own / "agreement_test.jsonl")


def machine() -> dict:
    """What the numbers depend on besides the code."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    versions = {module.__name__: module.__version__ for module in (torch, transformers, captum)}
    found = {"cpu": models[0].partition(":")[2].strip() if models else platform.processor(), "cores": os.cpu_count()}
    return found | versions | {"capability": torch.backends.cpu.get_cpu_capability()}


def say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)


def measure(options: argparse.Namespace, folder: Path) -> tuple[str, dict]:
    """The table and all numbers; the numbers so far are written after every row."""
    files = pair_files(options.data)
    tokenizer = Tokenizer.from_file(str(options.model / "tokenizer.json"))
    pairs = fitting_pairs(files.train, tokenizer, options.pairs)
    (folder / "runs").mkdir()
    product = Product(options.binary.absolute(), options.model.absolute(), files, folder / "runs", options.pairs)
    peers = PeerTimes(options.model, pairs)
    slot = 0.15 if options.quick else 0.5
    say("matrix peak")
    peaks = [gemm_peak(slot)]
    bench = Bench(product, peers, Errors(product, peers), peaks[0], len(pairs), 3 if options.quick else 30)
    agreed = {}
    if set(options.only) - WITHOUT_PEERS:
        say("agreement of the peers with the program")
        agreed = agreement(product, peers)
    rows = []

    def facts() -> dict:
        return {
            "machine": machine(),
            "pairs": {"count": len(pairs), "tokens": pairs[0].length, "file": files.train.name},
            "gemm_peak": peaks,
            "agreement": agreed,
            "errors": bench.errors.raw,
            "rows": [row.as_json() for row in rows],
            "product": {name: run.facts() for name, run in product.runs.items()},
            "peers": {name: [vars(t) for t in result.times] for name, result in peers.results.items()},
        }

    for name in options.only:
        say(name)
        began = time.perf_counter()
        found = ROWS[name](bench)
        rows += found
        say(f"{name}: {time.perf_counter() - began:.0f} s\n{table(found)}")
        write(options.json, facts())  # what there is so far outlives a run that is cut short
    peaks.append(gemm_peak(slot))
    return "\n".join([heading(facts()), table(rows), closing(facts())]), facts()


def write(file: Path, facts: dict) -> None:
    """All numbers as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def heading(facts: dict) -> str:
    """Machine, pairs and peaks."""
    on, pairs = facts["machine"], facts["pairs"]
    first, last = facts["gemm_peak"]
    steady = all(0.9 < last[d] / first[d] < 1.1 for d in DTYPES)
    peaks = "; ".join(f"{d} {first[d]:.0f} before, {last[d]:.0f} after" for d in DTYPES)
    return (
        f"{on['cpu']}, {on['cores']} cores, {on['capability']}; torch {on['torch']}, captum {on['captum']}\n"
        f"{pairs['count']} pairs of {pairs['tokens']} tokens from {pairs['file']}; 2 threads on both sides\n"
        f"matrix peak in GFLOP/s: {peaks}\n"
    ) + ("" if steady else "THE MACHINE WAS NOT QUIET: the peaks differ by more than a tenth\n")


def closing(facts: dict) -> str:
    """Whether the comparison was fair, and what each run of the program took."""
    lines = []
    if facts["agreement"]:
        lines += ["", "peers against the program at equal settings, relative L1 of scores:"]
        lines += [f"  {name:34} {value:.1e}" for name, value in facts["agreement"].items()]
    lines += ["", f"  {'runs of the program (seconds)':46} {'wall':>8} {'start':>7} {'work':>8}  peak / expected MB"]
    for name, run in facts["product"].items():
        memory = [f"{run[key] / 1e6:.0f}" if run[key] else "-" for key in ("peak_bytes", "expected_peak_bytes")]
        times = f"{run['wall']:8.2f} {run['start']:7.2f} {run['attribution']:8.2f}"
        lines.append(f"  {name:46} {times}  {' / '.join(memory)}")
    if any(run["estimated"] for run in facts["product"].values()):
        lines.append("~: the program does not say how long its stages took: wall time without that of a tiny run")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write; see the top of this file."""
    options = arguments()
    limits = {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2"}
    limited = not options.avx2 or all(os.environ.get(name) == value for name, value in limits.items())
    if os.environ.pop("OMP_WAIT_POLICY", None) or not limited:
        os.environ.update(limits if options.avx2 else {})
        # Sleeping threads suit the program (one thread a worker) and slow the peers down (two threads a call).
        os.execv(sys.executable, [sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory(prefix="tributary-bench-") as folder:
        text, facts = measure(options, Path(folder))
    print(text)
    write(options.json, facts)
    say(f"all numbers in {options.json}")


if __name__ == "__main__":
    main()
