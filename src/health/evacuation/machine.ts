/**
 * The order in which a region is left and comes back (D8, D15), as one pure function from the record and what is known of
 * the nodes to the record that follows.
 *
 * Owns:    when a step is over. Each waits until all who have a part in it have said that they do it: so no client is given
 *          the region while its balancers drain or its prefixes are gone, in whatever order messages come.
 * Never:   sends anything; the node that leads publishes what comes out.
 *
 * Nodes that are silent are waited for as long as `SILENT_MS`: one that is dead serves nobody, and of one that is cut off the
 * clients show in the tail. Nodes that live and do not say that they take part are waited for until an operator says otherwise.
 * The region's health pre-empts nothing while it is left. On the way back it must be up for weights to rise; where it
 * fails then, the weight is 0 again, and it stands until an operator says on.
 *
 * Units:   Unix ms; requests per second; shares 0 to 1.
 * @module
 */
import { formatDurationMs } from "#base/units.ts";
import { withNote } from "#health/evacuation/commands.ts";
import type { Evacuation } from "#state/evacuation.ts";

/** Three heartbeats' lives. */
export const SILENT_MS = 30_000;
/** Points of the measured drain curve (D8). */
const CURVE_SECONDS = [30, 60, 120, 300, 900];

export type NodeFact = {
  readonly node: string;
  readonly isAlive: boolean;
  /** It has said that it does its part by this very record. */
  readonly hasApplied: boolean;
};
/** A node of the region that announces prefixes, or could. */
export type AdvertiserFact = NodeFact & {
  readonly isAnnouncing: boolean;
  /** Why it does not withdraw; empty: nothing speaks against it. */
  readonly refusal: string;
};

export type EvacuationFacts = {
  /** All that answer DNS. */
  readonly dns: readonly NodeFact[];
  /** The region's own. */
  readonly balancers: readonly NodeFact[];
  readonly advertisers: readonly AdvertiserFact[];
  /** The region's requests, probes left out; null: nobody reports. */
  readonly nowRps: number | null;
  readonly inFlight: number | null;
  /** By its probes, whatever operators say. */
  readonly isHealthy: boolean;
};

/** `next` is the record itself where nothing follows yet. */
export type EvacuationStepped = { readonly next: Evacuation; readonly says: string };

type Judged = { readonly change?: Partial<Evacuation>; readonly says: string };
const waits = (says: string): Judged => ({ says });
const over = (says: string, change: Partial<Evacuation>): Judged => ({ change, says });

/** Each node once, though a balancer may announce prefixes too. */
const everybody = ({ dns, balancers, advertisers }: EvacuationFacts): readonly NodeFact[] => [
  ...new Map([...dns, ...balancers, ...advertisers].map((fact) => [fact.node, fact])).values(),
];

const names = (nodes: readonly NodeFact[]): string => nodes.map(({ node }) => node).join(", ");

export function stepEvacuation(before: Evacuation, facts: EvacuationFacts, nowMs: number): EvacuationStepped {
  const now = measureCurve(before, facts, nowMs);
  if (now.step === "serving") return { next: now, says: `${now.region} serves` };
  if (now.isStopped) return { next: now, says: `It stands at ${now.step}, until resume or return` };
  const { change, says } = now.direction === "leave" ? leave(now, facts, nowMs) : comeBack(now, facts, nowMs);
  return { next: change ? withNote(now, nowMs, says, { stepAtMs: nowMs, ...change }) : now, says };
}

// ── who has said that they take part ─────────────────────────────────────────────────────────────────────────────

/** @returns what is waited for; `undefined`: for nobody. `without`: who was given up */
function wantAll(
  nodes: readonly NodeFact[],
  { terms, stepAtMs }: Evacuation,
  nowMs: number,
): { readonly waits: string | undefined; readonly without: string } {
  const missing = nodes.filter(({ hasApplied }) => !hasApplied);
  if (missing.length === 0) return { waits: undefined, without: "" };
  const silent = missing.filter(({ isAlive }) => !isAlive);
  const living = missing.filter(({ isAlive }) => isAlive);
  const isLate = nowMs - stepAtMs >= SILENT_MS;
  const waitsForSilent = silent.length > 0 && !isLate && !terms.isForced;
  const waitsForLiving = living.length > 0 && !(isLate && terms.isForced);
  if (!waitsForSilent && !waitsForLiving)
    return { waits: undefined, without: `, without the word of ${names(missing)}` };
  const ofSilent = `, silent: ${names(silent)} (waited for until ${formatDurationMs(SILENT_MS)} are over)`;
  return { waits: `${names(missing)} to say that they apply it${silent.length > 0 ? ofSilent : ""}`, without: "" };
}

// ── leaving ──────────────────────────────────────────────────────────────────────────────────────────────────────

function leave(now: Evacuation, facts: EvacuationFacts, nowMs: number): Judged {
  const { step, weight, terms, stepAtMs } = now;
  const forMs = nowMs - stepAtMs;
  switch (step) {
    case "weight": {
      const wanted = wantAll(facts.dns, now, nowMs);
      if (wanted.waits !== undefined) return waits(`Weight ${weight} %: waits for ${wanted.waits}`);
      if (weight === 0) return over(`All DNS nodes give it to nobody new${wanted.without}`, { step: "tail" });
      if (forMs < terms.weightWaitMs) return waits(`Weight ${weight} % for ${formatDurationMs(terms.weightWaitMs)}`);
      const lower = terms.weights.find((one) => one < weight) ?? 0;
      return over(`Weight ${lower} %${wanted.without}`, {
        weight: lower,
        ...(lower === 0 && { zeroAtMs: nowMs }),
      });
    }
    case "tail": {
      const share = shareOf(now, facts);
      const left = share === undefined ? "Nobody reports its requests" : `${percent(share)} of its requests are left`;
      if (share !== undefined && share < terms.tailShare) return over(left, { step: "balancer" });
      if (forMs >= terms.tailTimeoutMs) return over(`${left}, and the time for them is over`, { step: "balancer" });
      return waits(
        `${left}; goes on below ${percent(terms.tailShare)} or after ${formatDurationMs(terms.tailTimeoutMs)}`,
      );
    }
    case "balancer": {
      const wanted = wantAll(facts.balancers, now, nowMs);
      const next = { step: terms.withdraws ? "withdraw" : "evacuated" } as const;
      if (facts.balancers.length === 0 && facts.inFlight === null) return over("No balancer of it is known", next);
      if (forMs >= terms.drainTimeoutMs)
        return over(`${facts.inFlight ?? "Unknown"} under way, and the time for them is over${wanted.without}`, next);
      if (wanted.waits !== undefined) return waits(`Drains: waits for ${wanted.waits}`);
      if (facts.inFlight === 0) return over(`Its balancers have nothing under way${wanted.without}`, next);
      if (facts.inFlight === null && forMs >= SILENT_MS)
        return over(`Its balancers say nothing${wanted.without}`, next);
      return waits(`Drains: ${facts.inFlight ?? "an unknown number of"} requests and connections under way`);
    }
    case "withdraw": {
      const refusing = facts.advertisers.find(({ refusal, hasApplied }) => hasApplied && refusal !== "");
      const stays = { step: "evacuated", terms: { ...terms, withdraws: false } } as const;
      if (refusing && terms.isForced) return over(`Its prefixes stay: ${refusing.refusal}`, stays);
      if (refusing) return over(`${refusing.node} does not withdraw: ${refusing.refusal}`, { isStopped: true });
      const wanted = wantAll(facts.advertisers, now, nowMs);
      if (wanted.waits !== undefined) return waits(`Withdraws its prefixes: waits for ${wanted.waits}`);
      const announcing = facts.advertisers.filter(({ isAnnouncing }) => isAnnouncing);
      if (announcing.length === 0) return over(`Its prefixes are withdrawn${wanted.without}`, { step: "evacuated" });
      if (forMs < terms.drainTimeoutMs) return waits(`Waits for ${names(announcing)} to withdraw its prefixes`);
      return over(`${names(announcing)} still announces its prefixes, and the time for that is over`, {
        isStopped: true,
      });
    }
    default:
      return waits(`${now.region} is evacuated`);
  }
}

// ── coming back ──────────────────────────────────────────────────────────────────────────────────────────────────

function comeBack(now: Evacuation, facts: EvacuationFacts, nowMs: number): Judged {
  const { step, weight, terms, stepAtMs } = now;
  const forMs = nowMs - stepAtMs;
  switch (step) {
    case "withdraw": {
      const wanted = wantAll(facts.advertisers, now, nowMs);
      if (wanted.waits !== undefined) return waits(`Announces its prefixes: waits for ${wanted.waits}`);
      const missing = facts.advertisers.filter(({ isAlive, isAnnouncing }) => isAlive && !isAnnouncing);
      if (missing.length === 0) return over(`Its prefixes are announced${wanted.without}`, { step: "balancer" });
      if (forMs < terms.drainTimeoutMs) return waits(`Waits for ${names(missing)} to announce its prefixes`);
      return over(`${names(missing)} does not announce its prefixes; it comes back all the same`, { step: "balancer" });
    }
    case "balancer": {
      const wanted = wantAll(facts.balancers, now, nowMs);
      if (wanted.waits !== undefined) return waits(`Takes clients again: waits for ${wanted.waits}`);
      return over(`Its balancers keep their clients again${wanted.without}`, { step: "weight", weight: 0 });
    }
    case "weight": {
      if (!facts.isHealthy && weight > 0)
        return over("Its health checks fail: back to weight 0", { weight: 0, isStopped: true });
      if (!facts.isHealthy) return waits("Waits for its health checks to pass");
      // Balancers too: who said `return` may not have heard yet that they drain by an older record.
      const wanted = wantAll(everybody(facts), now, nowMs);
      if (wanted.waits !== undefined) return waits(`Weight ${weight} %: waits for ${wanted.waits}`);
      if (weight > 0 && forMs < terms.weightWaitMs)
        return waits(`Weight ${weight} % for ${formatDurationMs(terms.weightWaitMs)}`);
      const higher = terms.ramp.find((one) => one > weight) ?? 100;
      if (higher < 100) return over(`Weight ${higher} %${wanted.without}`, { weight: higher });
      return over(`${now.region} serves all of its clients again`, { step: "serving", weight: 100 });
    }
    default:
      return waits(`${now.region} comes back`);
  }
}

// ── the tail ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** @returns its requests, of what they were at the start; undefined where that cannot be said */
function shareOf({ startRps }: Evacuation, { nowRps }: EvacuationFacts): number | undefined {
  if (startRps === null || nowRps === null) return undefined;
  if (startRps === 0) return nowRps === 0 ? 0 : 1;
  return nowRps / startRps;
}
const percent = (share: number): string => `${Math.round(share * 1_000) / 10} %`;

/** Takes the next point of the curve when its time has come, also while it stands or is evacuated. */
function measureCurve(now: Evacuation, facts: EvacuationFacts, nowMs: number): Evacuation {
  const afterSeconds = CURVE_SECONDS[now.curve.length];
  const share = shareOf(now, facts);
  if (now.direction !== "leave" || now.zeroAtMs === null || share === undefined || afterSeconds === undefined)
    return now;
  if (nowMs - now.zeroAtMs < afterSeconds * 1_000) return now;
  const curve = [...now.curve, { afterSeconds, share }];
  return withNote(now, nowMs, `${afterSeconds} s after weight 0: ${percent(share)} of its requests`, { curve });
}
