import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { constants } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Libc } from "#dns/transport/libc.ts";
import { findBatchFault, openUdpBatch } from "#dns/transport/udp-batch.ts";
import { createCounterSlots, DNS_COUNTER, DNS_COUNTERS } from "#state/counters.ts";
import type { Respond } from "#state/respond.ts";
import { dnsTransportContract } from "../../contract/dns-transport.ts";
import { loadedLibc, withoutLibc } from "./native.ts";
import { echo, underTest } from "./udp-client.ts";

const { EAGAIN, EBADF, ENOBUFS, EPERM } = constants.errno;
const loaded = loadedLibc();
const skip = withoutLibc;
/** Where there is none, every test that uses it is skipped. */
const libc = loaded!;
const waitMs = 1; // the client runs in the same thread

const openAt = (address: string, to?: string) =>
  underTest(address, (options) => openUdpBatch({ libc, waitMs, listen: { address, port: 0 }, ...options }), to);

if (!skip) {
  dnsTransportContract("openUdpBatch() on IPv4", openAt("127.0.0.1"));
  dnsTransportContract("openUdpBatch() on IPv6", openAt("::1"));
  dnsTransportContract("openUdpBatch() on all IPv4 addresses", openAt("0.0.0.0", "127.0.9.9"));
  dnsTransportContract("openUdpBatch() on all IPv6 addresses", openAt("::", "::1"));
}

/** Asks from a fresh socket, and resolves with the responses in their order once there are `count`. */
async function ask(port: number, messages: readonly Buffer[], count = messages.length): Promise<Buffer[]> {
  const socket = createSocket("udp4");
  const responses: Buffer[] = [];
  const done = new Promise<void>((resolve) => {
    socket.on("message", (message) => responses.push(message) === count && resolve());
  });
  for (const message of messages) socket.send(message, port, "127.0.0.1");
  await done;
  socket.close();
  return responses;
}

async function withBatch(
  options: { over?: Partial<Libc>; respond?: Respond; address?: string; onBatch?: () => void },
  body: (port: number, counters: Float64Array) => Promise<void>,
): Promise<void> {
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const transport = openUdpBatch({
    libc: { ...libc, ...options.over },
    listen: { address: options.address ?? "127.0.0.1", port: 0 },
    respond: options.respond ?? echo,
    counters,
    waitMs,
    ...(options.onBatch ? { onBatch: options.onBatch } : {}),
  });
  try {
    await body(transport.port, counters);
  } finally {
    await transport.close();
  }
}

const messagesOf = (count: number) => Array.from({ length: count }, (_, index) => Buffer.alloc(20 + index, index));
const sorted = (messages: readonly Buffer[]) => [...messages].sort((a, b) => a.length - b.length);

/** A system call whose first results are made up; then it is the real one. */
const faulty = (call: "recvmmsg" | "sendmmsg", faults: number[]) => {
  let lastErrno: number | undefined;
  return {
    [call](...args: Parameters<Libc["recvmmsg"]>) {
      lastErrno = faults.shift();
      return lastErrno === undefined ? (libc[call] as Libc["recvmmsg"])(...args) : -1;
    },
    errno: () => lastErrno ?? libc.errno(),
  } as Partial<Libc>;
};

test("findBatchFault() finds none here, and says which call does not work", { skip }, () => {
  assert.equal(findBatchFault(libc), undefined);
  const { ENOSYS } = constants.errno;
  assert.equal(findBatchFault({ ...libc, recvmmsg: () => -1, errno: () => ENOSYS }), "recvmmsg ENOSYS");
  const received = { ...libc, recvmmsg: () => 0 };
  assert.equal(findBatchFault({ ...received, sendmmsg: () => -1, errno: () => EPERM }), "sendmmsg EPERM");
  assert.equal(findBatchFault({ ...libc, socket: () => -1, errno: () => EPERM }), "socket EPERM");
});

test("openUdpBatch() takes what is queued as one batch, and says when it begins", { skip }, async () => {
  let batches = 0;
  await withBatch({ onBatch: () => batches++ }, async (port, counters) => {
    // The socket is not read while this thread sends.
    assert.deepEqual(sorted(await ask(port, messagesOf(150))), messagesOf(150));
    assert.equal(counters[DNS_COUNTER.batches], batches);
    assert.ok(batches >= 3, "64 datagrams are the most that one batch takes");
  });
});

test("openUdpBatch() takes the largest datagram whole", { skip }, async () => {
  const seen: number[] = [];
  const respond: Respond = (request, length, _client, out) => {
    seen.push(length, request[length - 1]!);
    out[0] = 1;
    return 1;
  };
  await withBatch({ respond }, async (port) => {
    await ask(port, [Buffer.alloc(65_507, 9)]);
    assert.deepEqual(seen, [65_507, 9]);
  });
});

test("openUdpBatch() goes on from where a partial send stopped", { skip }, async () => {
  const sizes: number[] = [];
  const over: Partial<Libc> = {
    sendmmsg(descriptor, at, count, flags) {
      sizes.push(count);
      return libc.sendmmsg(descriptor, at, Math.min(count, 7), flags);
    },
  };
  await withBatch({ over }, async (port, counters) => {
    assert.deepEqual(sorted(await ask(port, messagesOf(50))), messagesOf(50));
    assert.equal(counters[DNS_COUNTER.send_errors], 0);
    assert.ok(counters[DNS_COUNTER.send_partial]! > 0 && sizes.length > 7);
  });
});

for (const { name, faults, lost } of [
  { name: "waits for room once", faults: [EAGAIN], lost: 0 },
  { name: "gives the batch up when there is no room for long", faults: [EAGAIN, EAGAIN], lost: 20 },
  { name: "leaves out the one answer that cannot be sent", faults: [EPERM], lost: 1 },
  { name: "leaves out one answer for each want of buffers", faults: [ENOBUFS, ENOBUFS], lost: 2 },
]) {
  test(`openUdpBatch() ${name}, and counts what is lost`, { skip }, async () => {
    let isReading = false;
    const over = faulty("sendmmsg", faults);
    over.recvmmsg = (descriptor, at, count, flags, timeout) =>
      isReading ? libc.recvmmsg(descriptor, at, count, flags, timeout) : 0;
    await withBatch({ over }, async (port, counters) => {
      const socket = createSocket("udp4");
      const responses: Buffer[] = [];
      const arrived = (count: number) =>
        new Promise<void>((resolve) => {
          const look = () => responses.length === count && resolve();
          socket.on("message", look);
          look();
        });
      socket.on("message", (message) => responses.push(message));
      const send = (message: Buffer) => new Promise((resolve) => socket.send(message, port, "127.0.0.1", resolve));
      for (const message of messagesOf(20)) await send(message);
      isReading = true; // now all of them are one batch
      while (counters[DNS_COUNTER.batches] === 0) await nextTurn();
      await send(Buffer.alloc(5));
      await arrived(21 - lost);
      assert.deepEqual(responses, [...messagesOf(20).slice(lost), Buffer.alloc(5)]);
      assert.equal(counters[DNS_COUNTER.send_errors], lost);
      socket.close();
    });
  });
}

test("openUdpBatch() drops what claims to come from port 0, and counts it", { skip }, async () => {
  let memory = new Uint8Array(0);
  const over: Partial<Libc> = {
    addressOf(view) {
      if (view.byteLength > memory.length) memory = view as Uint8Array<ArrayBuffer>;
      return libc.addressOf(view);
    },
    recvmmsg(descriptor, at, count, flags, timeout) {
      const received = libc.recvmmsg(descriptor, at, count, flags, timeout);
      const header = new DataView(memory.buffer, Number(at - libc.addressOf(memory)));
      if (received <= 0) return received;
      const name = Number(header.getBigUint64(0, true) - libc.addressOf(memory));
      if (memory[name + 4] === 127 && hits++ === 0) memory.fill(0, name + 2, name + 4);
      return received;
    },
  };
  let hits = 0;
  let calls = 0;
  const respond: Respond = (request, length, client, out) => {
    calls++;
    return echo(request, length, client, out);
  };
  await withBatch({ over, respond }, async (port, counters) => {
    const [answer] = await ask(port, [Buffer.alloc(13), Buffer.alloc(14)], 1);
    assert.equal(answer!.length, 14);
    assert.deepEqual([calls, counters[DNS_COUNTER.dropped_port]], [1, 1]);
  });
});

test("openUdpBatch() passes over errors that pass", { skip }, async () => {
  await withBatch({ over: faulty("recvmmsg", [constants.errno.ECONNREFUSED, constants.errno.EINTR]) }, async (port) => {
    assert.deepEqual(await ask(port, [Buffer.alloc(12, 3)]), [Buffer.alloc(12, 3)]);
  });
});

test("openUdpBatch() ends its thread when its socket is broken for good", { skip }, () => {
  const script = `
    import { openUdpBatch } from "#dns/transport/udp-batch.ts";
    import { loadLibc } from "#dns/transport/libc.ts";
    const libc = { ...loadLibc(), recvmmsg: () => -1, errno: () => ${EBADF} };
    process.on("uncaughtException", (error) => { console.log(error.code, error.message); process.exit(3); });
    const listen = { address: "127.0.0.1", port: 0 };
    openUdpBatch({ libc, listen, respond: () => 0, counters: new Float64Array(200) });`;
  const { status, stdout } = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", script], {
    encoding: "utf8",
    cwd: join(import.meta.dirname, "../../.."),
  });
  assert.deepEqual([status, stdout], [3, "EBADF recvmmsg EBADF\n"]);
});

test("openUdpBatch() answers what is queued before it closes", { skip }, async () => {
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const transport = openUdpBatch({ libc, waitMs, listen: { address: "127.0.0.1", port: 0 }, respond: echo, counters });
  const socket = createSocket("udp4");
  const responses: Buffer[] = [];
  socket.on("message", (message) => responses.push(message));
  const isSent = Promise.all(
    messagesOf(200).map(
      (message) => new Promise((resolve) => socket.send(message, transport.port, "127.0.0.1", resolve)),
    ),
  );
  await isSent;
  await transport.close();
  while (responses.length < 200) await once(socket, "message");
  socket.close();
});

test("openUdpBatch() lets several sockets share one port", { skip }, async () => {
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const first = openUdpBatch({ libc, waitMs, listen: { address: "127.0.0.1", port: 0 }, respond: echo, counters });
  const listen = { address: "127.0.0.1", port: first.port };
  const second = openUdpBatch({ libc, waitMs, listen, respond: echo, counters });
  assert.equal(second.port, first.port);
  await Promise.all([first.close(), second.close()]);
});
