/**
 * One measurement: dnsperf on the load's core against a server on its own, and what that cost the server.
 *
 * Units:   CPU is what the kernel charged to all threads of the server, `/proc/PID/stat`, in ticks of 10 ms. Its sum is
 *          exact; user against system is sampled at ticks, so only medians of rounds of seconds say something of it.
 * @module
 */
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { type DnsServer, LOAD_CORE } from "./dns-servers.ts";
import { cpuBetween, cpuTimeOf, residentOctets } from "./machine.ts";

/** Queries under way at once: enough to keep a server busy, and few enough that no socket buffer overflows. */
export const OUTSTANDING = 200;
/** Sockets, or connections, that dnsperf asks from. */
export const CLIENTS = 10;
const TIMEOUT_SECONDS = 1;

export type Load = {
  readonly queries: string;
  readonly transport: "udp" | "tcp";
  readonly seconds: number;
  readonly rcode: "NOERROR" | "NXDOMAIN";
};
export type Sample = {
  readonly answersPerSecond: number;
  readonly userMicros: number;
  readonly systemMicros: number;
  /** Share of one core that the server used: near 1, or the load could not fill it. */
  readonly busy: number;
  readonly lost: number;
};
export type LatencySample = { readonly p50Micros: number; readonly p99Micros: number; readonly lost: number };

export type DnsperfResult = { completed: number; lost: number; seconds: number; rcodes: Record<string, number> };

/** @throws Error when it is no report of dnsperf 2 */
export function readDnsperf(text: string): DnsperfResult {
  const number = (pattern: RegExp): number => {
    const match = pattern.exec(text);
    if (!match) throw new Error(`dnsperf says: ${text.slice(-2_000)}`);
    return Number(match[1]);
  };
  const rcodes = /Response codes:\s+(.*)/.exec(text)?.[1] ?? "";
  return {
    completed: number(/Queries completed:\s+(\d+)/),
    lost: number(/Queries lost:\s+(\d+)/),
    seconds: number(/Run time \(s\):\s+([\d.]+)/),
    rcodes: Object.fromEntries(
      [...rcodes.matchAll(/([A-Z0-9]+) (\d+) \(/g)].map(([, name, count]) => [name, Number(count)]),
    ),
  };
}

/** Latencies of the lines that `dnsperf -v` prints for each answer, in µs, sorted. */
export function readLatencies(text: string): Float64Array {
  const seconds = [...text.matchAll(/^> .* (\d+\.\d+)$/gm)].map(([, value]) => Number(value));
  return Float64Array.from(seconds, (value) => value * 1e6).sort();
}
/** The smallest value that `share` of all do not exceed. */
export const percentile = (sorted: Float64Array, share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;

/** @param output file that takes what it prints: a pipe would wake us while it measures */
function runDnsperf(server: DnsServer, load: Load, options: readonly string[], output: string): string {
  const args = ["-c", String(LOAD_CORE), "dnsperf", "-s", "127.0.0.1", "-p", String(server.port), "-m", load.transport];
  args.push("-B", "-d", load.queries, "-l", String(load.seconds), "-c", String(CLIENTS), "-t", String(TIMEOUT_SECONDS));
  const descriptor = openSync(output, "w");
  spawnSync("taskset", [...args, ...options], { stdio: ["ignore", descriptor, descriptor] });
  closeSync(descriptor);
  return readFileSync(output, "utf8");
}

function checkRcodes(server: DnsServer, load: Load, { rcodes, completed }: DnsperfResult): void {
  if ((rcodes[load.rcode] ?? 0) === completed && completed > 0) return;
  throw new Error(`${server.recipe.name} should answer ${load.rcode}, and answers ${JSON.stringify(rcodes)}`);
}

/** As many queries as one core can ask, `OUTSTANDING` at once. */
export function measure(server: DnsServer, load: Load, output: string): Sample {
  const before = server.pids.map(cpuTimeOf);
  const result = readDnsperf(runDnsperf(server, load, ["-q", String(OUTSTANDING)], output));
  const spent = server.pids.map((pid, index) => cpuBetween(before[index]!, cpuTimeOf(pid)));
  checkRcodes(server, load, result);
  const { completed, seconds, lost } = result;
  const total = (key: "userMs" | "systemMs") => spent.reduce((sum, cpu) => sum + cpu[key], 0);
  return {
    answersPerSecond: completed / seconds,
    userMicros: (total("userMs") * 1_000) / completed,
    systemMicros: (total("systemMs") * 1_000) / completed,
    busy: (total("userMs") + total("systemMs")) / (seconds * 1_000),
    lost,
  };
}

/** `rate` queries a second, evenly: how long does an answer take where there is no queue? */
export function measureLatency(server: DnsServer, load: Load, rate: number, output: string): LatencySample {
  const text = runDnsperf(server, load, ["-v", "-Q", String(Math.round(rate))], output);
  const result = readDnsperf(text);
  checkRcodes(server, load, result);
  const latencies = readLatencies(text);
  return { p50Micros: percentile(latencies, 0.5), p99Micros: percentile(latencies, 0.99), lost: result.lost };
}

/** Resident memory now, in MiB. */
export const residentMib = (server: DnsServer): number => Math.round(residentOctets(server.pids) / 1_048_576);
