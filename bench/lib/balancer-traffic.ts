/**
 * Loads of requests: as many as fit through, and latency at half of what the slowest balancer does. Every round measures
 * every balancer once, so that what else the machine does hits all alike.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Bed, Runner } from "./balancer-bed.ts";
import { LOAD_CORE, measureLatency, measureWrk, type Sample, type WrkLoad } from "./balancer-measure.ts";
import { type LoadResult, medianOf, type Subject } from "./balancer-results.ts";
import { observe, runCalmRounds, weatherBetween } from "./calm.ts";

export type RunOptions = {
  readonly rounds: number;
  readonly seconds: number;
  /** A file for what the load prints. */
  readonly output: string;
};
type HalfOptions = Omit<RunOptions, "seconds"> & {
  readonly title: string;
  /** How long calm rounds are waited for. */
  readonly patienceMs: number;
  readonly whole: LoadResult | undefined;
};
type Traffic = Omit<WrkLoad, "seconds">;
export const REQUEST: Traffic = { path: "/small", connections: 64, isClosing: false };
export const CONNECTION: Traffic = { path: "/small", connections: 64, isClosing: true };
export const BULK: Traffic = { path: "/bulk", connections: 8, isClosing: false };

/** The name of the way past every balancer. */
const DIRECT = "direct";
/** A balancer runs for weeks: what V8 compiles during the first 50,000 requests is not what one costs. */
const WARM_UP_SECONDS = 4;

const say = (text: string): void => void process.stdout.write(text);
const subjectOf = ({ recipe }: Runner, samples: readonly Sample[]): [string, Subject] => [
  recipe.name,
  { title: recipe.title, isOurs: recipe.isOurs, samples },
];

/** How one balancer is measured for so long. */
type Measure = (target: Runner, seconds: number) => Promise<Sample>;

/** @param all of the bed that take part; through whom nothing gets is left out */
export async function runRounds(
  { leftOut }: Bed,
  all: readonly Runner[],
  {
    title,
    rounds,
    seconds,
    note,
    measure,
  }: Omit<RunOptions, "output"> & { title: string; note: string; measure: Measure },
): Promise<LoadResult> {
  const failed: Record<string, string> = {};
  for (const runner of all) {
    try {
      await measure(runner, WARM_UP_SECONDS);
    } catch (error) {
      failed[runner.recipe.name] = (error as Error).message;
    }
  }
  const runners = all.filter(({ recipe }) => failed[recipe.name] === undefined);
  const samples = runners.map((): Sample[] => []);
  for (let round = 1; round <= rounds; round++) {
    say(`\r${title}: round ${round} of ${rounds}   `);
    for (const [index, runner] of runners.entries()) samples[index]!.push(await measure(runner, seconds));
  }
  say("\n");
  return {
    title,
    note: `of ${seconds} s ${note}, medians`,
    subjects: Object.fromEntries(runners.map((runner, index) => subjectOf(runner, samples[index]!))),
    leftOut: { ...leftOut, ...failed },
  };
}

/** As many requests as fit through. */
export const runTraffic = (
  bed: Bed,
  all: readonly Runner[],
  { traffic, output, ...run }: RunOptions & { traffic: Traffic; title: string },
): Promise<LoadResult> =>
  runRounds(bed, all, {
    ...run,
    note: `with ${traffic.connections} connections`,
    measure: (target, seconds) => measureWrk(target, { ...traffic, seconds }, output),
  });

/**
 * What one core of a balancer's time is enough for, a second: from results of `REQUEST`, or measured now. By its CPU time,
 * which says the same on a busy machine; how much got through does not.
 */
async function capacityOf(runner: Runner, whole: LoadResult | undefined, output: string): Promise<number> {
  const known = whole?.subjects[runner.recipe.name];
  const micros =
    (known && medianOf(known, "cpuMicros")) ??
    (await measureWrk(runner, { ...REQUEST, seconds: 2 }, output))["cpuMicros"]!;
  return 1e6 / micros;
}

/** So long a round of latencies is, that counts or does not. */
const CALM_SECONDS = 0.5;
/** For what a balancer has to do at once that stood still. */
const SETTLE_MS = 100;

/**
 * Asks at half of what the slowest does, in rounds that count where the machine was calm (`calm.ts`). The balancers that do
 * not have their turn stand still: timers and collections of all the others would be the tail of each. What is added
 * is against the median of the direct way.
 * @param whole results of `REQUEST`, where there are any
 * @param rounds that each shall have, before `patienceMs` end
 */
export async function runHalf(
  { direct, leftOut, runners: all }: Bed,
  runners: readonly Runner[],
  { title, rounds, patienceMs, output, whole }: HalfOptions,
): Promise<LoadResult> {
  const capacities: number[] = [];
  for (const runner of runners) {
    // The bed is a new one, where another load was measured between: who has just started compiles while it serves.
    await measureWrk(runner, { ...REQUEST, seconds: WARM_UP_SECONDS }, output);
    capacities.push(await capacityOf(runner, whole, output));
  }
  const rate = Math.round(Math.min(...capacities) / 2 / 100) * 100;
  const pids = [...direct.pids, ...all.flatMap((runner) => runner.pids)];
  for (const runner of all) runner.pause();
  const subjects = [
    { name: DIRECT, url: direct.url, runner: undefined },
    ...runners.map((runner) => ({ name: runner.recipe.name, url: runner.url, runner })),
  ];
  const { samples, measured, counted } = await runCalmRounds(
    subjects.map(({ name, url, runner }) => ({
      name,
      async measure() {
        runner?.resume();
        await sleep(SETTLE_MS);
        const before = observe(pids);
        const sample = await measureLatency(url, rate, CALM_SECONDS, output);
        const weather = weatherBetween(before, observe(pids), LOAD_CORE);
        runner?.pause();
        return { sample, weather };
      },
    })),
    {
      wanted: rounds,
      patienceMs,
      nowMs: () => performance.now(),
      told: ({ measured, counted }) =>
        say(`\r${title}: ${rate} requests/s, ${counted} of ${measured} rounds were calm   `),
    },
  );
  say("\n");
  for (const runner of all) runner.resume();
  const base = { title: "none (direct)", isOurs: false, samples: samples.get(DIRECT)! };
  const [baseP50, baseP99] = [medianOf(base, "p50"), medianOf(base, "p99")];
  const addedTo = (sample: Sample): Sample =>
    baseP50 === undefined || baseP99 === undefined
      ? sample
      : { ...sample, addedP50: sample["p50"]! - baseP50, addedP99: sample["p99"]! - baseP99 };
  const fewest = Math.min(...[...samples.values()].map(({ length }) => length));
  return {
    title,
    note:
      `of ${CALM_SECONDS} s at ${rate.toLocaleString("en")} requests/s, medians; ${counted} of ${measured} rounds were ` +
      `calm and count${fewest < rounds ? `: TOO FEW, of ${rounds} that each should have one has ${fewest}` : ""}`,
    subjects: {
      ...Object.fromEntries(runners.map((runner) => subjectOf(runner, samples.get(runner.recipe.name)!.map(addedTo)))),
      // Neither ours nor one to compare with: it has no added latency, and so no ratio.
      [DIRECT]: base,
    },
    leftOut,
  };
}
