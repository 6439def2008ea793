/**
 * `npm run soak:xdp [-- --seconds N --seed N]`: a node with `engine: xdp` among mutated frames at the
 * highest rate that the wire between two namespaces carries. It must lose no frame of its memory, send no frame that
 * is not whole, keep its memory, and answer every query afterwards.
 *
 * Ends with 0, or with 1 and what went wrong; 2 for a wrong use or where there can be no namespaces. An hour by default.
 * @module
 */
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { parseIp } from "#base/ip.ts";
import { createSeededRng } from "#base/rng.ts";
import { loadXdpCalls, type XdpCalls } from "#dns/transport/xdp/calls.ts";
import { OPTION } from "#dns/wire/edns.ts";
import { ecsData, encodeQuery } from "#dns/wire/encode-query.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import type { XdpStats } from "#state/xdp.ts";
import { CLIENT, createVethBed, INTERFACE, SERVER, type VethBed, withoutVeth } from "../dns/transport/veth-bed.ts";
import { parseFrame } from "../dns/transport/xdp/frames.ts";
import { projectFolder } from "../system/running.ts";
import { folderWith } from "../system/tools.ts";
import { openFrameClient } from "./frame-client.ts";
import { createMutatedFrames, type Side } from "./mutated-frames.ts";
import { describeTrend } from "./trend.ts";

const USAGE = "Usage: npm run soak:xdp -- [--seconds N] [--seed N]\n";
const { values } = parseArgs({ options: { seconds: { type: "string" }, seed: { type: "string" } }, strict: false });
const seconds = Number(values.seconds ?? 3_600);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
if (!Number.isInteger(seconds) || seconds < 10 || !Number.isInteger(seed)) {
  process.stderr.write(`${USAGE}--seconds takes a whole number from 10 on, --seed a whole number\n`);
  process.exit(2);
}
const missing = withoutVeth();
if (missing !== false) {
  process.stderr.write(`This soak needs two network namespaces: ${missing}\n`);
  process.exit(2);
}

const PORT = 53;
const CLIENT_PORT = 40_053;
const BATCH_FRAMES = 256;
/** Reading a frame by the octet takes longer than answering it. */
const READ_EVERY = 16;
const CALM_QUERIES = 1_000;
const CALM_LIMIT_MS = 20_000;
const NAMES = 50;

const cleanups: (() => unknown)[] = [];
const context = { after: (cleanup: () => unknown) => void cleanups.push(cleanup) };
const faults: string[] = [];
const expect = (isSo: boolean, says: string): void => {
  if (!isSo) faults.push(says);
};

const macOf = (bed: VethBed, place: "server" | "client") =>
  Uint8Array.from(bed.mac(place).split(":"), (octet) => Number.parseInt(octet, 16));

/** The kernel's own answers get their checksums here, not at a network card that this wire does not have. */
function finishChecksums(bed: VethBed): void {
  const calls = loadXdpCalls() as XdpCalls;
  const [AF_INET, SOCK_DGRAM, SIOCETHTOOL, ETHTOOL_STXCSUM] = [2, 2, 0x8946, 0x17];
  const value = Uint32Array.of(ETHTOOL_STXCSUM, 0);
  const interfaceRequest = new DataView(new ArrayBuffer(40)); // struct ifreq
  new Uint8Array(interfaceRequest.buffer).set(Buffer.from(INTERFACE));
  interfaceRequest.setBigUint64(16, calls.addressOf(value), true);
  bed.inside("server", () => {
    const descriptor = calls.socket(AF_INET, SOCK_DGRAM, 0);
    const result = calls.ioctl(descriptor, SIOCETHTOOL, calls.addressOf(interfaceRequest));
    calls.close(descriptor);
    if (result < 0) throw new Error(`ioctl ETHTOOL_STXCSUM: errno ${calls.errno()}`);
  });
}

function get(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve(text));
    });
    asked.on("error", reject).end();
  });
}

const residentMiB = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1_024;

function queries(): Uint8Array[] {
  const subnet = { code: OPTION.CLIENT_SUBNET, data: ecsData(Uint8Array.of(198, 51, 100, 0), 24) };
  return Array.from({ length: NAMES }, (_, index) => {
    const name = parseName(index % 8 === 0 ? `no${index}.x.example` : `host${index}.x.example`) as Uint8Array;
    return encodeQuery(name, TYPE.A, { id: index, ...(index % 3 === 0 ? { edns: { options: [subnet] } } : {}) });
  });
}

async function soak(): Promise<void> {
  const bed = createVethBed({ isStatic: true });
  context.after(() => bed.close());
  finishChecksums(bed);
  const folder = folderWith(context, {
    "rhumb.yaml": `version: 1
node: soak
dns: { listen: ["${SERVER[4]}:${PORT}", "[${SERVER[6]}]:${PORT}"], engine: xdp, interface: ${INTERFACE}, workers: 1, rrl: { rate: 1000000 } }
control: { listen: "unix:control.sock" }
zones: zones/
`,
    "zones/x.example.zone": [
      "$TTL 60",
      "@ SOA ns hostmaster 1 3600 600 604800 60",
      "@ NS ns",
      `ns A ${SERVER[4]}`,
      ...Array.from({ length: NAMES }, (_, index) => `host${index} A 192.0.2.${1 + index}`),
      "",
    ].join("\n"),
  });
  const command = [process.execPath, join(projectFolder, "bin/rhumb"), "start", "-c", join(folder, "rhumb.yaml")];
  const node = bed.start("server", command, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  for (const stream of [node.stdout!, node.stderr!]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      printed = (printed + text).slice(-20_000);
    });
  }
  const socketPath = join(folder, "control.sock");
  while (!printed.includes("Control API on")) {
    if (node.exitCode !== null) throw new Error(`rhumb does not start:\n${printed}`);
    await pause(50);
  }

  const client = openFrameClient(bed, CLIENT_PORT);
  context.after(() => client.close());
  const side = (place: "server" | "client", addresses: typeof SERVER | typeof CLIENT, port: number): Side => ({
    mac: macOf(bed, place),
    v4: parseIp(addresses[4])!,
    v6: parseIp(addresses[6])!,
    port,
  });
  const from = side("client", CLIENT, CLIENT_PORT);
  const to = side("server", SERVER, PORT);
  const frames = createMutatedFrames({ rng: createSeededRng(seed), messages: queries(), from, to });

  let answers = 0;
  let wrongAnswers = 0;
  const hear = (frame: Uint8Array): void => {
    answers++;
    if (answers % READ_EVERY !== 0) return;
    try {
      const { fromPort, toMac, message } = parseFrame(frame);
      const isResponse = message.length >= 12 && (message[2]! & 0x80) !== 0;
      if (!isResponse || fromPort !== PORT || Buffer.compare(toMac, from.mac) !== 0)
        throw new Error("no answer of ours");
    } catch (error) {
      wrongAnswers++;
      if (wrongAnswers <= 5) faults.push(`An answer that is none: ${(error as Error).message}`);
    }
  };

  const memory: number[] = [];
  const look = async (): Promise<XdpStats["queues"][number]["counters"]> => {
    const status = JSON.parse(await get(socketPath, "/status")) as { engine: { xdp: XdpStats } };
    const { counters } = status.engine.xdp.queues[0]!;
    const { frame_faults, frames_lost, invalid_sent } = counters;
    expect(
      frame_faults === 0 && frames_lost === 0 && invalid_sent === 0,
      `frames: ${frame_faults} faults, ${frames_lost} lost, ${invalid_sent} refused`,
    );
    memory.push(residentMiB(node.pid!));
    return counters;
  };

  process.stdout.write(`Soaking for ${seconds} s with the seed ${seed}\n`);
  let sent = 0;
  const end = performance.now() + seconds * 1_000;
  let next = performance.now() + 1_000;
  for (let second = 0; performance.now() < end && faults.length < 10; ) {
    sent += client.send(BATCH_FRAMES, frames.make);
    client.receive(hear);
    if (performance.now() < next) continue;
    if (node.exitCode !== null || node.signalCode !== null) throw new Error(`rhumb has ended:\n${printed}`);
    second++;
    next += 1_000;
    const { received, malformed } = await look();
    if (second % 10 === 0) {
      process.stdout.write(
        `  ${second} s: ${sent} frames, ${received} taken, ${malformed} malformed, ${answers} answers, ${Math.round(memory.at(-1)!)} MiB\n`,
      );
    }
  }

  // What is still under way is heard first; then no query goes unanswered.
  await pause(500);
  while (client.receive(hear) > 0) await nextTurn();
  const before = answers;
  const limit = performance.now() + CALM_LIMIT_MS;
  for (let calm = 0; calm < CALM_QUERIES && performance.now() < limit; calm = answers - before) {
    client.send(Math.min(10, CALM_QUERIES - calm), frames.makeSound);
    const expected = Math.min(CALM_QUERIES, calm + 10);
    while (answers - before < expected && performance.now() < limit) {
      client.wait(10);
      client.receive(hear);
    }
  }
  expect(answers - before === CALM_QUERIES, `${answers - before} of ${CALM_QUERIES} calm queries were answered`);

  await pause(1_100); // the counters are read once a second
  const counters = await look();
  const metrics = await get(socketPath, "/metrics");
  const trend = describeTrend(memory);
  process.stdout.write(
    `${sent} frames sent, ${frames.soundCount()} of them sound; ${counters.received} taken, ${counters.malformed} malformed, ${counters.sent} answered; ` +
      `${counters.dropped_ring_full + counters.fill_empty + counters.dropped} dropped in front, ${answers} answers heard; ${trend.says}\n`,
  );
  expect(counters.received > 1_000 * seconds, `only ${counters.received} frames were taken: that proves little`);
  expect(counters.malformed > 0, "no frame was malformed: that proves little");
  expect(wrongAnswers === 0, `${wrongAnswers} answers were none`);
  expect(/^rhumb_dns_handler_faults_total 0$/m.test(metrics), "the responder had faults");
  expect(!printed.includes("ended unexpectedly"), `a worker ended:\n${printed}`);
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
