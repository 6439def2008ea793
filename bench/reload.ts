/**
 * What a reload costs those who ask: a node with four UDP workers serves a zone of a million names and a map of five
 * million nodes, at a steady rate; rounds without and with reloads take turns. In each reload the zone has changed, so it
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
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cityDatabaseFile } from "./lib/dns-city.ts";
import { percentile, readDnsperf, readLatencies } from "./lib/dns-measure.ts";
import { REGIONS, writeQueries, ZONE, zoneText } from "./lib/dns-world.ts";
import { describeMachine, median, readArguments, writeReport } from "./lib/machine.ts";

const { isQuick, json } = readArguments("npm run bench -- reload");
const NAMES = isQuick ? 100_000 : 1_000_000;
const MAP_NODES = isQuick ? 1_000_000 : 5_000_000;
const ROUNDS = isQuick ? 2 : 5;
const SECONDS = isQuick ? 6 : 20;
const WORKERS = 4;
/** Far from what the workers can answer, so that what is measured is waiting for the processor and not for each other. */
const QUERIES_PER_SECOND = 10_000;
const TOKEN = "a-token-of-this-bench-0123456789abcdef";

type Round = { p50Micros: number; p99Micros: number; maxMicros: number; lost: number; reloads: number };

async function freePort(): Promise<number> {
  const server = createServer().listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

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
const [dnsPort, apiPort] = [await freePort(), await freePort()];
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
  while ((await status()).geo.maps[0]!.generation === before) await new Promise((resolve) => setTimeout(resolve, 50));
  return performance.now() - beganMs;
}

async function round(isReloading: boolean, took: number[]): Promise<Round> {
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
  const load = spawn("dnsperf", [...args, "-l", String(SECONDS), "-Q", String(QUERIES_PER_SECOND)], {
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
  const quiet: Round[] = [];
  const reloading: Round[] = [];
  await round(false, took); // warms up
  for (let index = 0; index < ROUNDS; index++) {
    quiet.push(await round(false, took));
    reloading.push(await round(true, took));
    process.stdout.write(
      `round ${index + 1} of ${ROUNDS}: p99 ${Math.round(quiet.at(-1)!.p99Micros)} → ${Math.round(reloading.at(-1)!.p99Micros)} µs\n`,
    );
  }
  const of = (rounds: readonly Round[], key: keyof Round) => median(rounds.map((each) => each[key]));
  const { engine, geo } = await status();
  const reloads = reloading.reduce((sum, each) => sum + each.reloads, 0);
  const lost = [...quiet, ...reloading].reduce((sum, each) => sum + each.lost, 0);
  const peakMib = statusMib(pid, "VmHWM");
  const ratios = {
    "reload.p50/quiet": of(reloading, "p50Micros") / of(quiet, "p50Micros"),
    "reload.p99/quiet": of(reloading, "p99Micros") / of(quiet, "p99Micros"),
  };
  const names = NAMES.toLocaleString("en");
  process.stdout.write(`
${names} names, ${geo.maps[0]!.leaves.toLocaleString("en")} leaves, ${WORKERS} workers, engine ${engine.name}, ${QUERIES_PER_SECOND.toLocaleString("en")} queries/s, ${ROUNDS} rounds of ${SECONDS} s each
            p50 µs   p99 µs   worst µs
without   ${[of(quiet, "p50Micros"), of(quiet, "p99Micros"), of(quiet, "maxMicros")].map((value) => Math.round(value).toString().padStart(8)).join(" ")}
reloading ${[of(reloading, "p50Micros"), of(reloading, "p99Micros"), of(reloading, "maxMicros")].map((value) => Math.round(value).toString().padStart(8)).join(" ")}
${reloads} reloads of ${(median(took) / 1_000).toFixed(1)} s each, ${lost} queries lost
start ${startSeconds.toFixed(1)} s; memory after it ${startMib.resident} MiB (peak ${startMib.peak}), at the end ${statusMib(pid, "VmRSS")} MiB, peak of all ${peakMib} MiB
ratios
${Object.entries(ratios)
  .map(([name, value]) => `  ${name.padEnd(20)} ${value.toFixed(3)}`)
  .join("\n")}
`);
  if (json !== undefined) {
    writeReport(json, {
      machine: describeMachine(),
      rounds: { quiet, reloading, took, startSeconds, startMib, peakMib, lost },
      ratios,
    });
  }
} finally {
  if (node && node.exitCode === null) {
    node.kill("SIGTERM");
    await once(node, "exit");
  }
  rmSync(folder, { recursive: true, force: true });
}
