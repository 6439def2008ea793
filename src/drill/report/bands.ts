/**
 * What held from when to when, as rows of bands on the common time axis: the best route of each router, and what each node
 * answered to a continent. Drawn as SVG in percent of its width, so that it needs no script to stand right.
 * @module
 */
import { type Html, html } from "#drill/report/html.ts";
import { type Paint, regionPaint } from "#drill/report/palette.ts";
import type { DrillReport } from "#drill/report/shape.ts";
import { clockText, secondsAt, type Timeline } from "#drill/report/timeline.ts";

export type Band = {
  readonly from: number;
  readonly to: number;
  readonly label: string;
  /** More than the label: an AS path. */
  readonly detail: string;
  readonly paint: Paint;
};
export type BandRow = { readonly label: string; readonly bands: readonly Band[] };
export type BandPlot = {
  readonly id: string;
  readonly title: string;
  readonly says: string;
  readonly rows: readonly BandRow[];
};

type Change = { readonly atMs: number; readonly label: string; readonly detail: string; readonly paint: Paint };

/** Each change holds until the next one, the last one to the end; what is not a change is joined. */
function bandsOf(changes: readonly Change[], timeline: Timeline): readonly Band[] {
  const sorted = [...changes].sort((a, b) => a.atMs - b.atMs);
  const distinct = sorted.filter(
    (change, index) =>
      index === 0 || change.label !== sorted[index - 1]!.label || change.detail !== sorted[index - 1]!.detail,
  );
  return distinct
    .map(({ atMs, ...rest }, index) => {
      const next = distinct[index + 1];
      const to = next === undefined ? timeline.length : secondsAt(timeline, next.atMs);
      return { from: Math.max(0, secondsAt(timeline, atMs)), to: Math.min(timeline.length, to), ...rest };
    })
    .filter(({ from, to }) => to > from);
}

function rowsOf<Item extends { readonly atMs: number }>(
  items: readonly Item[],
  timeline: Timeline,
  rowLabel: (item: Item) => string,
  change: (item: Item) => Change,
): readonly BandRow[] {
  return [...Map.groupBy(items, rowLabel)]
    .map(([label, group]) => ({ label, bands: bandsOf(group.map(change), timeline) }))
    .filter(({ bands }) => bands.length > 0);
}

/** @returns those that have rows: no routers, no plot of routes */
export function bandPlots(report: DrillReport, timeline: Timeline): readonly BandPlot[] {
  const { regions, routes, answers, continents } = report;
  const ordered = continents.flatMap((continent) =>
    answers
      .filter((answer) => answer.continent === continent)
      .sort((a, b) => a.node.localeCompare(b.node, "en", { numeric: true })),
  );
  return [
    {
      id: "fresh",
      title: "Fresh DNS answers",
      says: "What each node answered to clients of each continent, past every cache, to 100 ms.",
      rows: rowsOf(
        ordered,
        timeline,
        ({ continent, node }) => `${continent} ${node}`,
        ({ atMs, regions: answered }) => ({
          atMs,
          label: answered.join(" + ") || "none",
          detail: "",
          paint: regionPaint(regions, answered[0] ?? ""),
        }),
      ),
    },
    {
      id: "routes",
      title: "BGP best route",
      says: "The region to which each router sends packets for the anycast address.",
      rows: rowsOf(
        routes,
        timeline,
        ({ router }) => router,
        ({ atMs, region, path }) => ({
          atMs,
          label: region ?? "no route",
          detail: path,
          paint: regionPaint(regions, region ?? ""),
        }),
      ),
    },
  ].filter(({ rows }) => rows.length > 0);
}

const ROW_HEIGHT = 26;
const GAP = 4;
const percent = (seconds: number, { length }: Timeline): string => `${Number(((seconds / length) * 100).toFixed(3))}%`;

/** Vertical lines at the steps, and the cursor's, which the script moves. */
function overlay(timeline: Timeline): Html {
  return html`${timeline.marks.map(
    ({ at, kind }) =>
      html`<line class="mark ${kind}" data-at="${at}" x1="${percent(at, timeline)}" x2="${percent(at, timeline)}" y1="0" y2="100%"/>`,
  )}<line class="cursor" x1="-1" x2="-1" y1="0" y2="100%"/>`;
}

/** A band is a pale field with the region's colour, dashed as its lines are, along its lower edge; its name if it fits. */
function bandSvg({ from, to, label, detail, paint }: Band, row: number, timeline: Timeline): Html {
  const height = ROW_HEIGHT - GAP;
  const title = `${label}${detail ? ` (${detail})` : ""}, ${clockText(from)} to ${clockText(to)}`;
  return html`<svg class="band ${paint.colour}" data-from="${from}" data-to="${to}" x="${percent(from, timeline)}" y="${row * ROW_HEIGHT}" width="${percent(to - from, timeline)}" height="${height}"><title>${title}</title><rect class="field" width="100%" height="100%"/><line class="edge" x1="0" x2="100%" y1="${height - 2}" y2="${height - 2}" stroke-dasharray="${paint.dash.join(" ")}"/><text x="6" y="15">${label}</text></svg>`;
}

export function renderBands(plot: BandPlot, timeline: Timeline): Html {
  const height = plot.rows.length * ROW_HEIGHT;
  return html`<figure class="bands" id="${plot.id}">
<figcaption><h3>${plot.title}</h3><p>${plot.says}</p></figcaption>
<div class="band-grid"><ul class="band-labels">${plot.rows.map(({ label }) => html`<li>${label}</li>`)}</ul>
<svg class="band-area" height="${height}" role="img" aria-label="${plot.title}: the table below has the same">${plot.rows.map(
    ({ bands }, row) => bands.map((band) => bandSvg(band, row, timeline)),
  )}${overlay(timeline)}</svg></div>
<details><summary>Table of ${plot.title}</summary><table><thead><tr><th scope="col">Where</th><th scope="col">From</th><th scope="col">To</th><th scope="col">What</th><th scope="col">Path</th></tr></thead><tbody>${plot.rows.flatMap(
    ({ label, bands }) =>
      bands.map(
        (band) =>
          html`<tr><th scope="row">${label}</th><td>${clockText(band.from)}</td><td>${clockText(band.to)}</td><td>${band.label}</td><td>${band.detail}</td></tr>`,
      ),
  )}</tbody></table></details>
</figure>`;
}
