/**
 * Answers per second, CPU time for each answer, latency and memory, beside gdnsd, Knot DNS, NSD, PowerDNS and BIND where
 * they are installed. `docs/performance.md` says how it measures and why so.
 *
 * One run, the same zone, one UDP thread each on one core, dnsperf on another; rounds in turn; medians; only ratios mean
 * something on another machine. Our guard is on. `--stage veth` is a program of its own (`lib/veth-stage.ts`): servers past
 * the kernel's stack, over a veth pair.
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dnsLoads } from "./lib/dns-loads.ts";
import { RECIPES } from "./lib/dns-recipes.ts";
import { fillPage, textRatios, textTable } from "./lib/dns-report.ts";
import { type LoadResults, ratiosOf } from "./lib/dns-results.ts";
import { runLoad } from "./lib/dns-run.ts";
import { LOAD_CORE } from "./lib/dns-servers.ts";
import { describeMachine, type Machine, writeReport } from "./lib/machine.ts";
import { parseBenchOptions, usageOf } from "./lib/options.ts";

const args = process.argv.slice(2);
const stage = args[0] === "--stage" ? args.splice(0, 2)[1] : "local";
if (stage === "veth") {
  const { runVethStage } = await import("./lib/veth-stage.ts");
  process.exit(await runVethStage(args));
}
if (stage !== "local") {
  process.stderr.write(`--stage knows local and veth, not ${JSON.stringify(stage ?? "")}\n`);
  process.exit(2);
}

const ROUNDS = { quick: 3, full: 7 };
const USAGE = usageOf("dns [--stage local|veth]", {
  ...ROUNDS,
  says: "small worlds",
  example: "--only static --subjects batch,gdnsd",
});
const known = { loads: dnsLoads(false).map(({ name }) => name), subjects: RECIPES.map(({ name }) => name) };
const options = parseBenchOptions(args, known, ROUNDS);
if (typeof options === "string") {
  const isHelp = options === "help";
  (isHelp ? process.stdout : process.stderr).write(isHelp ? USAGE : `${options}\n${USAGE}`);
  process.exit(isHelp ? 0 : 2);
}
if (spawnSync("sh", ["-c", "command -v dnsperf && command -v taskset"]).status !== 0) {
  process.stderr.write("bench dns needs dnsperf and taskset (Debian: apt install dnsperf util-linux)\n");
  process.exit(1);
}
/** We start servers and wait; on the load's core we never take time from the server. */
spawnSync("taskset", ["-a", "-p", "-c", String(LOAD_CORE), String(process.pid)]);

const { isQuick, only, subjects, rounds, json, markdown } = options;
const seconds = isQuick ? 1 : 3;
let machine: Machine = describeMachine();
let results: LoadResults = {};
if (json !== undefined && existsSync(json)) {
  const report = JSON.parse(readFileSync(json, "utf8")) as { machine: Machine; rounds: LoadResults };
  results = report.rounds;
  if (options.isResumed) machine = report.machine;
}
for (const load of dnsLoads(isQuick)) {
  if ((only && !only.includes(load.name)) || (options.isResumed && results[load.name])) continue;
  const chosen = load.subjects.filter(({ recipe }) => subjects?.includes(recipe.name) ?? true);
  if (chosen.length === 0) continue;
  const folder = mkdtempSync(join(tmpdir(), "rhumb-bench-dns-"));
  try {
    const result = await runLoad({ ...load, subjects: chosen }, folder, { rounds, seconds });
    results = { ...results, [load.name]: result };
    process.stdout.write(textTable(result));
    process.stdout.write(`ratios (rate: more is better; else less)\n${textRatios(ratiosOf({ [load.name]: result }))}`);
    if (json !== undefined) writeReport(json, { machine, rounds: results, ratios: ratiosOf(results) });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
if (markdown !== undefined) {
  writeFileSync(markdown, fillPage(readFileSync(markdown, "utf8"), machine, results));
  process.stdout.write(`Wrote the tables of ${Object.keys(results).join(", ")} into ${markdown}\n`);
}
