// The figure of per-gene PCC: a row an experiment, a dot a gene, a box over the quartiles.
"use strict";

(() => {
  const figures = JSON.parse(document.getElementById("figures-data").textContent);
  const holder = document.getElementById("figure");
  const svg = holder.querySelector("svg");
  const choice = document.getElementById("figure-choice");
  const ROW = 46;
  const TOP = 8;
  const FOOT = 44;

  function add(parent, name, attributes, text) {
    const node = document.createElementNS(svg.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  }

  function quantile(sorted, share) {
    const at = share * (sorted.length - 1);
    const low = Math.floor(at);
    return sorted[low] + (at - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
  }

  // Offsets in [-1, 1] that fill the shape of the density, the same on every drawing.
  function offsets(values, low, high) {
    const bins = 40;
    const binOf = (v) => Math.min(bins - 1, Math.floor(((v - low) / (high - low)) * bins));
    const counts = new Array(bins).fill(0);
    for (const v of values) counts[binOf(v)] += 1;
    const most = Math.max(...counts);
    return values.map((v, n) => (2 * ((n * 0.618034) % 1) - 1) * (counts[binOf(v)] / most));
  }

  function niceStep(span, room) {
    return [0.05, 0.1, 0.2, 0.25, 0.5].find((step) => (span / step) * 46 <= room) ?? 1;
  }

  // Break a long label at a space near its middle when it does not fit the gutter.
  function lines(label, limit) {
    if (label.length <= limit) return [label];
    const words = label.split(/(?<=[ ,])/);
    const out = [""];
    for (const word of words) {
      if (out[out.length - 1].length + word.length > limit && out[out.length - 1] !== "") out.push("");
      out[out.length - 1] += word;
    }
    return out.slice(0, 2).map((line) => (line.length > limit ? `${line.slice(0, limit - 1)}…` : line));
  }

  function draw() {
    const figure = figures[Number(choice.value)];
    svg.replaceChildren();
    if (!figure) return;
    const width = Math.max(320, holder.clientWidth);
    const gutter = Math.min(260, Math.round(width * 0.27));
    const right = width - 16;
    const height = TOP + ROW * figure.rows.length + FOOT;
    const all = figure.rows.flatMap((row) => row.pcc).map((v) => v / 1000);
    const low = Math.min(0, ...all.map((v) => Math.floor(v * 10) / 10));
    const high = 1;
    const x = (v) => gutter + ((v - low) / (high - low)) * (right - gutter);
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const step = niceStep(high - low, right - gutter);
    const bottom = height - FOOT;
    for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9; n += 1) {
      const value = n * step;
      add(svg, "line", { x1: x(value), x2: x(value), y1: TOP, y2: bottom, class: n === 0 ? "zero" : "grid" });
      const text = value.toFixed(step < 0.1 || step === 0.25 ? 2 : 1).replace("-", "−");
      add(svg, "text", { x: x(value), y: bottom + 17, "text-anchor": "middle" }, text);
    }
    add(svg, "text", { x: (gutter + right) / 2, y: height - 6, "text-anchor": "middle" }, "PCC, mean over slides");
    figure.rows.forEach((row, n) => drawRow(figure, row, TOP + ROW * (n + 0.5), { x, low, high, gutter }));
  }

  function drawRow(figure, row, middle, { x, low, high, gutter }) {
    const group = add(svg, "g", { class: row.control ? "row control" : "row" });
    const label = lines(row.label, Math.floor((gutter - 14) / 7));
    const spread = label.length > 1 ? 8 : 0;
    label.forEach((line, n) => {
      const y = middle + 4 + (n === 0 ? -spread : spread);
      const text = add(group, "text", { x: gutter - 12, y, "text-anchor": "end" }, line);
      add(text, "title", {}, row.experiment);
    });
    const values = row.pcc.map((v) => v / 1000);
    if (values.length === 0) {
      const text = `undefined for all ${row.undefined} genes: one side is constant`;
      add(group, "text", { x: gutter + 8, y: middle + 4, class: "soft" }, text);
      return;
    }
    const shift = offsets(values, low, high);
    values.forEach((value, n) => {
      const at = { cx: x(value).toFixed(1), cy: (middle + shift[n] * 17).toFixed(1), r: 2.6 };
      const dot = add(group, "circle", { ...at, class: row.mark[n] ? "dot marked" : "dot" });
      const subsets = ["", ", HEG", ", HVG", ", HEG and HVG"][row.mark[n]];
      add(dot, "title", {}, `${figure.symbols[row.gene[n]]}: ${value.toFixed(3)}${subsets} (${row.label})`);
    });
    const sorted = [...values].sort((a, b) => a - b);
    const [q1, median, q3] = [0.25, 0.5, 0.75].map((share) => quantile(sorted, share));
    add(group, "rect", { x: x(q1), y: middle - 9, width: Math.max(1, x(q3) - x(q1)), height: 18, class: "box" });
    const line = add(group, "line", { x1: x(median), x2: x(median), y1: middle - 12, y2: middle + 12, class: "median" });
    const missing = row.undefined ? `; ${row.undefined} undefined` : "";
    add(line, "title", {}, `${row.label}: median ${median.toFixed(3)} of ${values.length} genes${missing}`);
  }

  choice.addEventListener("change", draw);
  window.addEventListener("resize", draw);
  draw();
})();
