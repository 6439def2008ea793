/**
 * Runs one load: starts its servers, measures them in turn, round by round, so that what else the machine does hits all
 * alike, and stops them.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { agreementOf, askAll } from "./dns-agreement.ts";
import { cityDatabaseFile } from "./dns-city.ts";
import type { DnsLoad, Subject } from "./dns-loads.ts";
import { type LatencySample, type Load, measure, measureLatency, residentMib, type Sample } from "./dns-measure.ts";
import { findMissing, OURS } from "./dns-recipes.ts";
import { type LoadResult, mediansOf, type SubjectResult } from "./dns-results.ts";
import { type DnsServer, startServer } from "./dns-servers.ts";
import { writeQueries, zoneText } from "./dns-world.ts";
import { median } from "./machine.ts";

export type RunOptions = { readonly rounds: number; readonly seconds: number };
/** Of the slowest server's answers per second: latency is measured where nobody has a queue. */
const LATENCY_SHARE = 0.3;

type Runner = {
  readonly subject: Subject;
  readonly server: DnsServer;
  readonly load: Load;
  readonly leaves: number | undefined;
  readonly samples: Sample[];
  readonly latencies: LatencySample[];
};

/** How it ended and what it said, without lines of logs in JSON. */
export const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error))
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("{"))
    .join(": ")
    .slice(0, 300);

/** Of each server with the first of the same world. */
async function agreementsOf(runners: readonly Runner[]): Promise<number[]> {
  const answers: string[][] = [];
  for (const { server, load } of runners) answers.push(await askAll(server.port, load.queries));
  return runners.map(({ subject }, index) => {
    const first = runners.findIndex((other) => other.subject.world.mapNodes === subject.world.mapNodes);
    return agreementOf(answers[index]!, answers[first]!);
  });
}

/** @param folder an empty one, for all files */
export async function runLoad(load: DnsLoad, folder: string, { rounds, seconds }: RunOptions): Promise<LoadResult> {
  const leftOut: Record<string, string> = {};
  const runners: Runner[] = [];
  const output = join(folder, "dnsperf.out");
  const say = (text: string) => process.stdout.write(text);
  try {
    for (const names of new Set(load.subjects.map(({ world }) => world.names))) {
      writeFileSync(join(folder, `zone-${names}`), zoneText(names));
      writeQueries(join(folder, `queries-${names}`), load.queries, names);
    }
    for (const subject of load.subjects) {
      const { recipe, world, name } = subject;
      const missing = findMissing(recipe);
      if (missing !== undefined) {
        leftOut[name] = `${missing} is not installed`;
        continue;
      }
      const own = join(folder, name);
      mkdirSync(own);
      const database = world.mapNodes === undefined ? undefined : cityDatabaseFile(world.mapNodes);
      const zoneFile = join(folder, `zone-${world.names}`);
      const queries = join(folder, `queries-${world.names}`);
      let server: DnsServer | undefined;
      try {
        server = await startServer(recipe, { folder: own, world, zoneFile, database });
        const one = { queries, transport: load.transport, seconds, rcode: load.rcode };
        const leaves = recipe.leavesIn?.(server.words());
        measure(server, one, output); // warms up: the first answers of any server cost more
        runners.push({ subject, server, load: one, leaves, samples: [], latencies: [] });
      } catch (error) {
        leftOut[name] = reasonOf(error);
        await server?.stop();
      }
    }
    if (runners.length === 0) return { title: load.title, seconds, subjects: {}, leftOut };
    for (let round = 1; round <= rounds; round++) {
      say(`\r${load.name}: round ${round} of ${rounds}, ${runners.length} servers   `);
      for (const { server, load: one, samples } of runners) samples.push(measure(server, one, output));
    }
    const agreements = load.queries.startsWith("steered") ? await agreementsOf(runners) : [];
    const resident = runners.map(({ server }) => residentMib(server));
    const slowest = Math.min(...runners.map(({ samples }) => median(samples.map((each) => each.answersPerSecond))));
    const rate = load.hasLatency ? Math.round((slowest * LATENCY_SHARE) / 100) * 100 : undefined;
    for (let round = 1; rate !== undefined && round <= rounds; round++) {
      say(`\r${load.name}: latency, round ${round} of ${rounds}   `);
      for (const { server, load: one, latencies } of runners) latencies.push(measureLatency(server, one, rate, output));
    }
    say("\n");
    const subjects = runners.map(({ subject, server, leaves, samples, latencies }, index): [string, SubjectResult] => [
      subject.name,
      {
        title: subject.title,
        isOurs: OURS.includes(subject.recipe),
        medians: mediansOf(samples, latencies),
        residentMib: resident[index]!,
        ...(agreements[index] !== undefined && { agreement: agreements[index] }),
        startMs: server.startMs,
        ...(leaves !== undefined && { leaves }),
        samples,
        latencySamples: latencies,
      },
    ]);
    const base = { title: load.title, seconds, subjects: Object.fromEntries(subjects), leftOut };
    return rate === undefined ? base : { ...base, latencyRate: rate };
  } finally {
    await Promise.all(runners.map(({ server }) => server.stop()));
  }
}
