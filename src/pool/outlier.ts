/**
 * Outlier detection as in Envoy: takes backends that fail real traffic out for a while, though their checks may pass.
 *
 * Owns:    per backend: ejected until when, how often, and its tallies. Time and chance are handed in; it does no I/O.
 * Never:   knows protocols. L4 has local failures (connect refused, timed out, reset) and successes; L7 adds responses:
 *          5xx, among them gateway failures (502, 503, 504).
 *
 * - Local failures count as 5xx and as gateway failures, unless `splitExternalLocalOriginErrors` gives them tests of their
 *   own.
 * - Failures in a row are looked at with each sample, rates once per `intervalMs`. Whatever became of it, a row that
 *   reached its threshold starts anew: the next try of the dice takes as many failures again.
 * - An ejection lasts base × n, at most the maximum, and jitter on top. n grows with each one and falls by one with each
 *   interval that the backend was in service throughout.
 * - One backend may always be ejected. More only while no more than `maxEjectionPercent` would be out: 10 % of two
 *   backends is none, so without the first rule a pool of two would have no outlier detection at all.
 * - During panic all of it is ignored, by who picks; it goes on here, so that its end finds the right ones ejected.
 *
 * Units:   steady ms.
 * @module
 */
import type { Rng } from "#base/rng.ts";
import { aboveFailurePercentage, belowMean, type Tally } from "#pool/outlier-rates.ts";
import type { OutlierSpec } from "#state/balancer.ts";

/** What was seen of a backend. Classes that a protocol does not have stay 0. */
export type OutlierSample = {
  /** As of now. A row that a success has ended between two samples is not seen. */
  readonly inARow: { readonly fiveXx: number; readonly gateway: number; readonly local: number };
  /** Responses since the last sample. */
  readonly responses: Tally;
  /** Connections since the last sample. */
  readonly local: Tally;
};

export type EjectionReason =
  | "consecutive-5xx"
  | "consecutive-gateway-failure"
  | "consecutive-local-origin-failure"
  | "success-rate"
  | "local-origin-success-rate"
  | "failure-percentage";

export type Ejection = {
  readonly reason: EjectionReason;
  readonly sinceMs: number;
  readonly untilMs: number;
  /** What the base time was multiplied with. */
  readonly times: number;
};

/** Who was ejected or returned: look it up by `ejection()`. */
export type Outlier = {
  /** Another configuration. Who stays a member keeps its past. @returns who is no longer ejected because it was switched off */
  apply(spec: OutlierSpec, members: readonly number[], nowMs: number): readonly number[];
  /** @returns whether it is ejected by this */
  observe(member: number, sample: OutlierSample, nowMs: number): boolean;
  /** Call it about four times a second. @returns who was ejected or has returned */
  tick(nowMs: number): readonly number[];
  /** The active check has found out that it is well again. @returns whether that ends an ejection */
  checkPassed(member: number, nowMs: number): boolean;
  ejection(member: number): Ejection | undefined;
  /** Ejections since the start by reason, and those that `maxEjectionPercent` forbade. */
  stats(): { readonly ejections: Readonly<Partial<Record<EjectionReason, number>>>; readonly overflows: number };
};

type Counts = { successes: number; failures: number };
type Row = "fiveXx" | "gateway" | "local";
type Member = {
  readonly id: number;
  ejection: Ejection | undefined;
  times: number;
  /** Since when it is in service; an interval in which it was not decays nothing. */
  returnedMs: number;
  /** Failures of the row that were acted upon. */
  readonly spent: Record<Row, number>;
  readonly responses: Counts;
  readonly local: Counts;
};

type RowTest = {
  readonly row: Row;
  readonly reason: EjectionReason;
  readonly threshold: keyof OutlierSpec & `consecutive${string}`;
  readonly enforcing: keyof OutlierSpec & `enforcing${string}`;
};
const ROW_TESTS: readonly RowTest[] = [
  {
    row: "gateway",
    reason: "consecutive-gateway-failure",
    threshold: "consecutiveGatewayFailure",
    enforcing: "enforcingConsecutiveGatewayFailure",
  },
  {
    row: "fiveXx",
    reason: "consecutive-5xx",
    threshold: "consecutive5xx",
    enforcing: "enforcingConsecutive5xx",
  },
  {
    row: "local",
    reason: "consecutive-local-origin-failure",
    threshold: "consecutiveLocalOriginFailure",
    enforcing: "enforcingConsecutiveLocalOriginFailure",
  },
];

const createMember = (id: number, nowMs: number): Member => ({
  id,
  ejection: undefined,
  times: 0,
  returnedMs: nowMs,
  spent: { fiveXx: 0, gateway: 0, local: 0 },
  responses: { successes: 0, failures: 0 },
  local: { successes: 0, failures: 0 },
});
const add = (to: Counts, { successes, failures }: Tally): void => {
  to.successes += successes;
  to.failures += failures;
};
const clear = (counts: Counts): void => {
  counts.successes = 0;
  counts.failures = 0;
};

export function createOutlier(rng: Rng): Outlier {
  const members = new Map<number, Member>();
  const ejections: Partial<Record<EjectionReason, number>> = {};
  let spec: OutlierSpec | undefined;
  let sweptMs = 0;
  let ejected = 0;
  let overflows = 0;

  const eject = (member: Member, reason: EjectionReason, enforcing: number, nowMs: number): boolean => {
    if (member.ejection !== undefined || spec === undefined) return false;
    if (rng() * 100 >= enforcing) return false;
    const isAllowed = ejected === 0 || (ejected + 1) * 100 <= spec.maxEjectionPercent * members.size;
    if (!isAllowed) {
      overflows++;
      return false;
    }
    const longestMs = Math.max(spec.baseEjectionMs, spec.maxEjectionMs);
    // Beyond the cap it does not grow, or it would take as long to decay as it took to flap.
    if (member.times === 0 || spec.baseEjectionMs * member.times < longestMs) member.times++;
    const lastsMs = Math.min(spec.baseEjectionMs * member.times, longestMs) + rng() * spec.maxEjectionJitterMs;
    member.ejection = { reason, sinceMs: nowMs, untilMs: nowMs + lastsMs, times: member.times };
    ejected++;
    ejections[reason] = (ejections[reason] ?? 0) + 1;
    return true;
  };
  const bringBack = (member: Member, nowMs: number): void => {
    member.ejection = undefined;
    member.returnedMs = nowMs;
    clear(member.responses);
    clear(member.local);
    ejected--;
  };

  const rowsOf = ({ inARow }: OutlierSample, isSplit: boolean): Readonly<Record<Row, number>> =>
    isSplit ? inARow : { fiveXx: inARow.fiveXx + inARow.local, gateway: inARow.gateway + inARow.local, local: 0 };

  /** Rates of the interval that ends now. */
  const judgeRates = (rules: OutlierSpec, nowMs: number): Member[] => {
    const inService = [...members.values()].filter(({ ejection }) => ejection === undefined);
    const tallies = inService.map(({ responses }) => responses);
    const ofSuccess = {
      stdevFactor: rules.successRateStdevFactor,
      minHosts: rules.successRateMinimumHosts,
      minVolume: rules.successRateRequestVolume,
    };
    const found: [readonly number[], EjectionReason, number][] = [
      [belowMean(tallies, ofSuccess), "success-rate", rules.enforcingSuccessRate],
    ];
    if (rules.splitExternalLocalOriginErrors) {
      const local = inService.map((member) => member.local);
      found.push([belowMean(local, ofSuccess), "local-origin-success-rate", rules.enforcingLocalOriginSuccessRate]);
    }
    const failing = aboveFailurePercentage(tallies, {
      thresholdPercent: rules.failurePercentageThreshold,
      minHosts: rules.failurePercentageMinimumHosts,
      minVolume: rules.failurePercentageRequestVolume,
    });
    found.push([failing, "failure-percentage", rules.enforcingFailurePercentage]);
    return found.flatMap(([indexes, reason, enforcing]) =>
      indexes.map((index) => inService[index]!).filter((member) => eject(member, reason, enforcing, nowMs)),
    );
  };

  const sweep = (rules: OutlierSpec, nowMs: number): Member[] => {
    const sinceMs = sweptMs;
    sweptMs = nowMs;
    for (const member of members.values()) {
      const wasInService = member.ejection === undefined && member.returnedMs <= sinceMs;
      if (wasInService && member.times > 0) member.times--;
    }
    const changed = judgeRates(rules, nowMs);
    for (const { responses, local } of members.values()) {
      clear(responses);
      clear(local);
    }
    return changed;
  };

  return {
    apply(next, ids, nowMs) {
      if (!spec?.isEnabled) sweptMs = nowMs;
      spec = next;
      const wanted = new Set(ids);
      for (const member of [...members.values()]) {
        if (wanted.has(member.id)) continue;
        if (member.ejection !== undefined) ejected--;
        members.delete(member.id);
      }
      for (const id of wanted) if (!members.has(id)) members.set(id, createMember(id, nowMs));
      if (next.isEnabled) return [];
      const freed = [...members.values()].filter(({ ejection }) => ejection !== undefined);
      for (const member of freed) bringBack(member, nowMs);
      return freed.map(({ id }) => id);
    },
    observe(id, sample, nowMs) {
      const member = members.get(id);
      if (member === undefined || !spec?.isEnabled) return false;
      const isSplit = spec.splitExternalLocalOriginErrors;
      add(member.responses, sample.responses);
      add(isSplit ? member.local : member.responses, sample.local);
      const rows = rowsOf(sample, isSplit);
      let isEjected = false;
      for (const { row, reason, threshold, enforcing } of ROW_TESTS) {
        const count = rows[row];
        if (count < member.spent[row]) member.spent[row] = 0; // a success came in between
        if (member.ejection !== undefined) {
          member.spent[row] = count; // what was under way when it was ejected
          continue;
        }
        if (spec[threshold] === 0 || count - member.spent[row] < spec[threshold]) continue;
        member.spent[row] = count;
        isEjected = eject(member, reason, spec[enforcing], nowMs) || isEjected;
      }
      return isEjected;
    },
    tick(nowMs) {
      if (!spec?.isEnabled) return [];
      const changed: Member[] = [];
      for (const member of members.values()) {
        if (member.ejection === undefined || nowMs < member.ejection.untilMs) continue;
        bringBack(member, nowMs);
        changed.push(member);
      }
      if (nowMs - sweptMs >= spec.intervalMs) changed.push(...sweep(spec, nowMs));
      return changed.map(({ id }) => id);
    },
    checkPassed(id, nowMs) {
      const member = members.get(id);
      if (member?.ejection === undefined || !spec?.successfulActiveHealthCheckUnejectHost) return false;
      bringBack(member, nowMs);
      return true;
    },
    ejection: (id) => members.get(id)?.ejection,
    stats: () => ({ ejections: { ...ejections }, overflows }),
  };
}
