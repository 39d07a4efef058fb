# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The report page in a browser: what it shows is what the document says, and it asks for nothing beside itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import report_document
from browser import Opened, browser, opened
from report_document import table

PER_DATA = ["faithfulness", "completeness", "agreement", "methods"]
PER_RUN = ["scatter", "heat", "layers", "steering"]

# What the chart holds, without Plotly's own additions; texts as they are shown.
READ_CHART = """id => document.getElementById(id).data.map(trace => ({
  name: trace.name, x: trace.x, y: trace.y, z: trace.z, interval: trace.customdata, hover: trace.hovertext,
  upper: (trace.error_x ?? trace.error_y)?.array, lower: (trace.error_x ?? trace.error_y)?.arrayminus}))"""

# Every text node's colour against the first opaque background below it. Colours are painted to learn their bytes:
# computed styles name them in several notations.
CONTRASTS = """selector => {
  const brush = Object.assign(document.createElement("canvas"), {width: 1, height: 1})
    .getContext("2d", {willReadFrequently: true});
  const bytes = colour => {
    brush.clearRect(0, 0, 1, 1); brush.fillStyle = colour; brush.fillRect(0, 0, 1, 1);
    return [...brush.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = bytes(getComputedStyle(node).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  return [...document.querySelectorAll(selector)].filter(node => node.textContent.trim()).map(node => {
    const style = getComputedStyle(node);
    const front = bytes(node instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(front), light(behind(node))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.textContent.slice(0, 40)];
  });
}"""


@pytest.fixture(scope="module")
def running() -> Iterator[object]:
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def sweep() -> dict:
    return report_document.sweep_document()


@pytest.fixture(scope="module")
def sweep_file(sweep: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(sweep, tmp_path_factory.mktemp("sweep"))


@pytest.fixture()
def page(running: object, sweep_file: Path) -> Iterator[Opened]:
    with opened(running, sweep_file) as shown:
        yield shown
        shown.check()


def written(document: dict, folder: Path) -> Path:
    file = folder / "report.html"
    file.write_text(report_document.assemble(document), encoding="utf-8")
    return file


def draw_all(shown: Opened) -> None:
    shown.page.evaluate("tributary.drawAll()")


def chart(shown: Opened, name: str) -> list[dict]:
    return shown.page.evaluate(READ_CHART, name)


def of(document: dict, name: str, **keys: object) -> list[dict]:
    return [row for row in table(document, name) if all(row[key] == value for key, value in keys.items())]


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Waits for something that the page does by itself; the bound is for a page that never does it."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def column(rows: list[dict], name: str) -> list:
    return [row[name] for row in rows]


def intervals(rows: list[dict], name: str = "") -> list[list]:
    low, high = (f"{name}_low", f"{name}_high") if name else ("low", "high")
    return [[row[low], row[high]] for row in rows]


def check_intervals(trace: dict, values: list, ends: list[list]) -> None:
    """The intervals are carried as they are, and the bars' lengths reach to their ends."""
    assert trace["interval"] == ends
    for value, (low, high), below, above in zip(values, ends, trace["lower"], trace["upper"], strict=True):
        if value is None or low is None:
            assert below is None
        else:
            assert (value - below, value + above) == pytest.approx((low, high), abs=1e-12)


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
        for trace, statistic in zip(chart(page, f"agreement-{data}"), report_document.STATISTICS, strict=True):
            rows = [row for run in runs for row in of(sweep, "agreement", run=run["run"], statistic=statistic)]
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
    for run in (2, 9):
        page.page.select_option("#run", str(run))
        draw_all(page)
        check_run_charts(page, sweep, run)
        assert chart(page, "heat") != before
        tokens = page.page.locator("#inputs .tokens").first.locator(".token").all_inner_texts()
        words = column(of(sweep, "inputs", run=run, pair=0), "token")
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
            "How few neurons",
            "Agreement with exact patching",
            "The run in detail",
            "What was run",
        ]
        shown.check()


def test_texts_are_shown_as_they_are(page: Opened, sweep: dict) -> None:
    assert page.page.title() == sweep["title"]
    assert page.page.locator("h1").inner_text() == sweep["title"]
    assert page.page.locator(".notes li").all_inner_texts() == sweep["notes"]
    assert page.page.evaluate("document.compatMode") == "CSS1Compat"
    assert page.page.evaluate("tributary.document") == json.loads(json.dumps(sweep))
    prompts = page.page.locator("details", has_text="prompt pairs of hot-or-cold")
    prompts.locator("summary").click()
    assert prompts.get_by_role("cell", name="</script>").first.text_content() == report_document.MARKUP
    assert page.page.locator("main b, main i").count() == 0
    page.page.locator("details", has_text="Configuration of relp").locator("summary").click()
    assert "# <b>not bold</b>" in page.page.locator("#provenance pre").inner_text()


def test_markup_in_chart_texts_is_shown_as_it_is(running: object, tmp_path: Path) -> None:
    document = report_document.run_document()
    columns = {one["name"]: {c["name"]: c for c in one["columns"]} for one in document["tables"]}
    columns["runs"]["method"]["values"] = ["<b>relp</b> &amp; %{x}"]
    columns["tokens"]["token"]["values"][4] = "<i>box</i>"
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
    columns["top"]["token"]["values"] = [None] * len(columns["top"]["token"]["values"])
    with opened(running, written(document, tmp_path)) as shown:
        draw_all(shown)
        (heat,) = chart(shown, "heat")
        assert heat["x"] == [-1]
        assert "all positions" in heat["hover"][0][0]
        assert (
            shown.page.locator("#table-top thead").inner_text().split()
            == "rank layer position neuron score logits share".split()
        )
        assert shown.page.locator("#table-steered tbody td").nth(1).inner_text() == "all"
        assert shown.page.locator("#inputs small").first.inner_text() == "pair 0: ·are"
        shown.check()


@pytest.mark.parametrize("heading", ["CPR", "neurons for faithfulness ≥ 0.8", "Pearson", "seconds"])
def test_tables_sort(page: Opened, heading: str) -> None:
    block = page.page.locator("#table-runs").first
    index = block.locator("thead th button").all_inner_texts().index(heading)

    def titles() -> list[str]:
        cells = block.locator(f"tbody tr > :nth-child({index + 1})")
        return cells.evaluate_all("cells => cells.map(cell => cell.title)")

    def click() -> list[str]:
        block.locator("thead th button").nth(index).focus()
        page.page.keyboard.press("Enter")
        return titles()

    first = titles()
    missing = [title for title in first if title.startswith("not")]
    numbers = sorted((title for title in first if title not in missing), key=float)
    assert len(numbers) >= 4
    head = block.locator("thead th").nth(index)
    assert click() == numbers + missing
    assert head.get_attribute("aria-sort") == "ascending"
    assert click() == numbers[::-1] + missing
    assert head.get_attribute("aria-sort") == "descending"
    assert block.locator("[aria-sort=none]").count() == block.locator("thead th").count() - 1


def test_tables_hold_the_documents_numbers(page: Opened, sweep: dict) -> None:
    for name in ("top", "steering_tokens", "steered", "cases"):
        expected = of(sweep, name, run=0)
        shown = page.page.locator(f"#table-{name} tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => cell.title))"
        )
        as_numbers = [[try_number(cell) for cell in row] for row in shown]
        assert as_numbers == [[try_number(value) for key, value in row.items() if key != "run"] for row in expected]
    digits = page.page.locator("#table-top tbody tr").first.locator("td").all_inner_texts()
    assert digits[-2:] == ["0.9000", "0.04500"]


def try_number(value: object) -> object:
    try:
        return float(value)
    except ValueError:
        return value


def test_hover_tells_values_with_names(page: Opened, sweep: dict) -> None:
    draw_all(page)
    row = of(sweep, "curve", run=0)[0]
    point = page.page.locator("#faithfulness-0 .scatterlayer .trace").first.locator(".point").first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = page.page.locator("#faithfulness-0 .hovertext")
    label.wait_for()
    text = label.text_content()
    for part in ("relp", "10 neurons", f"faithfulness {row['faithfulness']:.4g}", f"{row['faithfulness_high']:.4g}"):
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


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_never_scrolls_sideways(running: object, sweep_file: Path, width: int) -> None:
    with opened(running, sweep_file, width) as shown:
        draw_all(shown)
        shown.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
        over = "() => [...document.querySelectorAll('.chart, .chart .main-svg, h2, p, pre, .scroll')].filter("
        over += "node => node.getBoundingClientRect().right > innerWidth).map(node => node.outerHTML.slice(0, 80))"
        assert shown.page.evaluate(over) == []
        shown.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out(running: object, sweep_file: Path, scheme: str) -> None:
    with opened(running, sweep_file, color_scheme=scheme) as shown:
        draw_all(shown)
        shown.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        words = (
            "h1, h2, h3, p, p span, li, a, label, legend, select, dt, dd, th button, th small, td, td span, tbody th"
        )
        charts = ".chart .xtick text, .chart .ytick text, .chart .legendtext, .chart .xtitle, .chart .annotation text"
        for selector in (f"{words}, figcaption, summary, pre, .token", charts):
            found = shown.page.evaluate(CONTRASTS, selector)
            assert len(found) > 50
            assert [one for one in found if one[0] < 4.5] == []
        shown.check()


def test_charts_follow_the_theme_and_the_printer(page: Opened) -> None:
    draw_all(page)
    chart_page = "() => document.getElementById('heat').layout.paper_bgcolor"
    chart_width = "() => document.querySelector('#heat .main-svg').getBoundingClientRect().width"
    body = "() => getComputedStyle(document.body).backgroundColor"
    light, width = page.page.evaluate(chart_page), page.page.evaluate(chart_width)
    page.page.emulate_media(color_scheme="dark")
    until(lambda: page.page.evaluate(chart_page) != light)
    dark = page.page.evaluate(chart_page)
    page.page.emulate_media(color_scheme="dark", media="print")
    draw_all(page)
    assert page.page.evaluate(chart_page) == light
    assert page.page.evaluate(body) == "rgb(255, 255, 255)"
    assert page.page.locator("details[open]").count() == 4
    assert page.page.evaluate(
        "[...document.querySelectorAll('.scroll')].every(one => one.scrollHeight <= one.clientHeight + 1)"
    )
    assert set(page.page.locator(".chart").evaluate_all("all => all.map(one => one._fullLayout.width)")) == {660}
    page.page.emulate_media(color_scheme="dark", media="screen")
    draw_all(page)
    assert page.page.evaluate(chart_page) == dark
    assert page.page.evaluate(chart_width) == width
    assert page.page.locator("details[open]").count() == 0


def test_a_print_has_every_chart(page: Opened, tmp_path: Path) -> None:
    printed = page.page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert printed.startswith(b"%PDF")
    assert page.page.locator(".chart.drawn").count() == 2 * len(PER_DATA) + len(PER_RUN)


def test_absent_tables_leave_no_section(running: object, tmp_path: Path) -> None:
    everything = tuple(report_document.TABLES)
    cases = {
        ("agreement", "methods"): "#agreement",
        ("curve",): "#faithfulness-1, #completeness-1",
        ("exact", "heat", "layers", "steering"): "#scatter, #heat, #layers, #steering",
        ("inputs", "top", "cases", "steered", "steering_tokens"): "#inputs, #table-top, #table-cases",
        ("data", "pairs", "provenance"): "#what-was-run",
        everything: "section, nav li",
    }
    for number, (without, gone) in enumerate(cases.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        document = report_document.run_document(without)
        with opened(running, written(document, folder)) as shown:
            draw_all(shown)
            assert shown.page.locator(gone).count() == 0, without
            links = shown.page.locator("nav a").evaluate_all("links => links.map(link => link.hash.slice(1))")
            assert links == shown.page.locator("main > section").evaluate_all("all => all.map(one => one.id)")
            shown.check()


def test_empty_tables_are_like_absent_ones(running: object, tmp_path: Path) -> None:
    document = report_document.run_document()
    for one in document["tables"]:
        for described in one["columns"]:
            described["values"] = []
    with opened(running, written(document, tmp_path)) as shown:
        assert shown.page.locator("section").count() == 0
        shown.check()


def test_fifty_runs_open(running: object, tmp_path: Path) -> None:
    document = report_document.large_document()
    file = written(document, tmp_path)
    assert file.stat().st_size < 10_000_000
    start = time.monotonic()
    with opened(running, file) as shown:
        shown.page.locator("#faithfulness-0 .main-svg").first.wait_for()
        print(f"{file.stat().st_size / 1e6:.1f} MB, first chart after {time.monotonic() - start:.1f} s")
        assert shown.page.locator(".chart.drawn").count() < 5
        draw_all(shown)
        assert len(chart(shown, "completeness-1")) == 25
        assert shown.page.locator("#faithfulness-0 .legend .scrollbar").count() == 1
        shown.check()
