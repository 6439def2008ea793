/**
 * One measurement: wrk or h2load on the load's core against a balancer on its own, and what that cost the balancer.
 *
 * Units:   CPU is what the kernel charged to all threads of the balancer, `/proc/PID/stat`, in ticks of 10 ms.
 * @module
 */
import { readFileSync, rmSync } from "node:fs";
import { percentile } from "./dns-measure.ts";
import { cpuBetween, cpuTimeOf } from "./machine.ts";
import { runPinned } from "./pinned.ts";

/** The balancer runs on the one; load and backends on the other. */
export const BALANCER_CORE = 0;
export const LOAD_CORE = 1;

/** Of one round; each key is a measure that columns and ratios may name. */
export type Sample = Readonly<Record<string, number>>;
export type Target = { readonly url: string; readonly pids: readonly number[] };
export type WrkLoad = {
  readonly path: string;
  readonly connections: number;
  readonly seconds: number;
  /** A connection for each request? */
  readonly isClosing: boolean;
};

/** @throws Error when it is no report of wrk 4 */
export function readWrk(text: string): Counted {
  const match = /(\d+) requests in ([\d.]+)(ms|s|m),/.exec(text);
  if (!match) throw new Error(`wrk says: ${text.slice(-2_000)}`);
  const scale = { ms: 0.001, s: 1, m: 60 }[match[3] as "ms" | "s" | "m"];
  const socketErrors =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  const statusErrors = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? "0";
  const errors = [...socketErrors, statusErrors].reduce((sum, value) => sum + Number(value), 0);
  return { requests: Number(match[1]), seconds: Number(match[2]) * scale, errors };
}

/** The command for such a load. */
export function wrkCommand(url: string, { path, connections, seconds, isClosing }: WrkLoad): string[] {
  const header = isClosing ? ["-H", "Connection: close"] : [];
  return ["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, ...header, `${url}${path}`];
}

/** What a client of a load did. */
export type Counted = { readonly requests: number; readonly seconds: number; readonly errors: number };

/** As many requests as fit through, or as one core can ask and answer. */
export const measureWrk = (target: Target, load: WrkLoad, output: string): Promise<Sample> =>
  measureLoad(target, wrkCommand(target.url, load), output, readWrk);

/** @param read what the client prints. @throws Error where nothing got through */
export async function measureLoad(
  target: Target,
  command: readonly string[],
  output: string,
  read: (text: string) => Counted,
): Promise<Sample> {
  const before = target.pids.map(cpuTimeOf);
  const result = read(await runPinned(LOAD_CORE, command, output));
  const spent = target.pids.map((pid, index) => cpuBetween(before[index]!, cpuTimeOf(pid)));
  const { requests, seconds, errors } = result;
  if (requests === 0) throw new Error(`no request got through in ${seconds} s`);
  const micros = (key: "userMs" | "systemMs") => (spent.reduce((sum, cpu) => sum + cpu[key], 0) * 1_000) / requests;
  const cpuMicros = micros("userMs") + micros("systemMs");
  return {
    rate: requests / seconds,
    cpuMicros,
    userMicros: micros("userMs"),
    systemMicros: micros("systemMs"),
    busy: (cpuMicros * requests) / (seconds * 1e6),
    errors,
  };
}

/** Of several at a time. @throws Error when they are no reports of `openssl s_time`, or sessions were not taken up again */
export function readSTime(text: string): Counted {
  const took = [...text.matchAll(/(\d+) connections in (\d+) real seconds/g)];
  if (took.length === 0 || /^[r*]*\*[r*]*$/m.test(text)) throw new Error(`openssl s_time says: ${text.slice(-2_000)}`);
  const requests = took.reduce((sum, [, connections]) => sum + Number(connections), 0);
  return { requests, seconds: Math.max(...took.map(([, , seconds]) => Number(seconds))), errors: 0 };
}

/** @throws Error when it is no report of h2load */
export function readH2load(text: string): Counted {
  const took = /finished in ([\d.]+)(us|ms|s|m),/.exec(text);
  const requests = /requests: (\d+) total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored/.exec(
    text,
  );
  if (!took || !requests) throw new Error(`h2load says: ${text.slice(-2_000)}`);
  const scale = { us: 1e-6, ms: 0.001, s: 1, m: 60 }[took[2] as "us" | "ms" | "s" | "m"];
  const [, , succeeded, failed, errored] = requests.map(Number) as [number, number, number, number, number];
  return { requests: succeeded, seconds: Number(took[1]) * scale, errors: failed + errored };
}

/** h2load looks at its clock a hundred times a second, for each client. */
const CLIENT_RATE = 100;
/** Clients start one after the other, so that they ask one after the other within each look at the clock. */
const CLIENT_START_MS = 1;
/** After the last one has started, until what connecting cost is over. */
const SETTLE_MS = 100;

/**
 * Latencies of the answers that a log of h2load has (start, status, µs), sorted.
 * @param span which of them, by the time from the first request to the request's start; without it all
 */
export function readH2loadLog(text: string, span?: { readonly fromMs: number; readonly toMs: number }): Float64Array {
  const rows = text
    .split("\n")
    .filter((row) => row !== "")
    .map((row) => row.split("\t").map(Number) as [number, number, number]);
  const firstMicros = rows.reduce((first, [start]) => Math.min(first, start), Number.POSITIVE_INFINITY);
  const isWithin = (startMicros: number): boolean => {
    const afterMs = (startMicros - firstMicros) / 1_000;
    return span === undefined || (afterMs >= span.fromMs && afterMs < span.toMs);
  };
  return Float64Array.from(
    rows.filter(([start, status]) => status === 200 && isWithin(start)),
    ([, , micros]) => micros,
  ).sort();
}

/**
 * `rate` small requests a second, evenly, through connections that stay.
 * @param seconds that count: connecting before them does not
 * @returns `answered`: requests that began in these seconds and were answered, in multiples of what was to be asked. Far
 *   below 1 nobody kept the pace, and percentiles are of those that were
 */
export async function measureLatency(url: string, rate: number, seconds: number, output: string): Promise<Sample> {
  const clients = Math.ceil(rate / CLIENT_RATE);
  const fromMs = clients * CLIENT_START_MS + SETTLE_MS;
  const log = `${output}.log`;
  rmSync(log, { force: true });
  // Each client asks its share and ends: the first has to go on until the last has asked for so long.
  const wanted = Math.round(rate * (fromMs / 1_000 + seconds));
  const command = ["h2load", "--h1", "-c", String(clients), "-n", String(wanted), "--rps", String(rate / clients)];
  command.push("-r", "1", `--rate-period=${CLIENT_START_MS}ms`, "--log-file", log, `${url}/small`);
  const said = await runPinned(LOAD_CORE, command, output);
  const text = readFileSync(log, "utf8");
  const answers = readH2loadLog(text).length;
  if (answers === 0) throw new Error(`h2load says: ${said.slice(-2_000)}`);
  const latencies = readH2loadLog(text, { fromMs, toMs: fromMs + seconds * 1_000 });
  return {
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    errors: wanted - answers,
    answered: latencies.length / (rate * seconds),
  };
}
