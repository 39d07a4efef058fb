# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Files that people get from elsewhere: names that lead out of the folder, texts that a terminal would obey."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

BAD_NAMES = ["", ".", "..", "../../escaped", "/tmp/escaped", "a/../../b", "a//b", "a/", "a\nb", "a\x1b[2J", "a" * 256]


def tributary(binary: Path, folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [str(word) for word in (binary, *words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, timeout=120)


def files_in(folder: Path) -> set[Path]:
    return {file for file in folder.rglob("*") if file.is_file()}


def test_names_that_leave_results_are_refused_where_they_stand(bench):
    """With line and column, before anything is written; --out is the way to other places."""
    bench.folder.joinpath("deep").mkdir()
    for name in BAD_NAMES:
        bench.settings["name"] = name
        sweep = bench.folder / "deep" / "sweep.yaml"
        settings = bench.settings | {
            "model": {"path": "../model"},
            "pairs": bench.settings["pairs"] | {"file": "../pairs.jsonl"},
        }
        sweep.write_text(json.dumps(settings, indent=1))
        before = files_in(bench.folder)
        for command in ("validate", "run"):
            done = tributary(bench.binary, sweep.parent, command, "sweep.yaml")
            assert done.returncode == 2, (name, done.stdout, done.stderr)
            assert "sweep.yaml:3:" in done.stderr, (name, done.stderr)
            assert "name: " in done.stderr
            assert "--out FOLDER" in done.stderr
            assert "\x1b" not in done.stderr
        assert files_in(bench.folder) == before


def test_names_below_results_are_taken(bench):
    for name in ("plain", "exp/one", "..a", "naïve run"):
        bench.settings["name"] = name
        (bench.folder / "sweep.yaml").write_text(json.dumps(bench.settings))
        done = tributary(bench.binary, bench.folder, "run", "sweep.yaml")
        assert done.returncode == 0, done.stderr
        assert (bench.folder / "results" / name / "results.h5").exists()


@pytest.fixture(scope="module")
def finished(binary, tiny_folder, tmp_path_factory) -> Path:
    """The folder of a sweep of two runs, to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    model = tiny_folder("llama")
    settings = {
        "schema": 1,
        "name": "sweep",
        "model": {"path": str(model), "dtype": "float64"},
        "pairs": {"file": str(model / "pairs.jsonl"), "train": 4, "test": 3},
        "circuit": {"counts": [10]},
        "sweep": {"grid": {"attribution.method": ["atp", "random"]}},
    }
    (folder / "sweep.yaml").write_text(json.dumps(settings))
    done = tributary(binary, folder, "run", "sweep.yaml", "--out", "out")
    assert done.returncode == 0, done.stderr
    return folder / "out"


@pytest.mark.parametrize("name", ["{victim}", "../victim", "..", "", "method=atp/../../victim", "a\x1b]0;x\x07"])
def test_a_forged_list_of_runs_writes_nowhere(name, binary, finished, tmp_path):
    """Reports go into the folders of runs: not into one that sweep.json or group.json alone knows."""
    out, victim = tmp_path / "out", tmp_path / "victim"
    shutil.copytree(finished, out)
    shutil.copytree(finished / "method=atp", victim)
    name = name.format(victim=victim)
    before = {file: file.read_bytes() for file in files_in(victim)}

    names = out / "sweep.json"
    honest = names.read_text()
    names.write_text(json.dumps({"name": "sweep", "runs": [name]}))
    for command in ("report", "export"):
        done = tributary(binary, tmp_path, command, out)
        assert done.returncode == 2, done.stdout
        assert "sweep.json: names a run" in done.stderr
        assert "\x1b" not in done.stderr
    names.write_text(honest)

    (group,) = out.glob("journal/*/group.json")
    runs = json.loads(group.read_text())
    runs["runs"][0]["folder"] = name
    group.write_text(json.dumps(runs))
    for file in out.glob("*/results.h5"):
        file.unlink()
    for command in ("finalize", "status"):
        done = tributary(binary, tmp_path, command, out)
        assert done.returncode == 2, done.stdout
        assert "group.json: names a run in" in done.stderr
        assert "\x1b" not in done.stderr
    assert {file: file.read_bytes() for file in files_in(victim)} == before
    assert not (out / "results.h5").exists()


def test_a_list_of_runs_that_names_what_is_not_there_yet(binary, finished, tmp_path):
    """Names of our own are taken."""
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    (out / "sweep.json").write_text(json.dumps({"name": "sweep", "runs": ["method=atp", "method=relp", "."]}))
    done = tributary(binary, tmp_path, "report", out)
    assert done.returncode == 0, done.stderr
    assert "run 'method=relp' is not finished" in done.stdout


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": 3, "runs": 3}', '{"name": "sweep", "runs": [1]}', "\xff"])
def test_a_damaged_list_of_runs_is_spoken_of(text, binary, finished, tmp_path):
    """The report names what it found and says what it cannot know; status does not pass over a group in silence."""
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    names = out / "sweep.json"
    names.write_text(text, encoding="latin-1")
    done = tributary(binary, tmp_path, "report", out)
    assert done.returncode == 0, done.stderr
    assert "sweep.json is damaged" in done.stdout

    (group,) = out.glob("journal/*/group.json")
    group.write_text(text, encoding="latin-1")
    done = tributary(binary, tmp_path, "status", out)
    assert "group.json is damaged" in done.stderr


ESCAPE = "\x1b]0;owned\x07\x1b[2J\u202e"
SHOWN = "\\x1b]0;owned\\x07\\x1b[2J\\u202e"


def test_no_text_reaches_the_terminal_as_a_command(bench):
    """Names of tensors, tokens, prompts, names of files and keys: shown, not obeyed."""
    header, data = bench.weights()
    header[f"model.{ESCAPE}"] = {"dtype": "F64", "shape": [1], "data_offsets": [len(data), len(data) + 8]}
    bench.write_weights(header, data + bytes(8))
    assert f"model.{SHOWN}" in only_shown(bench.refused("model."))
    header.pop(f"model.{ESCAPE}")
    bench.write_weights(header, data)

    good = bench.pairs.read_text()
    bench.edit_pairs(lambda lines: lines.append(json.dumps(json.loads(lines[0]) | {"clean_answer": ESCAPE})))
    only_shown(bench.refused("\\x1b"))
    bench.edit_pairs(lambda lines: lines.append(json.dumps({ESCAPE: "x"})))
    only_shown(bench.refused(SHOWN))
    bench.pairs.write_text(good)

    named = bench.folder / f"{ESCAPE}.jsonl"
    bench.settings["pairs"]["file"] = named.name
    only_shown(bench.refused(SHOWN))
    bench.pairs.rename(named)
    done = bench.run()
    assert done.returncode == 0, done.stderr
    only_shown(done.stdout)


def test_tokens_are_shown_as_python_writes_them(bench):
    """In the line of `inspect`, whose tokens are those of the prompt."""
    done = tributary(bench.binary, bench.folder, "inspect", "model", "--prompt", "a\x1b\n\x07b")
    assert done.returncode == 0, done.stderr
    assert ":'\\x1b'" in only_shown(done.stdout)
    assert "\\x07" in done.stdout
    assert ":'\\n'" in done.stdout


def only_shown(text: str) -> str:
    """The text, which holds no character that a terminal obeys but ends of lines and tabs."""
    assert not [c for c in text if (ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066"]
    return text


def test_a_vocabulary_of_four_tokens(bench):
    """`inspect --prompt` lists the tokens that there are."""
    header, data = bench.weights()
    kept, parts = {}, b""
    for name, entry in sorted(header.items(), key=lambda item: item[1].get("data_offsets", [0])[0]):
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        if name in ("model.embed_tokens.weight", "lm_head.weight"):
            end = begin + 4 * entry["shape"][1] * 8
            entry["shape"][0] = 4
        kept[name] = entry | {"data_offsets": [len(parts), len(parts) + end - begin]}
        parts += data[begin:end]
    bench.write_weights(kept, parts)
    bench.edit_config(vocab_size=4, bos_token_id=0, eos_token_id=0)
    tokenizer = json.loads((bench.model / "tokenizer.json").read_text())
    tokenizer |= {"added_tokens": [], "post_processor": None}
    tokenizer["model"] |= {"vocab": {"a": 0, "b": 1, "c": 2, "Ġ": 3}, "merges": []}
    (bench.model / "tokenizer.json").write_text(json.dumps(tokenizer))
    done = tributary(bench.binary, bench.folder, "inspect", "model", "--prompt", "a b c")
    assert done.returncode == 0, done.stderr
    table = done.stdout.split("next token\n")[1].splitlines()
    assert sorted(line.split()[1].split(":")[0] for line in table) == ["0", "1", "2", "3"]


def test_an_override_is_one_word(bench):
    """A '#' in a path begins no comment, which would name another file that is there."""
    other = bench.folder / "data"
    other.write_text("no pairs")
    folder = bench.folder / "data #1"
    folder.mkdir()
    shutil.copy(bench.pairs, folder / "p.jsonl")
    done = bench.run(f"pairs.file={folder}/p.jsonl")
    assert done.returncode == 0, done.stderr
    assert "write [5,10]" in bench.run("circuit.counts=5,10").stderr
