/**
 * The top of the page: the verdict in a word and a sentence, and a tile for each number that somebody will ask for.
 * @module
 */
import { type Html, html } from "#drill/report/html.ts";
import type { DrillReport } from "#drill/report/shape.ts";
import {
  boundText,
  countOf,
  dateText,
  durationText,
  leadingText,
  leadingValue,
  MEASURE_WORDS,
  type MeasureResult,
  metText,
  shareText,
  type Tone,
  VERDICT,
} from "#drill/report/words.ts";
import type { Measure } from "#drill/scenario.ts";

export type Tile = {
  readonly name: string;
  readonly value: string;
  readonly of: string;
  /** What was allowed, and whether it was kept. */
  readonly bound: string;
  readonly word: string;
  readonly tone: Tone;
};

/** In this order, where they were measured; others only where something was expected of them. */
const LEADING: readonly Measure[] = ["detection", "changedAnswer", "dnsDrain", "bgpConvergence", "lostRequests"];

function tileOf(result: MeasureResult): Tile {
  const leading = leadingValue(result);
  const { word, tone } = metText(result.isMet);
  return {
    name: MEASURE_WORDS[result.measure].name,
    value: leadingText(result),
    of: leading?.name ?? "no sample",
    bound: result.bound === null ? "" : boundText(result.bound, result.unit),
    word,
    tone,
  };
}

/** The objective is what the drill allows to be lost; without such a bound there is none. */
function serviceTile({ slo, measures }: DrillReport): Tile {
  const lost = measures.find(({ measure }) => measure === "lostRequests");
  const allowed = lost?.bound?.max;
  const { word, tone } = metText(lost?.isMet ?? null);
  return {
    name: "Service level",
    value: shareText(slo.availability),
    of: `${countOf(slo.lost)} of ${countOf(slo.requests)} requests lost`,
    bound: allowed === undefined ? "" : `≥ ${shareText(1 - allowed)}`,
    word,
    tone,
  };
}

/** Those that somebody will ask for, and all that were missed, stand first; the others are `also`. */
export function tilesOf(report: DrillReport): { readonly first: readonly Tile[]; readonly also: readonly Tile[] } {
  const place = ({ measure }: MeasureResult): number =>
    LEADING.includes(measure) ? LEADING.indexOf(measure) : LEADING.length;
  const isFirst = (result: MeasureResult): boolean =>
    result.isMet === false ||
    (LEADING.includes(result.measure) && (result.isMet !== null || result.samples.length > 0));
  const sorted = [...report.measures].sort((a, b) => place(a) - place(b));
  return {
    first: [...sorted.filter(isFirst).map(tileOf), ...(report.slo.requests > 0 ? [serviceTile(report)] : [])],
    also: sorted.filter((result) => !isFirst(result) && result.samples.length > 0).map(tileOf),
  };
}

const SYMBOL = { good: "✓", bad: "✗", warn: "!" } as const;
export const symbolOf = (tone: Tone): Html =>
  tone === "plain" ? html`` : html`<span class="symbol" aria-hidden="true">${SYMBOL[tone]}</span>`;

function renderTile({ name, value, of, bound, word, tone }: Tile): Html {
  return html`<li class="tile ${tone}"><h3>${name}</h3><p class="value">${value}</p><p class="of">${of}</p><p class="bound">${symbolOf(tone)}<b>${word}</b>${bound === "" ? "" : html` <span>${bound}</span>`}</p></li>`;
}

function renderSmallTile({ name, value, bound, word, tone }: Tile): Html {
  return html`<li class="${tone}">${symbolOf(tone)}${name} <b>${value}</b> <span>${bound === "" ? "" : `${word}, ${bound}`}</span></li>`;
}

/** What makes the numbers doubtful, or the end untidy; empty: nothing. */
export function warningsOf(report: DrillReport): readonly string[] {
  const late = report.seconds.reduce((sum, second) => sum + second.late, 0);
  const lateSeconds = new Set(report.seconds.filter((second) => second.late > 0).map(({ atMs }) => atMs)).size;
  return [
    ...report.guards
      .filter(({ isBroken }) => isBroken)
      .map((guard) => `Guard ${guard.guard} broke: ${guard.worst}, where ${guard.limit} is allowed.`),
    ...report.leftOver.map((what) => `Not as before the drill: ${what}`),
    ...(late > 0
      ? [
          `${countOf(late)} requests could not be started in time in ${countOf(lateSeconds)} seconds: the machine was too busy, and numbers of those seconds are in doubt.`,
        ]
      : []),
  ];
}

/** Numbers stay with their units at a line's end. */
const unbroken = (text: string): string => text.replace(/([0-9≤≥>]) (?=[0-9]|(?:ms|s|min|%)(?![a-z]))/g, "$1\u00a0");

export function renderHeadline(report: DrillReport): Html {
  const { drill, load, regions, continents } = report;
  const verdict = VERDICT[report.outcome];
  const warnings = warningsOf(report);
  const { first, also } = tilesOf(report);
  const facts = [
    `stage ${drill.stage}`,
    dateText(report.startedAtMs),
    durationText(report.endedAtMs - report.startedAtMs),
    `${regions.length} regions`,
    `clients on ${continents.length} ${continents.length === 1 ? "continent" : "continents"}`,
    `${countOf(load.rps)} requests/s`,
    `${countOf(load.qps)} lookups/s`,
  ];
  return html`<header>
<p class="eyebrow">rhumb drill <span>${drill.file}</span></p>
<h1>${drill.name}</h1>
<p class="shows">${drill.shows}</p>
<div class="verdict ${verdict.tone}"><p class="word">${symbolOf(verdict.tone)}${verdict.word}</p><div><p class="says">${unbroken(report.says)}</p><p class="means">${verdict.means}</p></div></div>
<ul class="facts">${facts.map((fact) => html`<li>${fact}</li>`)}</ul>
${warnings.length > 0 && html`<ul class="warnings">${warnings.map((warning) => html`<li>${symbolOf("warn")}${warning}</li>`)}</ul>`}
</header>
<section aria-label="Numbers"><ul class="tiles">${first.map(renderTile)}</ul>${also.length > 0 && html`<ul class="also">${also.map(renderSmallTile)}</ul>`}</section>`;
}
