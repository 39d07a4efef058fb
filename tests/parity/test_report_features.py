# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Page, tables and summary of runs with features: alone, and beside neurons. Layers are the model's, whatever the place
of a dictionary in its list; features and errors say of which dictionary they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from browser import Opened, opened
from feature_cases import Stored
from feature_files import random_dictionary
from product import Results, read_results
from reference.sites import SiteModel
from report_page import chart, column, draw_all, of
from report_sweep import document_of, make_feature_sweep

# Two read one layer and one reads none of the first: a dictionary's place is not its layer.
DICTIONARIES = [("resid_post", 2), ("mlp_out", 1), ("resid_post", 1), ("z", 2)]
NAMES = {"neurons": "neuron", "features": "feature", "errors": "error"}


@dataclass
class Made:
    """A finished sweep, the document of its page and what its runs printed."""

    folder: Path
    document: dict
    printed: str

    def results(self, run: int) -> Results:
        name = of(self.document, "runs", run=run)[0]["name"]
        return read_results(self.folder / name / "results.h5")


@pytest.fixture(scope="module")
def made(binary, tiny_folder, tiny_model, tiny_pairs, tmp_path_factory) -> Made:
    """Runs 0 and 1 score features, 2 and 3 neurons besides."""
    folder = tmp_path_factory.mktemp("features")
    model, pairs = SiteModel(tiny_model("llama").model), tiny_pairs("llama", 10)
    items = []
    for i, (hook, layer) in enumerate(DICTIONARIES):
        items.append(Stored(random_dictionary(model, pairs, hook, layer, 40)).write(folder / f"sae_{i}"))
    out, printed = make_feature_sweep(binary, tiny_folder("llama"), folder, items)
    return Made(out, document_of(out / "report.html"), printed)


@pytest.fixture()
def shown(running: object, made: Made) -> Iterator[Opened]:
    with opened(running, made.folder / "report.html") as page:
        draw_all(page)
        yield page
        page.check()


def dictionaries_of(results: Results) -> list[str]:
    return [str(name) for name in results.attributes["/nodes/features"]["dictionaries"]]


def dictionary_of(results: Results, row: dict) -> int:
    """Its number, which stands before its name: what steering.nodes is to be given."""
    number, name = row["dictionary"].split(": ", 1)
    assert name == dictionaries_of(results)[int(number)]
    assert name.split()[1] == str(row["layer"])
    return int(number)


def score_of(results: Results, row: dict) -> float:
    """What results.h5 has of a row's node."""
    if row["kind"] == "neurons":
        return results["/attribution/scores"][row["layer"], row["position"], row["neuron"]]
    place = dictionary_of(results, row)
    if row["kind"] == "errors":
        return results["/nodes/errors/scores"][place, row["position"]]
    group = "/nodes/features/"
    names, values = ("dictionary", "position", "feature"), (place, row["position"], row["neuron"])
    (entry,) = np.flatnonzero(
        np.all([results[group + name] == value for name, value in zip(names, values, strict=True)], axis=0)
    )
    assert results[group + "layer"][entry] == row["layer"]
    return results[group + "score"][entry]


def test_first_nodes_have_layer_and_dictionary(made: Made) -> None:
    """Their scores are those of results.h5 at that place, and /top says the same."""
    for run in range(4):
        results, rows = made.results(run), of(made.document, "top", run=run)
        kinds = {"features", "errors"} | ({"neurons"} if run >= 2 else set())
        assert set(column(rows, "kind")) == kinds
        for row in rows:
            assert (row["dictionary"] is None) == (row["kind"] == "neurons")
            assert np.float32(row["score"]) == score_of(results, row)
            if row["kind"] == "neurons":
                assert results["/top/dictionary"][row["rank"] - 1] == -1
            else:
                assert results["/top/dictionary"][row["rank"] - 1] == dictionary_of(results, row)
            assert results["/top/layer"][row["rank"] - 1] == row["layer"]
            assert row["promotes"] and row["suppresses"] and row["clean_value"] is not None
        first = {row["rank"]: (row["kind"], row["layer"], row["dictionary"]) for row in rows}
        for row in of(made.document, "values", run=run):
            assert first[row["rank"]] == (row["kind"], row["layer"], row["dictionary"])


def test_heat_is_by_the_models_layer(made: Made) -> None:
    """Scores of features and errors lie in the layer that their dictionary reads."""
    layers = np.array([int(name.split()[1]) for name in dictionaries_of(made.results(0))])
    assert layers.tolist() == [1, 1, 2, 2]
    for run in range(4):
        results = made.results(run)
        positions = results["/nodes/errors/scores"].shape[1]
        expected = np.zeros((3, positions))
        np.add.at(expected, layers, np.abs(results["/nodes/errors/scores"]))
        group = "/nodes/features/"
        where = (results[group + "layer"], results[group + "position"])
        np.add.at(expected, where, np.abs(results[group + "score"]))
        if run >= 2:
            expected += np.abs(results["/attribution/scores"]).sum(-1)
        found = np.zeros_like(expected)
        for row in of(made.document, "heat", run=run):
            found[row["layer"], row["position"]] = row["magnitude"]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        rows = of(made.document, "layers", run=run)
        np.testing.assert_allclose(column(rows, "magnitude"), expected.sum(1), rtol=1e-5)
        # Dictionaries are not one a layer, so nothing of theirs is said of layers.
        told = {row["residual"] is not None or row["gap"] is not None for row in rows}
        assert told == {run >= 2}


def test_sampled_and_steered_nodes_have_their_own_dictionary(made: Made) -> None:
    """The number of the row is that which results.h5 has of it."""
    for run in range(4):
        results = made.results(run)
        stored = [int(place) for place in results["/steering/dictionary"] if place >= 0]
        rows = [row for row in of(made.document, "steered", run=run) if row["kind"] != "neurons"]
        assert [dictionary_of(results, row) for row in rows] == stored and stored
        for kind in ("features", "errors"):
            rows = of(made.document, "exact", run=run, kind=kind)
            stored = results[f"/nodes/{kind}/agreement/dictionary"].tolist()
            assert [dictionary_of(results, row) for row in rows] == stored and stored


@pytest.mark.parametrize("table", ["cases", "exact", "steered"])
def test_other_tables_name_dictionaries(made: Made, table: str) -> None:
    """With the layers of these."""
    for run in range(4):
        results = made.results(run)
        rows = of(made.document, table, run=run)
        kinds = set(column(rows, "kind"))
        assert kinds & {"features", "errors"} if table == "steered" else {"features", "errors"} <= kinds
        for row in rows:
            assert (row["dictionary"] is None) == (row["kind"] == "neurons")
            if row["kind"] != "neurons":
                dictionary_of(results, row)


def test_the_page_names_features(shown: Opened, made: Made) -> None:
    """Tables with a dictionary behind the index, rows of the values with its number, and no empty section."""
    for run in range(4):
        shown.page.select_option("#run", str(run))
        draw_all(shown)
        heads = shown.page.locator("#table-top thead button").all_inner_texts()
        assert heads[:3] == ["rank", "kind", "layer"] and heads[heads.index("index") + 1] == "dictionary"
        rows = {row["rank"]: row for row in of(made.document, "values", run=run)}
        ticks = shown.page.evaluate("() => document.getElementById('values').layout.yaxis.ticktext")
        for tick, row in zip(ticks, rows.values(), strict=True):
            index = "" if row["kind"] == "errors" else f"/{row['neuron']}"
            first = dictionary_of(made.results(run), row) if row["dictionary"] else row["layer"]
            assert tick == f"{NAMES[row['kind']]} {first}/{row['position']}{index}"
        for words, row in zip(chart(shown, "values")[0]["hover"], of(made.document, "values", run=run), strict=True):
            whole = f" of dictionary {row['dictionary']}" if row["dictionary"] else f"neuron {row['neuron']}"
            assert words.split("<br>")[0].endswith(f"{whole}</b>"), words
        axis = shown.page.locator("#values .xtitle").text_content()
        kinds = set(column(list(rows.values()), "kind"))
        assert axis == ("value or norm" if "errors" in kinds else "value") + " ÷ largest of the row"
    for title in shown.page.locator("main h2").all_inner_texts():
        section = shown.page.locator("main section", has=shown.page.locator("h2", has_text=title))
        assert section.locator("figure, table").count() > 0, title


def test_single_pages_open(running: object, made: Made) -> None:
    for run in of(made.document, "runs"):
        with opened(running, made.folder / run["name"] / "report.html") as one:
            draw_all(one)
            assert chart(one, "heat")
            one.check()


def test_the_summary_says_which_dictionaries(made: Made) -> None:
    """A node is kind:dictionary/position/index, and the dictionaries that occur are named below."""
    parts = re.split(r"^  rank  node .*\n", made.printed, flags=re.MULTILINE)[1:]
    assert len(parts) == 4
    for run, part in enumerate(parts):
        named = dictionaries_of(made.results(run))
        places = {int(place) for place in re.findall(r"^ +\d+  (?:features|errors):(\d+)/", part, re.MULTILINE)}
        assert places
        (line,) = re.findall(r"^  dictionaries \(the first number of features and errors\): (.*)$", part, re.MULTILINE)
        assert line == ", ".join(f"{place} is {named[place]}" for place in sorted(places))
