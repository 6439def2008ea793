/**
 * What a reload costs those who ask: a node with four UDP workers serves a zone of a million names and a map of five
 * million nodes, under full load (200 queries under way) and under a light one; rounds without and with reloads take turns. In each reload the zone has changed, so it
 * is read and built anew, and the database is a new file, so the map is.
 *
 * Prints the latencies of both, their ratios, what was lost, and the most memory that the process ever had.
 *
 * Usage: npm run bench -- reload [--quick] [--json FILE]
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPorts } from "#base/ports.ts";
import { cityDatabaseFile } from "./lib/dns-city.ts";
import { percentile, readDnsperf, readLatencies } from "./lib/dns-measure.ts";
import { REGIONS, writeQueries, ZONE, zoneText } from "./lib/dns-world.ts";
import { describeMachine, median, readArguments, writeReport } from "./lib/machine.ts";

const { isQuick, json } = readArguments("npm run bench -- reload");
const NAMES = isQuick ? 100_000 : 1_000_000;
const MAP_NODES = isQuick ? 1_000_000 : 5_000_000;
const ROUNDS = isQuick ? 2 : 5;
const SECONDS = isQuick ? 6 : 10;
const WORKERS = 4;
/**
 * `full`: what is measured is waiting for one's turn. `light`: waiting for the processor alone, which on few cores is a
 * matter of the system's scheduler (its tick is 4 ms) and differs much from round to round.
 */
const LOADS = { full: ["-q", "200"], light: ["-Q", "10000"] } as const;
type LoadName = keyof typeof LOADS;
const POLL_MS = 250;
const TOKEN = "a-token-of-this-bench-0123456789abcdef";

type Round = { p50Micros: number; p99Micros: number; maxMicros: number; lost: number; reloads: number };

const statusMib = (pid: number, field: "VmRSS" | "VmHWM"): number =>
  Math.round(
    Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1_024,
  );

if (spawnSync("sh", ["-c", "command -v dnsperf"]).status !== 0) {
  process.stderr.write("bench reload needs dnsperf (Debian: apt install dnsperf)\n");
  process.exit(1);
}
const database = cityDatabaseFile(MAP_NODES);
const folder = mkdtempSync(join(tmpdir(), "rhumb-bench-reload-"));
const zoneFile = join(folder, "zones", `${ZONE}.zone`);
const ports = createPorts();
const [dnsPort, apiPort] = [await ports.take(), await ports.take()];
let node: ChildProcess | undefined;

function prepare(): void {
  mkdirSync(join(folder, "zones"));
  writeFileSync(zoneFile, `${zoneText(NAMES)}steered 30 STEER www\n`);
  copyFileSync(database, join(folder, "geo.mmdb"));
  writeFileSync(join(folder, "token"), TOKEN, { mode: 0o600 });
  writeFileSync(
    join(folder, "rhumb.yaml"),
    `version: 1
node: bench
dns: { listen: "127.0.0.1:${dnsPort}", workers: ${WORKERS}, rrl: { rate: 1000000 } }
control: { listen: "127.0.0.1:${apiPort}", tokens: { bench: { token: "file:token", role: admin } } }
zones: zones/
geo: { database: geo.mmdb, regions: regions.yaml }
`,
  );
  writeFileSync(
    join(folder, "regions.yaml"),
    REGIONS.map(
      ({ id, at, continent, country, address }) =>
        `${id}: { at: [${at.join(", ")}], continent: ${continent}, country: ${country}, v4: [${address}] }\n`,
    ).join(""),
  );
  const ids = REGIONS.map(({ id }) => id).join(", ");
  writeFileSync(
    join(folder, "zones", "services.yaml"),
    `www: { regions: [${ids}], steer: geo, ttl: { min: 5s, max: 30s } }\n`,
  );
  writeQueries(join(folder, "queries"), "existing", NAMES);
}

const ask = async (method: string, path: string): Promise<Response> =>
  fetch(`http://127.0.0.1:${apiPort}${path}`, { method, headers: { authorization: `Bearer ${TOKEN}` } });

type Status = { geo: { maps: { generation: number; leaves: number }[] }; engine: { name: string } };
const status = async (): Promise<Status> => (await ask("GET", "/status")).json() as Promise<Status>;

/** Resolves when it answers, with map and zone. */
async function start(): Promise<ChildProcess> {
  const output = openSync(join(folder, "log"), "w");
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, "../bin/rhumb"), "start", "-c", join(folder, "rhumb.yaml")],
    {
      stdio: ["ignore", output, output],
    },
  );
  closeSync(output);
  for (;;) {
    if (child.exitCode !== null)
      throw new Error(`rhumb ended: ${readFileSync(join(folder, "log"), "utf8").slice(-4_000)}`);
    const now = await status().catch(() => undefined);
    if (now?.geo.maps.some(({ leaves }) => leaves > MAP_NODES / 10)) return child;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

let serial = 1;
/** A changed zone, and the same database as a new file. @returns when both are served, how long that took */
async function reload(): Promise<number> {
  const beganMs = performance.now();
  const before = (await status()).geo.maps[0]!.generation;
  appendFileSync(zoneFile, `changed${++serial} A 192.0.2.1\n`);
  copyFileSync(database, join(folder, "geo.new"));
  renameSync(join(folder, "geo.new"), join(folder, "geo.mmdb"));
  const answer = await ask("POST", "/config/reload");
  if (answer.status !== 200) throw new Error(`POST /config/reload: ${answer.status} ${await answer.text()}`);
  while ((await status()).geo.maps[0]!.generation === before)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  return performance.now() - beganMs;
}

async function round(name: LoadName, isReloading: boolean, took: number[]): Promise<Round> {
  const output = join(folder, "dnsperf");
  const descriptor = openSync(output, "w");
  const args = [
    "-s",
    "127.0.0.1",
    "-p",
    String(dnsPort),
    "-B",
    "-d",
    join(folder, "queries"),
    "-v",
    "-c",
    "20",
    "-t",
    "5",
  ];
  const load = spawn("dnsperf", [...args, "-l", String(SECONDS), ...LOADS[name]], {
    stdio: ["ignore", descriptor, descriptor],
  });
  closeSync(descriptor);
  let isOver = false;
  const ended = once(load, "close").then(() => {
    isOver = true;
  });
  let reloads = 0;
  while (isReloading && !isOver) {
    took.push(await reload());
    reloads++;
  }
  await ended;
  const text = readFileSync(output, "utf8");
  const latencies = readLatencies(text);
  return {
    p50Micros: percentile(latencies, 0.5),
    p99Micros: percentile(latencies, 0.99),
    maxMicros: percentile(latencies, 1),
    lost: readDnsperf(text).lost,
    reloads,
  };
}

try {
  prepare();
  const beganMs = performance.now();
  node = await start();
  const pid = node.pid!;
  const startSeconds = (performance.now() - beganMs) / 1_000;
  const startMib = { resident: statusMib(pid, "VmRSS"), peak: statusMib(pid, "VmHWM") };
  const took: number[] = [];
  const loads = (Object.keys(LOADS) as LoadName[]).map((name) => ({
    name,
    quiet: [] as Round[],
    reloading: [] as Round[],
  }));
  await round("full", false, took); // warms up
  for (let index = 0; index < ROUNDS; index++) {
    for (const { name, quiet, reloading } of loads) {
      quiet.push(await round(name, false, took));
      reloading.push(await round(name, true, took));
      const p99s = [quiet, reloading].map((rounds) => Math.round(rounds.at(-1)!.p99Micros));
      process.stdout.write(`round ${index + 1} of ${ROUNDS}, ${name}: p99 ${p99s.join(" → ")} µs\n`);
    }
  }
  const of = (rounds: readonly Round[], key: keyof Round) => median(rounds.map((each) => each[key]));
  const { engine, geo } = await status();
  const peakMib = statusMib(pid, "VmHWM");
  const sum = (key: "lost" | "reloads") =>
    loads.flatMap(({ quiet, reloading }) => [...quiet, ...reloading]).reduce((total, each) => total + each[key], 0);
  const ratios: Record<string, number> = {};
  const leaves = geo.maps[0]!.leaves.toLocaleString("en");
  process.stdout.write(
    `\n${NAMES.toLocaleString("en")} names, ${leaves} leaves, ${WORKERS} workers, engine ${engine.name}, ${ROUNDS} rounds of ${SECONDS} s each; medians\n`,
  );
  process.stdout.write("load               p50 µs   p99 µs   worst µs\n");
  for (const { name, quiet, reloading } of loads) {
    for (const [state, rounds] of Object.entries({ quiet, reloading })) {
      const columns = (["p50Micros", "p99Micros", "maxMicros"] as const).map((key) =>
        Math.round(of(rounds, key)).toString().padStart(8),
      );
      process.stdout.write(`${`${name}, ${state}`.padEnd(17)} ${columns.join(" ")}\n`);
    }
    for (const key of ["p50", "p99"] as const) {
      ratios[`reload.${name}.${key}/quiet`] = of(reloading, `${key}Micros`) / of(quiet, `${key}Micros`);
    }
  }
  process.stdout.write(
    `${sum("reloads")} reloads of ${(median(took) / 1_000).toFixed(1)} s each, ${sum("lost")} queries lost\n` +
      `start ${startSeconds.toFixed(1)} s; memory after it ${startMib.resident} MiB (peak ${startMib.peak}), ` +
      `at the end ${statusMib(pid, "VmRSS")} MiB, peak of all ${peakMib} MiB\nratios\n`,
  );
  for (const [name, value] of Object.entries(ratios)) {
    process.stdout.write(`  ${name.padEnd(24)} ${value.toFixed(3)}\n`);
  }
  if (json !== undefined) {
    const rounds = { loads, took, startSeconds, startMib, peakMib, lost: sum("lost") };
    writeReport(json, { machine: describeMachine(), rounds, ratios });
  }
} finally {
  if (node && node.exitCode === null) {
    node.kill("SIGTERM");
    await once(node, "exit");
  }
  rmSync(folder, { recursive: true, force: true });
}
