/**
 * What a report's numbers are called and how they are written, in the page and in the text alike.
 * @module
 */
import { isSeen } from "#drill/collected.ts";
import type { DrillReport, Outcome } from "#drill/report/shape.ts";
import type { Bound, Measure } from "#drill/scenario.ts";
import type { Continent } from "#drill/stage.ts";

export type Tone = "good" | "bad" | "warn" | "plain";
export type MeasureResult = DrillReport["measures"][number];

export const VERDICT = {
  passed: { word: "Passed", tone: "good", means: "Every expectation was met." },
  failed: { word: "Failed", tone: "bad", means: "At least one expectation was not met." },
  aborted: { word: "Aborted", tone: "warn", means: "A guard broke, or somebody stopped it." },
  broken: {
    word: "No verdict",
    tone: "warn",
    means: "The stage or the drill itself failed: this says nothing of rhumb.",
  },
} as const satisfies Record<Outcome, { word: string; tone: Tone; means: string }>;

export const CONTINENT_NAMES: Readonly<Record<Continent, string>> = {
  NA: "North America",
  EU: "Europe",
  AS: "Asia",
};

export const MEASURE_WORDS: Readonly<Record<Measure, { readonly name: string; readonly of: string }>> = {
  detection: { name: "Detection", of: "from a fault until the first DNS node says that the target is down" },
  changedAnswer: { name: "Changed answer", of: "from a fault until fresh DNS answers go elsewhere, at each node" },
  returnedAnswer: { name: "Returned answer", of: "from a heal until fresh DNS answers come back, at each node" },
  bgpConvergence: { name: "BGP convergence", of: "from a fault until a router's best route leads elsewhere" },
  anycastFailover: { name: "Anycast failover", of: "from a fault until a client's first success elsewhere" },
  dnsDrain: { name: "DNS drain", of: "from a fault until under 1 % of requests still go there" },
  outage: { name: "Outage", of: "from a fault until the end of the last second that lost a request at its region" },
  lostRequests: { name: "Lost requests", of: "requests that failed after all retries, of all" },
  lostAnycast: { name: "Lost anycast requests", of: "requests to the anycast address that failed, of all" },
  lostQueries: { name: "Lost queries", of: "DNS queries that no server answered, of all" },
  wrongAnswers: { name: "Wrong answers", of: "fresh answers with an address of no region, or one taken out by hand" },
  emptyAnswers: { name: "Empty answers", of: "fresh answers without an address, or with an error" },
  failovers: { name: "Failovers", of: "times that fresh answers of a continent moved" },
  overCapacity: { name: "Load of capacity", of: "the most that any region carried, of its capacity" },
  spilled: { name: "Spilled", of: "the least share of answers elsewhere while a region is over its watermark" },
};

/** Three digits say enough: `850 ms`, `6.31 s`, `42.0 s`, `2 min 5 s`. */
export function durationText(ms: number): string {
  if (ms < 0) return `−${durationText(-ms)}`;
  if (ms < 999.5) return `${ms < 9.95 && !Number.isInteger(ms) ? ms.toFixed(1) : Math.round(ms)} ms`;
  if (ms < 9_995) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Percent, with as many digits as tell it from 0 % and from 100 %. */
export function shareText(share: number): string {
  const percent = share * 100;
  const gap = Math.min(Math.abs(percent), Math.abs(100 - percent));
  const digits = gap === 0 ? 0 : Math.max(1, Math.min(4, Math.ceil(-Math.log10(gap)) + 1));
  return `${percent.toFixed(digits)} %`;
}

export function countOf(count: number): string {
  const text = Number.isInteger(count) ? String(count) : count.toFixed(1);
  return text.replace(/\B(?=(\d{3})+(?!\d))/g, " ");
}

export function valueText(value: number, unit: MeasureResult["unit"]): string {
  if (unit === "ms") return durationText(value);
  return unit === "share" ? shareText(value) : countOf(value);
}

const SIGNS = { p99: "p99 ≤", max: "≤", min: "≥" } as const;

export function boundText(bound: Bound, unit: MeasureResult["unit"]): string {
  return (["p99", "max", "min"] as const)
    .filter((key) => bound[key] !== undefined)
    .map((key) => `${SIGNS[key]} ${valueText(bound[key]!, unit)}`)
    .join(", ");
}

/** The number that the bound is about: what the tile and the headline of a measure show. */
export function leadingValue(result: MeasureResult): { readonly name: string; readonly value: number } | undefined {
  const { bound, unit, samples } = result;
  if (bound?.min !== undefined && bound.max === undefined && bound.p99 === undefined && samples.length > 0)
    return { name: "least", value: Math.min(...samples.map(({ value }) => value)) };
  if (result.p99 !== null && (bound?.p99 !== undefined || (bound?.max === undefined && unit === "ms")))
    return { name: "p99", value: result.p99 };
  return result.most === null ? undefined : { name: samples.length === 1 ? "" : "most", value: result.most };
}

/** The leading value in words: what never happened took longer than it was waited for. */
export function leadingText(result: MeasureResult): string {
  const leading = leadingValue(result);
  if (leading === undefined) return "–";
  const isOver = result.samples.some((sample) => sample.value >= leading.value && !isSeen(sample));
  return `${isOver ? "> " : ""}${valueText(leading.value, result.unit)}`;
}

export function metText(isMet: boolean | null): { readonly word: string; readonly tone: Tone } {
  if (isMet === null) return { word: "no bound", tone: "plain" };
  return isMet ? { word: "met", tone: "good" } : { word: "missed", tone: "bad" };
}

/** UTC, to the second: the same on every machine that makes the page. */
export const dateText = (atMs: number): string => `${new Date(atMs).toISOString().slice(0, 19).replace("T", " ")} UTC`;
