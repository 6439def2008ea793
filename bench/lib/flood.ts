/**
 * Sends UDP queries as fast as this core can, or at a rate, from very many loopback addresses: sendmmsg, with the source
 * of each message set by IP_PKTINFO. Needs no rights, and reaches nothing but 127.0.0.0/8.
 *
 * `node bench/lib/flood.ts PORT SECONDS RATE KIND`; RATE 0: as fast as it goes; KIND: `sources` (random sources, a name
 * that exists) or `names` (random names, a few hundred sources). Prints `started` when it begins, and one line of JSON when it ends.
 * @module
 */

import { CMSGHDR, controlSpace, IN_PKTINFO, IOVEC, MMSGHDR, MSGHDR, SOCKADDR_IN } from "#base/native/layout.ts";
import { createSeededRng } from "#base/rng.ts";
import { loadLibc } from "#dns/transport/libc.ts";
import { NAMES, ZONE } from "./dns-world.ts";

const [portText, secondsText, rateText, kind] = process.argv.slice(2);
const port = Number(portText);
const seconds = Number(secondsText);
const rate = Number(rateText);
if (!(port > 0 && seconds > 0 && rate >= 0) || (kind !== "sources" && kind !== "names")) {
  throw new Error("Usage: node bench/lib/flood.ts PORT SECONDS RATE sources|names");
}

const libc = loadLibc();
if (typeof libc === "string") throw new Error(`A flood cannot be made here: ${libc}`);

/** Different messages; they go round. */
const MESSAGES = 65_536;
const BATCH = 64;
const MESSAGE_OCTETS = 64;
const rng = createSeededRng(Date.now());
const random = (below: number) => Math.floor(rng() * below);

const CONTROL_OCTETS = controlSpace(IN_PKTINFO.size);
const headers = Buffer.alloc(MESSAGES * MMSGHDR.size);
const vectors = Buffer.alloc(MESSAGES * IOVEC.size);
const controls = Buffer.alloc(MESSAGES * CONTROL_OCTETS);
const payloads = Buffer.alloc(MESSAGES * MESSAGE_OCTETS);
const target = Buffer.alloc(SOCKADDR_IN.size);
target.writeUInt16LE(2, SOCKADDR_IN.family); // AF_INET
target.writeUInt16BE(port, SOCKADDR_IN.port);
target.set([127, 0, 0, 1], SOCKADDR_IN.address);
const base = {
  vectors: libc.addressOf(vectors),
  controls: libc.addressOf(controls),
  payloads: libc.addressOf(payloads),
};

for (let index = 0; index < MESSAGES; index++) {
  const label =
    kind === "names" ? `x${random(2 ** 31).toString(36)}${random(2 ** 31).toString(36)}` : `host${random(NAMES)}`;
  const labels = [label, ...ZONE.split(".")].flatMap((text) => [text.length, ...Buffer.from(text)]);
  const id = random(65_536);
  const query = Buffer.from([id >>> 8, id & 255, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]);
  query.copy(payloads, index * MESSAGE_OCTETS);
  const vector = index * IOVEC.size;
  vectors.writeBigUInt64LE(base.payloads + BigInt(index * MESSAGE_OCTETS), vector + IOVEC.base);
  vectors.writeBigUInt64LE(BigInt(query.length), vector + IOVEC.length);
  // 127.0.0.0/9 for random sources; for random names the resolvers of a few hundred networks.
  const source =
    kind === "sources" ? [127, random(128), random(256), 1 + random(254)] : [127, 130, random(256), 1 + random(4)];
  const control = index * CONTROL_OCTETS;
  controls.writeBigUInt64LE(BigInt(CMSGHDR.size + IN_PKTINFO.size), control + CMSGHDR.length);
  controls.writeInt32LE(0, control + CMSGHDR.level); // IPPROTO_IP
  controls.writeInt32LE(8, control + CMSGHDR.type); // IP_PKTINFO
  controls.set(source, control + CMSGHDR.size + IN_PKTINFO.source);
  const header = index * MMSGHDR.size + MMSGHDR.header;
  headers.writeBigUInt64LE(libc.addressOf(target), header + MSGHDR.name);
  headers.writeUInt32LE(target.length, header + MSGHDR.nameLength);
  headers.writeBigUInt64LE(base.vectors + BigInt(vector), header + MSGHDR.vectors);
  headers.writeBigUInt64LE(1n, header + MSGHDR.vectorCount);
  headers.writeBigUInt64LE(base.controls + BigInt(control), header + MSGHDR.control);
  headers.writeBigUInt64LE(BigInt(CONTROL_OCTETS), header + MSGHDR.controlLength);
}
const descriptor = libc.socket(2, 2, 0);
// The replies come back to addresses where nobody listens, except for those that meet this socket's port: a queue of
// one page, so that they are dropped at once.
libc.setsockopt(descriptor, 1, 8, libc.addressOf(new Int32Array([1])), 4);
const pointer = libc.addressOf(headers);
process.stdout.write("started\n");
const startMs = performance.now();
let sent = 0;
let next = 0;
let calls = 0;
for (;;) {
  const elapsedMs = performance.now() - startMs;
  if (elapsedMs >= seconds * 1_000) break;
  if (rate > 0 && sent > (rate * elapsedMs) / 1_000) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    continue;
  }
  for (let batch = 0; batch < 8; batch++) {
    const done = libc.sendmmsg(descriptor, pointer + BigInt(next * MMSGHDR.size), BATCH, 0);
    calls++;
    if (done > 0) sent += done;
    next = (next + BATCH) % MESSAGES;
  }
}
const elapsedSeconds = (performance.now() - startMs) / 1_000;
process.stdout.write(`${JSON.stringify({ sent, perSecond: Math.round(sent / elapsedSeconds), calls })}\n`);
