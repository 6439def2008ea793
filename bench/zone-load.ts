/**
 * Large zones: CPU time, peak memory and image size to load 10, 10,000 and 1,000,000 names, beside other servers' zone
 * checkers; and what a node that serves goes through while it reloads the largest: how long its main thread is blocked,
 * memory at its peak, queries lost, and the latency of answers beside the same load without a reload.
 *
 * Usage: node bench/zone-load.ts [--quick] [--json FILE]
 */
import { execFileSync, fork, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { startNode } from "#app/node.ts";
import { keepHeapTight } from "#base/heap.ts";
import { silentLog } from "#base/log.ts";
import { encodeQuery } from "#dns/wire/encode-query.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import { readZone } from "#dns/zone/read-zone.ts";
import { describeMachine, median, readArguments, writeReport } from "./lib/machine.ts";

const ORIGIN = "big.example";
const MIB = 1_048_576;
const [, , mode, argument] = process.argv;

const zoneText = (names: number, serial: number): string => {
  const lines = [`$ORIGIN ${ORIGIN}.`, "$TTL 300", `@ IN SOA ns1 host ${serial} 3600 600 604800 300`, "@ IN NS ns1"];
  lines.push("ns1 IN A 192.0.2.53");
  for (let index = 0; index < names; index++) lines.push(`host${index} IN A 192.0.2.${index % 251}`);
  return `${lines.join("\n")}\n`;
};
/** MiB at the highest so far, of a process. */
const peakMiB = (): number => process.resourceUsage().maxRSS / 1_024;
const cpuMs = (): number => process.cpuUsage().user / 1e3 + process.cpuUsage().system / 1e3;

// One load in a process of its own

type Load = { names: number; cpuMs: number; textMiB: number; aboveTextMiB: number; imageMiB: number };

function load(file: string, names: number): Load {
  const text = readFileSync(file, "latin1");
  const [before, start] = [peakMiB(), cpuMs()];
  const { image } = readZone(text, parseName(ORIGIN) as Uint8Array, 0x5eed, { file });
  return {
    names,
    cpuMs: cpuMs() - start,
    textMiB: text.length / MIB,
    aboveTextMiB: peakMiB() - before,
    imageMiB: image!.rdata.buffer.byteLength / MIB,
  };
}

/** CPU time of the children that have ended so far: fields 16 and 17 of proc_pid_stat(5), in ticks of 10 ms. */
function childrenCpuMs(): number {
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

// A node in a process of its own

type Reload = { tookMs: number; mainCpuMs: number; delayMs: number; rssMiB: number; peakMiB: number };

async function serve(folder: string): Promise<void> {
  keepHeapTight();
  const delay = monitorEventLoopDelay({ resolution: 5 });
  const config = join(folder, "rhumb.yaml");
  const node = await startNode({ config, version: "0", log: silentLog, stateFolder: join(folder, "state") });
  process.on("message", async (message) => {
    if (message !== "reload") {
      await node.close();
      process.exit(0);
    }
    delay.reset();
    delay.enable();
    const start = performance.now();
    const cpu = process.threadCpuUsage();
    await node.reload();
    const tookMs = performance.now() - start;
    const { user, system } = process.threadCpuUsage(cpu);
    delay.disable();
    const rssMiB = process.memoryUsage.rss() / MIB;
    const mainCpuMs = (user + system) / 1e3;
    process.send!({ tookMs, mainCpuMs, delayMs: delay.max / 1e6, rssMiB, peakMiB: peakMiB() } satisfies Reload);
  });
  process.send!({ port: node.parts.dns.addresses()[0]!.port, peakMiB: peakMiB() });
}

/** Asks at a steady rate until `until` settles. @returns µs of each answer, in order of size, and how many are missing */
async function probe(
  port: number,
  names: number,
  until: Promise<unknown>,
): Promise<{ micros: number[]; lost: number }> {
  const socket = createSocket("udp4");
  socket.connect(port, "127.0.0.1");
  await once(socket, "connect");
  const sentAt = new Map<number, bigint>();
  const micros: number[] = [];
  let sent = 0;
  let isOver = false;
  socket.on("message", (message) => {
    const id = message.readUInt16BE(0);
    const at = sentAt.get(id);
    if (at === undefined) return;
    sentAt.delete(id);
    micros.push(Number(process.hrtime.bigint() - at) / 1e3);
  });
  void until.finally(() => {
    isOver = true;
  });
  while (!isOver || sent < 500) {
    for (let burst = 0; burst < 4; burst++) {
      const id = sent++ & 0xffff;
      const name = parseName(`host${(sent * 7_919) % names}.${ORIGIN}`) as Uint8Array;
      sentAt.set(id, process.hrtime.bigint());
      socket.send(encodeQuery(name, TYPE.A, { id }));
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  socket.close();
  return { micros: micros.sort((a, b) => a - b), lost: sentAt.size };
}
const percentile = (sorted: readonly number[], share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0;

async function reloads(folder: string, names: number, count: number) {
  const file = join(folder, "zones", `${ORIGIN}.zone`);
  /** In a process of its own: the one that measures latency must not have garbage to collect. */
  const write = (serial: number): void => {
    spawnSync(process.execPath, [import.meta.filename, "--write", `${file}.new`, String(names), String(serial)]);
    renameSync(`${file}.new`, file);
  };
  write(1);
  writeFileSync(
    join(folder, "rhumb.yaml"),
    'version: 1\nnode: ns1\ndns: { listen: ["127.0.0.1:0"], workers: 4, rrl: { enabled: false } }\nzones: zones/\n',
  );
  const node = fork(import.meta.filename, ["--node", folder]);
  const [{ port, peakMiB: startPeakMiB }] = (await once(node, "message")) as [{ port: number; peakMiB: number }];
  const rounds: (Reload & { p99Micros: number; quietP99Micros: number; lost: number })[] = [];
  for (let round = 0; round < count; round++) {
    write(round + 2);
    const answered = once(node, "message") as Promise<[Reload]>;
    node.send("reload");
    const busy = await probe(port, names, answered);
    const [reload] = await answered;
    const quiet = await probe(
      port,
      names,
      new Promise((resolve) => setTimeout(resolve, Math.min(reload.tookMs, 3_000))),
    );
    const p99 = { p99Micros: percentile(busy.micros, 0.99), quietP99Micros: percentile(quiet.micros, 0.99) };
    rounds.push({ ...reload, ...p99, lost: busy.lost + quiet.lost });
  }
  node.send("close");
  await once(node, "exit");
  return { startPeakMiB, rounds };
}

async function compare(): Promise<void> {
  const { isQuick, json } = readArguments("npm run bench -- zone-load");
  const folder = mkdtempSync(join(tmpdir(), "rhumb-zone-load-"));
  mkdirSync(join(folder, "zones"));
  const ratios: Record<string, number> = {};
  const loads: Load[] = [];
  const others: Record<string, number> = {};
  try {
    for (const names of isQuick ? [10, 10_000, 100_000] : [10, 10_000, 1_000_000]) {
      const file = join(folder, "load.zone");
      spawnSync(process.execPath, [import.meta.filename, "--write", file, String(names), "1"]);
      const passes = Array.from({ length: names > 100_000 ? 3 : 5 }, () => {
        const { stdout } = spawnSync(process.execPath, [import.meta.filename, "--load", file, String(names)]);
        return JSON.parse(stdout.toString()) as Load;
      });
      const row = { ...passes[0]!, cpuMs: median(passes.map((pass) => pass.cpuMs)) };
      loads.push(row);
      process.stdout.write(
        `${names} names: ${row.cpuMs.toFixed(0)} ms of CPU, ${row.aboveTextMiB.toFixed(0)} MiB above ${row.textMiB.toFixed(1)} MiB of text, image ${row.imageMiB.toFixed(1)} MiB\n`,
      );
      for (const tool of ["nsd-checkzone", "named-checkzone"]) {
        const path = ["/usr/sbin", "/usr/bin"].map((bin) => join(bin, tool)).find(existsSync);
        if (path === undefined) continue;
        const before = childrenCpuMs();
        execFileSync(path, [ORIGIN, file], { stdio: "ignore" });
        const took = childrenCpuMs() - before;
        others[`${tool}.${names}`] = took;
        if (took < 50) continue; // less than five ticks of its clock
        ratios[`${names}.rhumb/${tool}`] = row.cpuMs / took;
        process.stdout.write(`  ${tool}: ${took} ms; rhumb takes ${(row.cpuMs / took).toFixed(2)} times as much\n`);
      }
    }
    const names = isQuick ? 100_000 : 1_000_000;
    const { startPeakMiB, rounds } = await reloads(folder, names, isQuick ? 3 : 10);
    const middle = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
    const last = rounds.at(-1)!;
    const p99 = middle((round) => round.p99Micros) / middle((round) => round.quietP99Micros);
    ratios["reload.p99/quiet"] = p99;
    ratios["reload.rss last/third"] = last.rssMiB / rounds[2]!.rssMiB;
    process.stdout.write(
      `Node with ${names} names, 4 UDP workers: peak ${startPeakMiB.toFixed(0)} MiB at the start, ${last.peakMiB.toFixed(0)} MiB after ${rounds.length} reloads; RSS after each ${rounds.map(({ rssMiB }) => rssMiB.toFixed(0)).join(" ")}\n` +
        `  a reload takes ${middle((round) => round.tookMs).toFixed(0)} ms, ${middle((round) => round.mainCpuMs).toFixed(0)} ms of it CPU of the main thread; that is late by ${middle((round) => round.delayMs).toFixed(0)} ms at most (highest ${Math.max(...rounds.map(({ delayMs }) => delayMs)).toFixed(0)})\n` +
        `  p99 ${middle((round) => round.p99Micros).toFixed(0)} µs, without a reload ${middle((round) => round.quietP99Micros).toFixed(0)} µs: ${p99.toFixed(2)} times; ${rounds.reduce((sum, { lost }) => sum + lost, 0)} queries lost\n`,
    );
    if (json !== undefined) {
      writeReport(json, {
        machine: describeMachine(),
        rounds: { loads, others, startPeakMiB, reloads: rounds },
        ratios,
      });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (mode === "--load") process.stdout.write(JSON.stringify(load(argument!, Number(process.argv[4]))));
else if (mode === "--write") writeFileSync(argument!, zoneText(Number(process.argv[4]), Number(process.argv[5])));
else if (mode === "--node") await serve(argument!);
else await compare();
