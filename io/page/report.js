// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Draws the page: charts when they come near, sections of what the document holds, screen and paper.

let printing = false;
let charts = []; // {node, make, drawn, mate}: a mate shows the same curves

const charting = typeof Plotly !== "undefined";

async function draw(chart) {
  const { node } = chart;
  if (!charting) return;
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
  const image = { filename: node.id, format: "svg" };
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
  const missing = !charting && element("p", { class: "muted" }, "The script that draws charts was not found.");
  return element("figure", { class: size }, element("h3", {}, title + after), control, missing || node, about);
}

function header() {
  const made = new Date(report.made);
  const style = { dateStyle: "long", timeStyle: "short", timeZone: "UTC" };
  const date = Number.isNaN(made.valueOf()) ? report.made : `${made.toLocaleString("en-GB", style)} UTC`;
  const on = dataSets.length > 1 ? ` on ${dataSets.length} data sets` : "";
  const parts = onlyNeurons ? "MLP neurons" : "parts of the model";
  const size = `${runs.length} ${runs.length === 1 ? "run" : "runs"}${on}, made by ${report.generator} on `;
  const all = charting ? report.notes : ["There are no charts: this page needs the file plotly.min.js of its sweep’s " +
    "folder, which was not found. Copy it along, or make a page that holds it: tributary report FOLDER --self-contained",
    ...report.notes];
  const notes = all.length && element("aside", { class: "notes" }, element("h2", {}, "Before you read on"),
    element("ul", {}, ...all.map((note) => element("li", {}, note))));
  document.getElementById("header").append(...[element("h1", {}, report.title),
    element("p", {}, `Which ${parts} make ${onlyNeurons ? "the model" : "it"} give this answer, and how complete is that list? `,
      element("span", { class: "muted" }, size, element("time", { datetime: report.made }, date), ".")),
    notes].filter(Boolean));
}

function runColumns() {
  const known = new Map(columnsOf("runs", []).map((column) => [column.name, column]));
  const agreement = kindsOf(rows("agreement")).flatMap((kind) => ["pearson", "spearman"].map((name) => ({
    name, type: "number", title: SIMILARITIES[name] + (onlyNeurons ? "" : ` (${several(kind)})`),
    meaning: `agreement of the scores with exact patching, estimated for all ${onlyNeurons ? "nodes" : several(kind)}`,
    get: (run) => agreementOf(run, name, kind).value,
    note: (run) => interval(agreementOf(run, name, kind).low, agreementOf(run, name, kind).high, ", "),
  })));
  const named = (...names) => names.map((name) => known.get(name)).filter(Boolean);
  const beyond = (run) => hasCurve(run) ? // the largest circuit did not reach it
    `> ${Math.max(...ofRun("curve", run).map(({ count }) => count)).toLocaleString("en-US")}` : null;
  const reached = named("faithful_at", "complete_at").map((column) => ({ ...column, absent: beyond }));
  return [{ ...known.get("method"), get: label }, ...reached, ...named("embeddings_rank"), ...named("evaluations", "seconds", "cpr", "cmd"),
    ...agreement];
}

// Runs of other kinds of nodes have other numbers of them.
function nodeCounts(one) {
  const counts = unique(pick(runsWith("top", one.data), "nodes").filter(present)).sort((a, b) => a - b);
  const ends = counts.length > 1 ? [counts[0], counts.at(-1)] : [one.nodes].filter(present);
  return ends.length > 0 && `${ends.map((count) => count.toLocaleString("en-US")).join(" to ")} nodes`;
}

// Circuits may be made of some kinds only.
function circuitNodes(data) {
  const among = unique(ofData("runs", data).filter((run) => present(run.circuit_nodes)).map((run) =>
    `${run.circuit_nodes.toLocaleString("en-US")} nodes: ${run.circuit_kinds}`));
  return !onlyNeurons && among.length > 0 && `circuits choose among ${among.join(", or ")}`;
}

const share = (part, which) => present(part) && `${number(100 * part)} % of ${which}`;

function dataSection({ data, name, ...one }) {
  const size = (key, unit) => present(one[key]) && `${one[key].toLocaleString("en-US")} ${unit}`;
  const sizes = [size("train", "training pairs"), size("test", "held-out pairs"), nodeCounts({ data, ...one }),
    circuitNodes(data)];
  const right = [share(one.accuracy, "training"), share(one.test_accuracy, "held-out")].filter(Boolean);
  const ablations = new Set(ofData("runs", data).map((run) => run.ablation).filter(Boolean));
  const ablation = ablations.size > 0 && `ablation: ${[...ablations].join(", ")}`;
  const facts = [one.model, one.metric, ...sizes, ablation,
    right.length && `the model ${one.metric === "logit-difference" ? "prefers the right one of the two answers" : "says the right answer"} on ${right.join(" and ")} pairs`];
  const hangs = ofData("runs", data).some((run) => present(run.embeddings_rank)) && text("runs_embeddings").caption;
  const compared = runsWith("agreement", data).length && text("runs_agreement").caption;
  const more = [hangs, compared].filter(Boolean).join(" ");
  const table = titledTable("runs", runColumns(), ofData("runs", data), "", more);
  if (!table) return null;
  const circuits = runsWith("curve", data);
  const measures = circuits.some(hasCurve) ? ["faithfulness", "completeness"] : [];
  const reasons = circuits.filter((run) => !hasCurve(run)).map((run) => element("li", {}, noCurve(run)));
  const without = reasons.length && element("div", { class: "without" },
    element("p", {}, "Without a curve:"), element("ul", {}, ...reasons));
  const curves = grid(...measures.map((measure, i) => chartFigure(measure, (width) => curveFigure(measure, data, width),
    { id: `${measure}-${data}`, mate: `${measures[1 - i]}-${data}` })));
  return section(`nodes-${data}`, dataSets.length > 1 ? `How few nodes: ${name}` : "How few nodes",
    element("p", { class: "muted" }, facts.filter(Boolean).join(" · ")), curves, without, table);
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

// A chart for each kind of nodes: their effects and scores differ in size, and so do the runs that have them.
const apart = (records) => kindsOf(records).map((kind) =>
  ({ kind, id: onlyNeurons ? "" : `-${kind}`, title: onlyNeurons ? "" : `: ${several(kind)}` }));

function agreementSection() {
  const exact = dataSets.some(({ data }) => runsWith("agreement", data).length);
  return section("agreement", exact ? "Agreement with exact patching" : "Agreement among methods", ...dataSets.map(({ data, name }) => {
    const after = dataSets.length > 1 ? `: ${name}` : "";
    const exactOf = apart(runsWith("agreement", data).flatMap((run) => ofRun("agreement", run)));
    return grid(
      ...exactOf.map(({ kind, id, title }) => chartFigure("agreement", (width) => agreementFigure(data, kind, width),
        { id: `agreement${id}-${data}`, after: title + after, size: "wide" })),
      ofData("methods", data).length && chartFigure("methods", (width) => methodsFigure(data, width),
        { id: `methods-${data}`, after, size: "wide", control: similaritySwitch(`methods-${data}`) }));
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
const scatters = (run) => apart(ofRun("exact", run)).map(({ kind, id, title }) => chartFigure("scatter",
  (width) => scatterFigure(ofRun("exact", run).filter((point) => kindOf(point) === kind), width),
  { id: `scatter${id}`, after: title }));
// Of one or two pairs some score of thousands is always the largest or smallest: their AUROC of 1 or 0 finds nothing.
function casesTable(run) {
  const [enough, few] = [[], []];
  for (const row of ofRun("cases", run)) (Math.min(row.pairs ?? 3, row.other_pairs ?? 3) < 3 ? few : enough).push(row);
  const named = unique(few.map((row) => `${row.case} (${row.pairs} of ${row.pairs + row.other_pairs} pairs)`));
  const left = named.length > 0 && `Left out: cases of fewer than 3 pairs, or with fewer than 3 beside them: ${named.join(", ")}.`;
  return titledTable("cases", columnsOf("cases"), enough, "", left) ||
    (left && element("div", { class: "block", id: "table-cases" }, element("h3", {}, text("cases").title),
      element("p", {}, left)));
}

const runTable = (table, size) => (run) => titledTable(table, columnsOf(table), ofRun(table, run), size);
const DETAIL = [
  runTable("top", "wide"), runChart("values", "values", valuesFigure), runChart("heat", "heat", heatFigure),
  scatters, runChart("layers", "layers", layersFigure), inputText, runChart("steering", "steering", steeringFigure),
  runTable("steering_tokens"), runTable("steered"), casesTable,
];

function runFacts(run) {
  const facts = columnsOf("runs", ["run", "data", "measurable"]).map((column) => [column, run[column.name]])
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
  detail.replaceChildren(...[runFacts(run), grid(...DETAIL.flatMap((part) => part(run)))].filter(Boolean));
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
