# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the parity tests: tiny models, and where the program and its data lie."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from browser import Opened, browser, opened
from families import FAMILIES, save_family
from reference.pairs import Pair, fitting_pairs
from reference.tapped import TappedModel
from report_sweep import document_of, make_sweep
from tiny_models import save_tiny_model
from tokenizers import Tokenizer
from workbench import Workbench

ROOT = Path(__file__).resolve().parents[2]
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The checkpoint folder of a tiny model or family by name, made once a session."""
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            save = save_family if name in FAMILIES else save_tiny_model
            made[name] = save(name, tmp_path_factory.mktemp("tiny") / name)
        return made[name]

    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_folder: Callable[[str], Path]) -> Callable[[str], TappedModel]:
    """A tiny model by name, tapped and computing in float64."""
    made: dict[str, TappedModel] = {}

    def model(name: str) -> TappedModel:
        if name not in made:
            made[name] = TappedModel.load(tiny_folder(name), torch.float64)
        return made[name]

    return model


@pytest.fixture(scope="session")
def tiny_pairs(tiny_folder: Callable[[str], Path]) -> Callable[[str, int], list[Pair]]:
    """The first n pairs that a tiny model's tokenizer fits."""

    def pairs(name: str, count: int) -> list[Pair]:
        folder = tiny_folder(name)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return fitting_pairs(folder / "pairs.jsonl", tokenizer, count)

    return pairs


@pytest.fixture(scope="session")
def binary() -> Path:
    """The program under test: TRIBUTARY_BINARY, or the release build."""
    file = Path(os.environ.get("TRIBUTARY_BINARY", ROOT / "build" / "release" / "tributary"))
    if not file.is_file():
        pytest.skip(f"no program at {file}: build it, or set TRIBUTARY_BINARY")
    return file.absolute()


@pytest.fixture
def bench(binary: Path, tmp_path: Path, tiny_folder: Callable[[str], Path]) -> Workbench:
    """A workbench on the tiny Llama model; it works as it stands."""
    return Workbench(binary, tmp_path, tiny_folder("llama"))


@pytest.fixture(scope="module")
def running() -> Iterator[object]:
    """A browser, started once a module."""
    with browser() as one:
        yield one


@pytest.fixture(scope="session")
def sweep_file(binary: Path, tiny_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a sweep that the program has computed."""
    return make_sweep(binary, tiny_folder("llama"), tmp_path_factory.mktemp("sweep")) / "report.html"


@pytest.fixture(scope="session")
def sweep(sweep_file: Path) -> dict:
    """The document that it holds."""
    return document_of(sweep_file)


@pytest.fixture()
def page(running: object, sweep_file: Path) -> Iterator[Opened]:
    """That page in a window of its own; a test ends with a look at what the page complained about."""
    with opened(running, sweep_file) as shown:
        yield shown
        shown.check()
