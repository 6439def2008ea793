/**
 * Which vantages are sick, so that their votes do not count: pure decisions over what all of them say at one moment.
 *
 * - A vantage is suspected when more than half of at least five unrelated targets turned bad for it within one interval,
 *   while most of the others, at least two of them, see these targets up. Targets are unrelated when they lie in different
 *   regions: a region that one vantage cannot reach is no reason to disbelieve what it says of the rest.
 * - A vantage that says that it does not trust itself is believed, as long as more vantages trust themselves: a reference
 *   target that nobody reaches is broken itself.
 * - All of this only where three vantages are configured, and never so that no vantage is left.
 * - Release: once it has trusted itself, and been contradicted on no more than a quarter of the targets, for 60 s on end.
 *
 * Units:   steady ms.
 * @module
 */
export const LEAST_VANTAGES = 3;
const LEAST_TARGETS = 5;
const LEAST_WITNESSES = 2;
const SUSPECT_SHARE = 1 / 2;
const CLEAR_SHARE = 1 / 4;
const RELEASE_AFTER_MS = 60_000;

/** One endpoint with its fresh votes. */
export type Ballot = {
  /** Endpoints of one region are related. */
  readonly region: string;
  readonly intervalMs: number;
  readonly votes: readonly { readonly vantage: string; readonly isUp: boolean; readonly sinceMs: number }[];
};

/** A vantage with fresh votes. */
export type Present = { readonly vantage: string; readonly isSound: boolean };

export type Confined = {
  /** It said so itself, or the others contradict it. */
  readonly by: "itself" | "others";
  readonly says: string;
  readonly clearSinceMs: number | undefined;
};

/** How one vantage stands with the others. */
type Standing = {
  /** Regions of which it and enough others know something. */
  targets: number;
  /** When each of the regions turned bad that most of the others see up, and the interval at which it is probed. */
  readonly lone: { readonly sinceMs: number; readonly intervalMs: number }[];
};

function standingOf(
  vantage: string,
  regions: ReadonlyMap<string, readonly Ballot[]>,
  isWitness: (v: string) => boolean,
) {
  const standing: Standing = { targets: 0, lone: [] };
  for (const ballots of regions.values()) {
    let judged = 0;
    let alone = 0;
    let sinceMs = Number.POSITIVE_INFINITY;
    let intervalMs = 0;
    for (const { votes, intervalMs: ofCheck } of ballots) {
      const own = votes.find((vote) => vote.vantage === vantage);
      const others = votes.filter((vote) => vote.vantage !== vantage && isWitness(vote.vantage));
      if (own === undefined || others.length < LEAST_WITNESSES) continue;
      judged++;
      if (own.isUp || others.filter((vote) => vote.isUp).length * 2 <= others.length) continue;
      alone++;
      sinceMs = Math.min(sinceMs, own.sinceMs);
      intervalMs = Math.max(intervalMs, ofCheck);
    }
    if (judged > 0) standing.targets++;
    if (alone * 2 > judged) standing.lone.push({ sinceMs, intervalMs });
  }
  return standing;
}

/** More than half of the targets turned bad within one interval. */
function isStricken({ targets, lone }: Standing): boolean {
  const needed = Math.floor(targets * SUSPECT_SHARE) + 1;
  if (targets < LEAST_TARGETS || lone.length < needed) return false;
  const inOrder = [...lone].sort((a, b) => a.sinceMs - b.sinceMs);
  return inOrder.some((first, index) => {
    const last = inOrder[index + needed - 1];
    if (last === undefined) return false;
    const intervalMs = Math.max(...inOrder.slice(index, index + needed).map((one) => one.intervalMs));
    return last.sinceMs - first.sinceMs <= intervalMs;
  });
}

/**
 * @param before who is in quarantine; a vantage that is silent stays there until it has something to say
 * @param present vantages with fresh votes
 * @param configured number of vantages
 * @returns who is in quarantine now
 */
export function judgeVantages(
  before: ReadonlyMap<string, Confined>,
  ballots: readonly Ballot[],
  present: readonly Present[],
  configured: number,
  nowMs: number,
): ReadonlyMap<string, Confined> {
  if (configured < LEAST_VANTAGES) return new Map();
  const regions = Map.groupBy(ballots, ({ region }) => region);
  const confined = new Map(before);
  const isWitness = (vantage: string): boolean => !confined.has(vantage);
  const sound = present.filter(({ isSound }) => isSound).length;
  const isBelieved = sound > present.length - sound;
  const confine = (vantage: string, by: Confined["by"], says: string): void => {
    const isLast = !present.some((other) => other.vantage !== vantage && isWitness(other.vantage));
    if (!isLast) confined.set(vantage, { by, says, clearSinceMs: undefined });
  };

  if (!isBelieved) for (const [vantage, { by }] of before) if (by === "itself") confined.delete(vantage);
  // First whoever distrusts itself: it is no witness against others.
  for (const { vantage, isSound } of present) {
    if (!confined.has(vantage) && !isSound && isBelieved)
      confine(vantage, "itself", "it does not trust its own network");
  }
  for (const { vantage, isSound } of present) {
    const standing = standingOf(vantage, regions, isWitness);
    const now = confined.get(vantage);
    if (now === undefined) {
      if (!isStricken(standing)) continue;
      const says = `${standing.lone.length} of ${standing.targets} regions turned bad for it at once, which the others see up`;
      confine(vantage, "others", says);
      continue;
    }
    const isClear = (isSound || !isBelieved) && standing.lone.length <= standing.targets * CLEAR_SHARE;
    const clearSinceMs = isClear ? (now.clearSinceMs ?? nowMs) : undefined;
    if (clearSinceMs !== undefined && nowMs - clearSinceMs >= RELEASE_AFTER_MS) confined.delete(vantage);
    else if (clearSinceMs !== now.clearSinceMs) confined.set(vantage, { ...now, clearSinceMs });
  }
  return confined;
}
