/** What a run might have seen, made by hand: times are seconds from the start of the load. */
import type { Collected, DoneStep, NodeEvent, RouteChange } from "#drill/collected.ts";
import type { LoadMark, LoadSecond } from "#drill/load/protocol.ts";
import type { Action, Step } from "#drill/scenario.ts";
import type { Continent, StageRegion } from "#drill/stage.ts";
import { stepSays } from "#drill/step-words.ts";

export const START_MS = 1_800_000_000_000;
export const at = (second: number): number => START_MS + Math.round(second * 1_000);

export const REGIONS: readonly StageRegion[] = ["us-east", "eu-west", "ap-south"].map((id, index) => ({
  id,
  addresses: [`127.0.1${index + 1}.1`],
  port: 8_080,
  capacityRps: 10,
}));

export const step = (atMs: number, action: Action, target: string, options: Step["options"] = {}): Step => ({
  atMs,
  action,
  target,
  options,
  place: "d.yaml:1:1",
});

export function done(second: number, action: Action, target: string, options: Step["options"] = {}): DoneStep {
  const made = step(second * 1_000, action, target, options);
  return { step: made, atMs: at(second), doneAtMs: at(second), says: stepSays(made) };
}

export const answer = (
  second: number,
  regions: readonly string[],
  more: { node?: string; continent?: Continent; rcode?: string } = {},
): LoadMark => ({
  kind: "answer",
  atMs: at(second),
  continent: more.continent ?? "EU",
  node: more.node ?? "ns1",
  regions,
  ttl: 5,
  rcode: more.rcode ?? "NOERROR",
  addresses: regions.map((region) => REGIONS.find(({ id }) => id === region)?.addresses[0] ?? "192.0.2.9"),
});

export const anycast = (second: number, region: string, isOk = true, continent: Continent = "EU"): LoadMark => ({
  kind: "anycast",
  atMs: at(second),
  continent,
  region,
  isOk,
});

export const route = (second: number, router: string, region: string | null): RouteChange => ({
  atMs: at(second),
  router,
  region,
  path: region ?? "",
});

export const event = (second: number, node: string, subject: string, severity = "alarm"): NodeEvent => ({
  atMs: at(second),
  node,
  kind: "health.transition",
  severity,
  subject,
  says: "",
});

/** `http`: [ok, retried, lost] by region. */
export function second(
  index: number,
  more: {
    continent?: Continent;
    http?: Record<string, readonly [number, number, number]>;
    answers?: Record<string, number>;
    queries?: number;
    lostQueries?: number;
    anycast?: Record<string, { ok: number; lost: number }>;
    late?: number;
  } = {},
): LoadSecond {
  const { continent = "EU", http = {}, answers = {}, queries = 0, lostQueries = 0, late = 0 } = more;
  return {
    kind: "second",
    atMs: at(index),
    continent,
    dns: { queries, lost: lostQueries, answers, p50Micros: 0, p99Micros: 0 },
    http: Object.fromEntries(
      Object.entries(http).map(([region, [ok, retried, lost]]) => [region, { ok, retried, lost }]),
    ),
    httpP50Ms: 0,
    httpP99Ms: 0,
    ttlAge: { meanMs: 0, mostMs: 0 },
    anycast: more.anycast ?? {},
    late,
  };
}

export const seen = (more: Partial<Collected> = {}, endSecond = 60): Collected => ({
  regions: REGIONS,
  startedAtMs: at(0),
  endedAtMs: at(endSecond),
  steps: [],
  seconds: [],
  marks: [],
  routes: [],
  events: [],
  ...more,
});
