// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The document embedded in the page, the tables that `tributary export` writes: its rows, its numbers as texts, and the
// elements made of them. Texts of the document become text nodes, in charts they go through plain(): prompts may hold
// markup. The page's script is document.js, tables.js, charts.js and report.js, one after the other.

const report = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const main = document.getElementById("main");
const PRINT_WIDTH = 660; // px: fits A4 and Letter inside the margins of report.css

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

// What one node of a kind is called. Pages made of neurons only speak of neurons, others of nodes.
const NODE_NAMES = { neurons: "neuron", heads: "head", mlps: "MLP", embeddings: "embedding", features: "feature",
  errors: "error" };
const kindOf = (row) => row.kind ?? "neurons";
const isNumber = (row) => ["neurons", "features"].includes(kindOf(row)); // its value; others have the norm of theirs
const isInLayer = (row) => kindOf(row) !== "embeddings";
const hasIndex = (row) => ["neurons", "heads", "features"].includes(kindOf(row)); // a layer has one MLP
const kindsOf = (records) => Object.keys(NODE_NAMES).filter((kind) => records.some((record) => kindOf(record) === kind));
const listed = report.tables.filter(({ columns }) => columns.some(({ name }) => name === "kind"));
const onlyNeurons = kindsOf(listed.flatMap(({ name }) => rows(name))).every((kind) => kind === "neurons");
const several = (kind) => `${NODE_NAMES[kind]}s`;
const agreementOf = (run, statistic, kind) =>
  ofRun("agreement", run).find((record) => record.statistic === statistic && kindOf(record) === kind) ?? {};

// Two runs of one method on the same data differ in some other setting, which only their names tell.
const labels = new Map(runs.map((run) => {
  const twins = ofData("runs", run.data).filter((other) => other.method === run.method);
  return [run, twins.length > 1 ? `${run.method} (${run.name})` : run.method];
}));
const label = (run) => labels.get(run);
const kinds = unique(labels.values());

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
  if (name === "position_name") return /^\s/.test(value) ? visible(value) : value; // a token, or a name
  if (name === "position" && value === -1) return "all";
  if (type === "text" || IDENTIFIERS.has(name)) return type === "text" ? value : minus(String(value));
  return type === "integer" ? minus(value.toLocaleString("en-US")) : number(value);
}

// "layer 3, position 2, head 5", or without what a kind of nodes does not have.
function place(node) {
  const { layer, position, neuron } = node;
  const name = NODE_NAMES[kindOf(node)];
  const what = hasIndex(node) ? present(neuron) && `${name} ${neuron}` : name;
  return [isInLayer(node) && `layer ${layer}`, position === -1 ? "all positions" : `position ${position}`,
    what && node.dictionary ? `${what} of dictionary ${node.dictionary}` : what].filter(Boolean).join(", ");
}

const interval = (low, high, word) => (present(low) && present(high) ? `${number(low)}${word}${number(high)}` : null);

// Facts are [name, value, unit]; those that are missing leave no line.
function hover(head, ...facts) {
  const shown = facts.filter(([, value]) => present(value)).map(([name, value, unit = ""]) =>
    plain(`${name} ${typeof value === "number" ? number(value) : value} ${unit}`.trim()));
  return [`<b>${plain(head)}</b>`, ...shown].join("<br>");
}

function element(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (present(value)) node.setAttribute(key, value);
  node.append(...children.filter(Boolean));
  return node;
}

// Some have another text where a page speaks of nodes.
function text(id) {
  const ofNodes = onlyNeurons ? null : document.getElementById(`text-${id}-nodes`);
  const template = ofNodes ?? document.getElementById(`text-${id}`);
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
