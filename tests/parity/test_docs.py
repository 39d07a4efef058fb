# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Every command, program and sweep file of README, CONTRIBUTING and docs/ works as it is written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import fastjsonschema
import pytest
import yaml
from conftest import ROOT
from product import mpi_environment
from results_schema import TITLES, printed_schema

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
ELSEWHERE = {  # commands that other parts of the checks run, and which
    "./run ": "continuous integration, which starts with an empty machine",
    "cmake --preset": "./run test and ./run lint",
    "ctest --preset": "./run test",
    ".venv/bin/python -m pytest": "./run test",
    "sbatch ": "test_slurm.py, on a Slurm of its own",
}
FEW = " pairs.train=2 pairs.test=2"  # of an experiment's pairs: that the command works shows on two
BASE = {
    "schema": 1,
    "name": "fragment",
    "model": {"path": "m"},
    "pairs": {"file": "p"},
    "attribution": {"method": "atp"},
}


def blocks(page: Path, language: str) -> list[str]:
    """The page's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[str]:
    """Shell commands of a block, a line each, without comments."""
    text = text.replace("\\\n", " ")
    lines = (re.sub(r"\s+#.*$", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def steps(page: Path) -> list[tuple[str, str]]:
    """The page's commands ("sh") and programs ("python"), in its order."""
    found = []
    for language, text in re.findall(r"^```(sh|python)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE):
        if language == "sh":
            found += [(language, command) for command in commands(text) if run_here(command)]
        elif "import " in text:
            found.append((language, text))
    return found


def as_run_here(command: str) -> str:
    """The command on few pairs, where it is one that runs an experiment."""
    whole = "tributary run experiments/" in command and "pairs.train=" not in command
    return command + FEW if whole else command


def run_here(command: str) -> bool:
    """Whether no other check runs it."""
    return not any(command.startswith(prefix) for prefix in ELSEWHERE)


@pytest.fixture(scope="module")
def workplace(binary, tmp_path_factory) -> Path:
    """A folder that looks like the project after ./run demo, results excepted."""
    if not (ROOT / "models" / "smollm2-135m").is_dir():
        pytest.skip("the demo model is not there: tools/fetch_model.py makes it")
    if binary != ROOT / "build" / "release" / "tributary":
        pytest.skip("the docs speak of build/release/tributary")
    folder = tmp_path_factory.mktemp("docs")
    for name in ("build", "models", "experiments", "slurm", "tests", "tools", ".venv", "run"):
        (folder / name).symlink_to(ROOT / name)
    demo = [str(binary), "run", "experiments/hot_or_cold.yaml", "--out", "results/demo", *FEW.split()]
    subprocess.run(demo, cwd=folder, check=True, capture_output=True)
    return folder


def test_commands(workplace):
    """One after the other, page by page: later ones use what earlier ones wrote."""
    environment = mpi_environment(workplace / "session")
    todo = [(page.name, *step) for page in PAGES for step in steps(page)]
    assert sum(language == "sh" for _, language, _ in todo) > 10
    assert sum(language == "python" for _, language, _ in todo) >= 3
    for page, language, text in todo:
        program = language == "python"
        words = [str(ROOT / ".venv" / "bin" / "python"), "-c", text] if program else ["bash", "-c", as_run_here(text)]
        done = subprocess.run(
            words,
            cwd=workplace,
            env=os.environ if program else environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{page}: {text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert not program or done.stdout.strip(), f"{page}: prints nothing"
    schema = next(json.loads(block) for block in blocks(ROOT / "docs" / "tables.md", "json"))
    validate = fastjsonschema.compile(schema)
    document = json.loads((workplace / "results" / "tables" / "tables.json").read_text())
    validate(document)
    described = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ", (ROOT / "docs" / "tables.md").read_text(), re.MULTILINE)
    names = {name for cell in described for name in re.findall(r"`(\w+)`", cell)}
    assert {table["name"] for table in document["tables"]} == names


def test_sweep_files(binary, tmp_path):
    """Whole files, and parts of them in a minimal one, are accepted."""
    found = 0
    for page in PAGES:
        for block in blocks(page, "yaml"):
            settings = BASE | yaml.safe_load(block)
            if "attribution" in settings and isinstance(settings["attribution"], dict):
                settings["attribution"] = {"method": "atp"} | settings["attribution"]
            file = tmp_path / f"{found}.yaml"
            file.write_text(json.dumps(settings))
            command = [binary, "validate", "--file-only", file]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{page.name}:\n{block}\n{done.stderr}"
            found += 1
    assert found >= 4


def test_the_readmes_file_is_the_demos():
    """The sweep file that README shows is the one that ./run demo runs."""
    shown = blocks(ROOT / "README.md", "yaml")[0]
    assert yaml.safe_load(shown) == yaml.safe_load((ROOT / "experiments" / "hot_or_cold.yaml").read_text())


def cells_of(line: str) -> list[str]:
    """A row of a Markdown table as plain texts: no backquotes around a name, no backslash before a bar."""
    cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
    return [cell[1:-1] if re.fullmatch(r"`[^`]*`", cell) else cell for cell in cells]


def test_the_tables_of_results_are_those_that_the_program_prints(binary):
    """docs/results.md has every row of `tributary schema results`, in its order, and no other."""
    tables: dict[tuple[str, ...], list[list[str]]] = {}
    for block in re.findall(r"(?:^\|.*\n)+", (ROOT / "docs" / "results.md").read_text(), re.MULTILINE):
        title, _, *rows = map(cells_of, block.splitlines())
        tables.setdefault(tuple(title), []).extend(rows)
    schema = printed_schema(binary)
    assert tables[*TITLES["datasets"], "what"] == schema.datasets
    assert tables[tuple(TITLES["attributes"])] == schema.attributes
    assert tables[tuple(TITLES["axes"])] == schema.axes


def test_readers_are_told_what_to_install():
    """What an example imports, and that Python does not have, stands in a `pip install` further up on its page."""
    met = set()
    for page in PAGES:
        text = page.read_text()
        for block in blocks(page, "python"):
            imported = set(re.findall(r"^(?:import|from) (\w+)", block, re.MULTILINE)) - sys.stdlib_module_names
            if "h5netcdf" in block:
                imported.add("h5netcdf")
            above = text[: text.index(block)]
            told = set(" ".join(re.findall(r"pip install ([\w ]+)`", above)).split())
            assert imported <= told, f"{page.name}: nobody says how to install {imported - told}"
            met |= imported
    assert {"h5py", "pandas", "xarray"} <= met


def test_the_families_named_are_those_that_the_program_knows(binary, tmp_path):
    """In README and where families are explained; who has another one is sent there."""
    (tmp_path / "config.json").write_text('{"model_type": "unheard-of"}')
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    said = subprocess.run([binary, "inspect", tmp_path], capture_output=True, text=True, timeout=60, check=False).stderr
    known = re.search(r"unknown architecture 'unheard-of' .*known ones: ([\w, ]+); docs/adding_a_family.md", said)
    assert known, said
    assert f"; families: {known[1]}\n" in (ROOT / "README.md").read_text()
    explained = re.search(r"^There are (.*)\.", (ROOT / "docs" / "adding_a_family.md").read_text(), re.MULTILINE)
    assert re.findall(r"`(\w+)`", explained[1].split(". ")[0]) == known[1].split(", ")


def test_links():
    """Relative links lead somewhere."""
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
