/**
 * One vantage that sees what is not there, among others that are well: an interval a step, every target healthy all along.
 *
 * The sick one goes from one trouble to the next, each for a while: nothing answers, some targets do not, probes are lost by
 * chance, results alternate, it falls silent, it distrusts itself. The machines, the quarantine and the quorum are the real
 * ones; the count goes the way of `health/electorate.ts`.
 */
import type { Rng } from "#base/rng.ts";
import { firstMachine, isUp, type Machine, next } from "#health/machine.ts";
import { type Ballot, type Confined, judgeVantages } from "#health/quarantine.ts";
import { decide, isScarce, quorumWithout } from "#health/quorum.ts";

const INTERVAL_MS = 5_000;
const LIMITS = { thresholds: { down: 3, up: 5, ok: 5 }, downSpanMs: 2_000 };
const VANTAGES = ["sick", "well1", "well2"];
const QUORUM = 2;
/** Quarantine is judged each second; here every so many intervals, and whenever the sick one changes its mind. */
const JUDGE_EVERY = 12;

/** @returns whether a probe of the sick vantage passes; undefined: it says nothing */
type Trouble = (target: number, step: number, rng: Rng) => boolean | undefined;
const TROUBLES: readonly ((rng: Rng, targets: number) => Trouble)[] = [
  () => () => true,
  () => () => false,
  () => () => undefined,
  (rng, targets) => {
    const first = Math.floor(rng() * targets);
    return (target) => target > first;
  },
  (rng) => {
    const loss = rng();
    return (_target, _step, dice) => dice() >= loss;
  },
  (rng) => {
    const period = 1 + Math.floor(rng() * 12);
    return (target, step) => Math.floor((step + target) / period) % 2 === 0;
  },
];

export type SickResult = {
  readonly intervals: number;
  readonly failovers: number;
  readonly quarantines: number;
  readonly votesDown: number;
};

export function simulateSick(options: {
  readonly intervals: number;
  readonly targets: number;
  readonly rng: Rng;
}): SickResult {
  const { intervals, targets, rng } = options;
  const machines: Machine[] = Array.from({ length: targets }, () => firstMachine("up", 0));
  const heard = new Float64Array(targets);
  const verdicts = Array.from({ length: targets }, () => true);
  const scarceSinceMs: (number | undefined)[] = Array.from({ length: targets }, () => undefined);
  let confined: ReadonlyMap<string, Confined> = new Map();
  let trouble: Trouble = () => true;
  let isSound = true;
  let until = 0;
  const result = { intervals, failovers: 0, quarantines: 0, votesDown: 0 };

  for (let step = 0; step < intervals; step++) {
    const nowMs = step * INTERVAL_MS;
    if (step >= until) {
      trouble = TROUBLES[Math.floor(rng() * TROUBLES.length)]!(rng, targets);
      isSound = rng() < 0.9;
      until = step + 1 + Math.floor(rng() * 200);
    }
    let isChanged = false;
    for (let target = 0; target < targets; target++) {
      const passes = trouble(target, step, rng);
      if (passes === undefined) continue;
      const before = machines[target]!;
      const after = next(before, passes ? "pass" : "fail", nowMs, LIMITS);
      machines[target] = after;
      heard[target] = nowMs;
      isChanged ||= isUp(before) !== isUp(after);
    }
    const isFresh = (target: number): boolean => nowMs - heard[target]! <= 3 * INTERVAL_MS;
    if (isChanged || step % JUDGE_EVERY === 0) {
      const ballots = machines.map((machine, target): Ballot => {
        const well = VANTAGES.slice(1).map((vantage) => ({ vantage, isUp: true, sinceMs: 0 }));
        const own = { vantage: "sick", isUp: isUp(machine), sinceMs: machine.sinceMs };
        return { region: `r${target}`, intervalMs: INTERVAL_MS, votes: isFresh(target) ? [own, ...well] : well };
      });
      const before = confined.size;
      confined = judgeVantages(
        confined,
        ballots,
        VANTAGES.map((vantage) => ({ vantage, isSound: vantage === "sick" ? isSound : true })),
        VANTAGES.length,
        nowMs,
      );
      if (confined.size > before) result.quarantines++;
    }
    const quorum = quorumWithout(QUORUM, VANTAGES.length, confined.size);
    for (let target = 0; target < targets; target++) {
      const isCounted = isFresh(target) && !confined.has("sick");
      const isAgainst = isCounted && !isUp(machines[target]!);
      if (isAgainst) result.votesDown++;
      const well = VANTAGES.slice(1).filter((vantage) => !confined.has(vantage)).length;
      const tally = { up: well + (isCounted && !isAgainst ? 1 : 0), down: isAgainst ? 1 : 0, word: undefined };
      scarceSinceMs[target] = isScarce(tally, quorum) ? (scarceSinceMs[target] ?? nowMs) : undefined;
      const scarceMs = nowMs - (scarceSinceMs[target] ?? nowMs);
      const { isUp: isUpNow } = decide(tally, quorum, verdicts[target]!, scarceMs);
      if (verdicts[target] && !isUpNow) result.failovers++;
      verdicts[target] = isUpNow;
    }
  }
  return result;
}
