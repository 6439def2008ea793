import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import { openTcp, type TcpTransport } from "#dns/transport/tcp.ts";
import { createCounterSlots, DNS_COUNTER, DNS_COUNTERS, type DnsCounter } from "#state/counters.ts";
import { type Respond, TRANSPORT } from "#state/respond.ts";
import type { TcpLimits } from "#state/snapshot.ts";
import { dnsTransportContract, type OpenTransport } from "../../contract/dns-transport.ts";

const LIMITS: TcpLimits = {
  maxConnections: 100,
  maxConnectionsPerClient: 50,
  maxInFlight: 1_000,
  maxOutputOctets: 1_048_576,
  idleMs: 10_000,
  messageMs: 5_000,
  drainMs: 1_000,
};
const echo: Respond = (request, length, _client, out) => {
  out.set(request.subarray(0, length));
  return length;
};
const framed = (message: Uint8Array) => Buffer.concat([Buffer.from([message.length >>> 8, message.length]), message]);

/** Cuts what a socket receives into messages; `next(n)` waits for n of them in all. */
function reader(socket: Socket) {
  let octets = Buffer.alloc(0);
  const messages: Buffer[] = [];
  let wake = () => {};
  socket.on("data", (chunk: Buffer) => {
    octets = Buffer.concat([octets, chunk]);
    while (octets.length >= 2 && octets.length >= 2 + octets.readUInt16BE()) {
      const end = 2 + octets.readUInt16BE();
      messages.push(octets.subarray(2, end));
      octets = octets.subarray(end);
    }
    wake();
  });
  return {
    messages,
    async next(count: number) {
      while (messages.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return messages.slice(0, count);
    },
  };
}
const closed = (socket: Socket) => (socket.closed ? Promise.resolve() : once(socket, "close"));
async function dial(port: number, address = "127.0.0.1", from?: string): Promise<Socket> {
  const socket = connect({ port, host: address, localAddress: from, allowHalfOpen: true });
  socket.on("error", () => {}); // resets are among what is tested
  socket.on("end", () => socket.end());
  await once(socket, "connect");
  return socket;
}

const openAt =
  (address: string): OpenTransport =>
  async ({ respond, counters }) => {
    const options = { listen: { address, port: 0 }, respond, counters, limits: LIMITS, clock: createManualClock() };
    const transport = await openTcp(options);
    return {
      address,
      kind: TRANSPORT.tcp,
      maxOctets: 65_535,
      close: () => transport.close({ drainMs: 0 }),
      async ask(messages, count) {
        const socket = await dial(transport.port, address);
        const clientPort = socket.localPort!;
        const { next } = reader(socket);
        socket.write(Buffer.concat(messages.map(framed)));
        const responses = await next(count);
        if (count > 0) socket.end();
        await closed(socket);
        return { responses, clientPort };
      },
    };
  };

dnsTransportContract("openTcp() on IPv4", openAt("127.0.0.1"));
dnsTransportContract("openTcp() on IPv6", openAt("::1"));

type Bench = {
  transport: TcpTransport;
  clock: ReturnType<typeof createManualClock>;
  count(name: DnsCounter): number;
  dial(from?: string): Promise<Socket>;
  /** Resolves when the server has as many connections. */
  reaches(connections: number): Promise<void>;
};
function tcpTest(name: string, limits: Partial<TcpLimits>, body: (bench: Bench) => Promise<void>, respond = echo) {
  test(`openTcp() ${name}`, async () => {
    const clock = createManualClock();
    const counters = createCounterSlots(DNS_COUNTERS.length);
    const listen = { address: "127.0.0.1", port: 0 };
    const transport = await openTcp({ listen, respond, counters, limits: { ...LIMITS, ...limits }, clock });
    const sockets: Socket[] = [];
    try {
      await body({
        transport,
        clock,
        count: (counter) => counters[DNS_COUNTER[counter]]!,
        async dial(from) {
          const socket = await dial(transport.port, "127.0.0.1", from);
          sockets.push(socket);
          return socket;
        },
        async reaches(connections) {
          while (transport.connections() !== connections) await new Promise((resolve) => setImmediate(resolve));
        },
      });
    } finally {
      for (const socket of sockets) socket.destroy();
      await transport.close({ drainMs: 0 });
    }
  });
}
const message = (id: number, octets = 12) => {
  const built = Buffer.alloc(octets, id & 0xff);
  built.writeUInt16BE(id);
  return built;
};

tcpTest("puts messages together from single octets", {}, async ({ dial }) => {
  const socket = await dial();
  socket.setNoDelay(true);
  const { next } = reader(socket);
  for (const octet of Buffer.concat([framed(message(1, 40)), framed(message(2, 700))])) {
    socket.write(Buffer.of(octet));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(await next(2), [message(1, 40), message(2, 700)]);
});

tcpTest(
  "answers pipelined queries in their order, also past the limit in flight",
  { maxInFlight: 3 },
  async ({ dial }) => {
    const socket = await dial();
    const { next } = reader(socket);
    const queries = Array.from({ length: 1_000 }, (_, id) => message(id, 12 + (id % 50)));
    socket.write(Buffer.concat(queries.map(framed)));
    assert.deepEqual(await next(1_000), queries);
  },
);

tcpTest("sends length and message in one segment", {}, async ({ dial }) => {
  const socket = await dial();
  const first = once(socket, "data");
  socket.write(framed(message(7)));
  assert.deepEqual((await first)[0], framed(message(7)));
});

tcpTest("answers a client that has ended its side, and then ends its own", {}, async ({ dial, reaches }) => {
  const socket = await dial();
  const { messages } = reader(socket);
  socket.end(Buffer.concat([framed(message(1)), framed(message(2)), Buffer.of(0, 12, 9)]));
  await closed(socket);
  assert.deepEqual(messages, [message(1), message(2)]);
  await reaches(0);
});

for (const { name, octets } of [
  { name: "a length of 0", octets: Buffer.of(0, 0) },
  { name: "a message shorter than a header", octets: framed(Buffer.alloc(11)) },
]) {
  tcpTest(`ends the connection on ${name}, after the answers before it`, {}, async ({ dial }) => {
    const socket = await dial();
    const { messages } = reader(socket);
    socket.write(Buffer.concat([framed(message(1)), octets, framed(message(2))]));
    await closed(socket);
    assert.deepEqual(messages, [message(1)]);
  });
}

tcpTest("outlives resets", {}, async ({ dial, reaches }) => {
  for (let round = 0; round < 20; round++) {
    const socket = await dial();
    socket.write(framed(message(round, 60_000)));
    socket.resetAndDestroy();
  }
  const socket = await dial();
  const { next } = reader(socket);
  socket.write(framed(message(1)));
  assert.deepEqual(await next(1), [message(1)]);
  await reaches(1);
});

tcpTest(
  "closes a connection that is idle for too long, counted from its last query",
  {},
  async ({ dial, clock, count }) => {
    const socket = await dial();
    const { next } = reader(socket);
    clock.advance(9_000);
    socket.write(framed(message(1)));
    await next(1);
    clock.advance(9_000);
    assert.equal(count("tcp_timeouts"), 0);
    clock.advance(1_000);
    await closed(socket);
    assert.equal(count("tcp_timeouts"), 1);
  },
);

tcpTest(
  "does not let a dripping message have more time for each octet",
  {},
  async ({ dial, clock, count, reaches }) => {
    const dripping = await dial();
    dripping.setNoDelay(true);
    const other = await dial();
    const { next } = reader(other);
    await reaches(2);
    const drip = Buffer.concat([Buffer.of(0xff, 0xff), Buffer.alloc(100)]);
    let answered = 0;
    for (let second = 0; second < 5; second++) {
      assert.equal(count("tcp_timeouts"), 0, `second ${second}`);
      dripping.write(drip.subarray(second, second + 1));
      other.write(framed(message(second)));
      await next(++answered); // the octet before it has arrived as well: both travel over loopback in order
      clock.advance(1_000);
    }
    await closed(dripping);
    assert.equal(count("tcp_timeouts"), 1);
  },
);

tcpTest(
  "reads no more from who does not read, and closes it in the end",
  { maxOutputOctets: 262_144 },
  async ({ dial, clock, count, reaches }) => {
    const socket = await dial();
    socket.pause();
    const before = process.memoryUsage().rss;
    // 100,000 queries for answers of 60,000 octets each: 6 GB, were they all answered.
    const flood = Buffer.concat(Array.from({ length: 1_000 }, (_, id) => framed(message(id, 12))));
    for (let round = 0; round < 100; round++) socket.write(flood);
    await reaches(1);
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.ok(asked < 2_000, `${asked} queries were answered`);
    const grownMiB = (process.memoryUsage().rss - before) / 1_048_576;
    assert.ok(grownMiB < 128, `memory grew by ${grownMiB} MiB`);
    clock.advance(10_001);
    await reaches(0);
    assert.equal(count("tcp_timeouts"), 1);
  },
  (_request, _length, _client, out) => {
    asked++;
    out.fill(1, 0, 60_000);
    return 60_000;
  },
);
let asked = 0;

tcpTest(
  "limits the connections of one client, and no other's",
  { maxConnectionsPerClient: 2 },
  async ({ dial, count, reaches }) => {
    await dial();
    await dial();
    await reaches(2);
    await closed(await dial());
    assert.equal(count("tcp_rejected"), 1);
    await dial("127.0.0.2");
    await reaches(3);
  },
);

tcpTest(
  "gives the place of the longest idle to a new client when it is full",
  { maxConnections: 3 },
  async ({ dial, count, reaches }) => {
    const sockets = [await dial("127.0.0.2"), await dial("127.0.0.3"), await dial("127.0.0.4")];
    await reaches(3);
    const { next } = reader(sockets[0]!);
    sockets[0]!.write(framed(message(1)));
    await next(1); // so that 127.0.0.3 is the one that has been idle longest
    const newcomer = await dial("127.0.0.5");
    await closed(sockets[1]!);
    const { next: nextOfNewcomer } = reader(newcomer);
    newcomer.write(framed(message(2)));
    await nextOfNewcomer(1);
    assert.deepEqual([sockets[0]!.destroyed, sockets[2]!.destroyed, count("tcp_rejected")], [false, false, 0]);
  },
);

tcpTest("rejects a client when it is full of busy ones", { maxConnections: 1 }, async ({ dial, count, reaches }) => {
  const busy = await dial("127.0.0.2");
  const other = await dial("127.0.0.2"); // evicts the first while that is idle
  await closed(busy);
  await reaches(1);
  const { next } = reader(other);
  other.write(Buffer.concat([framed(message(1)), Buffer.of(0, 20, 1)])); // a query, and the beginning of another
  await next(1);
  await closed(await dial("127.0.0.3"));
  assert.equal(count("tcp_rejected"), 1);
  assert.equal(other.destroyed, false);
});

tcpTest(
  "bears a thousand idle connections and answers beside them",
  { maxConnections: 2_000, maxConnectionsPerClient: 2_000 },
  async ({ dial, reaches }) => {
    for (let index = 0; index < 1_000; index++) await dial(`127.0.1.${index % 250}`);
    await reaches(1_000);
    const socket = await dial("127.0.0.9");
    const { next } = reader(socket);
    socket.write(framed(message(1)));
    assert.deepEqual(await next(1), [message(1)]);
  },
);

test("openTcp() drains: answers under way leave, idle connections end, then it is closed", async () => {
  const clock = createManualClock();
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const listen = { address: "127.0.0.1", port: 0 };
  const transport = await openTcp({ listen, respond: echo, counters, limits: LIMITS, clock });
  const idle = await dial(transport.port);
  const inside = await dial(transport.port);
  const { next } = reader(inside);
  inside.write(Buffer.concat([framed(message(1)), framed(message(2)).subarray(0, 5)]));
  await next(1);
  while (transport.connections() !== 2) await new Promise((resolve) => setImmediate(resolve));
  const done = transport.close({ drainMs: 1_000 });
  await closed(idle);
  inside.write(framed(message(2)).subarray(5));
  assert.deepEqual(await next(2), [message(1), message(2)]);
  await done;
});

test("openTcp() ends what does not finish within the drain time", async () => {
  const clock = createManualClock();
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const listen = { address: "127.0.0.1", port: 0 };
  const transport = await openTcp({ listen, respond: echo, counters, limits: LIMITS, clock });
  const inside = await dial(transport.port);
  const { next } = reader(inside);
  inside.write(Buffer.concat([framed(message(1)), Buffer.of(0)]));
  await next(1);
  const done = transport.close({ drainMs: 1_000 });
  clock.advance(1_000);
  await done;
  await closed(inside);
});
