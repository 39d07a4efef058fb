# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""MIB's data sets as pairs files: rows as the Hub has them, made by hand, and what is wrong with others."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "mib_pairs.py"

IOI = {
    "template": "{name_A} saw {name_B} when {name_C} gave a {object} to",
    "metadata": {"indirect_object": "Ada", "subject": "Bob", "random_c": "Cyrus", "object": "cup", "place": "-"},
    "prompt": "Bob saw Ada when Bob gave a cup to",
    "choices": ["Ada", "Bob"],
    "answerKey": 0,
    "abc_counterfactual": {"prompt": "Bob saw Ada when Cyrus gave a cup to", "choices": ["Ada"], "answerKey": -1},
    "s2_io_flip_counterfactual": {
        "prompt": "Bob saw Ada when Ada gave a cup to",
        "choices": ["Ada", "Bob"],
        "answerKey": 1,
    },
}
MCQA = {
    "prompt": "A hat is red.\nA. blue\nB. red\nAnswer:",
    "choices": {"label": ["A", "B"], "text": ["blue", "red"]},
    "answerKey": 1,
    "symbol_counterfactual": {
        "prompt": "A hat is red.\n1. blue\n2. red\nAnswer:",
        "choices": {"label": [1, 2], "text": ["blue", "red"]},
        "answerKey": 1,
    },
    "noun_counterfactual": {
        "prompt": "A cap is red.\nA. blue\nB. red\nAnswer:",
        "choices": {"label": ["A", "B"], "text": ["blue", "red"]},
        "answerKey": 1,
    },
}
SUM = {
    "prompt": "Q: How much is 5 plus 6? A: ",
    "label": "11",
    "operator": "+",
    "num_digit": 1,
    "random_counterfactual": {"prompt": "Q: How much is 2 plus 1? A: ", "label": 3, "operand1": 2, "operand2": 1},
}


def changed(row: dict, value: object, *keys: str) -> dict:
    """The row with another value at row[key][key]…; ... takes the key away."""
    new = copy.deepcopy(row)
    inner = new
    for key in keys[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[keys[-1]]
    else:
        inner[keys[-1]] = value
    return new


def write(file: Path, rows: list) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(TOOL), *map(str, words)], capture_output=True, text=True, check=False)


def made(paths: Path, task: str, *more: object) -> tuple[list[dict], str]:
    """Pairs, and what was said."""
    out = (paths if paths.is_dir() else paths.parent) / "made.out"
    done = run(paths, "--task", task, "--out", out, *more)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in out.read_text().splitlines()], done.stdout


def refused(file: Path, task: str, *more: object) -> str:
    """Exit 2, one message, nothing written."""
    out = file.parent / "made.out"
    done = run(file, "--task", task, "--out", out, *more)
    assert done.returncode == 2 and not out.exists(), (done.returncode, done.stderr)
    return done.stderr


@pytest.fixture()
def tokenizer(tmp_path) -> Path:
    """Words of the rows are one token each, other texts one a letter; a token of its own stands before every prompt."""
    words = [f" {name}" for name in ("Ada", "Bob", "Eve")] + ["A", "B", "1", "2", "11", "3"]
    letters = sorted({letter for word in words for letter in word} | set("Cyrus 0456789"))
    vocabulary = {text: index for index, text in enumerate(dict.fromkeys(letters + words))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=" ", continuing_subword_prefix=""))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=" ", prepend_scheme="never", split=True)
    tokenizer.post_processor = processors.TemplateProcessing(single="A $A", special_tokens=[("A", vocabulary["A"])])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def test_ioi(tmp_path):
    """The metric is the indirect object against the subject, whatever the counterfactual."""
    other = changed(IOI, "Ada saw Bob when Bob gave a cup to", "prompt")
    file = write(tmp_path / "train.jsonl", [IOI, other])
    pairs, said = made(file, "ioi")
    assert pairs[0] == {
        "clean_prefix": "Bob saw Ada when Bob gave a cup to",
        "patch_prefix": "Bob saw Ada when Ada gave a cup to",
        "clean_answer": " Ada",
        "patch_answer": " Bob",
        "case": "BAB",
    }
    assert pairs[1]["case"] == "ABB" and "2 pairs" in said
    prefix = changed(changed(IOI, "Anna saw Ann when Anna gave a cup to", "prompt"), "Anna", "metadata", "subject")
    (pair,), _ = made(write(tmp_path / "prefix.jsonl", [changed(prefix, "Ann", "metadata", "indirect_object")]), "ioi")
    assert pair["case"] == "BAB"
    for name in ("abc", "abc_counterfactual"):
        (pair, _), _ = made(file, "ioi", "--counterfactual", name)
        assert pair["patch_prefix"] == "Bob saw Ada when Cyrus gave a cup to" and pair["patch_answer"] == " Bob"
    assert len(made(file, "ioi", "--limit", 1)[0]) == 1


def test_mcqa(tmp_path):
    """Labels, also numbers, without a space as MIB compares them; counterfactuals with the same answer are left out."""
    file = write(tmp_path / "rows.jsonl", [MCQA])
    (pair,), _ = made(file, "mcqa")
    assert (pair["clean_answer"], pair["patch_answer"], pair["case"]) == ("B", "2", "B")
    assert pair["patch_prefix"] == MCQA["symbol_counterfactual"]["prompt"]
    (pair,), _ = made(file, "mcqa", "--spaced")
    assert (pair["clean_answer"], pair["patch_answer"]) == (" B", " 2")
    (tmp_path / "made.out").unlink()
    assert "left out: 1, two answers that are the same" in refused(file, "mcqa", "--counterfactual", "noun")


def test_spaced_labels_of_other_lengths(tmp_path, tokenizer):
    """Where " B" is a token and " 2" is two, pairs with spaces are left out, and those without are not."""
    words = json.loads(tokenizer.read_text())
    words["model"]["vocab"][" B"] = len(words["model"]["vocab"])
    tokenizer.write_text(json.dumps(words))
    file = write(tmp_path / "rows.jsonl", [MCQA])
    left_out = refused(file, "mcqa", "--spaced", "--tokenizer", tokenizer)
    assert "left out: 1, labels of different token lengths" in left_out
    assert len(made(file, "mcqa", "--tokenizer", tokenizer)[0]) == 1


def test_arithmetic(tmp_path):
    """Other operators and rows without a counterfactual are left out."""
    none = [changed(SUM, None, "random_counterfactual"), changed(SUM, None, "random_counterfactual", "prompt")]
    minus = changed(SUM, "-", "operator")
    file = write(tmp_path / "rows.jsonl", [*none, minus, SUM])
    (pair,), said = made(file, "arithmetic-addition")
    assert (pair["clean_answer"], pair["patch_answer"], pair["case"]) == ("11", "3", "1-digit")
    assert pair["clean_prefix"].endswith("A: ")
    assert "left out: 2, no counterfactual" in said and "left out: 1, operator other than +" in said
    (pair,), _ = made(file, "arithmetic-subtraction")
    assert pair["clean_answer"] == "11"


def test_filters_by_token_length(tmp_path, tokenizer):
    """Names of different lengths (random_c among them), labels of different lengths, results of several tokens."""
    even = changed(IOI, "Eve", "metadata", "random_c")
    file = write(tmp_path / "ioi.jsonl", [IOI, even])
    assert len(made(file, "ioi")[0]) == 2
    pairs, said = made(file, "ioi", "--tokenizer", tokenizer)
    assert len(pairs) == 1 and "left out: 1, names of different token lengths" in said
    long = changed(MCQA, ["A", "BA"], "choices", "label")
    pairs, said = made(write(tmp_path / "mcqa.jsonl", [long, MCQA]), "mcqa", "--tokenizer", tokenizer)
    assert len(pairs) == 1 and "left out: 1, labels of different token lengths" in said
    long = changed(SUM, 456, "random_counterfactual", "label")
    pairs, said = made(write(tmp_path / "sum.jsonl", [SUM, long]), "arithmetic-addition", "--tokenizer", tokenizer)
    assert len(pairs) == 1 and "left out: 1, results that are not one token" in said


def test_files_and_splits(tmp_path):
    """JSON and JSON lines; of a folder one split, and of MCQA's the configuration of four choices."""
    (tmp_path / "list.json").write_text(json.dumps([IOI, IOI], indent=1))
    assert len(made(tmp_path / "list.json", "ioi")[0]) == 2
    hub = tmp_path / "hub"
    write(hub / "data" / "train-00000-of-00002.jsonl", [IOI])
    write(hub / "data" / "train-00001-of-00002.jsonl", [IOI])
    write(hub / "data" / "dev.json", [IOI])
    (hub / "README.md").write_text("no rows")
    assert len(made(hub, "ioi", "--split", "train")[0]) == 2
    assert len(made(hub, "ioi", "--split", "validation")[0]) == 1
    for more, words in (((), ("several splits", "train", "validation")), (("--split", "test"), ("split test", "dev"))):
        done = run(hub, "--task", "ioi", "--out", tmp_path / "no.out", *more)
        assert done.returncode == 2 and all(word in done.stderr for word in (*words, "--split")), done.stderr
    choices = tmp_path / "choices"
    write(choices / "4_answer_choices" / "train.jsonl", [MCQA])
    write(choices / "2_answer_choices" / "train.jsonl", [MCQA, MCQA])
    assert len(made(choices, "mcqa")[0]) == 1


def test_parquet(tmp_path):
    """Read by pyarrow where it is installed; where it is not, the message says what to do."""
    file = tmp_path / "train-00000-of-00001.parquet"
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        file.write_bytes(b"PAR1")
        assert all(word in refused(file, "ioi") for word in (str(file), "pyarrow", "pip install pyarrow"))
        return
    parquet.write_table(pyarrow.Table.from_pylist([IOI]), file)
    assert made(file, "ioi")[0][0]["clean_answer"] == " Ada"


@pytest.mark.parametrize(
    ("task", "row", "words"),
    [
        (
            "ioi",
            changed(IOI, ..., "s2_io_flip_counterfactual"),
            ("s2_io_flip_counterfactual", "--counterfactual", "abc"),
        ),
        ("ioi", changed(IOI, ..., "metadata"), ("metadata", "prompt", "--task")),
        ("ioi", changed(IOI, ..., "metadata", "subject"), ("metadata['subject']", "indirect_object")),
        ("ioi", changed(IOI, "", "prompt"), ("prompt is ''", "text")),
        ("ioi", changed(IOI, "Eve", "metadata", "subject"), ("does not name Eve",)),
        ("ioi", MCQA, ("metadata", "--task")),
        ("mcqa", changed(MCQA, 2, "answerKey"), ("answerKey is 2", "2 choices")),
        ("mcqa", changed(MCQA, -1, "symbol_counterfactual", "answerKey"), ("symbol_counterfactual.answerKey is -1",)),
        ("mcqa", changed(MCQA, None, "symbol_counterfactual"), ("symbol_counterfactual['choices']", "None")),
        ("mcqa", changed(MCQA, None, "choices", "label"), ("choices.label is None", "a list")),
        ("mcqa", changed(MCQA, "A", "choices", "label"), ("choices.label is 'A'", "a list")),
        ("mcqa", changed(MCQA, 3, "symbol_counterfactual", "choices", "label"), ("choices.label is 3", "a list")),
        ("mcqa", IOI, ("symbol_counterfactual", "s2_io_flip")),
        ("arithmetic-addition", changed(SUM, ..., "operator"), ("operator", "--task")),
        ("arithmetic-addition", [1], ("not a row",)),
    ],
)
def test_bad_rows(tmp_path, task, row, words):
    """File, row, what is wrong and what to do."""
    good = {"ioi": IOI, "mcqa": MCQA, "arithmetic-addition": SUM}[task]
    said = refused(write(tmp_path / "rows.jsonl", [good, row]), task)
    assert said.startswith(f"{tmp_path / 'rows.jsonl'}:2: ") and said.count("\n") == 1
    assert all(word in said for word in words), said


def test_bad_files(tmp_path):
    """Not there, of another kind, cut off, a pointer, empty, and many problems at once."""
    cut = write(tmp_path / "cut.jsonl", [IOI])
    cut.write_text(cut.read_text() + '{"prompt": "Bo')
    pointer = tmp_path / "train.json"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    latin = tmp_path / "latin.json"
    latin.write_bytes(b"[\xe9]")
    (tmp_path / "rows.csv").write_text("a,b\n")
    (tmp_path / "list.json").write_text("[{]")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "deep.jsonl").write_text('{"a": ' + "[" * 100_000)
    for file, words in (
        ("none.jsonl", ("no such file", "hf download")),
        ("rows.csv", (".parquet", "does not end")),
        ("cut.jsonl", ("cut.jsonl:2: not JSON",)),
        ("list.json", ("list.json:1: not JSON",)),
        ("deep.json", ("brackets",)),
        ("deep.jsonl", ("deep.jsonl:1: ", "brackets")),
        ("train.json", ("pointer", "hf download")),
        ("latin.json", ("cannot be read as text",)),
    ):
        said = refused(tmp_path / file, "ioi")
        assert said.startswith(str(tmp_path / file)) and all(word in said for word in words), said
    assert "it is empty" in refused(write(tmp_path / "empty.jsonl", []), "ioi")
    rows = write(tmp_path / "rows.jsonl", [IOI])
    done = run(rows, "--task", "ioi", "--out", tmp_path)
    assert done.returncode == 2 and done.stderr.startswith(f"{tmp_path}: it cannot be written"), done.stderr
    long = refused(write(tmp_path / "long.jsonl", [changed(IOI, ["x"] * 1000, "prompt")]), "ioi")
    assert len(long) < 500
    said = refused(write(tmp_path / "many.jsonl", [changed(IOI, "", "prompt")] * 30), "ioi")
    assert len(said.splitlines()) == 11 and "and 20 more" in said
    for more in (("--limit", 0), ("--spaced",), ("--counterfactual", "s9"), ("--tokenizer", tmp_path / "no.json")):
        done = run(write(tmp_path / "rows.jsonl", [IOI]), "--task", "ioi", "--out", tmp_path / "no.out", *more)
        assert done.returncode == 2 and done.stderr, more


def test_the_pairs_in_experiments(tmp_path):
    """What the tools make of their lists, with and without MIB's filter; no name is in both files."""
    pairs = ROOT / "experiments" / "pairs"
    tokenizers = [ROOT / "models" / name / "tokenizer.json" for name in ("smollm2-135m", "gemma-3-270m")]
    there = [file for file in tokenizers if file.is_file()]
    if not there:
        pytest.skip("no demo model: tools/fetch_model.py makes it")
    words = [sys.executable, ROOT / "tools" / "make_mib_prompts.py", "--out", tmp_path, "--rows", tmp_path / "rows"]
    subprocess.run(words, check=True, capture_output=True)
    for name in ("mib_ioi_train", "mib_ioi_test", "mib_mcqa_train", "mib_mcqa_test"):
        assert (tmp_path / f"{name}.jsonl").read_bytes() == (pairs / f"{name}.jsonl").read_bytes(), name
    filtered, _ = made(tmp_path / "rows" / "ioi", "ioi", "--split", "train", "--tokenizer", there[0])
    assert filtered == [json.loads(line) for line in (pairs / "mib_ioi_train.jsonl").read_text().splitlines()]
    test = [json.loads(line) for line in (pairs / "mib_ioi_test.jsonl").read_text().splitlines()]
    names = [{pair[key] for pair in two for key in ("clean_answer", "patch_answer")} for two in (filtered, test)]
    assert not names[0] & names[1]
    assert [pair["case"] for pair in filtered].count("BAB") == 30
