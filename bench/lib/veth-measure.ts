/**
 * One measurement over a veth pair: kxdpgun on the load's core offers queries at a rate, whatever comes back, to a server on
 * a core of its own.
 *
 * Units:   CPU as in `dns-measure.ts`: what the kernel charged to all threads of the server. That has in it what a thread's
 *          sending sets off at the other end of the pair, since the kernel runs it right there; a packet's way in, through
 *          the driver as far as the socket or ring, runs where kxdpgun sends, and nobody's server is charged for it.
 * @module
 */
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { LOAD_CORE } from "./dns-servers.ts";
import { hostName } from "./dns-world.ts";
import { cpuBetween, cpuTimeOf, median } from "./machine.ts";

/** Queries that kxdpgun sends with one call. */
const BATCH_QUERIES = 10;

export type VethSample = {
  readonly sentPerSecond: number;
  readonly answersPerSecond: number;
  /** Share of the queries that was never answered. */
  readonly lostShare: number;
  readonly userMicros: number;
  readonly systemMicros: number;
  /** Share of one core that the server used. */
  readonly busy: number;
};
export type VethMedians = VethSample & { readonly cpuMicros: number };

export type KxdpgunResult = { sent: number; answered: number; seconds: number; rcodes: Record<string, number> };

/** @throws Error when it is no report of kxdpgun 3 */
export function readKxdpgun(text: string): KxdpgunResult {
  const number = (pattern: RegExp): number => {
    const match = pattern.exec(text);
    if (!match) throw new Error(`kxdpgun says: ${text.slice(-2_000)}`);
    return Number(match[1]);
  };
  return {
    sent: number(/total queries:\s+(\d+)/),
    answered: number(/total replies:\s+(\d+)/),
    seconds: number(/duration: (\d+) s/),
    rcodes: Object.fromEntries(
      [...text.matchAll(/responded (\w+):\s+(\d+)/g)].map(([, name, count]) => [name, Number(count)]),
    ),
  };
}

/** All names of the zone, with EDNS, as kxdpgun reads them. */
export function writeKxdpgunQueries(file: string, names: number): void {
  writeFileSync(file, Array.from({ length: names }, (_, index) => `${hostName(index)} A E\n`).join(""));
}

export type VethLoad = {
  readonly queries: string;
  readonly address: string;
  /** Network that the clients' addresses are drawn from; undefined: one client. */
  readonly clients: string | undefined;
  readonly rate: number;
  readonly seconds: number;
};

/** @param within how a command runs at the client's end */
export function measureVeth(
  within: (command: readonly string[]) => readonly string[],
  pids: readonly number[],
  load: VethLoad,
  output: string,
): VethSample {
  const command = ["kxdpgun", "-F", String(LOAD_CORE), "-t", String(load.seconds), "-Q", String(load.rate)];
  command.push("-b", String(BATCH_QUERIES), "-i", load.queries, ...(load.clients ? ["-l", load.clients] : []));
  const descriptor = openSync(output, "w");
  const before = pids.map(cpuTimeOf);
  spawnSync("taskset", ["-c", String(LOAD_CORE), ...within([...command, load.address])], {
    stdio: ["ignore", descriptor, descriptor],
  });
  const spent = pids.map((pid, index) => cpuBetween(before[index]!, cpuTimeOf(pid)));
  closeSync(descriptor);
  const { sent, answered, seconds, rcodes } = readKxdpgun(readFileSync(output, "utf8"));
  if (answered === 0 || rcodes["NOERROR"] !== answered)
    throw new Error(`should answer NOERROR to ${sent} queries, and answers ${JSON.stringify(rcodes)}`);
  const total = (key: "userMs" | "systemMs") => spent.reduce((sum, cpu) => sum + cpu[key], 0);
  return {
    sentPerSecond: sent / seconds,
    answersPerSecond: answered / seconds,
    lostShare: Math.max(0, 1 - answered / sent),
    userMicros: (total("userMs") * 1_000) / answered,
    systemMicros: (total("systemMs") * 1_000) / answered,
    busy: (total("userMs") + total("systemMs")) / (seconds * 1_000),
  };
}

export function vethMedians(samples: readonly VethSample[]): VethMedians {
  const of = (key: keyof VethSample) => median(samples.map((sample) => sample[key]));
  return {
    sentPerSecond: of("sentPerSecond"),
    answersPerSecond: of("answersPerSecond"),
    lostShare: of("lostShare"),
    cpuMicros: median(samples.map(({ userMicros, systemMicros }) => userMicros + systemMicros)),
    userMicros: of("userMicros"),
    systemMicros: of("systemMicros"),
    busy: of("busy"),
  };
}
