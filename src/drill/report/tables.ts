/**
 * The tables below the plots: steps, measures, events, guards, load and machine.
 * @module
 */
import { symbolOf } from "#drill/report/headline.ts";
import { type Html, html } from "#drill/report/html.ts";
import type { DrillReport } from "#drill/report/shape.ts";
import { secondsAt, type Timeline } from "#drill/report/timeline.ts";
import {
  boundText,
  countOf,
  dateText,
  durationText,
  MEASURE_WORDS,
  metText,
  shareText,
  valueText,
} from "#drill/report/words.ts";

/** More rows make the page slow; the JSON has all of them. */
export const SHOWN_EVENTS = 2_000;
/** In this order in the filter; a severity of another name comes after them. */
const SEVERITIES = ["alarm", "warning", "resolved", "info"];

/** With tenths: `+24.1 s`. */
const whenText = (timeline: Timeline, atMs: number): string => {
  const seconds = secondsAt(timeline, atMs);
  return `${seconds < 0 ? "−" : "+"}${Math.abs(seconds).toFixed(1)} s`;
};

function table(caption: string, columns: readonly string[], rows: readonly Html[]): Html {
  if (rows.length === 0) return html`<p class="none">None.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table><caption>${caption}</caption><thead><tr>${columns.map(
    (column) => html`<th scope="col">${column}</th>`,
  )}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

function stepsTable({ steps }: DrillReport, timeline: Timeline): Html {
  const rows = steps.map(
    (step, index) =>
      html`<tr><td><span class="number ${timeline.marks[index]!.kind}">${index + 1}</span></td><td class="when">${whenText(timeline, step.atMs)}</td><th scope="row">${step.action} <code>${step.target}</code></th><td>${step.says}</td><td class="when">${durationText(Math.max(0, step.doneAtMs - step.atMs))}</td></tr>`,
  );
  return html`<section><h2>Steps</h2>${table("Steps of the drill", ["", "When", "What", "", "Took"], rows)}</section>`;
}

const orNothing = (value: number | null, unit: "ms" | "share" | "count"): string =>
  value === null ? "–" : valueText(value, unit);

function measuresTable({ measures }: DrillReport): Html {
  const rows = measures.map(({ measure, unit, p50, p99, most, bound, isMet, samples }) => {
    const { word, tone } = metText(isMet);
    return html`<tr><th scope="row">${MEASURE_WORDS[measure].name}<small>${MEASURE_WORDS[measure].of}</small></th><td class="when">${orNothing(p50, unit)}</td><td class="when">${orNothing(p99, unit)}</td><td class="when">${orNothing(most, unit)}</td><td>${bound === null ? "–" : boundText(bound, unit)}</td><td class="${tone}">${symbolOf(tone)}${word}</td><td>${
      samples.length === 0
        ? "none"
        : html`<details><summary>${countOf(samples.length)}</summary><ol>${samples.map(
            (sample) => html`<li>${sample.of}: <b>${valueText(sample.value, unit)}</b></li>`,
          )}</ol></details>`
    }</td></tr>`;
  });
  return html`<section><h2>Measures</h2>${table("Measures and what was expected of them", ["Measure", "p50", "p99", "Most", "Bound", "Verdict", "Samples"], rows)}</section>`;
}

function eventsTable({ events }: DrillReport, timeline: Timeline): Html {
  const sorted = [...events].sort((a, b) => a.atMs - b.atMs);
  const shown = sorted.slice(0, SHOWN_EVENTS);
  const counts = Map.groupBy(shown, ({ severity }) => severity);
  const severities = [...new Set([...SEVERITIES, ...counts.keys()])].filter((severity) => counts.has(severity));
  const filters = severities.map(
    (severity) =>
      html`<label><input type="checkbox" name="severity" value="${severity}" checked><span class="severity" data-severity="${severity}">${severity}</span> ${countOf(counts.get(severity)!.length)}</label>`,
  );
  const rows = shown.map(
    ({ atMs, node, kind, severity, subject, says }) =>
      html`<tr data-severity="${severity}"><td class="when">${whenText(timeline, atMs)}</td><td>${node}</td><td><span class="severity" data-severity="${severity}">${severity}</span></td><td><code>${kind}</code></td><th scope="row">${subject}</th><td>${says}</td></tr>`,
  );
  const more = sorted.length - shown.length;
  return html`<section id="events"><h2>Events</h2>${
    shown.length > 0 &&
    html`<form class="filters"><fieldset><legend>Show</legend>${filters}<label class="find">Find <input type="search" name="find"></label></fieldset><output>${countOf(shown.length)} shown</output></form>`
  }${table("Events of the nodes", ["When", "Node", "Severity", "Kind", "Subject", "What it says"], rows)}${
    more > 0 && html`<p>${countOf(more)} later events stand in report.json alone.</p>`
  }</section>`;
}

function guardsTable({ guards, leftOver }: DrillReport): Html {
  const rows = guards.map(({ guard, limit, worst, isBroken }) => {
    const tone = isBroken ? "bad" : "good";
    return html`<tr><th scope="row">${guard}</th><td>${limit}</td><td>${worst}</td><td class="${tone}">${symbolOf(tone)}${isBroken ? "broke" : "held"}</td></tr>`;
  });
  return html`<section><h2>Guards</h2>${table("Guards, which end a drill that does harm", ["Guard", "Limit", "Worst", ""], rows)}<h3>Left over</h3>${
    leftOver.length === 0
      ? html`<p class="good">${symbolOf("good")}All is as it was before the drill.</p>`
      : html`<ul>${leftOver.map((what) => html`<li>${what}</li>`)}</ul>`
  }</section>`;
}

function aboutTable(report: DrillReport): Html {
  const { machine, load, slo } = report;
  const facts: readonly (readonly [string, string])[] = [
    ["Started", dateText(report.startedAtMs)],
    ["Ended", dateText(report.endedAtMs)],
    [
      "Lookups",
      `${countOf(load.qps)}/s by ${countOf(load.clients)} clients with caches, ${shareText(load.stretchTtl)} of them keep answers too long`,
    ],
    ["Requests", `${countOf(load.rps)}/s to regions, ${countOf(load.anycastRps)}/s to the anycast address, open loop`],
    [
      "Service level",
      `${countOf(slo.ok)} of ${countOf(slo.requests)} requests answered; ${countOf(slo.lostQueries)} queries lost`,
    ],
    ["rhumb", machine.rhumb],
    ["Machine", `${machine.cpu}, ${machine.cores} cores, kernel ${machine.kernel}, Node ${machine.node}`],
  ];
  return html`<section><h2>Load and machine</h2><dl>${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl></section>`;
}

export function renderTables(report: DrillReport, timeline: Timeline): Html {
  return html`${measuresTable(report)}${stepsTable(report, timeline)}${eventsTable(report, timeline)}<div class="pair">${guardsTable(report)}${aboutTable(report)}</div>`;
}
