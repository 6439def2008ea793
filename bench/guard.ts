/**
 * What legitimate clients get while a worker is flooded at ten times the rate that it can answer: with spoofed sources,
 * and with random names. Everything stays on loopback; "spoofed" means from very many addresses of 127.0.0.0/8.
 *
 * A second core cannot send ten times what a first one answers, so the server is given a part of its core (a cgroup
 * quota) that makes the flood that can be sent ten times as much. Without the right to do so, the factor that was
 * reached is printed. The same is measured without the kernel filter, which shows what it is good for.
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { createCpuQuota } from "./lib/cpu-quota.ts";
import { RHUMB_BATCH, RHUMB_UNFILTERED } from "./lib/dns-recipe-rhumb.ts";
import { type DnsServer, LOAD_CORE, startServer } from "./lib/dns-servers.ts";
import { NAMES, writeTextQueries, zoneText } from "./lib/dns-world.ts";
import { describeMachine, readArguments, writeReport } from "./lib/machine.ts";

const { isQuick, json } = readArguments("npm run bench -- guard");
const FLOOD_FACTOR = 10;
const FLOOD_SECONDS = isQuick ? 6 : 12;
/** Reported apart: until the flood has been noticed, and what it left in the queue has been answered. */
const ONSET_MS = 1_000;
/** A resolver is familiar after three different seconds. */
const WARM_UP_SECONDS = 6;
const QUIET_FLAGS = ["--disable-warning=ExperimentalWarning"];

type Tally = { asked: number; answered: number };
type Interval = { familiar: Tally; fresh: Tally };
const share = ({ asked, answered }: Tally) => (asked === 0 ? 0 : answered / asked);

const onLoadCore = (args: string[]) => ["-c", String(LOAD_CORE), process.execPath, ...QUIET_FLAGS, ...args];
function flood(port: number, seconds: number, rate: number, kind: string) {
  const child = spawn(
    "taskset",
    onLoadCore([join(import.meta.dirname, "lib/flood.ts"), String(port), String(seconds), String(rate), kind]),
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const started = lines.next();
  return {
    started,
    ended: started.then(async () => JSON.parse((await lines.next()).value as string) as { perSecond: number }),
  };
}
function startLegitimate(port: number) {
  const child = spawn("taskset", onLoadCore([join(import.meta.dirname, "lib/legitimate.ts"), String(port)]), {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async interval(): Promise<Interval> {
      child.stdin.write("\n");
      return JSON.parse((await lines.next()).value as string);
    },
    stop: () => child.stdin.end(),
  };
}
/** Answers per second with the queue kept full. */
function capacityOf(server: DnsServer, queries: string): number {
  const args = [
    "-c",
    String(LOAD_CORE),
    "dnsperf",
    "-s",
    "127.0.0.1",
    "-p",
    String(server.port),
    "-d",
    queries,
    "-l",
    "2",
    "-c",
    "10",
    "-q",
    "500",
    "-e",
  ];
  const { stdout } = spawnSync("taskset", args, { encoding: "utf8" });
  return Number(/Queries per second:\s+([\d.]+)/.exec(stdout)?.[1]);
}

const results: Record<string, unknown> = {};
const ratios: Record<string, number> = {};
for (const hasFilter of [true, false]) {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-bench-guard-"));
  const zoneFile = join(folder, "zone");
  const queries = join(folder, "static.queries");
  writeFileSync(zoneFile, zoneText(NAMES));
  writeTextQueries(queries, NAMES);
  const world = { names: NAMES, mapNodes: undefined, workers: 1 };
  const server = await startServer(hasFilter ? RHUMB_BATCH : RHUMB_UNFILTERED, {
    folder: join(folder, "server"),
    world,
    zoneFile,
    database: undefined,
  });
  const quota = createCpuQuota(server.pids);
  try {
    const whole = capacityOf(server, queries);
    const { perSecond: possible } = await flood(server.port, 1, 0, "names").ended;
    quota?.set(Math.min(1, (0.45 * possible) / (FLOOD_FACTOR * whole)));
    await sleep(4_000); // what that flood left in the queue, and the plan against it, are gone by then
    const capacity = capacityOf(server, queries);
    for (const kind of ["sources", "names"]) {
      const legitimate = startLegitimate(server.port);
      await sleep(WARM_UP_SECONDS * 1_000);
      const calm = await legitimate.interval();
      const flooding = flood(server.port, FLOOD_SECONDS, FLOOD_FACTOR * capacity, kind);
      const during: Interval[] = [];
      await flooding.started;
      await sleep(ONSET_MS);
      const onset = await legitimate.interval();
      for (let second = 0; second < FLOOD_SECONDS - 2; second += 2) {
        await sleep(2_000);
        during.push(await legitimate.interval());
      }
      const { perSecond } = await flooding.ended;
      legitimate.stop();
      const total = (key: keyof Interval): Tally => ({
        asked: during.reduce((sum, interval) => sum + interval[key].asked, 0),
        answered: during.reduce((sum, interval) => sum + interval[key].answered, 0),
      });
      const name = `${kind}.${hasFilter ? "filter" : "plain"}`;
      const factor = perSecond / capacity;
      results[name] = { capacityPerSecond: capacity, floodPerSecond: perSecond, factor, calm, onset, during };
      ratios[`${name}.familiar`] = share(total("familiar"));
      ratios[`${name}.fresh`] = share(total("fresh"));
      process.stdout.write(
        `${name.padEnd(15)} capacity ${Math.round(capacity)}/s, flood ${perSecond}/s (${factor.toFixed(1)} times); ` +
          `answered before: ${(share(calm.familiar) * 100).toFixed(1)} %, at the onset ${(share(onset.familiar) * 100).toFixed(1)} %; during: known resolvers ${(share(total("familiar")) * 100).toFixed(1)} %, ` +
          `first-time ones ${(share(total("fresh")) * 100).toFixed(1)} %; by interval: ${during.map((each) => (share(each.familiar) * 100).toFixed(0)).join(" ")}\n`,
      );
    }
  } finally {
    await server.stop();
    quota?.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}
if (json !== undefined) writeReport(json, { machine: describeMachine(), rounds: results, ratios });
