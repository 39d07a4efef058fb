#!/usr/bin/env python3
# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Make a pairs file of one of MIB's data sets (Mueller et al. 2025), from its files as they lie on the Hub.

    hf download mib-bench/ioi --repo-type dataset --local-dir mib-ioi
    tools/mib_pairs.py mib-ioi --task ioi --split train --limit 1000 --out ioi_train.jsonl

task         data set on the Hub                      counterfactual          clean answer         patch answer
ioi          mib-bench/ioi                            s2_io_flip              " " + indirect       " " + subject
                                                                              object
mcqa         mib-bench/copycolors_mcqa, its folder    symbol                  label of the right   the same of the
             4_answer_choices                                                 choice               counterfactual
arithmetic-  mib-bench/arithmetic_addition,           random                  label                label of the
addition, …  mib-bench/arithmetic_subtraction                                                      counterfactual

MIB's metric is the logit of the clean answer's first token minus that of the patch answer's first token, at the last
position of the prompt: `metric: logit-difference` with `pairs: {answer: first-token}`. Answers of mcqa are written
without a space, as MIB's code compares them, with `answer: alone` whatever the tokenizer makes of "Answer:A"; --spaced
writes " A" instead of "A". Where a tokenizer makes two tokens of " 1" no such pair can be used: --tokenizer leaves them
out.

Rows that MIB's code leaves out are left out here. What depends on no model: arithmetic with another operator or
without its random counterfactual. With --tokenizer, what depends on one: names (indirect object, subject and random_c)
or labels of different token lengths, results of an addition that are not one token. MIB leaves out no row because the
model errs on it; `pairs.correct_only: true` in a sweep file does.

Files are parquet (pyarrow reads it: pip install pyarrow), JSON (a list of rows) or JSON lines. Of a folder the files
are taken whose names begin with the split's. Exit 2: something is wrong with a file, and which row.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "validation", "test")
ENDINGS = (".parquet", ".jsonl", ".json")
MCQA_FOLDER = "4_answer_choices"  # the configuration of four choices, which MIB uses; others lie beside it
SHOWN = 10  # problems printed before the rest is counted

Row = dict
Lengths = Callable[[str], int]  # how many tokens a text is, by itself


class Problem(Exception):
    """Something wrong with a file or a row: what, why, and what to do."""


class LeftOut(Exception):
    """Why a row makes no pair, as MIB's code or the metric has it."""


@dataclass(frozen=True)
class Task:
    """A row of the table above."""

    counterfactual: str
    make: Callable[[Row, str, Lengths | None], dict[str, str]]


def shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def at(row: Row, *keys: str | int) -> object:
    """row[key][key]…, or a Problem that names the first key that is not there."""
    value: object = row
    for depth, key in enumerate(keys):
        try:
            value = value[key]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            name = "".join(f"[{k!r}]" if i else str(k) for i, k in enumerate(keys[: depth + 1]))
            there = ", ".join(map(str, value)) if isinstance(value, dict) else f"{value!r}"
            raise Problem(
                f"no {name}, which this task is made of (there is: {shortened(there)}); is --task right?"
            ) from None
    return value


def text_at(row: Row, *keys: str | int) -> str:
    """The same, a text that is not empty."""
    value = at(row, *keys)
    name = "".join(f"[{k!r}]" if i else str(k) for i, k in enumerate(keys))
    if not isinstance(value, str) or not value.strip():
        raise Problem(f"{name} is {shortened(repr(value))}, and a text is needed; is the file as the Hub has it?")
    return value


def counterfactual_of(row: Row, name: str) -> Row:
    """What stands in a counterfactual's column."""
    if name not in row:
        there = [column.removesuffix("_counterfactual") for column in row if column.endswith("_counterfactual")]
        ask = f"--counterfactual may be {', '.join(there)}" if there else "no column of it ends with _counterfactual"
        raise Problem(f"no column {name}, so there is no second prompt; {ask}")
    return at(row, name)  # type: ignore[return-value]


def chosen_label(row: Row, *where: str) -> str:
    """The label of the right choice; those of the symbol counterfactual are numbers."""
    labels, key = at(row, *where, "choices", "label"), at(row, *where, "answerKey")
    if not isinstance(labels, list):
        name = "".join(f"{w}." for w in where) + "choices.label"
        raise Problem(f"{name} is {shortened(repr(labels))}, and a list is needed; is the file as the Hub has it?")
    if isinstance(key, bool) or not isinstance(key, int) or not 0 <= key < len(labels):
        name = "".join(f"{w}." for w in where) + "answerKey"
        raise Problem(f"{name} is {shortened(repr(key))}, and there are {len(labels)} choices; it counts them from 0")
    return str(labels[key]).strip()


def same_lengths(texts: list[str], lengths: Lengths | None, what: str) -> None:
    if lengths is not None and len({lengths(text) for text in texts}) > 1:
        raise LeftOut(f"{what} of different token lengths")


def ioi(row: Row, counterfactual: str, lengths: Lengths | None) -> dict[str, str]:
    """`case` is the order of the names: BAB where the subject stands first, ABB where the indirect object does."""
    indirect, subject = (text_at(row, "metadata", key) for key in ("indirect_object", "subject"))
    prompt = text_at(row, "prompt")
    other = text_at(counterfactual_of(row, counterfactual), "prompt")
    if lengths is not None:
        same_lengths(
            [f" {name}" for name in (indirect, subject, text_at(row, "metadata", "random_c"))], lengths, "names"
        )
    mentions = [re.search(rf"\b{re.escape(name)}\b", prompt) for name in (subject, indirect)]
    if None in mentions:
        raise Problem(
            f"prompt {prompt!r} does not name {subject} and {indirect}, which metadata has as subject and "
            "indirect object; is the file as the Hub has it?"
        )
    places = [mention.start() for mention in mentions]
    return pair_of(prompt, other, f" {indirect}", f" {subject}", "BAB" if places[0] < places[1] else "ABB")


def mcqa(row: Row, counterfactual: str, lengths: Lengths | None) -> dict[str, str]:
    """`case` is the right label."""
    other = counterfactual_of(row, counterfactual)
    labels = [chosen_label(row), chosen_label(row, counterfactual)]
    same_lengths(labels, lengths, "labels")
    return pair_of(text_at(row, "prompt"), text_at(other, "prompt"), *labels, labels[0])


def arithmetic(operator: str) -> Callable[[Row, str, Lengths | None], dict[str, str]]:
    """`case` is how many digits the operands have."""

    def make(row: Row, counterfactual: str, lengths: Lengths | None) -> dict[str, str]:
        if at(row, "operator") != operator:
            raise LeftOut(f"operator other than {operator}")
        other = counterfactual_of(row, counterfactual)
        if other is None or at(other, "prompt") is None:
            raise LeftOut("no counterfactual")
        results = [str(at(row, "label")), str(at(other, "label"))]
        if lengths is not None and any(lengths(result) != 1 for result in results):
            raise LeftOut("results that are not one token")
        case = f"{at(row, 'num_digit')}-digit"
        return pair_of(text_at(row, "prompt"), text_at(other, "prompt"), *results, case)

    return make


TASKS = {
    "ioi": Task("s2_io_flip", ioi),
    "mcqa": Task("symbol", mcqa),
    "arithmetic-addition": Task("random", arithmetic("+")),
    "arithmetic-subtraction": Task("random", arithmetic("-")),
}


def pair_of(prompt: str, other: str, answer: str, other_answer: str, case: str) -> dict[str, str]:
    if prompt == other:
        raise LeftOut("counterfactuals that are the prompt itself")
    if answer == other_answer:
        raise LeftOut("two answers that are the same: the metric is 0")
    return {
        "clean_prefix": prompt,
        "patch_prefix": other,
        "clean_answer": answer,
        "patch_answer": other_answer,
        "case": case,
    }


def rows_of(file: Path) -> Iterator[tuple[int, object]]:
    """Rows with their numbers, from 1: of JSON lines that of the line."""
    if file.suffix == ".parquet":
        try:
            import pyarrow.parquet as parquet
        except ImportError:
            raise Problem(
                f"{file}: parquet is read by pyarrow, which is not installed: pip install pyarrow; or give the rows as "
                "JSON lines (datasets.load_dataset(…).to_json)"
            ) from None
        try:
            rows: list = parquet.read_table(file).to_pylist()
        except Exception as error:  # pyarrow has its own classes for whatever a file may lack
            raise Problem(f"{file}: pyarrow cannot read it ({error}); is the download complete?") from None
        yield from enumerate(rows, start=1)
        return
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{file}: it cannot be read as text ({error})") from None
    if text.startswith("version https://git-lfs"):
        raise Problem(f"{file}: it is a pointer to a file that was not downloaded; hf download brings the file itself")
    if text.lstrip().startswith("["):
        try:
            yield from enumerate(json.loads(text), start=1)
        except RecursionError:
            raise Problem(f"{file}: not rows (brackets within brackets); is the download complete?") from None
        except json.JSONDecodeError as error:
            raise Problem(f"{file}:{error.lineno}: not JSON ({error.msg}); is the download complete?") from None
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except RecursionError:
                raise Problem(f"{file}:{number}: not a row (brackets within brackets); is it complete?") from None
            except json.JSONDecodeError as error:
                raise Problem(f"{file}:{number}: not JSON ({error.msg}); is the download complete?") from None


def split_of(file: Path) -> str | None:
    """train-00000-of-00001.parquet is of train; MIB's own files call validation dev in places."""
    name = file.name.replace("dev", "validation", 1) if file.name.startswith("dev") else file.name
    return next((split for split in SPLITS if name.startswith(split)), None)


def files_of(paths: list[Path], split: str | None, task: str) -> list[Path]:
    """The files to read, in order of their names."""
    found = []
    for path in paths:
        if path.is_dir():
            inside = [file for file in sorted(path.rglob("*")) if file.suffix in ENDINGS and split_of(file)]
            if task == "mcqa" and any(MCQA_FOLDER in file.parts for file in inside):
                inside = [file for file in inside if MCQA_FOLDER in file.parts]
            if not inside:
                raise Problem(
                    f"{path}: no file named after a split ({', '.join(SPLITS)}) with {', '.join(ENDINGS)}; "
                    "give the files themselves"
                )
            found += inside
        elif path.is_file() and path.suffix in ENDINGS:
            found.append(path)
        else:
            why = f"its name does not end with {', '.join(ENDINGS)}" if path.is_file() else "no such file or folder"
            raise Problem(f"{path}: {why}; hf download mib-bench/… --repo-type dataset brings the data sets")
    if split is not None:
        chosen = [file for file in found if split_of(file) == split]
        if not chosen:
            raise Problem(
                f"{paths[0]}: no file of the split {split} (there is: "
                f"{', '.join(file.name for file in found)}); --split chooses by the beginning of names"
            )
        return chosen
    splits = sorted({str(split_of(file)) for file in found})
    if len(splits) > 1:
        raise Problem(
            f"{paths[0]}: files of several splits ({', '.join(splits)}), which would be mixed; choose with --split"
        )
    return found


def convert(
    files: list[Path],
    task: str,
    counterfactual: str | None = None,
    limit: int | None = None,
    lengths: Lengths | None = None,
) -> tuple[list[dict[str, str]], Counter[str], list[str]]:
    """Pairs, how many rows were left out for which reason, and problems with their places."""
    name = (counterfactual or TASKS[task].counterfactual).removesuffix("_counterfactual") + "_counterfactual"
    pairs: list[dict[str, str]] = []
    left_out: Counter[str] = Counter()
    problems = []
    for file in files:
        for number, row in rows_of(file):
            if limit is not None and len(pairs) == limit:
                return pairs, left_out, problems
            try:
                if not isinstance(row, dict):
                    raise Problem("not a row of named columns; is the file as the Hub has it?")
                pairs.append(TASKS[task].make(row, name, lengths))
            except LeftOut as reason:
                left_out[str(reason)] += 1
            except Problem as problem:
                problems.append(f"{file}:{number}: {problem}")
    return pairs, left_out, problems


def lengths_by(file: Path, before: str = "") -> Lengths:
    """Token lengths of texts by themselves, with this in front of each, without what stands before a prompt."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise Problem("--tokenizer needs the package tokenizers: pip install tokenizers, or leave it out") from None
    if not file.is_file():
        raise Problem(f"{file}: no such file; --tokenizer wants the tokenizer.json of a model's folder")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the package has no class of its own for a bad file
        raise Problem(f"{file}: not a tokenizer.json ({error})") from None
    return lambda text: len(tokenizer.encode(before + text, add_special_tokens=False).ids)


def parsed(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH", help="files, or folders as hf download makes them"
    )
    parser.add_argument("--task", choices=sorted(TASKS), required=True)
    parser.add_argument("--counterfactual", metavar="NAME", help="column, without _counterfactual (default: MIB's)")
    parser.add_argument("--split", choices=SPLITS, help="of a folder's files, those whose names begin with it")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="the first N pairs (MIB: 1000 for ioi, 100 for arithmetic)"
    )
    parser.add_argument(
        "--tokenizer", type=Path, metavar="FILE", help="tokenizer.json of the model: MIB's filter by length"
    )
    parser.add_argument("--spaced", action="store_true", help='mcqa: answers with their space, " A" instead of "A"')
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="pairs file to write")
    arguments = parser.parse_args(words)
    if arguments.limit is not None and arguments.limit < 1:
        parser.error("--limit must be at least 1")
    if arguments.spaced and arguments.task != "mcqa":
        parser.error("--spaced is for mcqa: names have their space, and prompts of arithmetic end with one")
    return arguments


def main(words: list[str] | None = None) -> int:
    arguments = parsed(words)
    try:
        lengths = lengths_by(arguments.tokenizer, " " if arguments.spaced else "") if arguments.tokenizer else None
        files = files_of(arguments.paths, arguments.split, arguments.task)
        pairs, left_out, problems = convert(files, arguments.task, arguments.counterfactual, arguments.limit, lengths)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 2
    if problems:
        more = [f"… and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        print("\n".join(problems[:SHOWN] + more), file=sys.stderr)
        return 2
    reasons = "".join(f"; left out: {count}, {reason}" for reason, count in sorted(left_out.items()))
    if not pairs:
        print(f"{files[0]}: no row makes a pair{reasons or ', it is empty'}", file=sys.stderr)
        return 2
    if arguments.spaced:
        for pair in pairs:
            pair |= {key: " " + pair[key] for key in ("clean_answer", "patch_answer")}
    text = "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs)
    try:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"{arguments.out}: it cannot be written ({error.strerror}); --out names a file", file=sys.stderr)
        return 2
    print(f"{arguments.out}: {len(pairs)} pairs{reasons}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
