# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The charts of the report page in a browser: what they show is what the document says."""

from __future__ import annotations

from pathlib import Path

import pytest
import report_document
from browser import Opened, opened
from report_page import chart, column, draw_all, intervals, of, until, written


def check_intervals(trace: dict, values: list, ends: list[list]) -> None:
    """The intervals are carried as they are, and the bars' lengths reach to their ends."""
    assert trace["interval"] == ends
    lower, upper = ([None] * len(values) if trace[side] is None else trace[side] for side in ("lower", "upper"))
    for value, end, below, above in zip(values, ends, lower, upper, strict=True):
        if value is None or end[0] is None:  # too few resamples said anything
            assert below is None
        else:
            assert (value - below, value + above) == pytest.approx(end, abs=1e-12)


def check_run_charts(shown: Opened, document: dict, run: int) -> None:
    """The four charts of the run that is shown hold the document's numbers."""
    dots = {(x, y) for trace in chart(shown, "scatter") for x, y in zip(trace["x"], trace["y"], strict=True)}
    assert dots == {(row["exact"], row["score"]) for row in of(document, "exact", run=run)}
    names = column(of(document, "exact", run=run), "stratum")
    assert [trace["name"] for trace in chart(shown, "scatter")] == list(dict.fromkeys(names))

    (heat,) = chart(shown, "heat")
    cells = {
        (y, x): z for y, line in zip(heat["y"], heat["z"], strict=True) for x, z in zip(heat["x"], line, strict=True)
    }
    assert cells == {(row["layer"], row["position"]): row["magnitude"] for row in of(document, "heat", run=run)}

    layers = of(document, "layers", run=run)
    measured = [name for name in ("residual", "gap") if any(value is not None for value in column(layers, name))]
    for trace, name in zip(chart(shown, "layers"), ["magnitude", *measured, "evaluations"], strict=True):
        assert (trace["x"], trace["y"]) == (column(layers, "layer"), column(layers, name))

    steering = of(document, "steering", run=run)
    names = ["metric", "clean_probability", "patch_probability", "kl"]
    for trace, name in zip(chart(shown, "steering"), names, strict=True):
        assert (trace["x"], trace["y"]) == (column(steering, "factor"), column(steering, name))
    check_intervals(chart(shown, "steering")[0], column(steering, "metric"), intervals(steering, "metric"))


def test_data_charts_hold_the_documents_numbers(page: Opened, sweep: dict) -> None:
    draw_all(page)
    for data in (0, 1):
        runs = of(sweep, "runs", data=data)
        for measure in ("faithfulness", "completeness"):
            for trace, run in zip(chart(page, f"{measure}-{data}"), runs, strict=True):
                rows = of(sweep, "curve", run=run["run"])
                assert trace["name"] == run["method"]
                assert (trace["x"], trace["y"]) == (column(rows, "count"), column(rows, measure))
                check_intervals(trace, column(rows, measure), intervals(rows, measure))
        statistics = list(
            dict.fromkeys(row["statistic"] for run in runs for row in of(sweep, "agreement", run=run["run"]))
        )
        for trace, statistic in zip(chart(page, f"agreement-{data}"), statistics, strict=True):
            nothing = {"value": None, "low": None, "high": None}  # a top-k overlap of another k
            found = (of(sweep, "agreement", run=run["run"], statistic=statistic) for run in runs)
            rows = [one[0] if one else nothing for one in found]
            assert (trace["name"], trace["x"]) == (statistic, column(rows, "value"))
            assert trace["y"] == list(range(len(runs)))
            check_intervals(trace, column(rows, "value"), intervals(rows))
        for key in ("pearson", "spearman", "overlap"):
            page.page.check(f'input[name="methods-{data}"][value="{key}"]')
            (trace,) = chart(page, f"methods-{data}")
            for i, a in enumerate(runs):
                for j, b in enumerate(runs):
                    one, other = sorted((a["run"], b["run"]))
                    expected = 1 if i == j else of(sweep, "methods", run_a=one, run_b=other)[0][key]
                    assert trace["z"][i][j] == expected


def test_a_change_of_run_changes_its_charts(page: Opened, sweep: dict) -> None:
    draw_all(page)
    check_run_charts(page, sweep, 0)
    before = chart(page, "heat")
    for run in (3, 8):  # those that have input attribution
        page.page.select_option("#run", str(run))
        draw_all(page)
        check_run_charts(page, sweep, run)
        assert chart(page, "heat") != before
        tokens = page.page.locator("#inputs .tokens").first.locator(".token").all_inner_texts()
        first = of(sweep, "inputs", run=run)[0]["pair"]
        words = column(of(sweep, "inputs", run=run, pair=first), "token")
        assert tokens == [word.replace(" ", "·").replace("\n", "⏎") for word in words]
        assert "attribution" in page.page.locator("#provenance pre").text_content()


def test_a_single_run_has_no_choice_of_runs(running: object, tmp_path: Path) -> None:
    document = report_document.run_document()
    with opened(running, written(document, tmp_path)) as shown:
        draw_all(shown)
        check_run_charts(shown, document, 0)
        assert shown.page.locator("#run").count() == 0
        assert shown.page.locator(".notes").count() == 0
        assert shown.page.locator("h2").all_inner_texts() == [
            "How few nodes",
            "Agreement with exact patching",
            "The run in detail",
            "What was run",
        ]
        shown.check()


def test_markup_in_chart_texts_is_shown_as_it_is(running: object, tmp_path: Path) -> None:
    document = report_document.run_document()
    columns = {one["name"]: {c["name"]: c for c in one["columns"]} for one in document["tables"]}
    columns["runs"]["method"]["values"] = ["<b>relp</b> &amp; %{x}"]
    columns["tokens"]["position_name"]["values"][4] = "<i>box</i>"
    columns["exact"]["stratum"]["values"] = ["<a href='x'>", "other"] * 30
    with opened(running, written(document, tmp_path)) as shown:
        draw_all(shown)
        assert (
            shown.page.locator("#agreement-0, #agreement-1")
            .locator("g.ytick text, .yaxislayer-above text")
            .first.text_content()
            == "<b>relp</b> &amp; %{x}"
        )
        assert shown.page.locator("#heat .xtick text").last.text_content() == "<i>box</i> 4"
        assert shown.page.locator("#scatter .legendtext").first.text_content() == "<a href='x'>"
        assert shown.page.locator(".chart a").count() == 0
        shown.check()


def test_prompts_without_a_counterpart_and_positions_summed(running: object, tmp_path: Path) -> None:
    document = report_document.run_document()
    columns = {one["name"]: {c["name"]: c for c in one["columns"]} for one in document["tables"]}
    for name, key in [("pairs", "patch_prefix"), ("pairs", "patch_answer"), ("tokens", "counterfactual_token")]:
        columns[name][key]["values"] = [None] * len(columns[name][key]["values"])
    for name in ("top", "heat", "exact", "steered", "cases"):
        columns[name]["position"]["values"] = [-1] * len(columns[name]["position"]["values"])
    columns["top"]["position_name"]["values"] = [None] * len(columns["top"]["position_name"]["values"])
    with opened(running, written(document, tmp_path)) as shown:
        draw_all(shown)
        (heat,) = chart(shown, "heat")
        assert heat["x"] == [-1]
        assert "all positions" in heat["hover"][0][0]
        assert (
            shown.page.locator("#table-top thead").inner_text().split()
            == (
                "rank layer position neuron score logits standard error logits sign share value change promotes "
                "suppresses clean value counterfactual value share"
            ).split()
        )
        assert shown.page.locator("#table-steered tbody td").nth(1).inner_text() == "all"
        assert shown.page.locator("#inputs small").first.inner_text() == "pair 0: ·are"
        shown.check()


def test_hover_tells_values_with_names(page: Opened, sweep: dict) -> None:
    draw_all(page)
    row = of(sweep, "curve", run=4)[0]  # of the last run, which is drawn above the others
    point = page.page.locator("#faithfulness-0 .scatterlayer .trace").last.locator(".point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = page.page.locator("#faithfulness-0 .hovertext")
    label.wait_for()
    text = label.text_content()
    for part in (
        "|Δ|",
        "1 node",
        f"faithfulness {row['faithfulness']:#.4g}".replace("-", "−"),
        f"{row['faithfulness_high']:.4g}",
    ):
        assert part in text


def test_a_curve_switched_off_is_off_in_both_charts(page: Opened) -> None:
    draw_all(page)
    page.page.locator("#faithfulness-0 .legendtoggle").nth(1).click()
    seen = "id => document.getElementById(id).data.map(trace => trace.visible ?? true)"
    # Plotly waits for a second click before it takes the first for one.
    until(lambda: page.page.evaluate(seen, "completeness-0") == [True, "legendonly", True, True, True])
    assert page.page.evaluate(seen, "faithfulness-0") == [True, "legendonly", True, True, True]
    assert page.page.evaluate(seen, "faithfulness-1") == [True] * 5
    page.page.emulate_media(color_scheme="dark")
    draw_all(page)
    assert page.page.evaluate(seen, "completeness-0") == [True, "legendonly", True, True, True]


def test_a_method_looks_the_same_everywhere(page: Opened) -> None:
    draw_all(page)
    looks = page.page.evaluate(
        """() => ["faithfulness-0", "completeness-0", "faithfulness-1"].map(id => document.getElementById(id).data.map(
             trace => [trace.name, trace.line.color, trace.line.dash, trace.marker.symbol]))"""
    )
    assert looks[0] == looks[1] == looks[2]
    for part in (1, 2, 3):
        assert len({look[part] for look in looks[0]}) == 5
    dots = page.page.evaluate("() => document.getElementById('agreement-1').data.map(trace => trace.marker)")
    for marker in dots:
        assert marker["color"] == [look[1] for look in looks[0]]
        assert marker["symbol"] == [look[3] for look in looks[0]]


def test_a_stratum_looks_the_same_everywhere(running: object, tmp_path: Path) -> None:
    """In charts of different kinds, whichever stratum comes first there and whether or not it has them all."""
    document = report_document.run_document()
    columns = {one["name"]: {c["name"]: c for c in one["columns"]} for one in document["tables"]}
    strata = ["random", "top", "top and random"] * 10 + ["top and random", "random", "another"] * 10
    columns["exact"]["stratum"]["values"] = strata
    columns["exact"]["kind"]["values"] = ["heads"] * 30 + ["mlps"] * 30
    with opened(running, written(document, tmp_path)) as shown:
        draw_all(shown)
        read = "id => document.getElementById(id).data.map(one => [one.name, [one.marker.color, one.marker.symbol]])"
        heads, mlps = (dict(shown.page.evaluate(read, f"scatter-{kind}")) for kind in ("heads", "mlps"))
        assert set(heads) == {"random", "top", "top and random"} and set(mlps) == {
            "top and random",
            "random",
            "another",
        }
        assert all(mlps[name] == heads[name] for name in ("random", "top and random"))
        assert len({str(look) for look in (heads | mlps).values()}) == 4
        shown.check()
