/**
 * From the verdicts of a region's addresses to the health of the region: pure.
 *
 * The threshold holds for each address family by itself: a region whose IPv6 addresses are all dead is no good for AAAA,
 * and A and AAAA must lead to the same region. So a region is healthy when every family it has is.
 * @module
 */
import { QUIET } from "#health/machine.ts";

export type Member = {
  readonly isUp: boolean;
  /** Up for want of votes that agree. */
  readonly isHeld: boolean;
  /** Steady ms of its earliest flip, or QUIET. */
  readonly flipMs: number;
  readonly isKnown: boolean;
  readonly isStale: boolean;
  readonly isLowConfidence: boolean;
  readonly rttMicros: number;
  readonly excessRttTenthsMs: number;
};

export type RegionHealth = {
  readonly isUp: boolean;
  /** Up, but would not be without members that are held. */
  readonly isHeld: boolean;
  /** Earliest moment at which `isUp` can change; QUIET when too few members can change theirs. */
  readonly flipMs: number;
  readonly isKnown: boolean;
  readonly isStale: boolean;
  readonly isLowConfidence: boolean;
  readonly rttMicros: number;
  readonly excessRttTenthsMs: number;
};

/** Members that must be up: at least one, so that an empty promise never counts as health. */
const membersNeeded = (count: number, upThreshold: number): number =>
  Math.max(1, Math.ceil(upThreshold * count - 1e-9));

const nth = (sorted: readonly number[], count: number): number => sorted[count - 1] ?? QUIET;

function aggregateFamily(members: readonly Member[], upThreshold: number): { isUp: boolean; flipMs: number } {
  const need = membersNeeded(members.length, upThreshold);
  const flips = (isUp: boolean): number[] =>
    members.flatMap((member) => (member.isUp === isUp ? [member.flipMs] : [])).sort((a, b) => a - b);
  const up = flips(true);
  const isUp = up.length >= need;
  return { isUp, flipMs: isUp ? nth(up, up.length - need + 1) : nth(flips(false), need - up.length) };
}

/** Lower median: what half of the members reach. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] ?? 0;
}

/** @param families members by address family; empty families are passed over */
export function aggregate(families: readonly (readonly Member[])[], upThreshold: number): RegionHealth {
  const present = families.filter((members) => members.length > 0);
  const each = present.map((members) => aggregateFamily(members, upThreshold));
  const down = each.filter((family) => !family.isUp);
  const isUp = down.length === 0;
  const all = present.flat();
  const isCarried = (members: readonly Member[]): boolean =>
    members.filter((member) => member.isUp && !member.isHeld).length >= membersNeeded(members.length, upThreshold);
  const measured = all.filter((member) => member.isUp && member.rttMicros > 0);
  return {
    isUp,
    isHeld: isUp && !present.every(isCarried),
    flipMs: isUp
      ? Math.min(QUIET, ...each.map((family) => family.flipMs))
      : Math.max(...down.map((family) => family.flipMs)),
    isKnown: all.some((member) => member.isKnown),
    // Stale when the fresh evidence of some family would not carry it.
    isStale: present.some(
      (members) => members.filter((member) => !member.isStale).length < membersNeeded(members.length, upThreshold),
    ),
    isLowConfidence: all.some((member) => member.isLowConfidence),
    rttMicros: median(measured.map((member) => member.rttMicros)),
    excessRttTenthsMs: median(measured.map((member) => member.excessRttTenthsMs)),
  };
}
