/**
 * What the TCP relay costs beside HAProxy and nginx stream: CPU time for each request and connection, throughput, added
 * latency, memory of idle connections; and kernel mode beside the relay. `docs/performance.md` says how and why so.
 *
 * One run, the same backends and load, one relaying thread each on one core, load and backends on the other; rounds in
 * turn; medians; only ratios mean something on another machine.
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { atEnd } from "./lib/at-end.ts";
import { type Bed, isInstalled, startBed } from "./lib/balancer-bed.ts";
import { runIdle } from "./lib/balancer-idle.ts";
import { LOAD_CORE } from "./lib/balancer-measure.ts";
import type { BalancerRecipe } from "./lib/balancer-recipe.ts";
import { fillPage, textTable } from "./lib/balancer-report.ts";
import { type LoadResult, type LoadResults, ratiosOf, textTargets } from "./lib/balancer-results.ts";
import { BULK, CONNECTION, REQUEST, runHalf, runTraffic } from "./lib/balancer-traffic.ts";
import { runKernel, whyNoKernel } from "./lib/l4-kernel.ts";
import { HAPROXY_SPLICE, L4_RECIPES } from "./lib/l4-recipes.ts";
import { L4_TABLES } from "./lib/l4-tables.ts";
import { describeMachine, type Machine, writeReport } from "./lib/machine.ts";
import { parseBenchOptions, usageOf } from "./lib/options.ts";

const LOADS = {
  request: "Requests of 200 octets, connections that stay",
  connection: "Requests of 200 octets, a connection each",
  bulk: "Bodies of 1 MiB, connections that stay",
  half: "Latency at half load",
  idle: "Idle connections",
  kernel: "A connection for each request, between network namespaces",
} as const;
type Load = keyof typeof LOADS;
const names = Object.keys(LOADS) as Load[];
/** Of the last minute: above it, others take the cores from who is measured. */
const BUSY_LOAD = 1.5;
const CALM = { rounds: 15, minutes: 10 };
const ROUNDS = { quick: 2, full: 7, calm: CALM };
const USAGE = usageOf("l4", { ...ROUNDS, says: "one of idle connections", example: "--quick --only request,bulk" });

const known = { loads: names, subjects: L4_RECIPES.map(({ name }) => name) };
const options = parseBenchOptions(process.argv.slice(2), known, ROUNDS);
if (typeof options === "string") {
  const isHelp = options === "help";
  (isHelp ? process.stdout : process.stderr).write(isHelp ? USAGE : `${options}\n${USAGE}`);
  process.exit(isHelp ? 0 : 2);
}
const missing = ["wrk", "h2load", "nginx", "taskset"].filter((program) => !isInstalled(program));
if (missing.length > 0) {
  process.stderr.write(
    `bench l4 needs ${missing.join(", ")} (Debian: apt install wrk nghttp2-client nginx util-linux haproxy)\n`,
  );
  process.exit(1);
}
/** We start programs and wait; on the load's core we never take time from a balancer. */
spawnSync("taskset", ["-a", "-p", "-c", String(LOAD_CORE), String(process.pid)]);

const { isQuick, only, subjects, rounds, patienceMs, json, markdown } = options;
const calm = { rounds: isQuick ? 3 : CALM.rounds, patienceMs };
const seconds = isQuick ? 1 : 3;
let machine: Machine = describeMachine();
let results: LoadResults = {};
if (json !== undefined && existsSync(json)) {
  const report = JSON.parse(readFileSync(json, "utf8")) as { machine: Machine; rounds: LoadResults };
  results = report.rounds;
  if (options.isResumed) machine = report.machine;
}
const [load1] = loadavg();
if (load1! > BUSY_LOAD) {
  process.stdout.write(
    `The machine is busy (load ${load1!.toFixed(1)}): latencies and rates say little, CPU times more\n`,
  );
}
const folder = mkdtempSync(join(tmpdir(), "rhumb-bench-l4-"));
atEnd(() => rmSync(folder, { recursive: true, force: true }));
const chosen = L4_RECIPES.filter(({ name }) => subjects?.includes(name) ?? true);
/** Splicing is for bulk; elsewhere it is the same balancer again. */
const plain = chosen.filter((recipe) => recipe !== HAPROXY_SPLICE);

let bed: Bed | undefined;
async function measure(load: Load): Promise<LoadResult> {
  const title = LOADS[load];
  const run = { title, rounds, seconds, output: join(folder, "load.out") };
  if (load === "idle") return runIdle(plain, { folder, title, rounds: isQuick ? 1 : Math.min(3, rounds) });
  if (load === "kernel") return runKernel({ ...run, folder });
  bed ??= await startBed(mkdtempSync(join(folder, "bed-")), chosen);
  const runnersOf = (recipes: readonly BalancerRecipe[]) =>
    bed!.runners.filter(({ recipe }) => recipes.includes(recipe));
  switch (load) {
    case "request":
      return runTraffic(bed, runnersOf(plain), { ...run, traffic: REQUEST });
    case "connection":
      return runTraffic(bed, runnersOf(plain), { ...run, traffic: CONNECTION });
    case "bulk":
      return runTraffic(bed, runnersOf(chosen), { ...run, traffic: BULK });
    case "half":
      return runHalf(bed, runnersOf(plain), { title, output: run.output, ...calm, whole: results["request"] });
    default:
      return load satisfies never;
  }
}

for (const load of names) {
  if ((only && !only.includes(load)) || (options.isResumed && results[load])) continue;
  const reason = load === "kernel" ? whyNoKernel() : undefined;
  if (reason !== undefined) {
    process.stdout.write(`${LOADS[load]}: left out, ${reason}\n`);
    continue;
  }
  if (load === "idle") bed = void (await bed?.stop());
  const result = await measure(load);
  results = { ...results, [load]: result };
  process.stdout.write(textTable(load, result));
  process.stdout.write(textTargets(ratiosOf({ [load]: result }, L4_TABLES), L4_TABLES));
  if (json !== undefined) writeReport(json, { machine, rounds: results, ratios: ratiosOf(results, L4_TABLES) });
}
await bed?.stop();
if (markdown !== undefined) {
  writeFileSync(markdown, fillPage(readFileSync(markdown, "utf8"), "l4", { machine, results, tables: L4_TABLES }));
  process.stdout.write(`Wrote the tables of ${Object.keys(results).join(", ")} into ${markdown}\n`);
}
