// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Draws the report page from the document embedded in it: the tables that `tributary export` writes.
// Texts of the document reach the page as text nodes only, and charts through plain(): prompts may hold markup.

const report = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const PRINT_WIDTH = 660; // px: fits A4 and Letter with the margins of report.css
const narrow = matchMedia("(max-width: 40rem)");

// ---- The document

const tables = new Map(report.tables.map((table) => [table.name, table]));
const remember = (make, made = new Map()) => (key) => made.get(key) ?? made.set(key, make(key)).get(key);
const rows = remember((name) => {
  const columns = tables.get(name)?.columns ?? [];
  return (columns[0]?.values ?? []).map((_, i) => Object.fromEntries(columns.map((column) => [column.name, column.values[i]])));
});
const grouped = remember((path) => Map.groupBy(rows(path.split(" ")[0]), (row) => row[path.split(" ")[1]]));
const of = (name, key, value) => grouped(`${name} ${key}`).get(value) ?? [];
const ofRun = (name, run) => of(name, "run", run.run);

const unique = (values) => [...new Set(values)];
const present = (value) => value !== null && value !== undefined;
const pick = (records, key) => records.map((record) => record[key]);
const by = (key) => (a, b) => a[key] - b[key];

const runs = rows("runs");
const dataSets = rows("data").length ? rows("data") : unique(pick(runs, "data")).map((data) => ({ data, name: "" }));
const dataName = (data) => dataSets.find((one) => one.data === data)?.name ?? "";
const runsOf = (data) => of("runs", "data", data);

// Two runs of one method on the same data differ in some other setting, which only their names tell.
const labels = new Map(runs.map((run) => {
  const twins = runsOf(run.data).filter((other) => other.method === run.method);
  return [run.run, twins.length > 1 ? `${run.method} (${run.name})` : run.method];
}));
const label = (run) => labels.get(run.run);
const kinds = unique(labels.values());

// ---- Texts and numbers

const visible = (token) => (token === "" ? "∅" : String(token ?? "–").replaceAll(" ", "·").replaceAll("\t", "⇥").replace(/\r?\n/g, "⏎"));
// Plotly reads a subset of HTML in every text it is given.
const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const shorten = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
const wrap = (text, length) => plain(text).replace(new RegExp(`(.{${length},}?) `, "g"), "$1<br>");
const minus = (text) => text.replaceAll("-", "−");

function number(value) {
  if (!present(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e4) return minus(Math.round(value).toLocaleString("en-US"));
  if (size === 0) return "0";
  return minus(size < 1e-3 ? value.toExponential(3) : value.toPrecision(4));
}

const IDENTIFIERS = new Set(["run", "data", "layer", "position", "neuron", "rank", "pair", "factor"]);
const TOKENS = new Set(["token", "counterfactual_token"]);

function cellText(value, { name, type }) {
  if (!present(value)) return "–";
  if (name === "position" && value === -1) return "all";
  if (TOKENS.has(name)) return visible(value);
  if (type === "text") return String(value);
  if (IDENTIFIERS.has(name)) return minus(String(value));
  return type === "integer" ? minus(value.toLocaleString("en-US")) : number(value);
}

const range = (low, high) => (present(low) && present(high) ? `${number(low)} to ${number(high)}` : "");
const hover = (head, facts) => [`<b>${plain(head)}</b>`,
  ...facts.filter(([, value]) => present(value) && value !== "").map(([name, value, unit = ""]) =>
    plain(`${name} ${typeof value === "number" ? number(value) : value} ${unit}`.trim()))].join("<br>");
const interval95 = (low, high) => ["95 % interval", range(low, high)];

// ---- Elements

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (present(value)) node.setAttribute(key, value);
  node.append(...children.filter(Boolean));
  return node;
}

const contents = [];
function section(id, title, ...children) {
  const filled = children.filter(Boolean);
  if (!filled.some((child) => !child.classList?.contains("lead"))) return null;
  contents.push(element("li", {}, element("a", { href: `#${id}` }, title)));
  return element("section", { id }, element("h2", {}, title), ...filled);
}

function grid(...children) {
  const filled = children.filter(Boolean);
  return filled.length ? element("div", { class: "grid" }, ...filled) : null;
}

const folds = new Map();
// A fold's content is made when it is first opened: there may be thousands of prompts.
function fold(title, build, inPrint) {
  const node = element("details", {}, element("summary", {}, title));
  const fill = () => { if (node.children.length === 1) node.append(build()); };
  node.addEventListener("toggle", fill);
  folds.set(node, { fill, inPrint });
  return node;
}

// ---- Tables that sort

const NAMES = {
  faithful_at: "neurons for faithfulness ≥ 0.8", complete_at: "neurons for completeness ≤ 0.2", cpr: "CPR", cmd: "CMD",
  evaluations: "gradient evaluations", residual: "mean |residual|", gap: "linearisation gap", run_a: "run", kl: "KL",
  top_share: "share of the first 100", dtype: "number format", auroc: "AUROC", pairs: "in pairs",
};
const columnName = (name) => NAMES[name] ?? name.replaceAll("_", " ");

function columnsOf(name, without = ["run", "data"]) {
  return (tables.get(name)?.columns ?? []).filter((column) => !without.includes(column.name)).map((column) => ({
    ...column, title: columnName(column.name), get: (row) => row[column.name], note: () => "",
  }));
}

function compare(a, b) {
  if (!present(a) || !present(b)) return present(b) - present(a);
  return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
}

function cell(column, record, index) {
  const value = column.get(record);
  const note = column.note(record);
  const kind = column.type === "text" ? "literal" : "number";
  const attributes = { class: kind, title: present(value) ? String(value) : "not measured or not reached" };
  const head = index === 0 && column.type === "text";
  return element(head ? "th" : "td", head ? { ...attributes, scope: "row" } : attributes, cellText(value, column),
    note && element("span", { class: "interval" }, ` [${note}]`));
}

function dataTable(title, caption, allColumns, records) {
  if (!records.length) return null;
  const columns = allColumns.filter((column) => records.some((record) => present(column.get(record))));
  const lines = records.map((record) => ({ record, line: element("tr", {}, ...columns.map((column, i) => cell(column, record, i))) }));
  const body = element("tbody", {}, ...pick(lines, "line"));
  const heads = columns.map((column) => {
    const button = element("button", { type: "button", title: column.meaning || null }, column.title);
    const unit = ["", "1", "fraction"].includes(column.unit ?? "") ? null : element("small", {}, column.unit);
    const head = element("th", { scope: "col", class: column.type === "text" ? null : "number", "aria-sort": "none" }, button, unit);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      // What is missing stays last in both directions.
      const order = (a, b) => compare(a, b) * (present(a) && present(b) ? sign : 1);
      lines.sort((a, b) => order(column.get(a.record), column.get(b.record)));
      body.append(...pick(lines, "line"));
    });
    return head;
  });
  const table = element("table", { "aria-label": title }, element("thead", {}, element("tr", {}, ...heads)), body);
  return element("div", { class: "block" }, element("h3", {}, title), caption && element("p", { class: "muted" }, caption),
    element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": title }, table));
}

// ---- The look of charts

const CONFIG = { responsive: true, displaylogo: false, modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]] };
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "x", "triangle-down", "star", "pentagon", "hexagram", "bowtie"];
const HUES = 7;
const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();

// 7 hues, 6 dashes and 11 markers share no divisor: 462 methods differ in at least one of the three.
function look(name) {
  const i = kinds.indexOf(name);
  return { color: colour(`hue-${i % HUES}`), dash: DASHES[i % DASHES.length], symbol: SYMBOLS[i % SYMBOLS.length] };
}

const axis = (title, more = {}) => ({
  title: { text: plain(title), standoff: 8 }, automargin: true, gridcolor: colour("grid"), linecolor: colour("rule"),
  zerolinecolor: colour("rule"), tickcolor: colour("rule"), ticks: "outside", ticklen: 4, ...more,
});
const guide = (y, text, dash) => ({
  type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, layer: "below", line: { color: colour("muted"), width: 1, dash },
  label: { text, textposition: "start", yanchor: "bottom", font: { size: 10, color: colour("muted") } },
});
const lines = (name, { color, dash, symbol }, more) => ({
  type: "scatter", mode: "lines+markers", name: plain(name), hoverinfo: "text",
  line: { color, dash, width: 1.75 }, marker: { color, symbol, size: 7 }, ...more,
});
function errors(values, low, high, color) {
  const apart = (ends) => values.map((value, i) => (present(value) && present(ends[i]) ? Math.abs(ends[i] - value) : null));
  return { type: "data", symmetric: false, array: apart(high), arrayminus: apart(low), color, thickness: 0.9, width: 2.5 };
}

function layoutOf({ layout, height }) {
  const size = printing ? { autosize: false, width: PRINT_WIDTH } : { autosize: true };
  // On a touch screen a finger must scroll the page, not draw a zoom box.
  const dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom";
  return {
    ...size, height, dragmode, hovermode: "closest", showlegend: false, paper_bgcolor: colour("page"), plot_bgcolor: colour("page"),
    margin: { l: 8, r: 12, t: 12, b: 8 }, font: { family: "system-ui, sans-serif", size: 12, color: colour("text") },
    hoverlabel: { bgcolor: colour("surface"), bordercolor: colour("rule"), font: { color: colour("text") }, align: "left" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("muted"), activecolor: colour("text") }, ...layout,
  };
}

// A long legend scrolls on the screen and is whole on paper.
function legendBelow(names, width) {
  const entry = Math.max(...names.map((name) => name.length)) * 6.4 + 48;
  const full = Math.ceil(names.length / Math.max(1, Math.floor(width / entry))) * 19 + 14;
  const height = printing ? full : Math.min(full, 150);
  const legend = { orientation: "h", x: 0, xanchor: "left", y: 0, yref: "container", yanchor: "bottom", maxheight: height + 4,
    font: { size: names.length > 12 ? 10.5 : 12 }, bgcolor: "rgba(0,0,0,0)" };
  return { legend, height };
}

// Panels one above the other with a common horizontal axis, so that layers or factors line up.
function stacked(panels, horizontal, names, width) {
  const layout = { xaxis: axis(horizontal, { anchor: `y${panels.length}`, zeroline: false }), showlegend: names.length > 0 };
  const part = 1 / panels.length;
  const data = panels.flatMap((panel, i) => {
    const bottom = 1 - (i + 1) * part;
    layout[`yaxis${i + 1}`] = axis(panel.title, { domain: [bottom + (i + 1 < panels.length ? 0.05 : 0), bottom + part], ...panel.axis });
    return panel.traces.map((trace) => ({ ...trace, yaxis: `y${i + 1}` }));
  });
  const { legend, height } = legendBelow(names.length ? names : [""], width);
  return { data, layout: { ...layout, legend }, height: 150 * panels.length + 50 + (names.length ? height : 0) };
}

// ---- The charts: each function turns rows of the document into a Plotly figure

const hidden = new Set(); // curves that were switched off in a legend, as "data/label"

function curveFigure(data, measure, marks, width) {
  const shown = runsOf(data).filter((run) => ofRun("curve", run).length);
  const traces = shown.map((run) => {
    const points = ofRun("curve", run).toSorted(by("count"));
    const [y, low, high] = ["", "_low", "_high"].map((end) => pick(points, measure + end));
    const style = look(label(run));
    return lines(label(run), style, {
      x: pick(points, "count"), y, customdata: points.map((_, i) => [low[i], high[i]]), error_y: errors(y, low, high, style.color),
      visible: hidden.has(`${data}/${label(run)}`) ? "legendonly" : true,
      hovertext: points.map((point, i) => hover(label(run), [["", point.count.toLocaleString("en-US"), "neurons"],
        [measure, y[i]], interval95(low[i], high[i])])),
    });
  });
  const { legend, height } = legendBelow(shown.map(label), width);
  const counts = traces.flatMap((trace) => trace.x);
  const decades = Math.max(...counts) >= 10 * Math.min(...counts) ? { dtick: 1 } : {};
  const layout = {
    xaxis: axis("number of neurons", { type: "log", tickformat: ",", ...decades }), yaxis: axis("", { zeroline: false }),
    shapes: marks.map(([y, text, dash]) => guide(y, text, dash)), showlegend: shown.length > 1, legend,
  };
  return { data: traces, layout, height: 330 + (shown.length > 1 ? height : 0), toggles: shown.map((run) => `${data}/${label(run)}`) };
}

// Method names on a vertical axis, by index: every panel keeps the same order, whatever is missing.
const methodAxis = (names, width, more) => axis("", { tickvals: names.map((_, i) => i), range: [names.length - 0.5, -0.5],
  ticktext: names.map((name) => (width < 560 ? wrap(name, 12) : plain(name))), zeroline: false, ...more });

function agreementFigure(data, width) {
  const shown = runsOf(data).filter((run) => ofRun("agreement", run).length);
  const statistics = unique(shown.flatMap((run) => pick(ofRun("agreement", run), "statistic")));
  const names = shown.map(label);
  const columns = width < 560 ? 1 : Math.min(statistics.length, 4);
  const height = Math.ceil(statistics.length / columns);
  const layout = { annotations: [] };
  const all = shown.flatMap((run) => ofRun("agreement", run)).flatMap((record) => [record.value, record.low, record.high]);
  const traces = statistics.map((statistic, i) => {
    const records = shown.map((run) => ofRun("agreement", run).find((record) => record.statistic === statistic) ?? {});
    const [x, low, high] = ["value", "low", "high"].map((key) => records.map((record) => record[key] ?? null));
    const [column, line] = [i % columns, Math.floor(i / columns)];
    const domain = (k, n, gap) => [k / n + (k ? gap : 0), (k + 1) / n - (k + 1 < n ? gap : 0)];
    const vertical = domain(line, height, 0.09 / Math.sqrt(height)).map((end) => 1 - end).reverse();
    layout[`xaxis${i + 1}`] = axis("", { domain: domain(column, columns, 0.012), anchor: `y${i + 1}`,
      range: [Math.min(-0.04, Math.min(...all) - 0.04), 1.06], nticks: 5 });
    layout[`yaxis${i + 1}`] = methodAxis(names, width, { domain: vertical, anchor: `x${i + 1}`, showticklabels: column === 0 });
    layout.annotations.push({ text: wrap(statistic, 20), xref: `x${i + 1} domain`, yref: `y${i + 1} domain`, x: 0, y: 1, xanchor: "left",
      yanchor: "bottom", align: "left", showarrow: false, font: { size: 12 } });
    return {
      type: "scatter", mode: "markers", name: plain(statistic), x, y: names.map((_, k) => k), hoverinfo: "text",
      xaxis: `x${i + 1}`, yaxis: `y${i + 1}`, error_x: errors(x, low, high, colour("muted")),
      marker: { size: 9, color: names.map((name) => look(name).color), symbol: names.map((name) => look(name).symbol) },
      hovertext: names.map((name, k) => hover(name, [[statistic, x[k]], interval95(low[k], high[k])])),
    };
  });
  return { data: traces, layout: { ...layout, margin: { l: 8, r: 12, t: 40, b: 8 } }, height: height * (names.length * 24 + 75) + 20 };
}

function methodsFigure(data, width) {
  const pairs = of("methods", "data", data);
  const shown = runsOf(data).filter((run) => pairs.some((pair) => pair.run_a === run.run || pair.run_b === run.run));
  const names = shown.map(label);
  const between = (a, b) => pairs.find((pair) => (pair.run_a === a.run && pair.run_b === b.run) || (pair.run_a === b.run && pair.run_b === a.run));
  const z = shown.map((a) => shown.map((b) => (a === b ? 1 : between(a, b)?.[similarity.key] ?? null)));
  const size = Math.max(9, Math.min(48, (width - 190) / names.length));
  const trace = {
    type: "heatmap", z, zmin: -1, zmax: 1, xgap: 1, ygap: 1, hoverinfo: "text", texttemplate: size > 36 ? "%{z:.2f}" : "",
    colorscale: [[0, colour("negative")], [0.5, colour("page")], [1, colour("positive")]],
    colorbar: { thickness: 10, outlinewidth: 0, len: 0.9, tickvals: [-1, 0, 1] },
    hovertext: z.map((line, i) => line.map((value, k) => hover(`${names[i]} and ${names[k]}`, [[similarity.title, value]]))),
  };
  const square = { constrain: "domain", showgrid: false, ticks: "" };
  const layout = {
    xaxis: { ...methodAxis(names, 0, square), range: [-0.5, names.length - 0.5], tickangle: -45, constraintoward: "left" },
    yaxis: methodAxis(names, width, { ...square, scaleanchor: "x", constraintoward: "top" }),
  };
  return { data: [trace], layout, height: names.length * size + 110 };
}

function scatterFigure(run) {
  const points = ofRun("exact", run);
  const { color } = look(label(run));
  const ends = points.flatMap((point) => [point.exact, point.score]).filter(present);
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  const room = [low - 0.06 * (high - low), high + 0.06 * (high - low)];
  const traces = [...Map.groupBy(points, (point) => point.stratum)].map(([stratum, part], i) => ({
    type: "scatter", mode: "markers", name: plain(stratum), x: pick(part, "exact"), y: pick(part, "score"), hoverinfo: "text",
    marker: { color: colour(`hue-${i % HUES}`), symbol: SYMBOLS[i % SYMBOLS.length], size: 6, opacity: 0.8 },
    hovertext: part.map((point) => hover(place(point), [["sampled from", stratum], ["exact", point.exact, "logits"], ["score", point.score, "logits"]])),
  }));
  const diagonal = { type: "line", x0: room[0], x1: room[1], y0: room[0], y1: room[1], layer: "below", line: { color: colour("muted"), width: 1, dash: "dash" } };
  const layout = {
    xaxis: axis("exact patching (logits)", { range: room }), yaxis: axis("score (logits)", { range: room }), shapes: [diagonal],
    showlegend: traces.length > 1, legend: legendBelow(pick(traces, "name"), 400).legend,
  };
  return { data: traces, layout, height: 440 };
}

const place = ({ layer, position, neuron }) =>
  [`layer ${layer}`, position === -1 ? "all positions" : `position ${position}`, present(neuron) ? `neuron ${neuron}` : ""].filter(Boolean).join(", ");

function heatFigure(run, width) {
  const cells = ofRun("heat", run);
  const layers = unique(pick(cells, "layer")).sort((a, b) => a - b);
  const positions = unique(pick(cells, "position")).sort((a, b) => a - b);
  const at = new Map(cells.map((one) => [`${one.layer} ${one.position}`, one.magnitude]));
  const tokens = new Map(of("tokens", "data", run.data).map((row) => [row.position, row]));
  const z = layers.map((layer) => positions.map((position) => at.get(`${layer} ${position}`) ?? null));
  const tick = (position) => (position === -1 ? "all positions" : `${shorten(visible(tokens.get(position)?.token ?? ""), 14)} ${position}`);
  const step = Math.max(1, Math.ceil((positions.length * 15) / (width - 110)));
  const labelled = positions.filter((_, i) => i % step === 0);
  const words = (position) => [["token", tokens.has(position) ? visible(tokens.get(position).token) : null],
    ["counterfactual", tokens.has(position) ? visible(tokens.get(position).counterfactual_token) : null]];
  const trace = {
    type: "heatmap", x: positions, y: layers, z, hoverinfo: "text",
    colorscale: [[0, colour("heat-low")], [0.5, colour("heat-middle")], [1, colour("heat-high")]],
    colorbar: { thickness: 10, outlinewidth: 0, title: { text: "logits", font: { size: 11 } } },
    hovertext: z.map((line, i) => line.map((value, k) => hover(place({ layer: layers[i], position: positions[k] }),
      [...words(positions[k]), ["sum of |score|", value, "logits"]]))),
  };
  const layout = {
    xaxis: axis("", { tickvals: labelled, ticktext: labelled.map((position) => plain(tick(position))), tickangle: -60, showgrid: false }),
    yaxis: axis("layer", { showgrid: false, dtick: layers.length > 12 ? 5 : 1 }),
  };
  return { data: [trace], layout, height: 440 };
}

function layersFigure(run, width) {
  const records = ofRun("layers", run).toSorted(by("layer"));
  const x = pick(records, "layer");
  const { color } = look(label(run));
  const facts = (key, name, unit) => records.map((record) => hover(`layer ${record.layer}`, [[name, record[key], unit]]));
  const bars = (key, name, unit) => ({ type: "bar", name, x, y: pick(records, key), marker: { color }, hoverinfo: "text", hovertext: facts(key, name, unit), showlegend: false });
  const measured = [["residual", "mean |residual|", "circle", "solid"], ["gap", "linearisation gap", "diamond", "dot"]]
    .filter(([key]) => records.some((record) => present(record[key])));
  const sizes = measured.flatMap(([key]) => pick(records, key)).filter(present);
  const panels = [
    { title: "sum of |score|", traces: [bars("magnitude", "sum of |score|", "logits")] },
    { title: "error (logits)", axis: sizes.every((value) => value > 0) ? { type: "log", dtick: 1, exponentformat: "power" } : {},
      traces: measured.map(([key, name, symbol, dash]) => lines(name, { color, symbol, dash }, { x, y: pick(records, key), hovertext: facts(key, name, "logits") })) },
    { title: "evaluations", axis: { rangemode: "tozero" }, traces: [bars("evaluations", "gradient evaluations a pair", "")] },
  ].filter((panel) => panel.traces.some((trace) => trace.y.some(present)));
  return stacked(panels, "layer", measured.map(([, name]) => name), width);
}

function steeringFigure(run, width) {
  const records = ofRun("steering", run).toSorted(by("factor"));
  const curve = (key, name, style, unit) => lines(name, style, { x: pick(records, "factor"), y: pick(records, key), showlegend: false,
    hovertext: records.map((record) => hover(`factor ${cellText(record.factor, { name: "factor" })}`,
      [[name, record[key], unit], ...(key === "metric" ? [interval95(record.metric_low, record.metric_high)] : [])])) });
  const own = look(label(run));
  const ends = ["metric", "metric_low", "metric_high"].map((key) => pick(records, key));
  const answers = [["clean_probability", "probability of the clean answer", "positive", "solid", "circle"],
    ["patch_probability", "probability of the counterfactual answer", "negative", "dash", "square"]];
  const panels = [
    { title: "metric (logits)", traces: [{ ...curve("metric", "metric", own, "logits"), error_y: errors(...ends, own.color) }] },
    { title: "probability", axis: { rangemode: "tozero" }, traces: answers.map(([key, name, hue, dash, symbol]) =>
      ({ ...curve(key, name, { color: colour(hue), dash, symbol }), showlegend: true })) },
    { title: "KL (nats)", axis: { rangemode: "tozero" }, traces: [curve("kl", "KL divergence", own, "nats")] },
  ].filter((panel) => panel.traces.some((trace) => trace.y.some(present)));
  return stacked(panels, "activations multiplied by", panels.some((panel) => panel.title === "probability") ? answers.map(([, name]) => name) : [], width);
}

// ---- Drawing

let printing = false;
let charts = [];

async function draw(chart) {
  const { node } = chart;
  const figure = chart.make(printing ? PRINT_WIDTH : node.clientWidth || PRINT_WIDTH);
  chart.toggles = figure.toggles;
  const first = !chart.drawn;
  chart.drawn = true;
  node.classList.add("drawn");
  await Plotly.react(node, figure.data, layoutOf(figure), CONFIG);
  if (!first || !figure.toggles) return;
  node.on("plotly_legendclick", ({ curveNumber }) => toggle(chart.toggles, [chart.toggles[curveNumber]]));
  node.on("plotly_legenddoubleclick", ({ curveNumber }) => toggle(chart.toggles, chart.toggles.filter((_, i) => i !== curveNumber), true));
}

const redraw = () => Promise.all(charts.filter((chart) => chart.drawn).map(draw));
const drawAll = () => Promise.all(charts.map(draw));

// Faithfulness and completeness of one data set show the same curves.
function toggle(group, keys, isolate = false) {
  const hide = isolate ? !keys.every((key) => hidden.has(key)) : !hidden.has(keys[0]);
  if (isolate) group.forEach((key) => hidden.delete(key));
  keys.forEach((key) => hidden[hide ? "add" : "delete"](key));
  charts.filter((chart) => chart.drawn && chart.toggles?.[0] === group[0]).forEach(draw);
  return false; // Plotly is not to switch the curve a second time
}

const nearby = new IntersectionObserver((entries) => entries.filter((entry) => entry.isIntersecting).forEach(({ target }) => {
  nearby.unobserve(target);
  const chart = charts.find(({ node }) => node === target);
  if (chart && !chart.drawn) draw(chart);
}), { rootMargin: "500px" });

function chartFigure(id, title, caption, make, control) {
  const node = element("div", { id, class: "chart", role: "group", "aria-label": title });
  charts.push({ node, make, drawn: false });
  nearby.observe(node);
  return element("figure", {}, element("h3", {}, title), control, node, element("figcaption", {}, caption));
}

// ---- The sections

const SIMILARITIES = [{ key: "pearson", title: "Pearson" }, { key: "spearman", title: "Spearman" }, { key: "overlap", title: "top-100 overlap" }];
let similarity = SIMILARITIES[0];

function similaritySwitch(id) {
  const choices = SIMILARITIES.map((one) => {
    const input = element("input", { type: "radio", name: id, checked: one === similarity ? "" : null });
    input.addEventListener("change", () => { similarity = one; draw(charts.find(({ node }) => node.id === id)); });
    return element("label", {}, input, ` ${one.title}`);
  });
  return element("fieldset", {}, element("legend", {}, "Compare by"), ...choices);
}

function header() {
  const parts = [`${runs.length} ${runs.length === 1 ? "run" : "runs"}`];
  if (dataSets.length > 1) parts.push(`${dataSets.length} data sets`);
  const made = new Date(report.made);
  const date = Number.isNaN(made.valueOf()) ? report.made : made.toLocaleString("en-GB", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" }) + " UTC";
  document.getElementById("header").append(element("h1", {}, report.title),
    element("p", {}, "Which MLP neurons make the model give this answer, and how complete is that list? ", element("span", { class: "muted" },
      `${parts.join(" on ")}. Made by ${report.generator}, `, element("time", { datetime: report.made }, date), ".")));
  if (!report.notes.length) return;
  document.getElementById("header").append(element("aside", { class: "notes", "aria-label": "Notes" }, element("h2", {}, "Before you read on"),
    element("ul", {}, ...report.notes.map((note) => element("li", {}, note)))));
}

const agreementOf = (run, statistic) => ofRun("agreement", run).find((record) => record.statistic === statistic);

function runColumns() {
  const known = new Map(columnsOf("runs", []).map((column) => [column.name, column]));
  const method = { ...known.get("method"), get: label };
  const agreement = ["pearson", "spearman"].map((statistic) => ({
    name: statistic, type: "number", title: `${statistic[0].toUpperCase()}${statistic.slice(1)} with exact patching`,
    meaning: "agreement of the scores with exact patching on sampled neurons, with the 95 % interval", note: (run) => range(agreementOf(run, statistic)?.low, agreementOf(run, statistic)?.high),
    get: (run) => agreementOf(run, statistic)?.value ?? null,
  }));
  const named = (...names) => names.map((name) => known.get(name)).filter(Boolean);
  return [method, ...named("faithful_at", "complete_at", "cpr", "cmd"), ...agreement, ...named("evaluations", "seconds")];
}

const CURVES = [
  ["faithfulness", "Faithfulness", [[1, "ideal 1", "solid"], [0.8, "0.8", "dot"]],
    "Only the strongest neurons are kept and all others are set to their ablation value. The farther left a curve rises to 1, the fewer neurons carry the behaviour. Bars are 95 % bootstrap intervals over held-out pairs."],
  ["completeness", "Completeness", [[0, "ideal 0", "solid"], [0.2, "0.2", "dot"]],
    "The strongest neurons are set to their ablation value and all others are kept. The farther left a curve falls to 0, the less is left outside the list. A click on a name in the legend hides a curve, a double click hides the others."],
];

const DATA_FACTS = [["model", ""], ["metric", ""], ["train", "training pairs"], ["test", "held-out pairs"], ["nodes", "neurons"]];
function dataSection(one) {
  const many = dataSets.length > 1;
  const facts = DATA_FACTS.filter(([key]) => present(one[key])).map(([key, after]) => `${typeof one[key] === "number" ? one[key].toLocaleString("en-US") : one[key]} ${after}`.trim());
  const curves = runsOf(one.data).some((run) => ofRun("curve", run).length) && CURVES.map(([measure, title, marks, caption]) =>
    chartFigure(`${measure}-${one.data}`, title, caption, (width) => curveFigure(one.data, measure, marks, width)));
  return section(`neurons-${one.data}`, many ? `How few neurons: ${one.name}` : "How few neurons",
    facts.length && element("p", { class: "lead muted" }, facts.join(" · ")), grid(...(curves || [])),
    dataTable("Runs", "One row a method. The two counts are the smallest measured ones that pass the threshold. CPR: area under faithfulness, more is better; CMD: area between faithfulness and 1, less is better.",
      runColumns(), runsOf(one.data)));
}

function agreementSection() {
  return section("agreement", "Agreement with exact patching", ...dataSets.flatMap(({ data, name }) => {
    const after = dataSets.length > 1 ? `: ${name}` : "";
    const exact = runsOf(data).some((run) => ofRun("agreement", run).length);
    return grid(
      exact && wide(chartFigure(`agreement-${data}`, `Scores against exact patching${after}`,
        "Each sampled neuron is patched alone and its effect compared with its score. One row a method, one panel a statistic; 1 is full agreement, bars are 95 % intervals.", (width) => agreementFigure(data, width))),
      of("methods", "data", data).length && wide(chartFigure(`methods-${data}`, `Methods against each other${after}`,
        "How alike the scores of two methods are over all neurons: 1 is the same, 0 unrelated. Top-100 overlap is the share of the 100 strongest neurons that both name.", (width) => methodsFigure(data, width), similaritySwitch(`methods-${data}`))));
  }));
}

function wide(node) {
  node?.classList.add("wide");
  return node;
}

function inputText(run) {
  const records = ofRun("inputs", run);
  if (!records.length) return null;
  const largest = Math.max(...pick(records, "score").filter(present).map(Math.abs));
  const token = ({ position, token: text, score }) => {
    const word = element("span", { class: `token ${score < 0 ? "negative" : "positive"}`,
      title: `position ${position}, token ${visible(text)}, score ${number(score)} logits (${score})` }, visible(text));
    // At most 55 %: the letters on it stay legible in both themes.
    word.style.setProperty("--strength", `${largest ? (55 * Math.abs(score ?? 0)) / largest : 0}%`);
    return text.includes("\n") ? [word, element("br")] : [word];
  };
  const prompts = [...Map.groupBy(records, (record) => record.pair)].map(([pair, tokens]) => {
    const answers = of("pairs", "data", run.data).find((one) => one.pair === pair);
    const head = `pair ${pair}` + (answers ? `: ${visible(answers.clean_answer)} rather than ${visible(answers.patch_answer)}` : "");
    return element("p", { class: "tokens" }, element("small", {}, head), ...tokens.toSorted(by("position")).flatMap(token));
  });
  return wide(element("figure", { id: "inputs" }, element("h3", {}, "Input attribution"), ...prompts, element("figcaption", {},
    `What each token of a training prompt adds to the metric. Blue supports the clean answer; orange with a dotted line works against it. The strongest colour is ${number(largest)} logits; the value shows when the pointer rests on a token.`)));
}

const runChart = (id, table, title, caption, make) => (run) => (ofRun(table, run).length ? chartFigure(id, title, caption, (width) => make(run, width)) : null);
const runTable = (table, title, caption) => (run) => dataTable(title, caption, columnsOf(table), ofRun(table, run));

const DETAIL = [
  runChart("scatter", "exact", "Score against exact patching", "One dot a sampled neuron. On the dashed diagonal the score equals the effect of patching that neuron alone.", scatterFigure),
  runChart("heat", "heat", "Where the scores are", "The sum of |score| over the neurons of one layer at one position. Tokens are those of the first training prompt; “·” is a space, “⏎” a new line.", heatFigure),
  runTable("top", "Strongest neurons", "A positive score supports the clean answer. Share is the part of all |score|."),
  runChart("layers", "layers", "Layer by layer", "How much score a layer holds, how far its scores are from adding up to the layer’s effect, and how many gradient evaluations a pair cost.", layersFigure),
  inputText,
  runChart("steering", "steering", "Steering", "The chosen neurons’ activations are multiplied by a factor: 1 is the unchanged model, 0 removes them. Bars are 95 % intervals.", steeringFigure),
  runTable("steering_tokens", "Most likely next tokens", "In how many held-out pairs a token is the most likely one, and its mean probability."),
  runTable("steered", "Steered neurons", "The neurons whose activations are multiplied."),
  runTable("cases", "Neurons of one case", "AUROC: how well a neuron’s activation tells the pairs of a case from the others; 0.5 is chance."),
];

function runFacts(run) {
  const facts = [...columnsOf("runs"), ...columnsOf("data", ["data", "name", "nodes"]).map((column) => ({ ...column, get: () => dataSets.find((one) => one.data === run.data)?.[column.name] }))];
  return element("dl", { class: "facts" }, ...facts.filter((column) => present(column.get(run)) && column.get(run) !== "").map((column) =>
    element("div", {}, element("dt", { title: column.meaning || null }, column.title),
      element("dd", { title: String(column.get(run)) }, `${cellText(column.get(run), column)} ${["logits", "nats"].includes(column.unit) ? column.unit : ""}`.trim()))));
}

function provenance(run) {
  const records = ofRun("provenance", run);
  const configuration = records.find((record) => record.key === "configuration");
  return [
    configuration && fold("Configuration of this run", () => element("pre", {}, configuration.value), true),
    records.some((record) => record !== configuration) && fold("Provenance of this run", () =>
      dataTable("Provenance", "", columnsOf("provenance"), records.filter((record) => record !== configuration)), true),
  ].filter(Boolean);
}

const detail = element("div", { id: "detail" });
const origin = element("div", { id: "origin" });

function showRun(run) {
  const before = new Set();
  for (const { node } of charts.filter(({ node }) => detail.contains(node))) {
    if (node.classList.contains("drawn")) before.add(node.id);
    nearby.unobserve(node);
    Plotly.purge(node);
  }
  charts = charts.filter(({ node }) => !detail.contains(node));
  for (const node of origin.querySelectorAll("details")) folds.delete(node);
  const parts = grid(...DETAIL.map((part) => part(run)));
  detail.replaceChildren(runFacts(run), ...(parts ? [parts] : []));
  origin.replaceChildren(...provenance(run));
  // What was in view is drawn at once, so that switching does not move the page.
  return Promise.all(charts.filter(({ node }) => detail.contains(node) && before.has(node.id)).map(draw));
}

function runSection() {
  if (!runs.length) return null;
  const picker = element("select", { id: "run" }, ...dataSets.map(({ data, name }) =>
    element("optgroup", { label: name || "runs" }, ...runsOf(data).map((run) => element("option", { value: run.run }, label(run))))));
  picker.addEventListener("change", () => showRun(runs.find((run) => String(run.run) === picker.value)));
  const choose = runs.length > 1 && element("p", { class: "picker" }, element("label", {}, "Run", picker));
  return section("run-detail", runs.length > 1 ? "One run in detail" : "The run in detail", choose, detail);
}

function originSection() {
  const prompts = dataSets.filter(({ data }) => of("pairs", "data", data).length).map(({ data, name }) => {
    const pairs = of("pairs", "data", data);
    const title = `${pairs.length.toLocaleString("en-US")} prompt pairs${dataSets.length > 1 ? ` of ${name}` : ""}`;
    return fold(title, () => dataTable(title, "", columnsOf("pairs"), pairs), pairs.length <= 100);
  });
  return section("origin-of-numbers", "What was run", dataTable("Data sets", tables.get("data")?.meaning, columnsOf("data"), rows("data")), ...prompts, origin.childNodes.length && origin);
}

// ---- Screen and paper

let opened = [];
function setPrinting(on) {
  if (on === printing) return;
  printing = on;
  root.classList.toggle("printing", on);
  if (on) opened = [...folds].filter(([node, { inPrint }]) => inPrint && !node.open).map(([node]) => node);
  for (const node of opened) {
    folds.get(node)?.fill();
    node.open = on;
  }
  drawAll();
}

addEventListener("beforeprint", () => setPrinting(true));
addEventListener("afterprint", () => setPrinting(false));
matchMedia("print").addEventListener("change", ({ matches }) => setPrinting(matches));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
narrow.addEventListener("change", redraw);

window.tributary = { drawAll, document: report };
header();
if (runs.length) showRun(runs[0]);
document.getElementById("main").append(...[...dataSets.map(dataSection), agreementSection(), runSection(), originSection()].filter(Boolean));
if (contents.length > 1) document.getElementById("contents").append(element("ul", {}, ...contents));
