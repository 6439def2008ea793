/**
 * What the votes of vantages are worth, by simulation: false failovers at random loss of probes, one sick vantage among
 * others, and the time from an outage to the published verdict. Prints tables; `--years N` of loss, 20 by default.
 *
 * The simulators are those of the tests (`test/health/simulate-*.ts`), with more years, intervals and trials.
 * @module
 */
import { createSeededRng } from "#base/rng.ts";
import { quantile, simulateDetection } from "../test/health/simulate-detection.ts";
import { simulateLoss } from "../test/health/simulate-loss.ts";
import { simulateSick } from "../test/health/simulate-sick.ts";
import { describeMachine, writeReport } from "./lib/machine.ts";

const YEAR_MS = 365.25 * 86_400_000;

const argument = (name: string): string | undefined => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
};
const isQuick = process.argv.includes("--quick");
const years = Number(argument("--years") ?? (isQuick ? 1 : 20));
const json = argument("--json");
const say = (...cells: readonly (string | number)[]): void => {
  process.stdout.write(
    `${cells.map((cell, index) => (index === 0 ? String(cell).padEnd(26) : String(cell).padStart(14))).join("")}\n`,
  );
};
const ratios: Record<string, number> = {};

say("False failovers", "vantages", "loss", "years", "of vantages", "failovers", "per year", "if independent");
for (const { name, vantages, quorum, sick, loss, share } of [
  { name: "alone", vantages: 1, quorum: 1, sick: 0, loss: 0.01, share: 0.1 },
  { name: "two of three", vantages: 3, quorum: 2, sick: 0, loss: 0.01, share: 1 },
  { name: "three of five", vantages: 5, quorum: 3, sick: 0, loss: 0.01, share: 0.5 },
  { name: "one sick, in quarantine", vantages: 2, quorum: 2, sick: 0, loss: 0.01, share: 1 },
  { name: "one sick, voting", vantages: 2, quorum: 2, sick: 1, loss: 0.01, share: 0.1 },
  { name: "two of three", vantages: 3, quorum: 2, sick: 0, loss: 0.001, share: 5 },
  { name: "two of three", vantages: 3, quorum: 2, sick: 0, loss: 0.03, share: 0.05 },
]) {
  const result = simulateLoss({ vantages, quorum, loss, sick, years: years * share, rng: createSeededRng(31) });
  const perYear = result.failovers / result.years;
  // Two that are wrong at the same moment by chance: pairs × 2 × rate² × how long each stays wrong.
  const rate = result.ofVantages / vantages / result.years;
  const pairs = (vantages * (vantages - 1)) / 2;
  const expected = quorum === 2 && sick === 0 ? pairs * 2 * rate ** 2 * (result.meanWrongMs / YEAR_MS) : Number.NaN;
  const shown = Number.isNaN(expected) ? "–" : expected.toFixed(2);
  say(name, vantages, `${loss * 100} %`, result.years, result.ofVantages, result.failovers, perYear.toFixed(2), shown);
  ratios[`${name}.${vantages}.${loss}.perYear`] = perYear;
}

const intervals = isQuick ? 100_000 : 1_000_000;
const sick = simulateSick({ intervals, targets: 6, rng: createSeededRng(32) });
say("");
say("One sick vantage", "intervals", "targets", "votes down", "quarantines", "failovers");
say("", sick.intervals, 6, sick.votesDown, sick.quarantines, sick.failovers);
ratios["sick.failovers"] = sick.failovers;

const trials = isQuick ? 100 : 1_000;
say("");
say("Outage to published, ms", "vantages", "trials", "p50", "p99", "most");
for (const vantages of [1, 3, 5])
  for (const answer of ["refused", "silent"] as const) {
    const tookMs = simulateDetection(vantages, answer, trials, 33);
    const [p50, p99, most] = [0.5, 0.99, 1].map((share) => Math.round(quantile(tookMs, share))) as [
      number,
      number,
      number,
    ];
    say(answer, vantages, trials, p50, p99, most);
    ratios[`${answer}.${vantages}.p99/limit`] = p99 / (answer === "refused" ? 7_000 : 11_000);
  }
if (json !== undefined) writeReport(json, { machine: describeMachine(), rounds: [], ratios });
