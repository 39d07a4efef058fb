// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// Tables that sort.

const NAMES = {
  faithful_at: "nodes for faithfulness ≥ 0.8", complete_at: "nodes for completeness ≤ 0.2", cpr: "CPR", cmd: "CMD",
  evaluations: "gradient evaluations", residual: "mean |residual|", gap: "linearisation gap", auroc: "AUROC",
  top_share: "share of the first 100", dtype: "number format", train: "training pairs", test: "held-out pairs",
  circuit_nodes: "nodes that circuits choose among", circuit_kinds: "kinds in circuits",
  embeddings_rank: "rank of the embeddings", skipped: "skipped pairs", overlapping: "overlapping pairs",
};
const columnName = (name) => NAMES[name] ?? name.replaceAll("_", " ");

// Beside the document's own description a column has a title, get(row) and perhaps note(row), absent(row): what to
// say where there is no value, and missing: why there is none.
function columnsOf(table, without = ["run", "data"]) {
  const columns = (tables.get(table)?.columns ?? []).filter(({ name }) => !without.includes(name)).map((column) => (
    { ...column, title: columnName(column.name), get: (row) => row[column.name] }));
  return columns.some(({ name }) => name === "kind") ? columnsOfNodes(columns) : columns;
}

// A node's kind stands before its place, of which some kinds have a part only.
function columnsOfNodes(columns) {
  const others = columns.filter(({ name }) => !["kind", "dictionary"].includes(name));
  const dictionary = columns.filter(({ name }) => name === "dictionary");
  if (onlyNeurons) return others;
  const part = (column, title, has) =>
    ({ ...column, title, missing: "such nodes have none", get: (row) => (has(row) ? column.get(row) : null) });
  return others.flatMap((column) => {
    if (column.name === "layer") return [columns.find(({ name }) => name === "kind"), part(column, "layer", isInLayer)];
    return column.name === "neuron" ? [part(column, "index", hasIndex), ...dictionary] : [column];
  });
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
  const absent = present(value) ? null : column.absent?.(record);
  const attributes = { class: kind, title: value ?? column.missing ?? "not measured, or not reached" };
  return element(head ? "th" : "td", head ? { ...attributes, scope: "row" } : attributes, absent ?? cellText(value, column),
    note && element("span", { class: "muted note" }, ` [${note}]`));
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
  const columns = everyColumn.filter((column) =>
    records.some((record) => present(column.get(record)) || present(column.absent?.(record))));
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
  const frame = element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": name }, table);
  return element("div", { class: "framed" }, hint(frame, heads), frame);
}

// Says how many columns lie beyond the right edge, while there are any: nothing else shows it on a phone.
function hint(frame, heads) {
  const line = element("p", { class: "hint", hidden: "" });
  const count = () => {
    const edge = frame.getBoundingClientRect().right + 1; // a part of a pixel remains when all is scrolled through
    const beyond = heads.filter((head) => head.getBoundingClientRect().right > edge).length;
    line.hidden = frame.scrollWidth <= frame.clientWidth + 1;
    line.textContent = beyond ? `${beyond} more ${beyond === 1 ? "column" : "columns"} →` : "← all columns seen";
    frame.classList.toggle("more", beyond > 0 && !line.hidden);
  };
  frame.addEventListener("scroll", count, { passive: true });
  new ResizeObserver(count).observe(frame);
  return line;
}

function titledTable(id, columns, records, size = "", more = "") {
  const { title, caption } = text(id);
  const table = dataTable(title, columns, records);
  const about = [element("h3", {}, title), element("p", {}, caption, more && ` ${more}`)];
  return table && element("div", { class: `block ${size}`, id: `table-${id}` }, ...about, table);
}
