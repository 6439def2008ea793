// Draws the plots of a report. All that is shown comes from the data in the page, and is set as text, never as HTML.

/* global uPlot */
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const probe = document.body.appendChild(document.createElement("span"));
/** CSS pixels; `page.css` sets bands in by the same. */
const RIGHT_PADDING = 14;
/** Room for the numbers beside a plot: what `page.css` says there. */
const gutterOf = (element) => Number.parseFloat(getComputedStyle(element).getPropertyValue("--gutter"));

/** A colour of `page.css` as a canvas takes it, in the scheme that is shown now. */
function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

const clock = (seconds) => {
  const whole = Math.floor(Math.max(0, seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

function number(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "share") return `${Math.round(value * 1000) / 10} %`;
  if (unit === "ms") {
    if (value === 0) return "0";
    if (value >= 1000) return `${Math.round(value / 10) / 100} s`;
    return `${value >= 10 ? Math.round(value) : Math.round(value * 10) / 10} ms`;
  }
  return String(Math.round(value * 10) / 10);
}

/** Strokes of a pattern in a square of eight units; one of them continues in the next square. */
const PATTERNS = {
  plain: [],
  rising: [
    [-2, 2, 2, -2],
    [-2, 10, 10, -2],
    [6, 10, 10, 6],
  ],
  falling: [
    [-2, 6, 2, 10],
    [-2, -2, 10, 10],
    [6, -2, 10, 2],
  ],
  rows: [[0, 4, 8, 4]],
  columns: [[4, 0, 4, 8]],
  dots: [[3, 4, 5, 4]],
  cross: [
    [-2, -2, 10, 10],
    [-2, 10, 10, -2],
  ],
};

/** What an area is filled with: its colour, paler, on the page's own, so that nothing behind it shows through. */
function fillOf(context, { colour: name, pattern }) {
  const ratio = window.devicePixelRatio || 1;
  const tile = document.createElement("canvas");
  tile.width = tile.height = Math.round(8 * ratio);
  const pen = tile.getContext("2d");
  pen.scale(tile.width / 8, tile.width / 8);
  pen.fillStyle = colour("card");
  pen.fillRect(0, 0, 8, 8);
  pen.globalAlpha = name === "lost" ? 0.85 : 0.55;
  pen.fillStyle = colour(name);
  pen.fillRect(0, 0, 8, 8);
  pen.globalAlpha = 0.8;
  pen.strokeStyle = name === "lost" ? colour("card") : colour(name);
  pen.lineWidth = pattern === "dots" ? 2 : 1.2;
  for (const [fromX, fromY, toX, toY] of PATTERNS[pattern]) {
    pen.beginPath();
    pen.moveTo(fromX, fromY);
    pen.lineTo(toX, toY);
    pen.stroke();
  }
  return context.createPattern(tile, "repeat");
}

/**
 * Sums from the lowest series up: each area reaches from the axis to its sum, and the higher ones are drawn first. Where a
 * series has nothing it is not drawn, so that its line does not lie on the one below.
 */
function stacked(series) {
  const sums = [];
  return series.map(({ values }) =>
    values.map((value, index) => {
      sums[index] = (sums[index] ?? 0) + (value ?? 0);
      return value ? sums[index] : null;
    }),
  );
}

/** Steps of the drill as lines from top to bottom, named where there is room; events as ticks at the axis. */
function drawMarks(plot) {
  const { ctx: pen, bbox } = plot;
  const ratio = window.devicePixelRatio || 1;
  pen.save();
  pen.beginPath();
  pen.rect(bbox.left - 1, 0, bbox.width + 2, bbox.top + bbox.height);
  pen.clip();
  pen.font = `600 ${11 * ratio}px system-ui, sans-serif`;
  pen.textBaseline = "alphabetic";
  for (const { at, severity } of data.ticks) {
    const x = Math.round(plot.valToPos(at, "x", true));
    pen.fillStyle = colour(["alarm", "warning", "resolved"].includes(severity) ? severity : "info");
    pen.fillRect(x - ratio / 2, bbox.top + bbox.height - 7 * ratio, 1.5 * ratio, 7 * ratio);
  }
  data.marks.forEach(({ at, label, kind, number: which }, index) => {
    const x = Math.round(plot.valToPos(at, "x", true));
    if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) return;
    const paint = colour(kind);
    pen.strokeStyle = paint;
    pen.fillStyle = paint;
    pen.lineWidth = 1.5 * ratio;
    pen.setLineDash(kind === "fault" ? [] : [4 * ratio, 3 * ratio]);
    pen.beginPath();
    pen.moveTo(x, bbox.top - 4 * ratio);
    pen.lineTo(x, bbox.top + bbox.height);
    pen.stroke();
    const next = data.marks.slice(index + 1).find((mark) => mark.at > at);
    const end = Math.min(next ? plot.valToPos(next.at, "x", true) : Infinity, bbox.left + bbox.width);
    const room = end - x - 4 * ratio;
    const says = [`${which} ${label}`, String(which)].find((text) => pen.measureText(text).width < room);
    const isLast = !next && says === undefined;
    if (says === undefined && !isLast) return;
    pen.textAlign = isLast ? "right" : "left";
    pen.fillText(
      says ?? `${which} ${label}`,
      Math.min(x, bbox.left + bbox.width) + (isLast ? 0 : -1),
      bbox.top - 7 * ratio,
    );
  });
  pen.restore();
}

const charts = [];
/** Seconds that the cursor is at; null: nowhere. */
let cursorAt = null;

function showValues({ spec, key, canvas }) {
  const index = cursorAt === null ? null : lastAt(spec, cursorAt);
  spec.series.forEach(({ values }, place) => {
    key[place].textContent = index === null ? "" : number(values[index], spec.unit);
  });
  if (document.activeElement !== canvas || index === null) return;
  canvas.setAttribute("aria-valuenow", String(Math.round(cursorAt)));
  const says = spec.series.map(({ label, values }) => `${label} ${number(values[index], spec.unit)}`);
  canvas.setAttribute("aria-valuetext", `${clock(cursorAt)}: ${says.join(", ")}`);
}

/** Areas are steps: the second that has begun counts. Lines: the nearest point. */
function lastAt({ x, isStacked }, at) {
  let found = 0;
  for (let index = 0; index < x.length; index++)
    if (isStacked ? x[index] <= at : Math.abs(x[index] - at) < Math.abs(x[found] - at)) found = index;
  return isStacked ? Math.min(found, x.length - 2) : found;
}

/** Everything follows one cursor, whoever moved it. */
function moveCursor(at, from) {
  cursorAt = at;
  for (const chart of charts) {
    if (chart.plot !== from) {
      const left = at === null ? -10 : chart.plot.valToPos(at, "x");
      chart.plot.setCursor({ left, top: at === null ? -10 : 1 }, false, false);
    }
    showValues(chart);
  }
  for (const line of document.querySelectorAll(".band-area .cursor")) place(line, at ?? -1);
}

/**
 * An area in steps, one for each second that has a value: a second alone is drawn as well, which uPlot's own steps leave out
 * beside gaps, and that is what a lost request looks like.
 */
function steps(plot, index, first, last) {
  const x = plot.data[0];
  const y = plot.data[index];
  const stroke = new Path2D();
  const fill = new Path2D();
  const floor = plot.valToPos(0, "y", true);
  let isOpen = false;
  for (let at = first; at < last; at++) {
    const isDrawn = y[at] !== null;
    if (isDrawn) {
      const [left, right] = [x[at], x[at + 1]].map((value) => Math.round(plot.valToPos(value, "x", true)));
      const top = Math.round(plot.valToPos(y[at], "y", true));
      if (isOpen) stroke.lineTo(left, top);
      else stroke.moveTo(left, top);
      stroke.lineTo(right, top);
      fill.rect(left, top, right - left, floor - top);
    }
    isOpen = isDrawn;
  }
  return { stroke, fill, clip: null, band: null, gaps: null, flags: 1 };
}

let range = { min: 0, max: data.length };
const inRange = (at) => ((at - range.min) / (range.max - range.min)) * 100;

function place(line, at) {
  const x = `${at < range.min || at > range.max ? -10 : inRange(at)}%`;
  line.setAttribute("x1", x);
  line.setAttribute("x2", x);
}

/** All plots and bands show the same part of the run. */
function zoom(next) {
  if (next.min === range.min && next.max === range.max) return;
  range = next;
  for (const { plot } of charts) plot.setScale("x", { ...next });
  for (const band of document.querySelectorAll(".band-area .band")) {
    const from = Math.max(inRange(Number(band.dataset.from)), 0);
    const to = Math.min(inRange(Number(band.dataset.to)), 100);
    band.setAttribute("x", `${from}%`);
    band.setAttribute("width", `${Math.max(0, to - from)}%`);
  }
  for (const line of document.querySelectorAll(".band-area .mark")) place(line, Number(line.dataset.at));
  document.getElementById("whole").hidden = next.min === 0 && next.max === data.length;
}
const showWhole = () => zoom({ min: 0, max: data.length });

function optionsOf(spec, canvas) {
  const grid = { stroke: () => colour("grid"), width: 1 };
  const text = { stroke: () => colour("quiet"), font: "12px system-ui, sans-serif", grid, ticks: { show: false } };
  const series = spec.series.map(({ label, paint }) => ({
    label,
    stroke: () => colour(paint.colour),
    dash: paint.dash,
    width: spec.isStacked && paint.colour !== "lost" ? 1 : 2,
    fill: spec.isStacked ? (plot) => fillOf(plot.ctx, paint) : undefined,
    paths: spec.isStacked ? steps : undefined,
    points: { show: false },
  }));
  return {
    width: Math.max(200, canvas.clientWidth),
    height: spec.id === "overview" ? 260 : 170,
    padding: [22, RIGHT_PADDING, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      points: { show: false },
      drag: { x: true, y: false, setScale: false },
      bind: { dblclick: () => () => showWhole() },
    },
    scales: { x: { time: false }, y: { range: () => [0, spec.most > 0 ? spec.most * 1.05 : 1] } },
    axes: [
      { ...text, values: (_, ticks) => ticks.map(clock), incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600], size: 28 },
      {
        ...text,
        values: (_, ticks) => ticks.map((tick) => number(tick, spec.unit)),
        size: () => gutterOf(canvas),
        space: 34,
      },
    ],
    series: [{}, ...(spec.isStacked ? series.reverse() : series)],
    hooks: {
      draw: [drawMarks],
      setCursor: [
        (plot) => {
          if (plot.cursor.event === undefined || plot.cursor.event === null) return;
          moveCursor(plot.cursor.left < 0 ? null : plot.posToVal(plot.cursor.left, "x"), plot);
        },
      ],
      setSelect: [
        (plot) => {
          const { left, width: wide } = plot.select;
          if (wide < 8) return;
          zoom({ min: plot.posToVal(left, "x"), max: plot.posToVal(left + wide, "x") });
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
}

function onKey(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10 }[event.key];
  if (step !== undefined)
    moveCursor(Math.min(range.max, Math.max(range.min, Math.round(cursorAt ?? range.min) + step)));
  else if (event.key === "Home") moveCursor(range.min);
  else if (event.key === "End") moveCursor(range.max);
  else if (event.key === "Escape") {
    showWhole();
    moveCursor(null);
  } else return;
  event.preventDefault();
}

/** The plot's data as a table, made when somebody opens it. */
function fillTable(spec, place) {
  if (place.firstChild) return;
  const table = document.createElement("table");
  const addRow = (parent, cells, tag) => {
    const row = parent.appendChild(document.createElement("tr"));
    for (const text of cells) row.appendChild(document.createElement(tag)).textContent = text;
  };
  addRow(table.createTHead(), ["Time", ...spec.series.map(({ label }) => label)], "th");
  const body = table.createTBody();
  const rows = spec.isStacked ? spec.x.slice(0, -1) : spec.x;
  rows.forEach((at, index) => {
    addRow(body, [clock(at), ...spec.series.map(({ values }) => number(values[index], spec.unit))], "td");
  });
  place.append(table);
}

/** A little of the area, or of the line, as in the plot. */
function drawSwatch(canvas, spec, paint) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = 22 * ratio;
  canvas.height = 12 * ratio;
  const pen = canvas.getContext("2d");
  pen.strokeStyle = colour(paint.colour);
  pen.lineWidth = 2 * ratio;
  if (spec.isStacked) {
    pen.fillStyle = fillOf(pen, paint);
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.strokeRect(0, 0, canvas.width, canvas.height);
  } else {
    pen.setLineDash(paint.dash.map((length) => length * ratio));
    pen.beginPath();
    pen.moveTo(0, canvas.height / 2);
    pen.lineTo(canvas.width, canvas.height / 2);
    pen.stroke();
  }
}

for (const figure of document.querySelectorAll(".plot")) {
  const spec = data.plots.find(({ id }) => id === figure.dataset.plot);
  const canvas = figure.querySelector(".canvas");
  const values = spec.isStacked ? stacked(spec.series).reverse() : spec.series.map((series) => series.values);
  const plot = new uPlot(optionsOf(spec, canvas), [spec.x, ...values], canvas);
  const chart = { spec, plot, canvas, figure, key: [...figure.querySelectorAll(".key b")] };
  charts.push(chart);
  canvas.addEventListener("keydown", onKey);
  plot.over.addEventListener("mouseleave", () => moveCursor(null));
  const details = figure.querySelector("details");
  details.addEventListener("toggle", () => fillTable(spec, details.querySelector(".scroll")));
  new ResizeObserver(() => {
    if (canvas.clientWidth > 0) plot.setSize({ width: canvas.clientWidth, height: plot.height });
  }).observe(canvas);
}

function drawSwatches({ spec, figure }) {
  figure.querySelectorAll(".swatch").forEach((canvas, index) => {
    drawSwatch(canvas, spec, spec.series[index].paint);
  });
}
charts.forEach(drawSwatches);

/** Colours are read when a plot is drawn: the scheme may have changed since. */
function redraw() {
  for (const chart of charts) {
    chart.plot.redraw();
    drawSwatches(chart);
  }
}

for (const area of document.querySelectorAll(".band-area")) {
  area.addEventListener("mousemove", (event) => {
    const box = area.getBoundingClientRect();
    moveCursor(range.min + ((event.clientX - box.left) / box.width) * (range.max - range.min));
  });
  area.addEventListener("mouseleave", () => moveCursor(null));
}

document.getElementById("whole").addEventListener("click", showWhole);
const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", redraw);
document.getElementById("theme").addEventListener("click", () => {
  const isDark = root.style.colorScheme === "" ? dark.matches : root.style.colorScheme === "dark";
  root.style.colorScheme = isDark ? "light" : "dark";
  redraw();
});
// Paper is white, whatever the screen is.
let schemeBeforePrint = "";
addEventListener("beforeprint", () => {
  schemeBeforePrint = root.style.colorScheme;
  root.style.colorScheme = "light";
  redraw();
});
addEventListener("afterprint", () => {
  root.style.colorScheme = schemeBeforePrint;
  redraw();
});

const filters = document.querySelector(".filters");
function filterEvents() {
  const shown = new Set([...filters.querySelectorAll("input:checked")].map(({ value }) => value));
  const words = filters.elements.find.value.toLowerCase();
  let count = 0;
  for (const row of document.querySelectorAll("#events tbody tr")) {
    row.hidden = !shown.has(row.dataset.severity) || !row.textContent.toLowerCase().includes(words);
    if (!row.hidden) count++;
  }
  filters.querySelector("output").textContent = `${count} shown`;
}
filters?.addEventListener("input", filterEvents);
filters?.addEventListener("submit", (event) => event.preventDefault());
