/**
 * How often chance alone turns a target down: vantages that lose one probe in so many, over years, with the state machine
 * and the quorum as they are.
 *
 * Between losses nothing happens, so time jumps from loss to loss: the number of probes until the next one is geometric.
 * Around a loss each probe is played: the burst that it starts, the looks of the other vantages that are told of it, until
 * all of them see the target up again without a failure on the books. Losses are independent of each other: one in a
 * hundred probes that time out, not one in a hundred packets, which TCP would send again.
 *
 * Units:   ms; rates per target and year.
 */
import type { Rng } from "#base/rng.ts";
import { firstMachine, isUp, type Machine, next } from "#health/machine.ts";
import { decide } from "#health/quorum.ts";

const YEAR_MS = 365.25 * 86_400_000;
const INTERVAL_MS = 5_000;
const JITTER = 0.1;
const MEAN_INTERVAL_MS = INTERVAL_MS * (1 - JITTER / 2);
const TIMEOUT_MS = 2_000;
const SPACING_MS = 500;
const DELAY_MS = 100;
const LIMITS = { thresholds: { down: 3, up: 5, ok: 5 }, downSpanMs: 2_000 };
/** Probes of a burst (`health/watch.ts`). */
const CONFIRMATIONS = 5;

export type LossResult = {
  readonly years: number;
  readonly losses: number;
  /** Times that a single vantage turned the target down, and how long it stayed of that opinion on average. */
  readonly ofVantages: number;
  readonly meanWrongMs: number;
  /** Times that the quorum turned it down. */
  readonly failovers: number;
};

type Vantage = { machine: Machine; dueMs: number; burstLeft: number; wrongSinceMs: number };
/** A result that is to come in. */
type Pending = { readonly atMs: number; readonly index: number; readonly isPass: boolean };

export function simulateLoss(options: {
  readonly vantages: number;
  readonly quorum: number;
  readonly loss: number;
  readonly years: number;
  readonly rng: Rng;
  /** Vantages that see nothing but failures, and are not in quarantine. */
  readonly sick?: number;
}): LossResult {
  const { vantages: count, quorum, loss, years, rng, sick = 0 } = options;
  const endMs = years * YEAR_MS;
  let nowMs = 0;
  let losses = 0;
  let ofVantages = 0;
  let wrongMs = 0;
  let failovers = 0;
  let verdict = true;
  const spacing = (): number => INTERVAL_MS * (1 - JITTER * rng());
  const vantages: Vantage[] = [];

  while (nowMs < endMs) {
    // Who loses the next probe, and when: the least of `count` geometric numbers is geometric as well.
    const perStep = 1 - (1 - loss) ** count;
    nowMs += (Math.floor(Math.log(1 - rng()) / Math.log(1 - perStep)) + 1) * MEAN_INTERVAL_MS;
    const loser = Math.floor(rng() * count);
    vantages.length = 0;
    for (let index = 0; index < count; index++) {
      const dueMs = index === loser ? nowMs : nowMs + rng() * INTERVAL_MS;
      vantages.push({ machine: firstMachine("up", 0), dueMs, burstLeft: 0, wrongSinceMs: 0 });
    }
    const pending: Pending[] = [];
    let isFirst = true;
    for (;;) {
      // The earliest of probes to start and results to come in.
      let starter: Vantage | undefined;
      for (const vantage of vantages) if (!starter || vantage.dueMs < starter.dueMs) starter = vantage;
      pending.sort((a, b) => a.atMs - b.atMs);
      const result = pending[0];
      if (result === undefined || starter!.dueMs < result.atMs) {
        const vantage = starter!;
        nowMs = vantage.dueMs;
        const isLost = isFirst || rng() < loss;
        isFirst = false;
        if (isLost) losses++;
        pending.push({ atMs: isLost ? nowMs + TIMEOUT_MS : nowMs, index: vantages.indexOf(vantage), isPass: !isLost });
        vantage.dueMs = nowMs + (vantage.burstLeft > 0 ? SPACING_MS : spacing());
        if (vantage.burstLeft > 0) vantage.burstLeft--;
        continue;
      }
      pending.shift();
      nowMs = result.atMs;
      const vantage = vantages[result.index]!;
      const before = vantage.machine;
      const after = next(before, result.isPass ? "pass" : "fail", nowMs, LIMITS);
      vantage.machine = after;
      if (!result.isPass && after.name === "failing") {
        if (vantage.burstLeft === 0) hurry(vantage, CONFIRMATIONS, nowMs);
        if (before.name === "up")
          for (const other of vantages)
            if (other !== vantage && other.machine.name === "up" && other.burstLeft === 0)
              hurry(other, CONFIRMATIONS + 1, nowMs + DELAY_MS);
      } else if (after.name !== "failing") vantage.burstLeft = 0;
      if (isUp(before) && !isUp(after)) {
        ofVantages++;
        vantage.wrongSinceMs = nowMs;
      }
      if (!isUp(before) && isUp(after)) wrongMs += nowMs - vantage.wrongSinceMs;
      const down = vantages.filter(({ machine }) => !isUp(machine)).length;
      const decided: boolean = decide(
        { up: count - down, down: down + sick, word: undefined },
        quorum,
        verdict,
        0,
      ).isUp;
      if (verdict && !decided) failovers++;
      verdict = decided;
      const isQuiet = pending.length === 0 && vantages.every(({ machine }) => machine.name === "up");
      if (isQuiet && verdict) break;
    }
  }
  return { years, losses, ofVantages, meanWrongMs: ofVantages === 0 ? 0 : wrongMs / ofVantages, failovers };
}

function hurry(vantage: Vantage, probes: number, nowMs: number): void {
  vantage.burstLeft = probes - 1;
  vantage.dueMs = Math.min(vantage.dueMs, nowMs);
}
