/**
 * Who contradicts whom, and for how long: regions and the probes of them, vantages among each other.
 *
 * Told when it lasts: an outage is seen by one a moment before the other, and that is no disagreement.
 *
 * Units:   steady ms.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import { type Electorate, isVoteUp } from "#health/electorate.ts";
import type { Watch } from "#health/watch.ts";
import type { RhumbEvent } from "#state/events.ts";

const TOLD_AFTER_MS = { report: 10_000, vantages: 60_000 } as const;
/** A region that has just died last said that it serves: reports come each second, so it contradicts nobody. */
const SILENT_AFTER_MS = 5_000;
type Between = keyof typeof TOLD_AFTER_MS;

type Disagreement = { readonly between: Between; readonly sinceMs: number; isTold: boolean };

export type Disagreements = {
  /** Call it about once a second. */
  tick(): void;
  /** How many there are now, told or not. */
  counts(): Readonly<Record<Between, number>>;
};

export function createDisagreements(options: {
  readonly clock: Clock;
  readonly electorate: Electorate;
  readonly watch: Watch;
  readonly tell: (event: Omit<RhumbEvent, "atMs">) => void;
  readonly regions: () => readonly string[];
  readonly isUpByProbes: (region: string) => boolean;
}): Disagreements {
  const { clock, electorate, watch, tell, regions, isUpByProbes } = options;
  const open = new Map<string, Disagreement>();

  /** Subject and sentence of each that exists now. */
  const look = (nowMs: number): Map<string, { readonly between: Between; readonly says: string }> => {
    const found = new Map<string, { readonly between: Between; readonly says: string }>();
    for (const region of regions()) {
      const word = electorate.reports.wordOf(region);
      const isUp = isUpByProbes(region);
      if (word === undefined || word.isServing === isUp || nowMs - word.heardMs > SILENT_AFTER_MS) continue;
      const says = isUp
        ? `Probes of ${region} pass, but it says that it does not serve: ${word.says}`
        : `Probes of ${region} fail, but it says that it serves`;
      found.set(`region/${region}`, { between: "report", says });
    }
    if (electorate.isAlone) return found;
    for (const one of watch.addresses()) {
      if (one.votesUp === 0 || one.votesDown === 0) continue;
      const votes = electorate.votesOn(one, nowMs).filter(({ standing }) => standing === "counts");
      const names = (up: boolean) => votes.filter(({ state }) => isVoteUp(state) === up).map(({ vantage }) => vantage);
      const [good, bad] = [names(true), names(false)];
      if (good.length === 0 || bad.length === 0) continue;
      const subject = `${one.regions[0] ?? "address"}/${one.address}`;
      const why = votes.find(({ state }) => !isVoteUp(state))!.evidence.says;
      const says = `${subject} is up for ${good.join(", ")} and down for ${bad.join(", ")}: ${why}`;
      found.set(subject, { between: "vantages", says });
    }
    return found;
  };

  return {
    tick() {
      const nowMs = clock.monotonicMs();
      const found = look(nowMs);
      for (const [subject, { isTold }] of open) {
        if (found.has(subject)) continue;
        open.delete(subject);
        const says = `All agree on ${subject} again`;
        if (isTold) tell({ kind: "health.disagreement", severity: "resolved", subject, says });
      }
      for (const [subject, { between, says }] of found) {
        let entry = open.get(subject);
        if (entry === undefined) {
          entry = { between, sinceMs: nowMs, isTold: false };
          open.set(subject, entry);
        }
        if (entry.isTold || nowMs - entry.sinceMs < TOLD_AFTER_MS[between]) continue;
        entry.isTold = true;
        tell({ kind: "health.disagreement", severity: "warning", subject, says, data: { between } });
      }
    },
    counts() {
      const counts = { report: 0, vantages: 0 };
      for (const { between } of open.values()) counts[between]++;
      return counts;
    },
  };
}
