/**
 * Loads of requests: as many as fit through, and latency at half of what the slowest balancer does. Every round measures
 * every balancer once, so that what else the machine does hits all alike.
 * @module
 */
import type { Bed, Runner } from "./balancer-bed.ts";
import { measureLatency, measureWrk, type Sample, type WrkLoad } from "./balancer-measure.ts";
import { type LoadResult, medianOf, type Subject } from "./balancer-results.ts";

export type RunOptions = {
  readonly rounds: number;
  readonly seconds: number;
  /** A file for what the load prints. */
  readonly output: string;
};
type Traffic = Omit<WrkLoad, "seconds">;
export const REQUEST: Traffic = { path: "/small", connections: 64, isClosing: false };
export const CONNECTION: Traffic = { path: "/small", connections: 64, isClosing: true };
export const BULK: Traffic = { path: "/bulk", connections: 8, isClosing: false };

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

/** What a balancer does at most, from results of `REQUEST`, or measured now. */
async function capacityOf(runner: Runner, whole: LoadResult | undefined, output: string): Promise<number> {
  const known = whole?.subjects[runner.recipe.name];
  return (known && medianOf(known, "rate")) ?? (await measureWrk(runner, { ...REQUEST, seconds: 2 }, output))["rate"]!;
}

/**
 * Asks at half of what the slowest does. What a round adds is against the direct way in that round.
 * @param whole results of `REQUEST`, where there are any
 */
export async function runHalf(
  { direct, leftOut }: Bed,
  runners: readonly Runner[],
  { title, rounds, seconds, output, whole }: RunOptions & { title: string; whole: LoadResult | undefined },
): Promise<LoadResult> {
  const capacities: number[] = [];
  for (const runner of runners) capacities.push(await capacityOf(runner, whole, output));
  const rate = Math.round(Math.min(...capacities) / 2 / 100) * 100;
  const directSamples: Sample[] = [];
  const samples = runners.map((): Sample[] => []);
  for (let round = 1; round <= rounds; round++) {
    say(`\r${title}: ${rate} requests/s, round ${round} of ${rounds}   `);
    const base = await measureLatency(direct.url, rate, seconds, output);
    directSamples.push(base);
    for (const [index, runner] of runners.entries()) {
      const sample = await measureLatency(runner.url, rate, seconds, output);
      const added = { addedP50: sample["p50"]! - base["p50"]!, addedP99: sample["p99"]! - base["p99"]! };
      samples[index]!.push({ ...sample, ...added });
    }
  }
  say("\n");
  return {
    title,
    note: `of ${seconds} s at ${rate.toLocaleString("en")} requests/s, medians`,
    subjects: {
      ...Object.fromEntries(runners.map((runner, index) => subjectOf(runner, samples[index]!))),
      // Neither ours nor one to compare with: it has no added latency, and so no ratio.
      direct: { title: "none (direct)", isOurs: false, samples: directSamples },
    },
    leftOut,
  };
}
