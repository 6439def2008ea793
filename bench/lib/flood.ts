/**
 * Sends UDP queries as fast as this core can, or at a rate, from very many loopback addresses: sendmmsg through
 * `node:ffi`, with the source of each message set by IP_PKTINFO. Needs no rights, and reaches nothing but 127.0.0.0/8.
 *
 * `node bench/lib/flood.ts PORT SECONDS RATE KIND`; RATE 0: as fast as it goes; KIND: `sources` (random sources, a name
 * that exists) or `names` (random names, a few hundred sources). Prints `started` when it begins, and one line of JSON when it ends.
 * @module
 */
import { createSeededRng } from "#base/rng.ts";
import { NAMES, ZONE } from "./dns-world.ts";

const [portText, secondsText, rateText, kind] = process.argv.slice(2);
const port = Number(portText);
const seconds = Number(secondsText);
const rate = Number(rateText);
if (!(port > 0 && seconds > 0 && rate >= 0) || (kind !== "sources" && kind !== "names")) {
  throw new Error("Usage: node bench/lib/flood.ts PORT SECONDS RATE sources|names");
}

type Pointer = bigint;
const ffi = process.getBuiltinModule("node:ffi") as unknown as {
  dlopen(path: null, signatures: object): { functions: Record<string, (...args: (number | Pointer)[]) => number> };
  getRawPointer(buffer: ArrayBufferView): Pointer;
};
const { functions } = ffi.dlopen(null, {
  socket: { arguments: ["i32", "i32", "i32"], return: "i32" },
  setsockopt: { arguments: ["i32", "i32", "i32", "pointer", "u32"], return: "i32" },
  sendmmsg: { arguments: ["i32", "pointer", "u32", "i32"], return: "i32" },
});

/** Different messages; they go round. */
const MESSAGES = 65_536;
const BATCH = 64;
const MESSAGE_OCTETS = 64;
const rng = createSeededRng(Date.now());
const random = (below: number) => Math.floor(rng() * below);

// x86-64 and arm64: struct msghdr 56 octets, mmsghdr 64, iovec 16, cmsghdr 16 + in_pktinfo 12, sockaddr_in 16.
const headers = Buffer.alloc(MESSAGES * 64);
const vectors = Buffer.alloc(MESSAGES * 16);
const controls = Buffer.alloc(MESSAGES * 32);
const payloads = Buffer.alloc(MESSAGES * MESSAGE_OCTETS);
const target = Buffer.alloc(16);
target.writeUInt16LE(2, 0);
target.writeUInt16BE(port, 2);
target.set([127, 0, 0, 1], 4);
const base = {
  vectors: ffi.getRawPointer(vectors),
  controls: ffi.getRawPointer(controls),
  payloads: ffi.getRawPointer(payloads),
};

for (let index = 0; index < MESSAGES; index++) {
  const label =
    kind === "names" ? `x${random(2 ** 31).toString(36)}${random(2 ** 31).toString(36)}` : `host${random(NAMES)}`;
  const labels = [label, ...ZONE.split(".")].flatMap((text) => [text.length, ...Buffer.from(text)]);
  const id = random(65_536);
  const query = Buffer.from([id >>> 8, id & 255, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]);
  query.copy(payloads, index * MESSAGE_OCTETS);
  vectors.writeBigUInt64LE(base.payloads + BigInt(index * MESSAGE_OCTETS), index * 16);
  vectors.writeBigUInt64LE(BigInt(query.length), index * 16 + 8);
  // 127.0.0.0/9 for random sources; for random names the resolvers of a few hundred networks.
  const source =
    kind === "sources" ? [127, random(128), random(256), 1 + random(254)] : [127, 130, random(256), 1 + random(4)];
  controls.writeBigUInt64LE(28n, index * 32);
  controls.writeInt32LE(0, index * 32 + 8); // IPPROTO_IP
  controls.writeInt32LE(8, index * 32 + 12); // IP_PKTINFO
  controls.set(source, index * 32 + 20); // in_pktinfo.ipi_spec_dst
  const at = index * 64;
  headers.writeBigUInt64LE(ffi.getRawPointer(target), at);
  headers.writeUInt32LE(16, at + 8);
  headers.writeBigUInt64LE(base.vectors + BigInt(index * 16), at + 16);
  headers.writeBigUInt64LE(1n, at + 24);
  headers.writeBigUInt64LE(base.controls + BigInt(index * 32), at + 32);
  headers.writeBigUInt64LE(32n, at + 40);
}
const descriptor = functions["socket"]!(2, 2, 0);
// The replies come back to addresses where nobody listens, except for those that meet this socket's port: a queue of
// one page, so that they are dropped at once.
functions["setsockopt"]!(descriptor, 1, 8, ffi.getRawPointer(new Int32Array([1])), 4);
const pointer = ffi.getRawPointer(headers);
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
    const done = functions["sendmmsg"]!(descriptor, pointer + BigInt(next * 64), BATCH, 0);
    calls++;
    if (done > 0) sent += done;
    next = (next + BATCH) % MESSAGES;
  }
}
const elapsedSeconds = (performance.now() - startMs) / 1_000;
process.stdout.write(`${JSON.stringify({ sent, perSecond: Math.round(sent / elapsedSeconds), calls })}\n`);
