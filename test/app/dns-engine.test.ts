import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import test from "node:test";
import type { Worker } from "node:worker_threads";
import { createDnsEngine } from "#app/dns-engine.ts";
import type { DnsBundle } from "#app/dns-worker-protocol.ts";
import { chooseUdpEngine, type UdpEngineName } from "#app/udp-engine.ts";
import { systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createSeededRng } from "#base/rng.ts";
import type { RhumbEvent } from "#state/events.ts";
import { createHealthTable } from "#state/health-table.ts";
import type { DnsSnapshot } from "#state/snapshot.ts";

function bundleOf(engine: UdpEngineName, sequence: number, changes: Partial<DnsSnapshot>): DnsBundle {
  const dns: DnsSnapshot = {
    listen: [{ address: "127.0.0.1", port: 0 }],
    engine,
    workers: 2,
    zones: [],
    unloadableZones: [],
    nsid: new TextEncoder().encode(`generation ${sequence}`),
    chaos: { version: undefined, id: undefined },
    ecs: true,
    hashPrefix: { v4: 24, v6: 48 },
    queryLog: { every: 0, privacy: "prefix", file: undefined },
    tcp: {
      maxConnections: 100,
      maxConnectionsPerClient: 100,
      maxInFlight: 64,
      maxOutputOctets: 262_144,
      idleMs: 10_000,
      messageMs: 5_000,
      drainMs: 100,
    },
    guard: {
      rrl: { isEnabled: true, isDryRun: false, ratePerSecond: 1_000_000, slip: 2, tableSize: 1_024, allow: [] },
      cookies: { isEnabled: true, secrets: [], badCookieUnderLimit: true },
      admission: { isEnabled: true },
      access: [],
    },
    ...changes,
  };
  return { generation: { epoch: 1, sequence }, dns, regions: [], services: [] };
}

function engineWithEvents() {
  const events: RhumbEvent[] = [];
  const engine = createDnsEngine({
    log: silentLog,
    emit: (event) => events.push(event),
    healthTable: createHealthTable(16),
    clock: systemClock,
    rng: createSeededRng(1),
  });
  return { engine, events };
}
async function withEngine(body: (context: ReturnType<typeof engineWithEvents>) => Promise<void>) {
  const context = engineWithEvents();
  try {
    await body(context);
  } finally {
    await context.engine.close({ drainMs: 0 });
  }
}

/** `. SOA IN` with an empty NSID option, so that the answer says which generation gave it. */
function query(id: number): Buffer {
  const message = Buffer.from(
    "0000 0000 0001 0000 0000 0001 00 0006 0001 00 0029 04d0 00000000 0004 0003 0000".replaceAll(" ", ""),
    "hex",
  );
  message.writeUInt16BE(id);
  return message;
}
const saysGeneration = (response: Buffer) => /generation (\d+)/.exec(response.toString("latin1"))?.[1];

async function askUdp(port: number, id = 1, address = "127.0.0.1"): Promise<Buffer> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  try {
    const answer = once(socket, "message");
    socket.send(query(id), port, address);
    return (await answer)[0] as Buffer;
  } finally {
    socket.close();
  }
}
async function askTcp(port: number, address = "127.0.0.1"): Promise<Buffer> {
  const socket = connect(port, address);
  const message = query(9);
  socket.end(Buffer.concat([Buffer.of(0, message.length), message]));
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).subarray(2);
}

/** What this machine can do; each engine is the same to those who ask. */
const ENGINES: readonly UdpEngineName[] = chooseUdpEngine("auto").name === "batch" ? ["batch", "dgram"] : ["dgram"];

for (const name of ENGINES) {
  const bundle = (sequence: number, changes: Partial<DnsSnapshot> = {}) => bundleOf(name, sequence, changes);
  test(`createDnsEngine() by ${name} answers UDP and TCP on the same port of each address, IPv4 and IPv6`, () =>
    withEngine(async ({ engine, events }) => {
      const listen = [
        { address: "127.0.0.1", port: 0 },
        { address: "::1", port: 0 },
      ];
      await engine.apply(bundle(1, { listen }));
      assert.equal(engine.addresses().length, 2);
      for (const { address, port } of engine.addresses()) {
        assert.equal(saysGeneration(await askUdp(port, 1, address)), "1");
        assert.equal(saysGeneration(await askTcp(port, address)), "1");
      }
      const { counters, workers, generation } = engine.stats();
      assert.deepEqual(generation, { epoch: 1, sequence: 1 });
      assert.deepEqual(engine.stats().engine, { name, why: "as configured" });
      assert.deepEqual([counters.queries_udp, counters.queries_tcp], [2, 2]);
      assert.equal(workers.length, 5); // two UDP workers for each address, one for TCP
      assert.deepEqual(
        events.map((event) => event.kind),
        ["engine.started"],
      );
    }));

  test(`createDnsEngine() by ${name} serves a new snapshot in all workers once apply() has resolved`, () =>
    withEngine(async ({ engine }) => {
      await engine.apply(bundle(1));
      const [{ port } = { port: 0 }] = engine.addresses();
      for (let sequence = 2; sequence < 6; sequence++) {
        await engine.apply(bundle(sequence));
        assert.deepEqual(engine.addresses(), [{ address: "127.0.0.1", port }]);
        // Each query comes from a port of its own, so both workers get some.
        const answers = await Promise.all(Array.from({ length: 16 }, (_, id) => askUdp(port, id)));
        assert.deepEqual(new Set(answers.map(saysGeneration)), new Set([String(sequence)]));
        assert.equal(saysGeneration(await askTcp(port)), String(sequence));
      }
    }));

  test(`createDnsEngine() by ${name} loses no query while snapshots change`, () =>
    withEngine(async ({ engine }) => {
      await engine.apply(bundle(1));
      const [{ port } = { port: 0 }] = engine.addresses();
      let asked = 0;
      let answered = 0;
      let isChanging = true;
      const ask = async () => {
        while (isChanging) {
          asked++;
          await askUdp(port, asked & 0xffff);
          answered++;
        }
      };
      const asking = [ask(), ask(), ask()];
      for (let sequence = 2; sequence < 12; sequence++) {
        await engine.apply(bundle(sequence));
        await engine.publishMaps([], undefined);
      }
      isChanging = false;
      await Promise.all(asking); // hangs when an answer is missing
      assert.ok(asked > 10, `${asked} queries`);
      assert.equal(answered, asked);
    }));

  test(`createDnsEngine() by ${name} opens new addresses and closes old ones`, () =>
    withEngine(async ({ engine }) => {
      await engine.apply(bundle(1, { listen: [{ address: "127.0.0.1", port: 0 }] }));
      const [old] = engine.addresses();
      await askUdp(old!.port);
      await engine.apply(bundle(2, { listen: [{ address: "127.0.0.2", port: 0 }], workers: 1 }));
      const [now, ...others] = engine.addresses();
      assert.deepEqual([now!.address, others], ["127.0.0.2", []]);
      assert.equal(saysGeneration(await askUdp(now!.port, 1, "127.0.0.2")), "2");
      const refused = connect(old!.port, "127.0.0.1");
      await assert.rejects(once(refused, "connect"), { code: "ECONNREFUSED" });
      assert.equal(engine.stats().counters.queries_udp, 2, "what closed workers counted still counts");
      assert.equal(engine.stats().workers.length, 2);
    }));

  test(`createDnsEngine() by ${name} changes the number of workers without a change of port`, () =>
    withEngine(async ({ engine }) => {
      await engine.apply(bundle(1, { workers: 1 }));
      const before = engine.addresses();
      for (const [sequence, workers] of [
        [2, 3],
        [3, 2],
      ] as const) {
        await engine.apply(bundle(sequence, { workers }));
        assert.deepEqual(engine.addresses(), before);
        assert.equal(engine.stats().workers.length, workers + 1);
        assert.equal(saysGeneration(await askUdp(before[0]!.port)), String(sequence));
      }
    }));

  test(`createDnsEngine() by ${name} names a busy port and its owner, and keeps serving what it served`, () =>
    withEngine(async ({ engine }) => {
      await engine.apply(bundle(1));
      const before = engine.addresses();
      const owner = createServer();
      owner.listen(0, "127.0.0.1");
      await once(owner, "listening");
      const { port } = owner.address() as { port: number };
      const listen = [
        { address: "127.0.0.1", port },
        { address: "127.0.0.1", port: 0 },
      ];
      await assert.rejects(engine.apply(bundle(2, { listen })), (error: Error & { code: string }) => {
        assert.equal(error.code, "RHUMB_DNS_PORT_BUSY");
        assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port} \\(TCP\\): process ${process.pid} \\(`));
        return true;
      });
      owner.close();
      assert.deepEqual(engine.addresses(), before);
      assert.equal(saysGeneration(await askUdp(before[0]!.port)), "1");
      assert.equal(engine.stats().generation?.sequence, 1);
    }));

  test(`createDnsEngine() by ${name} says that an address is not of this machine`, () =>
    withEngine(async ({ engine }) => {
      const listen = [{ address: "192.0.2.1", port: 0 }];
      await assert.rejects(engine.apply(bundle(1, { listen })), { code: "RHUMB_DNS_ADDRESS" });
      await engine.apply(bundle(2)); // a failed start does not spoil the next
      assert.equal(saysGeneration(await askUdp(engine.addresses()[0]!.port)), "2");
    }));

  test(`createDnsEngine() by ${name} starts a worker again that ended, on the same port, with the newest snapshot`, async () => {
    const workers: Worker[] = [];
    const keep = (message: unknown) => workers.push((message as { worker: Worker }).worker);
    subscribe("worker_threads", keep);
    try {
      await withEngine(async ({ engine, events }) => {
        await engine.apply(bundle(1, { workers: 1 }));
        await engine.apply(bundle(2, { workers: 1 }));
        const before = engine.addresses();
        assert.equal(workers.length, 2);
        const serving = () => engine.stats().workers.map((worker) => worker.isServing);
        assert.deepEqual(serving(), [true, true]);
        for (const worker of [...workers]) await worker.terminate();
        assert.deepEqual(serving(), [false, false]);
        assert.deepEqual(events.map((event) => event.kind).slice(1), [
          "engine.worker-restarted",
          "engine.worker-restarted",
        ]);
        assert.equal(workers.length, 4);
        // The new threads report when they serve; the port answers again when their sockets are open.
        await engine.apply(bundle(3, { workers: 1 }));
        assert.deepEqual(engine.addresses(), before);
        for (let isAnswered = false; !isAnswered; ) {
          isAnswered = await askTcp(before[0]!.port).then(
            (response) => saysGeneration(response) === "3",
            () => false,
          );
        }
        assert.deepEqual(
          engine.stats().workers.map((worker) => worker.restarts),
          [1, 1],
        );
        assert.equal(serving()[0], true, "TCP has just answered");
      });
    } finally {
      unsubscribe("worker_threads", keep);
    }
  });

  test(`createDnsEngine() by ${name} stops: the port is free, and nothing can be applied any more`, async () => {
    const { engine, events } = engineWithEvents();
    await engine.apply(bundle(1));
    const { port } = engine.addresses()[0]!;
    await engine.close({ drainMs: 100 });
    const socket = createSocket("udp4"); // without SO_REUSEPORT: fails while any worker still holds the port
    socket.bind(port, "127.0.0.1");
    await once(socket, "listening");
    socket.close();
    assert.equal(events.at(-1)!.kind, "engine.stopped");
    await assert.rejects(engine.apply(bundle(2)), { code: "RHUMB_DNS_WORKER" });
  });
}
