// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The look of charts, and a function a chart that turns rows of the document into a Plotly figure.

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
  const apart = (ends, sign) => values.map((value, i) =>
    (present(value) && present(ends[i]) ? Math.max(0, sign * (ends[i] - value)) : null));
  if (![...low, ...high].some(present)) return { visible: false };
  const line = { color, thickness, width: 2.5 };
  return { type: "data", symmetric: false, array: apart(high, 1), arrayminus: apart(low, -1), ...line };
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

const MARKS = { faithfulness: [[1, "ideal 1", "solid"], [0.8, "0.8", "dot"]],
  completeness: [[0, "ideal 0", "solid"], [0.2, "0.2", "dot"]] };

const hasCurve = (run) => ofRun("curve", run).some((row) => present(row.faithfulness) || present(row.completeness));
// A run that has circuits but no curve, in words.
const noCurve = (run) => `${label(run)}: ${run.measurable === 0 ?
  `ablating every ${onlyNeurons ? "neuron" : "node"} changes m by less than 0.05 logits, so faithfulness and completeness mean nothing` :
  "its circuits need more nodes than have a score"}.`;

function curveFigure(measure, data, width) {
  const shown = runsWith("curve", data).filter(hasCurve);
  const traces = shown.map((run) => curve(ofRun("curve", run).toSorted(by("count")), measure, {
    x: "count", name: label(run), style: look(run), crowded: shown.length > 10,
    head: ({ count }) => [label(run), ["", count.toLocaleString("en-US"), count === 1 ? "node" : "nodes"]],
  }));
  const legend = legendBelow(shown.map(label), width);
  const counts = traces.flatMap((trace) => trace.x);
  const decades = Math.max(...counts) >= 10 * Math.min(...counts) ? { dtick: 1 } : {};
  const layout = { ...legend.layout, xaxis: axis("number of nodes", { type: "log", tickformat: ",", ...decades }),
    yaxis: axis("", { zeroline: false }), shapes: MARKS[measure].map((mark) => guide(...mark)) };
  return { data: traces, layout, height: (printing ? 260 : 330) + legend.height };
}

// Methods by index from the top: every panel keeps the same order, whatever is missing.
const methodAxis = (names, width, more) => axis("", {
  tickvals: names.map((_, i) => i), ticktext: names.map((name) => plain(shorten(name, width < 560 ? 20 : 40))),
  range: [names.length - 0.5, -0.5], zeroline: false, ...more,
});

function agreementFigure(data, kind, width) {
  const ofThisKind = (run) => ofRun("agreement", run).filter((record) => kindOf(record) === kind);
  const shown = runsWith("agreement", data).filter((run) => ofThisKind(run).length);
  const names = shown.map(label);
  const statistics = unique(shown.flatMap((run) => pick(ofThisKind(run), "statistic")));
  const ends = shown.flatMap(ofThisKind).flatMap(({ value, low }) => [value ?? 0, low ?? 0]);
  const columns = Math.min(statistics.length, width < 560 ? 1 : width < 800 ? 2 : 3);
  const lines = Math.ceil(statistics.length / columns);
  const height = lines * (names.length * 24 + (lines > 1 ? 75 : 60));
  const layout = { annotations: [], margin: { l: 8, r: 12, t: 40, b: 8 } };
  const traces = statistics.map((statistic, i) => {
    const records = shown.map((run) => agreementOf(run, statistic, kind));
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
  // Where names do not fit below the columns, their numbers do.
  const narrow = (width - 210) / names.length < 20;
  const rows = narrow ? names.map((name, i) => `${i + 1} ${name}`) : names;
  const columns = narrow ? names.map((_, i) => String(i + 1)) : names;
  const size = Math.max(12, Math.min(52, (width - (narrow ? 190 : 210)) / names.length));
  const cell = Math.max(18, size);
  const signed = z.flat().some((value) => value < 0);
  const trace = { type: "heatmap", z, zmin: signed ? -1 : 0, zmax: 1, xgap: 1, ygap: 1, hoverinfo: "text",
    colorscale: colourscale(...(signed ? ["alike-low"] : []), "page", "alike-high"),
    texttemplate: size > 36 ? "%{z:.2f}" : "", textfont: { color: colour("text") },
    colorbar: { thickness: 10, outlinewidth: 0, tickvals: [-1, 0, 1] },
    hovertext: z.map((line, i) => line.map((value, k) =>
      hover(`${names[i]} and ${names[k]}`, [SIMILARITIES[similarity], value]))) };
  const layout = {
    xaxis: methodAxis(columns, 0,
      { range: [-0.5, names.length - 0.5], tickangle: narrow ? 0 : -45, showgrid: false, ticks: "" }),
    yaxis: methodAxis(rows, width, { showgrid: false, ticks: "" }),
    margin: { l: 8, t: 12, b: 8, r: Math.max(12, width - names.length * size - 200) } };
  return { data: [trace], layout, height: names.length * cell + (narrow ? 50 : 120) };
}

// Each has its look, whichever of them a chart has and which comes first.
const STRATA = ["top", "random", "top and random"];

function scatterFigure(points, width) {
  const groups = Map.groupBy(points, (point) => point.stratum ?? "");
  const order = unique([...STRATA, ...groups.keys()]);
  const ends = points.flatMap((point) => [point.exact, point.score]).filter(present);
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  const [from, to] = [low - 0.06 * (high - low), high + 0.06 * (high - low)];
  const styles = [...groups.keys()].map((stratum) => numberedLook(order.indexOf(stratum)));
  const traces = [...groups].map(([stratum, part], i) => ({
    type: "scatter", mode: "markers", name: plain(stratum), x: pick(part, "exact"), y: pick(part, "score"),
    marker: { color: styles[i].color, symbol: styles[i].symbol, size: 6, opacity: 0.8 },
    hoverinfo: "text", hovertext: part.map((point) => hover(place(point), ["sampled", point.stratum],
      ["probability", point.inclusion],
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
  const word = (position, key) => {
    const value = tokens.get(position)?.[key];
    return present(value) ? cellText(value, { name: key }) : null;
  };
  const named = (position) => [word(position, "position_name"), position].filter(present)
    .map((part) => shorten(String(part), 14)).join(" ");
  const tick = (position) => (position === -1 ? "all positions" : named(position));
  const labelled = x.filter((_, i) => i % Math.ceil((x.length * 15) / Math.max(100, width - 110)) === 0);
  const z = y.map((layer) => x.map((position) => cells.get(`${layer} ${position}`) ?? null));
  const words = (position) => [["name", word(position, "position_name")], ["clean token", word(position, "token")],
    ["counterfactual token", word(position, "counterfactual_token")]];
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

// "3 / 2 / 401", and where a page speaks of nodes "head 3/2/5", "MLP 3/2", "embedding 2". Features and errors have the
// number of their dictionary in place of the layer, "feature 0/2/401", as where nodes to be steered are named.
function shortPlace(node) {
  const position = node.position === -1 ? "all" : node.position;
  const first = node.dictionary ? node.dictionary.split(":")[0] : node.layer;
  const numbers = [isInLayer(node) ? first : null, position, hasIndex(node) ? node.neuron : null].filter(present);
  return onlyNeurons ? numbers.join(" / ") : `${NODE_NAMES[kindOf(node)]} ${numbers.join("/")}`;
}

// Values of nodes differ by orders of magnitude: each row has the scale of its own largest value.
function valuesFigure(run, width) {
  const records = ofRun("values", run);
  const byRank = Map.groupBy(records, ({ rank }) => rank);
  const names = [...byRank.values()].map(([first]) => shortPlace(first));
  const largest = new Map([...byRank].map(([rank, ofNode]) => [rank,
    Math.max(...ofNode.flatMap(({ clean, counterfactual }) => [clean, counterfactual]).map(Math.abs)) || 1]));
  const numbers = records.filter(isNumber);
  const value = numbers.length === records.length ? "value" : numbers.length > 0 ? "value or norm" : "norm";
  const prompts = new Map(ofData("pairs", run.data).map((pair) => [pair.pair, pair]));
  const part = (record, key) => (present(record[key]) ? record[key] / largest.get(record.rank) : null);
  const kind = (key, prompt, name, shift, marker) => ({
    type: "scatter", mode: "markers", name, x: records.map((record) => part(record, key)),
    y: records.map(({ rank }) => rank - 1 + shift),
    marker: { size: 7, opacity: 0.75, ...marker }, hoverinfo: "text",
    hovertext: records.map((record) => hover(place(record), ["value", record[key]],
      ["the row’s largest |value|", largest.get(record.rank)], ["pair", String(record.pair)],
      ["", shorten(visible(prompts.get(record.pair)?.[prompt] ?? ""), 90)])) });
  const traces = [
    kind("clean", "clean_prefix", "clean", -0.16, { symbol: "circle", color: colour("positive") }),
    kind("counterfactual", "patch_prefix", "counterfactual", 0.16, { symbol: "circle-open", color: colour("negative") }),
  ].filter((trace) => trace.x.some(present));
  const legend = legendBelow(pick(traces, "name"), width);
  const layout = { ...legend.layout, xaxis: axis(`${value} ÷ largest of the row`), yaxis: methodAxis(names, width) };
  return { data: traces, layout, height: names.length * 30 + 70 + legend.height };
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
  ], "values multiplied by", width);
}
