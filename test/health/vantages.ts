/** Several health engines on one clock that tell each other their votes, each with its own view of the network. */
import { createManualClock, type ManualClock } from "#base/clock.ts";
import { createSeededRng } from "#base/rng.ts";
import type { HealthSnapshot } from "#state/snapshot.ts";
import type { VantageVotes } from "#state/votes.ts";
import { type Answer, type Bed, createBed } from "./bed.ts";

export type Vantages = {
  readonly clock: ManualClock;
  readonly beds: Readonly<Record<string, Bed>>;
  readonly all: readonly Bed[];
  /** What an address answers, to all vantages or to those that are named. */
  answer(address: string, answer: Answer, ...vantages: string[]): void;
  /** Messages between these do not arrive. */
  readonly cut: Set<string>;
  /** All deltas that were sent, in order. */
  readonly sent: VantageVotes[];
};

const WHOLE_MS = 5_000;

/**
 * @param delayMs how long each message takes
 * @param startWithinMs nodes start at random moments of this span; 0: all at once
 */
export function createVantages(
  names: readonly string[],
  snapshot: HealthSnapshot,
  over: { readonly delayMs?: number; readonly seed?: number; readonly startWithinMs?: number } = {},
): Vantages {
  const { delayMs = 20, seed = 1, startWithinMs = 0 } = over;
  const rng = createSeededRng(seed);
  const clock = createManualClock();
  const beds = Object.fromEntries(
    names.map((name, index) => [name, createBed({ clock, rng: createSeededRng(seed * 100 + index) })]),
  );
  const cut = new Set<string>();
  const sent: VantageVotes[] = [];
  const quorum = Math.floor(names.length / 2) + 1;
  const deliver = (from: string, votes: VantageVotes): void => {
    const text = JSON.stringify(votes);
    for (const [to, bed] of Object.entries(beds)) {
      if (to === from || cut.has(from) || cut.has(to)) continue;
      clock.after(delayMs, () => bed.health.takeVotes(JSON.parse(text) as VantageVotes));
    }
  };
  for (const [name, bed] of Object.entries(beds)) {
    bed.health.onVotes((votes) => {
      sent.push(votes);
      deliver(name, votes);
    });
    const tellAll = (): void => {
      deliver(name, bed.health.votes());
      clock.after(WHOLE_MS, tellAll);
    };
    const start = (): void => {
      bed.health.apply({ ...snapshot, vantage: name, vantages: names, quorum });
      clock.after(WHOLE_MS, tellAll);
    };
    if (startWithinMs === 0) start();
    else clock.after(rng() * startWithinMs, start);
  }
  return {
    clock,
    beds,
    all: Object.values(beds),
    cut,
    sent,
    answer(address, answer, ...vantages) {
      for (const [name, { probes }] of Object.entries(beds))
        if (vantages.length === 0 || vantages.includes(name)) probes.answers.set(address, answer);
    },
  };
}
