// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Draws the report page from the document embedded in it: the tables that `tributary export` writes.
// Texts of the document become text nodes, in charts they go through plain(): prompts may hold markup.

const report = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const main = document.getElementById("main");
const PRINT_WIDTH = 660; // px: fits A4 and Letter inside the margins of report.css

// ---- The document

const unique = (values) => [...new Set(values)];
const present = (value) => value !== null && value !== undefined;
const pick = (records, key) => records.map((record) => record[key] ?? null);
const by = (key) => (a, b) => a[key] - b[key];
const remember = (make, made = new Map()) => (key) => made.get(key) ?? made.set(key, make(key)).get(key);

const tables = new Map(report.tables.map((table) => [table.name, table]));
const rows = remember((name) => {
  const columns = tables.get(name)?.columns ?? [];
  const row = (i) => Object.fromEntries(columns.map((column) => [column.name, column.values[i]]));
  return (columns[0]?.values ?? []).map((_, i) => row(i));
});
const byRun = remember((name) => Map.groupBy(rows(name), (row) => row.run));
const byData = remember((name) => Map.groupBy(rows(name), (row) => row.data));
const ofRun = (name, run) => byRun(name).get(run.run) ?? [];
const ofData = (name, data) => byData(name).get(data) ?? [];

const runs = rows("runs");
const dataSets = rows("data").length ? rows("data") : unique(pick(runs, "data")).map((data) => ({ data, name: "" }));
const runsWith = (table, data) => ofData("runs", data).filter((run) => ofRun(table, run).length);
const agreementOf = (run, statistic) => ofRun("agreement", run).find((record) => record.statistic === statistic) ?? {};

// Two runs of one method on the same data differ in some other setting, which only their names tell.
const labels = new Map(runs.map((run) => {
  const twins = ofData("runs", run.data).filter((other) => other.method === run.method);
  return [run, twins.length > 1 ? `${run.method} (${run.name})` : run.method];
}));
const label = (run) => labels.get(run);
const kinds = unique(labels.values());

// ---- Numbers and texts

const IDENTIFIERS = new Set(["layer", "position", "neuron", "rank", "pair", "factor"]);
const minus = (text) => text.replaceAll("-", "−");
const shorten = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
const visible = (token) => token.replaceAll(" ", "·").replaceAll("\t", "⇥").replace(/\r?\n/g, "⏎") || "∅";
// Plotly reads a subset of HTML in every text it is given.
const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function number(value) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e4) return minus(Math.round(value).toLocaleString("en-US"));
  return minus(size < 1e-3 ? value.toExponential(3) : value.toPrecision(4));
}

function cellText(value, { name, type }) {
  if (!present(value)) return "–";
  if (name.endsWith("token")) return visible(value);
  if (name === "position" && value === -1) return "all";
  if (type === "text" || IDENTIFIERS.has(name)) return type === "text" ? value : minus(String(value));
  return type === "integer" ? minus(value.toLocaleString("en-US")) : number(value);
}

function place({ layer, position, neuron }) {
  const where = position === -1 ? "all positions" : `position ${position}`;
  return `layer ${layer}, ${where}${present(neuron) ? `, neuron ${neuron}` : ""}`;
}

const interval = (low, high, word) => (present(low) && present(high) ? `${number(low)}${word}${number(high)}` : null);

// Facts are [name, value, unit]; those that are missing leave no line.
function hover(head, ...facts) {
  const shown = facts.filter(([, value]) => present(value)).map(([name, value, unit = ""]) =>
    plain(`${name} ${typeof value === "number" ? number(value) : value} ${unit}`.trim()));
  return [`<b>${plain(head)}</b>`, ...shown].join("<br>");
}

// ---- Elements

function element(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (present(value)) node.setAttribute(key, value);
  node.append(...children.filter(Boolean));
  return node;
}

function text(id) {
  const template = document.getElementById(`text-${id}`);
  return { title: template.dataset.title, caption: template.content.textContent.trim().replace(/\s+/g, " ") };
}

const contents = [];
// A section or grid of which nothing is there is not there either.
function section(id, title, ...children) {
  const filled = children.filter(Boolean);
  if (!filled.length) return null;
  contents.push(element("li", {}, element("a", { href: `#${id}` }, title)));
  return element("section", { id }, element("h2", {}, title), ...filled);
}

function grid(...children) {
  const filled = children.filter(Boolean);
  return filled.length ? element("div", { class: "grid" }, ...filled) : null;
}

const fold = (title, inPrint, content) =>
  element("details", { class: inPrint ? "in-print" : null }, element("summary", {}, title), content);

// ---- Tables that sort

const NAMES = {
  faithful_at: "neurons for faithfulness ≥ 0.8", complete_at: "neurons for completeness ≤ 0.2", cpr: "CPR", cmd: "CMD",
  evaluations: "gradient evaluations", residual: "mean |residual|", gap: "linearisation gap", auroc: "AUROC",
  top_share: "share of the first 100", dtype: "number format", train: "training pairs", test: "held-out pairs",
  skipped: "skipped pairs", overlapping: "overlapping pairs",
};
const columnName = (name) => NAMES[name] ?? name.replaceAll("_", " ");

// Beside the document's own description a column has a title, get(row) and perhaps note(row).
function columnsOf(table, without = ["run", "data"]) {
  return (tables.get(table)?.columns ?? []).filter(({ name }) => !without.includes(name)).map((column) => (
    { ...column, title: columnName(column.name), get: (row) => row[column.name] }));
}

function compare(a, b) {
  return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
}

function cell(column, record, first) {
  const value = column.get(record);
  const note = column.note?.(record);
  const words = column.type === "text";
  const head = first && words;
  const kind = !words ? "number" : value?.length > 30 ? "literal long" : "literal";
  const attributes = { class: kind, title: value ?? "not measured, or not reached" };
  return element(head ? "th" : "td", head ? { ...attributes, scope: "row" } : attributes, cellText(value, column),
    note && element("span", { class: "muted" }, ` [${note}]`));
}

function sort(lines, body, column, sign) {
  const missing = ({ record }) => !present(column.get(record));
  lines.sort((a, b) => { // what is missing stays last in both directions
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    return sign * compare(column.get(a.record), column.get(b.record));
  });
  body.append(...lines.map(({ line }) => line));
}

function dataTable(name, everyColumn, records) {
  if (!records.length) return null;
  const columns = everyColumn.filter((column) => records.some((record) => present(column.get(record))));
  const line = (record) => element("tr", {}, ...columns.map((column, i) => cell(column, record, i === 0)));
  const lines = records.map((record) => ({ record, line: line(record) }));
  const body = element("tbody", {}, ...lines.map((one) => one.line));
  const heads = columns.map((column) => {
    const button = element("button", { type: "button", title: column.meaning || null }, column.title);
    const unit = ["logits", "nats"].includes(column.unit) && element("small", {}, column.unit);
    const side = column.type === "text" ? null : "number";
    const head = element("th", { scope: "col", class: side, "aria-sort": "none" }, button, unit);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      sort(lines, body, column, up ? 1 : -1);
    });
    return head;
  });
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body);
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": name }, table);
}

function titledTable(id, columns, records) {
  const { title, caption } = text(id);
  const table = dataTable(title, columns, records);
  const about = [element("h3", {}, title), element("p", {}, caption)];
  return table && element("div", { class: "block", id: `table-${id}` }, ...about, table);
}

// ---- The look of charts

const BUTTONS = ["zoom2d", "pan2d", "resetScale2d", "toImage"];
const CONFIG = { responsive: true, displaylogo: false, modeBarButtons: [BUTTONS] };
const HUES = 7;
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "x", "triangle-down", "star", "pentagon",
  "hexagram", "bowtie"];
const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
const colourscale = (...names) => names.map((name, i) => [i / (names.length - 1), colour(name)]);

// 7 hues, 6 dashes and 11 markers share no divisor: 462 methods differ in at least one of the three.
const numberedLook = (i) =>
  ({ color: colour(`hue-${i % HUES}`), dash: DASHES[i % DASHES.length], symbol: SYMBOLS[i % SYMBOLS.length] });
const look = (run) => numberedLook(kinds.indexOf(label(run)));

const axis = (title, more) => ({
  title: { text: title, standoff: 8 }, automargin: true, gridcolor: colour("grid"), linecolor: colour("rule"),
  zerolinecolor: colour("rule"), tickcolor: colour("rule"), ticks: "outside", ticklen: 4,
  exponentformat: "power", ...more,
});

const guide = (y, name, dash) => ({
  type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, layer: "between",
  line: { color: colour("muted"), width: 1.25, dash },
  label: { text: name, textposition: "start", yanchor: "bottom", font: { size: 10, color: colour("muted") } },
});

function errors(values, low, high, color, thickness = 0.9) {
  const distance = (a, b) => (present(a) && present(b) ? Math.abs(a - b) : null);
  const apart = (ends) => values.map((value, i) => distance(ends[i], value));
  if (![...low, ...high].some(present)) return { visible: false };
  const line = { color, thickness, width: 2.5 };
  return { type: "data", symmetric: false, array: apart(high), arrayminus: apart(low), ...line };
}

// `key` names the column of the values; those of its interval, where there are any, end in _low and _high.
function curve(records, key, { x, name, unit, head, style, crowded = false }) {
  const [y, low, high] = ["", "_low", "_high"].map((end) => pick(records, key + end));
  const { color, dash, symbol } = style;
  return {
    type: "scatter", mode: "lines+markers", name: plain(name), x: pick(records, x), y,
    error_y: errors(y, low, high, color, crowded ? 0.4 : 0.9), customdata: y.map((_, i) => [low[i], high[i]]),
    line: { color, dash, width: crowded ? 1.25 : 1.75 }, marker: { color, symbol, size: crowded ? 5 : 7 },
    hoverinfo: "text", hovertext: records.map((record, i) => hover(...head(record),
      [columnName(key), y[i], unit], ["95 % interval", interval(low[i], high[i], " to "), unit])),
  };
}

// A long legend scrolls on the screen and is whole on paper.
function legendBelow(names, width) {
  const columns = Math.max(1, Math.floor((width - 70) / (Math.max(...names.map((name) => name.length)) * 6.6 + 46)));
  const full = names.length > 1 ? Math.ceil(names.length / columns) * 19 + 16 : 0;
  const height = printing ? full : Math.min(full, 160);
  return { height, layout: { showlegend: names.length > 1, legend: { orientation: "h", x: 0, xanchor: "left", y: 0,
    yref: "container", yanchor: "bottom", maxheight: Math.max(30, height), bgcolor: "rgba(0,0,0,0)" } } };
}

// Panels one above the other share the horizontal axis, so that layers or factors line up.
function stacked(panels, horizontal, width) {
  const shown = panels.filter(({ traces }) => traces.some((trace) => trace.y.some(present)));
  const named = shown.filter(({ traces }) => traces.length > 1).flatMap(({ traces }) => pick(traces, "name"));
  const legend = legendBelow(named.length ? named : [""], width);
  const layout = { ...legend.layout, xaxis: axis(horizontal, { anchor: `y${shown.length}`, zeroline: false }) };
  shown.forEach((panel, i) => {
    const bottom = 1 - (i + 1) / shown.length;
    const domain = [bottom + (i + 1 < shown.length ? 0.05 : 0), bottom + 1 / shown.length];
    layout[`yaxis${i + 1}`] = axis(panel.title, { domain, ...panel.axis });
  });
  const data = shown.flatMap(({ traces }, i) =>
    traces.map((trace) => ({ ...trace, yaxis: `y${i + 1}`, showlegend: traces.length > 1 })));
  return { data, layout, height: 150 * shown.length + 50 + legend.height };
}

// ---- The charts: each function turns rows of the document into a Plotly figure

const MARKS = { faithfulness: [[1, "ideal 1", "solid"], [0.8, "0.8", "dot"]],
  completeness: [[0, "ideal 0", "solid"], [0.2, "0.2", "dot"]] };

function curveFigure(measure, data, width) {
  const shown = runsWith("curve", data);
  const traces = shown.map((run) => curve(ofRun("curve", run).toSorted(by("count")), measure, {
    x: "count", name: label(run), style: look(run), crowded: shown.length > 10,
    head: ({ count }) => [label(run), ["", count.toLocaleString("en-US"), "neurons"]],
  }));
  const legend = legendBelow(shown.map(label), width);
  const counts = traces.flatMap((trace) => trace.x);
  const decades = Math.max(...counts) >= 10 * Math.min(...counts) ? { dtick: 1 } : {};
  const layout = { ...legend.layout, xaxis: axis("number of neurons", { type: "log", tickformat: ",", ...decades }),
    yaxis: axis("", { zeroline: false }), shapes: MARKS[measure].map((mark) => guide(...mark)) };
  return { data: traces, layout, height: (printing ? 260 : 330) + legend.height };
}

// Methods by index from the top: every panel keeps the same order, whatever is missing.
const methodAxis = (names, width, more) => axis("", {
  tickvals: names.map((_, i) => i), ticktext: names.map((name) => plain(shorten(name, width < 560 ? 20 : 40))),
  range: [names.length - 0.5, -0.5], zeroline: false, ...more,
});

function agreementFigure(data, width) {
  const shown = runsWith("agreement", data);
  const names = shown.map(label);
  const statistics = unique(shown.flatMap((run) => pick(ofRun("agreement", run), "statistic")));
  const ends = shown.flatMap((run) => ofRun("agreement", run)).flatMap(({ value, low }) => [value ?? 0, low ?? 0]);
  const columns = Math.min(statistics.length, width < 560 ? 1 : width < 800 ? 2 : 4);
  const lines = Math.ceil(statistics.length / columns);
  const height = lines * (names.length * 24 + (lines > 1 ? 75 : 60));
  const layout = { annotations: [], margin: { l: 8, r: 12, t: 40, b: 8 } };
  const traces = statistics.map((statistic, i) => {
    const records = shown.map((run) => agreementOf(run, statistic));
    const [x, low, high] = ["value", "low", "high"].map((key) => pick(records, key));
    const [column, line, id] = [i % columns, Math.floor(i / columns), i + 1];
    const [left, top, gap] = [column / columns, 1 - line / lines, lines > 1 ? 56 / height : 0];
    layout[`xaxis${id}`] = axis("", { domain: [left, left + 1 / columns - 0.015], anchor: `y${id}`, nticks: 5,
      range: [Math.min(0, ...ends) - 0.04, 1.06] });
    layout[`yaxis${id}`] = methodAxis(names, width, { domain: [top - 1 / lines + gap, top], anchor: `x${id}`,
      showticklabels: column === 0 });
    layout.annotations.push({ text: plain(shorten(statistic, 34)), showarrow: false, x: 0, y: 1,
      xref: `x${id} domain`, yref: `y${id} domain`, xanchor: "left", yanchor: "bottom" });
    return { type: "scatter", mode: "markers", name: plain(statistic), x, y: names.map((_, k) => k), xaxis: `x${id}`,
      yaxis: `y${id}`, error_x: errors(x, low, high, colour("muted")), customdata: x.map((_, k) => [low[k], high[k]]),
      marker: { size: 9, color: shown.map((run) => look(run).color), symbol: shown.map((run) => look(run).symbol) },
      hoverinfo: "text", hovertext: names.map((name, k) =>
        hover(name, [statistic, x[k]], ["95 % interval", interval(low[k], high[k], " to ")])) };
  });
  return { data: traces, layout, height: height + 20 };
}

const SIMILARITIES = { pearson: "Pearson", spearman: "Spearman", overlap: "top-100 overlap" };
let similarity = "pearson";

function methodsFigure(data, width) {
  const pairs = new Map(ofData("methods", data).flatMap((pair) =>
    [[`${pair.run_a} ${pair.run_b}`, pair], [`${pair.run_b} ${pair.run_a}`, pair]]));
  const members = new Set(ofData("methods", data).flatMap((pair) => [pair.run_a, pair.run_b]));
  const shown = ofData("runs", data).filter(({ run }) => members.has(run));
  const names = shown.map(label);
  const z = shown.map((a) => shown.map((b) => (a === b ? 1 : pairs.get(`${a.run} ${b.run}`)?.[similarity] ?? null)));
  const size = Math.max(8, Math.min(52, (width - 210) / names.length));
  const signed = z.flat().some((value) => value < 0);
  const trace = { type: "heatmap", z, zmin: signed ? -1 : 0, zmax: 1, xgap: 1, ygap: 1, hoverinfo: "text",
    colorscale: colourscale(...(signed ? ["alike-low"] : []), "page", "alike-high"),
    texttemplate: size > 36 ? "%{z:.2f}" : "", textfont: { color: colour("text") },
    colorbar: { thickness: 10, outlinewidth: 0, tickvals: [-1, 0, 1] },
    hovertext: z.map((line, i) => line.map((value, k) =>
      hover(`${names[i]} and ${names[k]}`, [SIMILARITIES[similarity], value]))) };
  const layout = {
    xaxis: methodAxis(names, 0, { range: [-0.5, names.length - 0.5], tickangle: -45, showgrid: false, ticks: "" }),
    yaxis: methodAxis(names, width, { showgrid: false, ticks: "" }),
    margin: { l: 8, t: 12, b: 8, r: Math.max(12, width - names.length * size - 200) } };
  return { data: [trace], layout, height: names.length * size + 120 };
}

function scatterFigure(run, width) {
  const points = ofRun("exact", run);
  const ends = points.flatMap((point) => [point.exact, point.score]).filter(present);
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  const [from, to] = [low - 0.06 * (high - low), high + 0.06 * (high - low)];
  const traces = [...Map.groupBy(points, (point) => point.stratum ?? "")].map(([stratum, part], i) => ({
    type: "scatter", mode: "markers", name: plain(stratum), x: pick(part, "exact"), y: pick(part, "score"),
    marker: { color: numberedLook(i).color, symbol: numberedLook(i).symbol, size: 6, opacity: 0.8 },
    hoverinfo: "text", hovertext: part.map((point) => hover(place(point), ["sampled from", point.stratum],
      ["exact", point.exact, "logits"], ["score", point.score, "logits"])) }));
  const legend = legendBelow(pick(traces, "name"), width);
  const layout = { ...legend.layout, xaxis: axis("exact patching (logits)", { range: [from, to] }),
    yaxis: axis("score (logits)", { range: [from, to] }),
    shapes: [{ ...guide(0, "", "dash"), xref: "x", x0: from, y0: from, x1: to, y1: to }] };
  return { data: traces, layout, height: 400 + legend.height };
}

function heatFigure(run, width) {
  const cells = new Map(ofRun("heat", run).map((one) => [`${one.layer} ${one.position}`, one.magnitude]));
  const [y, x] = ["layer", "position"].map((key) => unique(pick(ofRun("heat", run), key)).sort((a, b) => a - b));
  const tokens = new Map(ofData("tokens", run.data).map((row) => [row.position, row]));
  const word = (position, key = "token") => cellText(tokens.get(position)?.[key], { name: key });
  const named = (position) => (tokens.has(position) ? `${shorten(word(position), 14)} ${position}` : String(position));
  const tick = (position) => (position === -1 ? "all positions" : named(position));
  const labelled = x.filter((_, i) => i % Math.ceil((x.length * 15) / Math.max(100, width - 110)) === 0);
  const z = y.map((layer) => x.map((position) => cells.get(`${layer} ${position}`) ?? null));
  const words = (position) => (tokens.has(position) ?
    [["token", word(position)], ["counterfactual", word(position, "counterfactual_token")]] : []);
  const about = (layer, position, value) =>
    hover(place({ layer, position }), ...words(position), ["sum of |score|", value, "logits"]);
  const trace = { type: "heatmap", x, y, z, colorscale: colourscale("heat-low", "heat-middle", "heat-high"),
    colorbar: { thickness: 10, outlinewidth: 0, exponentformat: "power",
      title: { text: "logits", font: { size: 11 } } },
    hoverinfo: "text", hovertext: z.map((line, i) => line.map((value, k) => about(y[i], x[k], value))) };
  const ticks = { tickvals: labelled, ticktext: labelled.map((one) => plain(tick(one))), tickangle: -60 };
  const layout = { xaxis: axis("", { ...ticks, showgrid: false }),
    yaxis: axis("layer", { dtick: y.length > 12 ? 5 : 1, showgrid: false }) };
  return { data: [trace], layout, height: 440 };
}

function layersFigure(run, width) {
  const records = ofRun("layers", run).toSorted(by("layer"));
  const { color } = look(run);
  const trace = (key, unit, style = {}) => curve(records, key, { x: "layer", name: NAMES[key] ?? key, unit,
    head: ({ layer }) => [`layer ${layer}`], style: { color, ...style } });
  const bars = (key, unit) => ({ ...trace(key, unit), type: "bar", marker: { color } });
  const measured = [["residual", { symbol: "circle", dash: "solid" }], ["gap", { symbol: "diamond", dash: "dot" }]]
    .filter(([key]) => records.some((record) => present(record[key])));
  const logarithmic = measured.every(([key]) => pick(records, key).filter(present).every((value) => value > 0));
  return stacked([
    { title: "sum of |score|", traces: [bars("magnitude", "logits")] },
    { title: measured.length === 1 ? NAMES[measured[0][0]] : "error (logits)",
      axis: logarithmic ? { type: "log", dtick: 1, tickformat: "~g" } : {},
      traces: measured.map(([key, style]) => trace(key, "logits", style)) },
    { title: "evaluations", axis: { rangemode: "tozero" }, traces: [bars("evaluations", "")] },
  ], "layer", width);
}

function steeringFigure(run, width) {
  const records = ofRun("steering", run).toSorted(by("factor"));
  const trace = (key, name, unit, style = look(run)) => curve(records, key, { x: "factor", name, unit, style,
    head: ({ factor }) => [`factor ${minus(String(factor))}`] });
  const answer = (hue, dash, symbol) => ({ color: colour(hue), dash, symbol });
  return stacked([
    { title: "metric (logits)", traces: [trace("metric", "metric", "logits")] },
    { title: "probability", axis: { rangemode: "tozero" }, traces: [
      trace("clean_probability", "clean answer", "", answer("positive", "solid", "circle")),
      trace("patch_probability", "counterfactual answer", "", answer("negative", "dash", "square"))] },
    { title: "KL (nats)", axis: { rangemode: "tozero" }, traces: [trace("kl", "KL", "nats")] },
  ], "activations multiplied by", width);
}

// ---- Drawing

let printing = false;
let charts = []; // {node, make, drawn, mate}: a mate shows the same curves

async function draw(chart) {
  const { node } = chart;
  const first = !chart.drawn;
  chart.drawn = true;
  const { data, layout, height } = chart.make(printing ? PRINT_WIDTH : node.clientWidth || PRINT_WIDTH);
  const fixed = {
    height, uirevision: "kept", hovermode: "closest", showlegend: false, autosize: !printing,
    width: printing ? PRINT_WIDTH : undefined, margin: { l: 8, r: 12, t: 12, b: 8 },
    // On a touch screen a finger is to scroll the page, not to draw a zoom box.
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    font: { family: "system-ui, sans-serif", size: 12, color: colour("text") },
    paper_bgcolor: colour("page"), plot_bgcolor: colour("page"),
    hoverlabel: { bgcolor: colour("surface"), bordercolor: colour("rule"), font: { color: colour("text") } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("muted"), activecolor: colour("text") },
  };
  // Plotly keeps what was hidden in a chart's own legend, but not what follow() hid.
  if (chart.mate) data.forEach((trace, i) => { trace.visible = node.data?.[i].visible ?? true; });
  node.classList.add("drawn");
  const image = { filename: node.id, scale: 2 };
  await Plotly.react(node, data, { ...fixed, ...layout }, { ...CONFIG, toImageButtonOptions: image });
  if (first && chart.mate) node.on("plotly_restyle", () => follow(node, document.getElementById(chart.mate)));
}

// A curve switched off in one legend goes from the mate too.
function follow(node, mate) {
  const seen = (plot) => plot.data.map((trace) => trace.visible ?? true);
  if (mate.data && String(seen(node)) !== String(seen(mate))) Plotly.restyle(mate, { visible: seen(node) });
}

const drawAll = () => Promise.all(charts.map(draw));
const redraw = () => Promise.all(charts.filter((chart) => chart.drawn).map(draw));

const nearby = new IntersectionObserver((entries) => {
  for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
    nearby.unobserve(target);
    charts.filter((chart) => chart.node === target && !chart.drawn).forEach(draw);
  }
}, { rootMargin: "500px" });

function chartFigure(name, make, { id = name, after = "", mate, control, size } = {}) {
  const { title, caption } = text(name);
  const node = element("div", { id, class: "chart", role: "group", "aria-label": title + after });
  charts.push({ node, make, mate });
  nearby.observe(node);
  const about = element("figcaption", {}, caption);
  return element("figure", { class: size }, element("h3", {}, title + after), control, node, about);
}

// ---- The sections

function header() {
  const made = new Date(report.made);
  const style = { dateStyle: "long", timeStyle: "short", timeZone: "UTC" };
  const date = Number.isNaN(made.valueOf()) ? report.made : `${made.toLocaleString("en-GB", style)} UTC`;
  const on = dataSets.length > 1 ? ` on ${dataSets.length} data sets` : "";
  const size = `${runs.length} ${runs.length === 1 ? "run" : "runs"}${on}, made by ${report.generator} on `;
  const notes = report.notes.length && element("aside", { class: "notes" }, element("h2", {}, "Before you read on"),
    element("ul", {}, ...report.notes.map((note) => element("li", {}, note))));
  document.getElementById("header").append(...[element("h1", {}, report.title),
    element("p", {}, "Which MLP neurons make the model give this answer, and how complete is that list? ",
      element("span", { class: "muted" }, size, element("time", { datetime: report.made }, date), ".")),
    notes].filter(Boolean));
}

function runColumns() {
  const known = new Map(columnsOf("runs", []).map((column) => [column.name, column]));
  const agreement = ["pearson", "spearman"].map((name) => ({
    name, type: "number", title: SIMILARITIES[name], meaning: "agreement of the scores with exact patching",
    get: (run) => agreementOf(run, name).value,
    note: (run) => interval(agreementOf(run, name).low, agreementOf(run, name).high, ", "),
  }));
  const named = (...names) => names.map((name) => known.get(name)).filter(Boolean);
  return [{ ...known.get("method"), get: label }, ...named("faithful_at", "complete_at", "cpr", "cmd"), ...agreement,
    ...named("evaluations", "seconds")];
}

function dataSection({ data, name, ...one }) {
  const size = (key, unit) => present(one[key]) && `${one[key].toLocaleString("en-US")} ${unit}`;
  const sizes = [size("train", "training pairs"), size("test", "held-out pairs"), size("nodes", "neurons")];
  const facts = [one.model, one.metric, ...sizes];
  const table = titledTable("runs", runColumns(), ofData("runs", data));
  if (!table) return null;
  const measures = runsWith("curve", data).length ? ["faithfulness", "completeness"] : [];
  const curves = grid(...measures.map((measure, i) => chartFigure(measure, (width) => curveFigure(measure, data, width),
    { id: `${measure}-${data}`, mate: `${measures[1 - i]}-${data}` })));
  return section(`neurons-${data}`, dataSets.length > 1 ? `How few neurons: ${name}` : "How few neurons",
    element("p", { class: "muted" }, facts.filter(Boolean).join(" · ")), curves, table);
}

function similaritySwitch(id) {
  const choices = Object.entries(SIMILARITIES).map(([key, name]) => {
    const input = element("input", { type: "radio", name: id, value: key, checked: key === similarity ? "" : null });
    input.addEventListener("change", () => {
      similarity = key;
      for (const other of document.querySelectorAll(`fieldset input[value=${key}]`)) other.checked = true;
      charts.filter((chart) => chart.drawn && chart.node.id.startsWith("methods-")).forEach(draw);
    });
    return element("label", {}, input, ` ${name}`);
  });
  return element("fieldset", {}, element("legend", {}, "Compare by"), ...choices);
}

function agreementSection() {
  return section("agreement", "Agreement with exact patching", ...dataSets.map(({ data, name }) => {
    const options = (id) => ({ id: `${id}-${data}`, after: dataSets.length > 1 ? `: ${name}` : "", size: "wide" });
    return grid(
      runsWith("agreement", data).length &&
        chartFigure("agreement", (width) => agreementFigure(data, width), options("agreement")),
      ofData("methods", data).length && chartFigure("methods", (width) => methodsFigure(data, width),
        { ...options("methods"), control: similaritySwitch(`methods-${data}`) }));
  }));
}

function inputText(run) {
  const records = ofRun("inputs", run);
  if (!records.length) return null;
  const largest = Math.max(...records.map(({ score }) => Math.abs(score))) || 1;
  const token = ({ position, token: word, score }) => {
    const part = Math.abs(score) / largest;
    const sign = part < 0.03 ? "" : score < 0 ? "negative" : "positive";
    const shown = cellText(word, { name: "token" });
    const about = `position ${position}, token ${shown}, score ${number(score ?? 0)} logits (${score})`;
    const span = element("span", { class: `token ${sign}`, title: about }, shown);
    span.style.setProperty("--strength", `${55 * part}%`); // the letters stay legible in both themes
    return word?.includes("\n") ? [span, element("br", {})] : [span];
  };
  const prompts = [...Map.groupBy(records, (record) => record.pair)].map(([pair, tokens]) => {
    const known = ofData("pairs", run.data).find((one) => one.pair === pair) ?? {};
    const answers = [known.clean_answer, known.patch_answer].filter(Boolean).map(visible).join(" rather than ");
    const head = element("small", {}, `pair ${pair}`, answers && `: ${answers}`);
    return element("p", { class: "tokens" }, head, ...tokens.toSorted(by("position")).flatMap(token));
  });
  const { title, caption } = text("inputs");
  return element("figure", { id: "inputs", class: "wide" }, element("h3", {}, title), ...prompts,
    element("figcaption", {}, `${caption} The strongest colour is ${number(largest)} logits.`));
}

const runChart = (name, table, make) => (run) =>
  ofRun(table, run).length && chartFigure(name, (width) => make(run, width));
const runTable = (table) => (run) => titledTable(table, columnsOf(table), ofRun(table, run));
const DETAIL = [
  runChart("scatter", "exact", scatterFigure), runChart("heat", "heat", heatFigure), runTable("top"),
  runChart("layers", "layers", layersFigure), inputText, runChart("steering", "steering", steeringFigure),
  runTable("steering_tokens"), runTable("steered"), runTable("cases"),
];

function runFacts(run) {
  const facts = columnsOf("runs").map((column) => [column, run[column.name]])
    .filter(([, value]) => present(value) && value !== "" && value !== ".");
  return element("dl", { class: "facts" }, ...facts.map(([column, value]) => element("div", {},
    element("dt", { title: column.meaning || null }, column.title),
    element("dd", { title: value }, `${cellText(value, column)} ${column.unit === "logits" ? column.unit : ""}`))));
}

function provenance(run) {
  const records = ofRun("provenance", run);
  const configuration = records.find(({ key }) => key === "configuration");
  const settings = configuration && element("pre", { tabindex: 0 }, configuration.value);
  const others = dataTable("Provenance", columnsOf("provenance"), records.filter((record) => record !== configuration));
  return [settings && fold(`Configuration of ${label(run)}`, true, settings),
    others && fold(`Provenance of ${label(run)}`, true, others)].filter(Boolean);
}

const detail = element("div", { id: "detail" });
const origin = element("div", { id: "provenance" });

function showRun(run) {
  const old = charts.filter(({ node }) => detail.contains(node));
  old.forEach(({ node }) => { nearby.unobserve(node); Plotly.purge(node); });
  charts = charts.filter((chart) => !old.includes(chart));
  detail.replaceChildren(...[runFacts(run), grid(...DETAIL.map((part) => part(run)))].filter(Boolean));
  origin.replaceChildren(...provenance(run));
  // What was drawn is drawn at once, so that a change of run does not move the page.
  const drawn = new Set(old.filter((chart) => chart.drawn).map(({ node }) => node.id));
  charts.filter(({ node }) => detail.contains(node) && drawn.has(node.id)).forEach(draw);
}

function runSection() {
  if (!runs.length) return null;
  const option = (name) => (run) =>
    element("option", { value: run.run }, dataSets.length > 1 ? `${label(run)} – ${name}` : label(run));
  const picker = element("select", { id: "run" }, ...dataSets.map(({ data, name }) =>
    element("optgroup", { label: name }, ...ofData("runs", data).map(option(name)))));
  picker.addEventListener("change", () => showRun(runs.find((run) => String(run.run) === picker.value)));
  const choose = runs.length > 1 && element("p", { class: "picker" }, element("label", {}, "Run", picker));
  return section("run-detail", runs.length > 1 ? "One run in detail" : "The run in detail", choose, detail);
}

function originSection() {
  const prompts = dataSets.filter(({ data }) => ofData("pairs", data).length).map(({ data, name }) => {
    const pairs = ofData("pairs", data);
    const title = `${pairs.length.toLocaleString("en-US")} prompt pairs${dataSets.length > 1 ? ` of ${name}` : ""}`;
    return fold(title, pairs.length <= 100, dataTable(title, columnsOf("pairs"), pairs));
  });
  return section("what-was-run", "What was run", titledTable("data", columnsOf("data"), rows("data")), ...prompts,
    rows("provenance").length && origin);
}

// ---- Screen and paper

let opened = [];
function setPrinting(on) {
  if (on === printing) return;
  printing = on;
  root.classList.toggle("printing", on);
  if (on) opened = [...document.querySelectorAll("details.in-print:not([open])")];
  opened.forEach((node) => { node.open = on; });
  drawAll();
}

let [shownWidth, wait] = [innerWidth, 0];
addEventListener("resize", () => { // legends and labels depend on the width; a phone's bars change the height only
  clearTimeout(wait);
  if (innerWidth !== shownWidth && !printing) wait = setTimeout(() => { shownWidth = innerWidth; redraw(); }, 150);
});
addEventListener("beforeprint", () => setPrinting(true));
addEventListener("afterprint", () => setPrinting(false));
matchMedia("print").addEventListener("change", ({ matches }) => setPrinting(matches));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

window.tributary = { drawAll, document: report };
header();
if (runs.length) showRun(runs[0]);
main.append(...[...dataSets.map(dataSection), agreementSection(), runSection(), originSection()].filter(Boolean));
if (contents.length > 1) document.getElementById("contents").append(element("ul", {}, ...contents));
