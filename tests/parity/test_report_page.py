# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The report page that the program has made, in a browser: texts, tables, themes and print. Documents with made-up
numbers show what no run of a tiny model can: missing values, absent tables, fifty runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import report_document
from browser import Opened, opened
from report_page import chart, draw_all, of, until, written
from report_sweep import MARKUP
from report_tables import TABLES

PER_DATA = ["faithfulness", "completeness", "agreement", "methods"]
PER_RUN = ["values", "heat", "scatter", "layers", "steering"]

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


def test_texts_are_shown_as_they_are(page: Opened, sweep: dict) -> None:
    assert page.page.title() == sweep["title"]
    assert page.page.locator("h1").inner_text() == sweep["title"]
    assert page.page.locator(".notes li").all_inner_texts() == sweep["notes"]
    assert page.page.evaluate("document.compatMode") == "CSS1Compat"
    assert page.page.evaluate("tributary.document") == json.loads(json.dumps(sweep))
    prompts = page.page.locator("details", has_text="prompt pairs of marked")
    prompts.locator("summary").click()
    assert prompts.get_by_role("cell", name="</script>").first.text_content().startswith(MARKUP)
    assert page.page.locator("main b, main i").count() == 0
    page.page.locator("details", has_text="Configuration of relp").locator("summary").click()
    assert "& <i>agreement</i>" in page.page.locator("#provenance pre").inner_text()


def test_every_chart_is_there(page: Opened) -> None:
    """Each with curves, points or cells in it."""
    draw_all(page)
    expected = {f"{name}-{data}" for name in PER_DATA for data in (0, 1)} | set(PER_RUN)
    assert set(page.page.locator(".chart.drawn").evaluate_all("all => all.map(one => one.id)")) == expected
    for name in expected:
        traces = chart(page, name)
        assert traces and all(any(one is not None for one in trace["z"] or trace["x"]) for trace in traces), name


@pytest.mark.parametrize("name", ["values", "methods-0"])
def test_charts_are_downloaded_as_svg(page: Opened, name: str, tmp_path: Path) -> None:
    """For papers and slides; their texts are texts."""
    draw_all(page)
    page.page.locator(f"#{name}").hover()
    with page.page.expect_download() as downloading:
        page.page.locator(f"#{name} [data-title*='ownload']").click()
    downloading.value.save_as(tmp_path / "chart.svg")
    assert downloading.value.suggested_filename == f"{name}.svg"
    svg = (tmp_path / "chart.svg").read_text()
    assert svg.startswith("<svg") and "</text>" in svg


def test_values_are_those_of_the_document(page: Opened, sweep: dict) -> None:
    draw_all(page)
    rows = of(sweep, "values", run=0)
    largest: dict[int, float] = {}  # each row of the chart has its own scale
    for row in rows:
        largest[row["rank"]] = max(largest.get(row["rank"], 0), abs(row["clean"]), abs(row["counterfactual"]))
    assert len(largest) == 10 and max(largest.values()) > 2 * min(largest.values())
    for trace, name in zip(chart(page, "values"), ("clean", "counterfactual"), strict=True):
        assert (trace["name"], trace["x"]) == (name, [row[name] / largest[row["rank"]] for row in rows])
        prompts = {row["pair"]: row for row in of(sweep, "pairs", data=0)}
        prefix = {"clean": "clean_prefix", "counterfactual": "patch_prefix"}[name]
        for words, row in zip(trace["hover"], rows, strict=True):
            assert prompts[row["pair"]][prefix].replace(" ", "·") in words
            value = words.split("<br>value ")[1].split(" ")[0].split("<")[0].replace("−", "-").replace(",", "")
            assert float(value) == pytest.approx(row[name], rel=1e-3)


def test_pages_of_a_sweep_share_one_chart_script(
    running: object, sweep_file: Path, binary: Path, tmp_path: Path
) -> None:
    """A page of one run draws as well; without the script a page says so; alone, or if asked, it holds the script."""
    out = tmp_path / "out"
    shutil.copytree(sweep_file.parent, out, ignore=shutil.ignore_patterns("journal"))
    one = next(out.glob("method=relp,*"))
    pages = [out / "report.html", *out.glob("*/report.html")]
    large = [
        file for file in [*pages, *out.rglob("*.js")] if "Plotly=" in file.read_text() or file.stat().st_size > 4e6
    ]
    assert len(pages) == 11 and large == [out / "plotly.min.js"]

    def drawn(file: Path) -> int:
        with opened(running, file) as shown:
            draw_all(shown)
            shown.check()
            return shown.page.locator(".chart.drawn").count()

    assert drawn(one / "report.html") == len(PER_RUN) + 3
    moved = tmp_path / "mailed"
    moved.mkdir()
    shutil.copy(out / "report.html", moved)
    with opened(running, moved / "report.html") as shown:
        assert "There are no charts" in shown.page.locator(".notes li").first.inner_text()
        assert shown.page.locator("#table-runs tbody tr").count() == 10
        assert shown.page.locator(".chart").count() == 0
        shown.page.select_option("#run", "3")
        assert "ig-inputs" in shown.page.locator("#detail").inner_text()
    subprocess.run([binary, "report", out, "--self-contained"], check=True, capture_output=True)
    assert not (out / "plotly.min.js").exists()
    shutil.copy(out / "report.html", moved)
    assert drawn(moved / "report.html") == 2 * len(PER_DATA) + len(PER_RUN)
    subprocess.run([binary, "report", out], check=True, capture_output=True)
    subprocess.run([binary, "report", one], check=True, capture_output=True)
    shutil.copy(one / "report.html", moved)
    assert drawn(moved / "report.html") == len(PER_RUN) + 3


@pytest.mark.parametrize("width", [390, 1280])
def test_columns_beyond_the_edge_are_counted(running: object, sweep_file: Path, width: int) -> None:
    """And the count follows the scrolling. On a screen the table of runs shows what the runs cost."""
    with opened(running, sweep_file, width) as shown:
        block = shown.page.locator("#table-top")
        block.scroll_into_view_if_needed()
        beyond = """table => { const edge = table.getBoundingClientRect().right;
          return [...table.querySelectorAll("thead th")].filter(
          h => h.getBoundingClientRect().right > edge).length; }"""
        count = block.locator(".scroll").evaluate(beyond)
        assert count > 0
        assert block.locator(".hint").inner_text().startswith(f"{count} more column")
        block.locator(".scroll").evaluate("table => { table.scrollLeft = 10000; }")
        until(lambda: block.locator(".hint").inner_text() == "← all columns seen")
        if width == 1280:
            head = shown.page.locator("#table-runs thead").first
            for name in ("gradient evaluations", "seconds"):
                box = head.locator("th", has_text=name).first.bounding_box()
                assert box["x"] + box["width"] <= width
        shown.check()


def test_runs_without_a_curve_have_a_reason(running: object, tmp_path: Path) -> None:
    """One among others, and one alone."""
    document = report_document.sweep_document()
    columns = {one["name"]: {c["name"]: c for c in one["columns"]} for one in document["tables"]}
    curve = columns["curve"]
    for i, run in enumerate(curve["run"]["values"]):
        for name, column in curve.items():
            if name.startswith(("faithfulness", "completeness")) and (run == 1 or run >= 5):
                column["values"][i] = None
    columns["runs"]["measurable"]["values"] = [0 if run == 1 else 1 for run in range(10)]
    with opened(running, written(document, tmp_path)) as shown:
        draw_all(shown)
        assert [trace["name"] for trace in chart(shown, "faithfulness-0")] == [
            method for i, method in enumerate(report_document.METHODS) if i != 1
        ]
        said = shown.page.locator("#nodes-0 .without li").all_inner_texts()
        assert len(said) == 1 and "changes m by less than 0.05 logits" in said[0]
        assert shown.page.locator("#faithfulness-1").count() == 0
        others = shown.page.locator("#nodes-1 .without li").all_inner_texts()
        assert len(others) == 5 and all("need more nodes than have a score" in one for one in others)
        shown.check()


@pytest.mark.parametrize("heading", ["CPR", "nodes for faithfulness ≥ 0.8", "Pearson", "seconds"])
def test_tables_sort(running: object, tmp_path: Path, heading: str) -> None:
    """Missing values last."""
    with opened(running, written(report_document.sweep_document(), tmp_path)) as shown:
        check_sorting(shown, heading)
        shown.check()


def check_sorting(page: Opened, heading: str) -> None:
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
        without = ("run", "dictionary", "kind")  # where all are neurons
        assert as_numbers == [[try_number(v) for key, v in row.items() if key not in without] for row in expected]
    digits = page.page.locator("#table-top tbody tr").first.locator("td").all_inner_texts()
    score = of(sweep, "top", run=0)[0]["score"]
    assert digits[5].startswith("−" if score < 0 else "0") and digits[5].replace("−", "-") == f"{score:#.4g}"


def try_number(value: object) -> object:
    try:
        return float(value)
    except ValueError:
        return value
    except TypeError:
        return "not measured, or not reached"  # what a cell without a value says


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


def test_tables_fit_the_paper(running: object, sweep_file: Path) -> None:
    """A4 between margins of 15 mm is 680 px wide; the printer has no more to show."""
    with opened(running, sweep_file, 680) as shown:
        shown.page.emulate_media(media="print")
        draw_all(shown)
        right = "all => all.map(table => [table.closest('section').id, table.getBoundingClientRect().right])"
        for section, edge in shown.page.locator("section .scroll table").evaluate_all(right):
            assert edge <= 680, section
        shown.check()


def test_absent_tables_leave_no_section(running: object, tmp_path: Path) -> None:
    everything = tuple(TABLES)
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


def test_cases_of_few_pairs_are_named_and_left_out(running: object, tmp_path: Path) -> None:
    """With one pair a score that is the largest by chance has AUROC 1. Nothing is left out of the document."""
    document = report_document.run_document()
    columns = {c["name"]: c for one in document["tables"] if one["name"] == "cases" for c in one["columns"]}
    labels = columns["case"]["values"]
    few = "left out: cases of fewer than 3 pairs"
    for fire, ice, gone in [(3, 3, []), (2, 22, ["fire", "ice"]), (1, 1, ["fire", "ice"])]:
        columns["pairs"]["values"] = [fire if label == "fire" else ice for label in labels]
        columns["other_pairs"]["values"] = [ice if label == "fire" else fire for label in labels]
        check_cases(running, document, tmp_path, few, gone)
    columns["pairs"]["values"] = [1 if label == "fire" else 20 for label in labels]
    columns["other_pairs"]["values"] = [23 if label == "fire" else 4 for label in labels]  # a third case has 3
    check_cases(running, document, tmp_path, few, ["fire"])


def check_cases(running: object, document: dict, folder: Path, few: str, gone: list[str]) -> None:
    with opened(running, written(document, folder)) as shown:
        rows = of(document, "cases")
        labels = shown.page.locator("#table-cases tbody th").all_inner_texts()
        assert labels == [row["case"] for row in rows if row["case"] not in gone]
        said = shown.page.locator("#table-cases > p").inner_text()
        assert (few in said.lower()) == bool(gone)
        sizes = {
            row["case"]: f"{row['case']} ({row['pairs']} of {row['pairs'] + row['other_pairs']} pairs)" for row in rows
        }
        assert [case for case, text in sizes.items() if text in said] == gone
        shown.check()
