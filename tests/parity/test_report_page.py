# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""The report page in a browser: texts, tables, themes and print; it leaves out what is not there."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import report_document
from browser import Opened, opened
from report_page import chart, draw_all, of, until, written

PER_DATA = ["faithfulness", "completeness", "agreement", "methods"]
PER_RUN = ["scatter", "heat", "layers", "steering"]

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
    prompts = page.page.locator("details", has_text="prompt pairs of hot-or-cold")
    prompts.locator("summary").click()
    assert prompts.get_by_role("cell", name="</script>").first.text_content() == report_document.MARKUP
    assert page.page.locator("main b, main i").count() == 0
    page.page.locator("details", has_text="Configuration of relp").locator("summary").click()
    assert "# <b>not bold</b>" in page.page.locator("#provenance pre").inner_text()


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
    assert [digits[5], digits[-1]] == ["0.9000", "0.04500"]


def try_number(value: object) -> object:
    try:
        return float(value)
    except ValueError:
        return value


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
