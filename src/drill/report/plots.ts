/**
 * What is plotted, as data: the page's script draws it, its tables show it, tests read it.
 *
 * Units:   x in seconds of the timeline; y as `unit` says: counts of one second, ms, or shares.
 * @module
 */
import type { LoadSecond } from "#drill/load/protocol.ts";
import { LINE_PAINTS, LOST_PAINT, NOBODY_PAINT, type Paint, regionPaint } from "#drill/report/palette.ts";
import type { DrillReport } from "#drill/report/shape.ts";
import { secondsAt, type Timeline } from "#drill/report/timeline.ts";
import { CONTINENT_NAMES } from "#drill/report/words.ts";
import type { Continent } from "#drill/stage.ts";

export type Unit = "per second" | "ms" | "share";
export type Series = { readonly label: string; readonly paint: Paint; readonly values: readonly (number | null)[] };
export type Plot = {
  readonly id: string;
  readonly title: string;
  readonly unit: Unit;
  /** Areas on top of each other, the first one lowest; else lines. Both in steps where `x` are whole seconds of counts. */
  readonly isStacked: boolean;
  readonly x: readonly number[];
  /** Top of the axis: the same for plots that stand beside each other. */
  readonly most: number;
  readonly series: readonly Series[];
};
/** Plots of the same thing, one for each continent. */
export type PlotRow = { readonly title: string; readonly says: string; readonly plots: readonly Plot[] };

type Seconds = readonly (LoadSecond | undefined)[];
type Kind = {
  readonly id: string;
  readonly title: string;
  readonly says: string;
  readonly unit: Unit;
  readonly isStacked: boolean;
  readonly seriesOf: (report: DrillReport, seconds: Seconds) => readonly Series[];
};

/** Seconds of load at their place on the axis. */
function secondsOf(report: DrillReport, timeline: Timeline, continent: Continent): Seconds {
  const seconds: (LoadSecond | undefined)[] = Array.from({ length: timeline.length });
  for (const second of report.seconds) {
    if (second.continent !== continent) continue;
    const index = Math.floor((second.atMs - timeline.zeroMs) / 1000);
    if (index >= 0 && index < seconds.length) seconds[index] = second;
  }
  return seconds;
}

/** A region may be called as anything is that objects have of themselves. */
const entryOf = <Value>(map: Readonly<Record<string, Value>>, region: string): Value | undefined =>
  Object.hasOwn(map, region) ? map[region] : undefined;
const hasSome = ({ values }: Series): boolean => values.some((value) => value !== null && value > 0);
const sumOf = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);
const requestsOf = ({ http }: LoadSecond): number =>
  Object.values(http).reduce((sum, { ok, retried, lost }) => sum + ok + retried + lost, 0);

/** The stage's regions first, in its order; then any other that a client saw; `""` stands for none. */
function regionsIn(report: DrillReport, maps: Iterable<Readonly<Record<string, unknown>>>): readonly string[] {
  const seen = new Set(report.regions);
  for (const map of maps) for (const region of Object.keys(map)) if (region !== "") seen.add(region);
  return [...seen];
}

const valuesOf = (seconds: Seconds, value: (second: LoadSecond) => number | null): Series["values"] =>
  seconds.map((second) => (second === undefined ? null : value(second)));

function answersOf(report: DrillReport, seconds: Seconds): readonly Series[] {
  const maps = report.seconds.map(({ dns }) => dns.answers);
  return [
    ...regionsIn(report, maps).map((region) => ({
      label: region,
      paint: regionPaint(report.regions, region),
      values: valuesOf(seconds, ({ dns }) => entryOf(dns.answers, region) ?? 0),
    })),
    { label: "no region", paint: NOBODY_PAINT, values: valuesOf(seconds, ({ dns }) => dns.answers[""] ?? 0) },
    { label: "unanswered", paint: LOST_PAINT, values: valuesOf(seconds, ({ dns }) => dns.lost) },
  ];
}

function requestsByOutcome(report: DrillReport, seconds: Seconds): readonly Series[] {
  const regions = regionsIn(
    report,
    report.seconds.map(({ http }) => http),
  );
  const series = (label: string, region: string, paint: Paint, of: "ok" | "retried" | "lost"): Series => ({
    label,
    paint,
    values: valuesOf(seconds, ({ http }) => entryOf(http, region)?.[of] ?? 0),
  });
  return [
    ...regions.map((region) => series(region, region, regionPaint(report.regions, region), "ok")),
    ...regions.map((region) =>
      series(
        `${region} after a retry`,
        region,
        { ...regionPaint(report.regions, region), pattern: "cross" },
        "retried",
      ),
    ),
    ...regions.map((region) => series(`lost at ${region}`, region, LOST_PAINT, "lost")),
    series("lost, no region", "", LOST_PAINT, "lost"),
  ];
}

function anycastOf(report: DrillReport, seconds: Seconds): readonly Series[] {
  const maps = report.seconds.map(({ anycast }) => anycast);
  const lost = ({ anycast }: LoadSecond): number => Object.values(anycast).reduce((sum, each) => sum + each.lost, 0);
  return [
    ...regionsIn(report, maps).map((region) => ({
      label: region,
      paint: regionPaint(report.regions, region),
      values: valuesOf(seconds, ({ anycast }) => entryOf(anycast, region)?.ok ?? 0),
    })),
    { label: "lost", paint: LOST_PAINT, values: valuesOf(seconds, lost) },
  ];
}

/** Two lines; null in seconds of which nothing is known. */
const pair =
  (labels: readonly [string, string], values: (second: LoadSecond) => readonly [number, number] | null) =>
  (_report: DrillReport, seconds: Seconds): readonly Series[] =>
    labels.map((label, index) => ({
      label,
      paint: LINE_PAINTS[index]!,
      values: valuesOf(seconds, (second) => values(second)?.[index] ?? null),
    }));

const KINDS: readonly Kind[] = [
  {
    id: "answers",
    title: "DNS answers by region",
    says: "What clients were told when their cache had run out.",
    unit: "per second",
    isStacked: true,
    seriesOf: answersOf,
  },
  {
    id: "requests",
    title: "Requests by region and outcome",
    says: "Where requests went, and what became of them.",
    unit: "per second",
    isStacked: true,
    seriesOf: requestsByOutcome,
  },
  {
    id: "anycast",
    title: "Requests to the anycast address",
    says: "The region that BGP led them to.",
    unit: "per second",
    isStacked: true,
    seriesOf: anycastOf,
  },
  {
    id: "age",
    title: "Age of the DNS answer that requests went by",
    says: "Old answers are what keeps clients at a region that is gone.",
    unit: "ms",
    isStacked: false,
    seriesOf: pair(["mean", "oldest"], (second) =>
      requestsOf(second) === 0 ? null : [second.ttlAge.meanMs, second.ttlAge.mostMs],
    ),
  },
  {
    id: "latency",
    title: "Latency of requests",
    says: "From due to answered, retries included.",
    unit: "ms",
    isStacked: false,
    seriesOf: pair(["p50", "p99"], (second) =>
      requestsOf(second) === 0 ? null : [second.httpP50Ms, second.httpP99Ms],
    ),
  },
  {
    id: "lookup",
    title: "Latency of DNS queries",
    says: "Of those that were answered.",
    unit: "ms",
    isStacked: false,
    seriesOf: pair(["p50", "p99"], ({ dns }) =>
      sumOf(dns.answers) === 0 ? null : [dns.p50Micros / 1000, dns.p99Micros / 1000],
    ),
  },
];

const round = (value: number | null): number | null => (value === null ? null : Math.round(value * 1000) / 1000);

function topOf(plots: readonly Omit<Plot, "most">[]): number {
  const tops = plots.flatMap(({ isStacked, series, x }) =>
    x.map((_, index) => {
      const values = series.map(({ values }) => values[index] ?? 0);
      return isStacked ? values.reduce((sum, value) => sum + value, 0) : Math.max(0, ...values);
    }),
  );
  return tops.reduce((most, top) => Math.max(most, top), 0);
}

/** A plot of whole seconds: the last one is repeated at the axis' end, so that its step has a width. */
function plotOfSeconds(kind: Kind, id: string, title: string, length: number, series: readonly Series[]) {
  const shown = kind.isStacked ? series.filter(hasSome) : series;
  return {
    id,
    title,
    unit: kind.unit,
    isStacked: kind.isStacked,
    x: Array.from({ length: length + 1 }, (_, index) => index),
    series: shown.map((each) => ({ ...each, values: [...each.values, each.values.at(-1) ?? null].map(round) })),
  };
}

/** @returns rows in which something happened, each with a plot for each continent */
export function plotRows(report: DrillReport, timeline: Timeline): readonly PlotRow[] {
  if (report.seconds.length === 0) return [];
  return KINDS.map((kind) => {
    const plots = report.continents.map((continent) => {
      const series = kind.seriesOf(report, secondsOf(report, timeline, continent));
      return plotOfSeconds(kind, `${kind.id}-${continent}`, CONTINENT_NAMES[continent], timeline.length, series);
    });
    const most = topOf(plots);
    return { title: kind.title, says: kind.says, plots: plots.map((plot) => ({ ...plot, most })) };
  }).filter(({ plots }) => plots.some(({ series }) => series.some(hasSome)));
}

/** All clients together, by the region that answered in the end: the picture at the top. */
export function overviewPlot(report: DrillReport, timeline: Timeline): Plot | undefined {
  if (report.seconds.length === 0) return undefined;
  const places = report.continents.map((continent) => secondsOf(report, timeline, continent));
  const sum = (value: (second: LoadSecond) => number): Series["values"] =>
    Array.from({ length: timeline.length }, (_, index) => {
      const known = places.map((seconds) => seconds[index]).filter((second) => second !== undefined);
      return known.length === 0 ? null : known.reduce((total, second) => total + value(second), 0);
    });
  const maps = report.seconds.map(({ http }) => http);
  const series = [
    ...regionsIn(report, maps).map((region) => ({
      label: region,
      paint: regionPaint(report.regions, region),
      values: sum(({ http }) => (entryOf(http, region)?.ok ?? 0) + (entryOf(http, region)?.retried ?? 0)),
    })),
    {
      label: "lost",
      paint: LOST_PAINT,
      values: sum(({ http }) => Object.values(http).reduce((lost, each) => lost + each.lost, 0)),
    },
  ];
  const plot = plotOfSeconds(KINDS[1]!, "overview", "Requests of all clients", timeline.length, series);
  return plot.series.length === 0 ? undefined : { ...plot, most: topOf([plot]) };
}

/** The fault that the drain curve begins at: the first one that moves clients, which the measure of the same name names. */
function drainedBy({ steps, measures }: DrillReport): DrillReport["steps"][number] | undefined {
  const faults = steps.filter(({ isFault }) => isFault);
  const [sample] = measures.find(({ measure }) => measure === "dnsDrain")?.samples ?? [];
  return faults.find(({ action, target }) => sample?.of.startsWith(`${action} ${target}`)) ?? faults[0];
}

/** On the common axis, from that fault on. */
export function drainPlot(report: DrillReport, timeline: Timeline): Plot | undefined {
  const fault = drainedBy(report);
  if (fault === undefined || report.drainCurve.length === 0) return undefined;
  const points = report.drainCurve
    .map(({ afterMs, share }) => ({ at: secondsAt(timeline, fault.atMs + afterMs), share: round(share) }))
    .filter(({ at }) => at > 0 && at < timeline.length);
  return {
    id: "drain",
    title: "DNS drain: requests that still go to the old region",
    unit: "share",
    isStacked: false,
    x: [0, ...points.map(({ at }) => at), timeline.length],
    most: points.reduce((most, { share }) => Math.max(most, share ?? 0), 1),
    series: [
      {
        label: "of what was usual there before",
        paint: LINE_PAINTS[0]!,
        values: [null, ...points.map(({ share }) => share), null],
      },
    ],
  };
}
