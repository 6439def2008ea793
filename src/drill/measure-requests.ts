/**
 * Measures of what clients counted: lost requests and queries, how clients drain from a region, load of capacity. Pure.
 * @module
 */
import {
  type Collected,
  type Fault,
  faultsOf,
  regionFaults,
  type Sample,
  sampleOf,
  samplesOf,
} from "#drill/collected.ts";
import type { LoadSecond } from "#drill/load/protocol.ts";
import type { DrillReport } from "#drill/report/shape.ts";

const SECOND_MS = 1_000;
/** What was usual is taken from so long before a fault. */
const BEFORE_MS = 5_000;
/** Under this share of what was usual, a region is drained. */
const DRAINED_SHARE = 0.01;
/**
 * From an overload to when spill is due: a report of the balancer (1 s), a plan made from it (5 s), and that twice, because
 * the plan moves in steps.
 */
const SPILL_DUE_MS = 12_000;

type Outcomes = { readonly ok: number; readonly retried: number; readonly lost: number };
const sum = (numbers: Iterable<number>): number => {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
};
const allOf = ({ ok, retried, lost }: Outcomes): number => ok + retried + lost;

export const requestsOf = (second: LoadSecond): number => sum(Object.values(second.http).map(allOf));
export const lostOf = (second: LoadSecond): number => sum(Object.values(second.http).map(({ lost }) => lost));

const shareOf = (of: string, part: number, all: number): Sample[] => (all === 0 ? [] : [{ of, value: part / all }]);

export const lostRequests = ({ seconds }: Collected): Sample[] =>
  shareOf("all clients", sum(seconds.map(lostOf)), sum(seconds.map(requestsOf)));

export const lostQueries = ({ seconds }: Collected): Sample[] =>
  shareOf("all clients", sum(seconds.map(({ dns }) => dns.lost)), sum(seconds.map(({ dns }) => dns.queries)));

export function lostAnycast({ seconds }: Collected): Sample[] {
  const all = seconds.flatMap(({ anycast }) => Object.values(anycast));
  return shareOf("all clients", sum(all.map(({ lost }) => lost)), sum(all.map(({ ok, lost }) => ok + lost)));
}

/** Requests that went to the region in each second that began within the span, oldest first. */
function visits({ seconds }: Collected, region: string, fromMs: number, untilMs: number): Map<number, number> {
  const counts = new Map<number, number>();
  for (const { atMs, http } of seconds) {
    if (atMs < fromMs || atMs + SECOND_MS > untilMs) continue;
    const here = http[region];
    counts.set(atMs, (counts.get(atMs) ?? 0) + (here ? allOf(here) : 0));
  }
  return new Map([...counts].sort(([a], [b]) => a - b));
}

/** Requests a second that the region had before the fault; 0: none. */
function usualVisits(collected: Collected, region: string, { atMs }: Fault): number {
  const before = [...visits(collected, region, atMs - BEFORE_MS, atMs).values()];
  return before.length === 0 ? 0 : sum(before) / before.length;
}

type Curve = readonly { readonly afterMs: number; readonly share: number }[];
function curveOf(collected: Collected, region: string, fault: Fault): Curve {
  const usual = usualVisits(collected, region, fault);
  if (usual === 0) return [];
  const whole = Math.ceil(fault.atMs / SECOND_MS) * SECOND_MS;
  return [...visits(collected, region, whole, fault.untilMs)].map(([atMs, count]) => ({
    afterMs: atMs + SECOND_MS - fault.atMs,
    share: count / usual,
  }));
}

/** Until the end of the first second from which on, as long as the fault stood, under 1 % of what was usual went there. */
export function dnsDrain(collected: Collected): Sample[] {
  return samplesOf(collected, ({ fault, region }) => {
    const curve = curveOf(collected, region, fault);
    if (curve.length === 0) return [];
    const last = curve.findLastIndex(({ share }) => share >= DRAINED_SHARE);
    const drained = curve[last + 1];
    return [sampleOf(fault.says, fault, drained && fault.atMs + drained.afterMs)];
  });
}

/** Until the end of the last second in which a request was lost at the region, as long as the fault stood; 0: none was. */
export function outage(collected: Collected): Sample[] {
  return regionFaults(collected).flatMap(({ fault, region }) => {
    if (usualVisits(collected, region, fault) === 0) return [];
    const ends = collected.seconds
      .filter(({ http }) => (http[region]?.lost ?? 0) > 0)
      .map(({ atMs }) => atMs + SECOND_MS)
      .filter((endMs) => endMs > fault.atMs && endMs - SECOND_MS < fault.untilMs);
    return [{ of: fault.says, value: Math.max(fault.atMs, ...ends) - fault.atMs }];
  });
}

/** After the first fault that moves clients: requests to its region, of what was usual. */
export function drainCurve(collected: Collected): DrillReport["drainCurve"] {
  const [first] = regionFaults(collected);
  return first ? [{ afterMs: 0, share: 1 }, ...curveOf(collected, first.region, first.fault)] : [];
}

/** The busiest five seconds of each region, of its capacity. */
export function overCapacity(collected: Collected): Sample[] {
  const { startedAtMs, endedAtMs } = collected;
  return collected.regions.flatMap(({ id, capacityRps }) => {
    if (capacityRps === undefined) return [];
    const counts = [...visits(collected, id, startedAtMs, endedAtMs).values()];
    const span = BEFORE_MS / SECOND_MS;
    const means = counts.slice(span - 1).map((_, index) => sum(counts.slice(index, index + span)) / span);
    return means.length === 0 ? [] : [{ of: id, value: Math.max(...means) / capacityRps }];
  });
}

/** Of the continents whose answers mostly led to the region before it was overloaded: five seconds with the least share elsewhere. */
export function spilled(collected: Collected): Sample[] {
  return faultsOf(collected)
    .filter(({ step }) => step.action === "overload")
    .flatMap((fault) => {
      const region = fault.step.target.split("/")[1]!;
      const within = (fromMs: number, untilMs: number) =>
        collected.seconds.filter(({ atMs }) => atMs >= fromMs && atMs + SECOND_MS <= untilMs);
      const shareElsewhere = (list: readonly LoadSecond[]): number | undefined => {
        const all = sum(list.flatMap(({ dns }) => Object.values(dns.answers)));
        const here = sum(list.map(({ dns }) => dns.answers[region] ?? 0));
        return all === 0 ? undefined : 1 - here / all;
      };
      const before = Map.groupBy(within(fault.atMs - BEFORE_MS, fault.atMs), ({ continent }) => continent);
      const home = new Set([...before].filter(([, list]) => (shareElsewhere(list) ?? 1) < 0.5).map(([name]) => name));
      const shares: number[] = [];
      for (let at = fault.doneAtMs + SPILL_DUE_MS; at + BEFORE_MS <= fault.untilMs; at += SECOND_MS) {
        const share = shareElsewhere(within(at, at + BEFORE_MS).filter(({ continent }) => home.has(continent)));
        if (share !== undefined) shares.push(share);
      }
      return shares.length === 0 ? [] : [{ of: fault.says, value: Math.min(...shares) }];
    });
}

export function serviceLevel({ seconds }: Collected): DrillReport["slo"] {
  const requests = sum(seconds.map(requestsOf));
  const lost = sum(seconds.map(lostOf));
  return {
    requests,
    ok: requests - lost,
    lost,
    availability: requests === 0 ? 1 : (requests - lost) / requests,
    lostQueries: sum(seconds.map(({ dns }) => dns.lost)),
  };
}
