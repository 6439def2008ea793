/**
 * `npm run soak [-- --seconds N]`: a real node under the highest rate that dnsperf reaches, with a reload and a change of
 * health every second. It must lose no query that the kernel delivered, give no wrong answer, and keep its memory.
 *
 * Ends with 0, or with 1 and what went wrong; 2 for a wrong use or where dnsperf is missing. 600 s by default.
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { RhumbEvent } from "#state/events.ts";
import { apiClient, followEvents, freePortsOfDemo, projectFolder, startRhumb } from "../system/running.ts";
import { findTool, folderWith } from "../system/tools.ts";
import { NAMES, writeQueries } from "./queries.ts";
import { describeTrend } from "./trend.ts";

const USAGE = "Usage: npm run soak -- [--seconds N] [--engine auto|batch|dgram]\n";
const { values } = parseArgs({ options: { seconds: { type: "string" }, engine: { type: "string" } }, strict: false });
const seconds = Number(values.seconds ?? 600);
const engine = String(values.engine ?? "auto");
if (!Number.isInteger(seconds) || seconds < 20 || !["auto", "batch", "dgram"].includes(engine)) {
  process.stderr.write(`${USAGE}--seconds takes a whole number from 20 on\n`);
  process.exit(2);
}
if (findTool("dnsperf") === undefined) {
  process.stderr.write("The soak needs dnsperf (Debian: apt install dnsperf)\n");
  process.exit(2);
}

const TOKEN = "a-token-of-this-soak-0123456789abcdef";
/** Under way at once: the server is never idle, and no socket buffer of dnsperf overflows. */
const OUTSTANDING = 200;
/** dnsperf counts a query as lost after this long. */
const LOST_AFTER_SECONDS = 5;

const cleanups: (() => unknown)[] = [];
const context = { after: (cleanup: () => unknown) => void cleanups.push(cleanup) };
const faults: string[] = [];
const expect = (isSo: boolean, says: string): void => {
  if (!isSo) faults.push(says);
};

const zone = (serial: number): string =>
  [
    "$TTL 60",
    `@ SOA ns hostmaster ${serial} 3600 600 604800 60`,
    "@ NS ns",
    "ns A 127.0.0.1",
    "www STEER www",
    "spread STEER spread",
    ...Array.from({ length: NAMES }, (_, index) => `host${index} A 192.0.2.${1 + (index % 250)}`),
    "",
  ].join("\n");

/** Octets of memory that the process has, in MiB. */
const residentMiB = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1_024;

/** Datagrams that the kernel could not deliver to sockets on `port`: the last column of proc(5) net/udp. */
const kernelDrops = (port: number): number => {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = readFileSync("/proc/net/udp", "utf8").split("\n").slice(1);
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(local))
    .reduce((sum, fields) => sum + Number(fields.at(-1)), 0);
};

async function soak(): Promise<void> {
  const dnsPort = await freePortsOfDemo();
  const [apiPort, checkPort] = [dnsPort + 1, dnsPort + 2];
  const folder = folderWith(context, {
    "rhumb.yaml": `version: 1
node: soak
dns: { listen: "127.0.0.1:${dnsPort}", engine: ${engine}, workers: 2, rrl: { rate: 1000000 } }
control: { listen: "127.0.0.1:${apiPort}", tokens: { ops: { token: "file:token", role: admin } } }
zones: zones/
geo: { database: geo.mmdb, regions: regions.yaml }
health: { checks: health/ }
`,
    token: TOKEN,
    "regions.yaml": `us: { at: [39, -77], continent: NA, country: US, v4: [127.0.21.1] }
eu: { at: [53, -6], continent: EU, country: IE, v4: [127.0.22.1], check: alive }
as: { at: [19, 72], continent: AS, country: IN, v4: [127.0.23.1] }
`,
    "zones/services.yaml": `www: { regions: [us, eu, as], steer: geo, ttl: { min: 5s, max: 30s } }
spread: { regions: { us: { weight: 1 }, eu: { weight: 2 }, as: { weight: 1 } }, steer: weighted, ttl: { min: 5s, max: 30s } }
`,
    "zones/x.example.zone": zone(1),
    "health/alive.yaml": `kind: tcp
port: ${checkPort}
interval: 200ms
timeout: 200ms
thresholds: { down: 1, up: 1, ok: 1 }
downSpan: 0s
failback: { mode: auto, hold: 0s, ramp: [100] }
`,
  });
  copyFileSync(join(projectFolder, "geo-data/demo.mmdb"), join(folder, "geo.mmdb"));
  const queries = join(folder, "queries");
  writeQueries(queries);

  let alive: Server | undefined;
  const setAlive = async (isAlive: boolean): Promise<void> => {
    if (isAlive === (alive !== undefined)) return;
    if (isAlive) {
      alive = createServer((socket) => socket.destroy()).listen({ host: "127.0.22.1", port: checkPort });
      await once(alive, "listening");
      return;
    }
    const closing = alive!;
    alive = undefined;
    await new Promise((resolve) => closing.close(resolve));
  };
  await setAlive(true);
  context.after(() => setAlive(false));

  const node = startRhumb(context, ["start", "-c", "rhumb.yaml", "--log-format", "json"], folder);
  await node.printed(/Control API on/);
  const api = apiClient(`http://127.0.0.1:${apiPort}`, TOKEN);
  const events = await followEvents(context, `http://127.0.0.1:${apiPort}`, TOKEN);
  const status = (await api("GET", "/status")).json<{ engine: { name: string; why: string } }>();
  process.stdout.write(`Soaking for ${seconds} s: ${status.engine.name} (${status.engine.why})\n`);

  const dropsBefore = kernelDrops(dnsPort);
  const load = spawn(
    findTool("dnsperf")!,
    ["-s", "127.0.0.1", "-p", String(dnsPort), "-d", queries, "-B", "-l", String(seconds), "-c", "10"].concat([
      ...["-q", String(OUTSTANDING), "-t", String(LOST_AFTER_SECONDS)],
    ]),
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let printed = "";
  for (const stream of [load.stdout, load.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
  }
  context.after(() => load.exitCode === null && load.kill("SIGKILL"));
  let isLoading = true;
  const ended = once(load, "close").then(() => {
    isLoading = false;
  });

  const memory: number[] = [];
  let reloads = 0;
  let flips = 0;
  for (let second = 1; isLoading; second++) {
    await Promise.race([pause(1_000), ended]);
    if (!isLoading) break;
    await setAlive(second % 2 === 0);
    flips++;
    writeFileSync(join(folder, "zone.new"), zone(1 + second));
    renameSync(join(folder, "zone.new"), join(folder, "zones/x.example.zone"));
    const reload = await api("POST", "/config/reload");
    if (reload.status === 200) reloads++;
    else faults.push(`Reload ${second} was answered ${reload.status}: ${reload.text}`);
    if (node.hasEnded()) throw new Error(`rhumb has ended:\n${node.out()}${node.err()}`);
    memory.push(residentMiB(node.pid));
    if (second % 10 === 0)
      process.stdout.write(`  ${second} s: ${reloads} reloads, ${Math.round(memory.at(-1)!)} MiB\n`);
  }
  await ended;

  const number = (pattern: RegExp): number => Number(pattern.exec(printed)?.[1] ?? Number.NaN);
  const sent = number(/Queries sent:\s+(\d+)/);
  const lost = number(/Queries lost:\s+(\d+)/);
  const rate = number(/Queries per second:\s+([\d.]+)/);
  const codes = /Response codes:\s+(.*)/.exec(printed)?.[1] ?? "none";
  const dropped = kernelDrops(dnsPort) - dropsBefore;
  const count = (kind: RhumbEvent["kind"]): number => events.seen.filter((event) => event.kind === kind).length;
  const trend = describeTrend(memory);
  const metrics = await api("GET", "/metrics");
  const counter = (name: string): number =>
    [...metrics.text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))].reduce(
      (sum, match) => sum + Number(match[1]),
      0,
    );

  process.stdout.write(
    `${printed.trim()}\n${sent} queries, ${Math.round(rate)}/s, ${lost} lost, ${dropped} dropped by the kernel; ` +
      `${reloads} reloads, ${flips} changes of health, ${count("health.transition")} of them seen; ${trend.says}\n`,
  );
  expect(sent > 1_000 * seconds, `only ${sent} queries were sent: that proves little`);
  expect(lost <= dropped, `${lost} queries were lost, of which the kernel dropped ${dropped}`);
  expect(/^NOERROR \d+ \([\d.]+%\), NXDOMAIN \d+ \([\d.]+%\)$/.test(codes.trim()), `response codes: ${codes}`);
  expect(reloads >= seconds * 0.5, `only ${reloads} reloads in ${seconds} s`);
  expect(
    count("health.transition") >= seconds * 0.25,
    `only ${count("health.transition")} changes of health were seen`,
  );
  expect(counter("rhumb_dns_handler_faults_total") === 0, "the responder had faults");
  expect(count("engine.worker-restarted") === 0, "a worker ended and was started again");
  expect(trend.isFlat, trend.says);
}

try {
  await soak();
} catch (error) {
  faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup();
}
for (const fault of faults) process.stderr.write(`FAULT: ${fault}\n`);
process.stdout.write(faults.length === 0 ? "The soak has found no fault.\n" : "");
process.exit(faults.length === 0 ? 0 : 1);
