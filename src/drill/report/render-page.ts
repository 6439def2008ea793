/**
 * The page of a report: one HTML file that asks the network for nothing, by its own policy, and can be opened from a disk.
 * Tables and bands stand in it as they are; the plots are drawn by `page.js` with uPlot from the data beside them.
 * @module
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { bandPlots, renderBands } from "#drill/report/bands.ts";
import { renderHeadline } from "#drill/report/headline.ts";
import { escapeHtml, type Html, html, jsonForScript } from "#drill/report/html.ts";
import { drainPlot, overviewPlot, type Plot, type PlotRow, plotRows } from "#drill/report/plots.ts";
import type { DrillReport } from "#drill/report/shape.ts";
import { renderTables } from "#drill/report/tables.ts";
import { clockText, type Timeline, timelineOf } from "#drill/report/timeline.ts";
import { VERDICT } from "#drill/report/words.ts";

const require = createRequire(import.meta.url);
const beside = (file: string): string => readFileSync(new URL(file, import.meta.url), "utf8");
const ofUplot = (file: string): string => readFileSync(require.resolve(`uplot/dist/${file}`), "utf8");
const sourceHash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** What a screen reader says in place of the picture: range and mean of each line. */
export function plotSays({ title, unit, series }: Plot): string {
  const lines = series.map(({ label, values }) => {
    const known = values.filter((value) => value !== null);
    if (known.length === 0) return `${label}: no data`;
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
    const number = (value: number): string => String(Math.round(value * 100) / 100);
    return `${label}: ${number(Math.min(...known))} to ${number(Math.max(...known))}, mean ${number(mean)}`;
  });
  return `${title}, ${unit}. ${lines.join(". ")}`;
}

function renderPlot(plot: Plot, row: string): Html {
  const says = plotSays({ ...plot, title: row === "" ? plot.title : `${row}, ${plot.title}` });
  return html`<figure class="plot" data-plot="${plot.id}">
<figcaption>${plot.title} <small>${plot.unit}</small></figcaption>
<p class="unseen">${says}</p>
<div class="canvas" tabindex="0" role="slider" aria-label="Time in ${plot.title}" aria-valuemin="0" aria-valuemax="${plot.x.at(-1) ?? 0}" aria-valuenow="0"></div>
<ul class="key">${plot.series.map(({ label }) => html`<li><canvas class="swatch" aria-hidden="true"></canvas>${label} <b></b></li>`)}</ul>
<details><summary>Data</summary><div class="scroll" tabindex="0" role="region" aria-label="Data of ${plot.title}"></div></details>
</figure>`;
}

function renderRow({ title, says, plots }: PlotRow): Html {
  return html`<section class="row"><h3>${title}</h3><p>${says}</p><div class="columns">${plots.map((plot) => renderPlot(plot, title))}</div></section>`;
}

function renderPicture(
  overview: Plot | undefined,
  drain: Plot | undefined,
  bands: readonly Html[],
  timeline: Timeline,
): Html {
  const marks = timeline.marks.map(
    ({ number, at, label, kind }) =>
      html`<li><span class="number ${kind}">${number}</span>${label} <span class="at">at ${clockText(at)}</span></li>`,
  );
  return html`<section class="picture"><h2>What happened</h2><ol class="marks">${marks}</ol>${overview === undefined && html`<p class="none">No load ran: there is nothing to plot.</p>`}${overview && renderPlot(overview, "")}${drain && renderPlot(drain, "")}${bands}</section>`;
}

export function renderPage(report: DrillReport): string {
  const timeline = timelineOf(report);
  const rows = plotRows(report, timeline);
  const overview = overviewPlot(report, timeline);
  const drain = drainPlot(report, timeline);
  const bands = bandPlots(report, timeline).map((plot) => renderBands(plot, timeline));
  const plots = [overview, drain, ...rows.flatMap((row) => row.plots)].filter((plot) => plot !== undefined);
  const body = html`<main>${renderHeadline(report)}
<div class="tools"><button type="button" id="whole" hidden>Whole run</button><button type="button" id="theme">Light or dark</button></div>
${renderPicture(overview, drain, bands, timeline)}
${rows.length > 0 && html`<section><h2>By client continent</h2>${rows.map(renderRow)}</section>`}
${renderTables(report, timeline)}
<noscript><p class="none">Plots are drawn by a script, which is switched off here; tables, and report.json, have the numbers.</p></noscript>
</main>`;
  const style = `${ofUplot("uPlot.min.css")}\n${beside("page.css")}`;
  const scripts = [ofUplot("uPlot.iife.min.js"), beside("page.js")];
  const policy = [
    "default-src 'none'",
    `script-src ${scripts.map(sourceHash).join(" ")}`,
    `style-src ${sourceHash(style)}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const data = jsonForScript({ length: timeline.length, marks: timeline.marks, ticks: timeline.ticks, plots });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeHtml(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(`${VERDICT[report.outcome].word}: ${report.drill.name}`)}</title>
<style>${style}</style>
</head>
<body>
${body.text}
<script type="application/json" id="data">${data}</script>
${scripts.map((script) => `<script>${script}</script>`).join("\n")}
</body>
</html>
`;
}
