import assert from "node:assert/strict";
import { once } from "node:events";
import test from "node:test";
import { Worker } from "node:worker_threads";
import { createSeededRng } from "#base/rng.ts";
import {
  type Admission,
  CLIENT_LIMITS_OCTETS,
  clientLimitsOctets,
  createClientLimits,
  createClientLimitsMemory,
  nextArrival,
} from "#pool/client-limits.ts";
import type { ListenerLimits } from "#state/balancer.ts";
import type { HammerData, HammerReport } from "./client-limits-worker.ts";

const LIMITS: ListenerLimits = {
  maxConnections: 1_000_000,
  acceptPerSecond: 0,
  clientConnections: 0,
  clientPerSecond: 0,
  clientBurst: 0,
};
const tableOf = (buckets: number) =>
  createClientLimits(new SharedArrayBuffer(clientLimitsOctets(buckets)), { rng: createSeededRng(4), offsetMs: 0 });
const times = (count: number, admit: () => Admission): Admission[] => Array.from({ length: count }, admit);
const counted = (outcomes: readonly Admission[]) =>
  Object.fromEntries([...new Set(outcomes)].map((kind) => [kind, outcomes.filter((each) => each === kind).length]));

test("admit() holds a listener to its connections, and a place that is given back serves again", () => {
  const table = createClientLimitsMemory();
  const limits = { ...LIMITS, maxConnections: 2 };
  assert.deepEqual(
    ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map((address) => table.admit(3, limits, address, 0)),
    ["admitted", "admitted", "listener-full"],
  );
  assert.equal(table.admit(4, limits, "192.0.2.3", 0), "admitted", "another listener");
  assert.equal(table.connections(3), 2);
  table.release(3, limits, "192.0.2.1");
  assert.equal(table.admit(3, limits, "192.0.2.3", 0), "admitted");
});

for (const { name, one, other, isSame } of [
  { name: "two IPv4 addresses", one: "192.0.2.1", other: "192.0.2.2", isSame: false },
  { name: "an address and itself mapped into IPv6", one: "192.0.2.1", other: "::ffff:192.0.2.1", isSame: true },
  { name: "two addresses of a /64", one: "2001:db8:1:2::1", other: "2001:db8:1:2:ffff::9", isSame: true },
  { name: "two /64 of a /48", one: "2001:db8:1:2::1", other: "2001:db8:1:3::1", isSame: false },
  { name: "0.0.0.0 and ::", one: "0.0.0.0", other: "::", isSame: false },
  { name: "two zones of a link-local network", one: "fe80::1%eth0", other: "fe80::2%eth1", isSame: true },
])
  test(`admit() takes ${name} for ${isSame ? "one client" : "two clients"}`, () => {
    const table = createClientLimitsMemory();
    const limits = { ...LIMITS, clientConnections: 1 };
    assert.equal(table.admit(0, limits, one, 0), "admitted");
    assert.equal(table.admit(0, limits, other, 0), isSame ? "client-full" : "admitted");
    assert.equal(table.admit(1, limits, other, 0), "admitted", "at another listener");
    table.release(0, limits, one);
    assert.equal(table.admit(0, limits, one, 0), "admitted");
  });

test("admit() holds a client to its rate, after a burst", () => {
  const table = createClientLimitsMemory();
  const limits = { ...LIMITS, clientPerSecond: 10, clientBurst: 5 };
  const at = (nowMs: number) => table.admit(0, limits, "192.0.2.1", nowMs);
  assert.deepEqual(counted(times(20, () => at(1_000))), { admitted: 5, "client-rate": 15 });
  assert.deepEqual(
    [at(1_099), at(1_100), at(1_150), at(1_200)],
    ["client-rate", "admitted", "client-rate", "admitted"],
  );
  assert.equal(table.admit(0, limits, "192.0.2.2", 1_000), "admitted", "another client");
  assert.deepEqual(counted(times(20, () => at(60_000))), { admitted: 5, "client-rate": 15 });
});

test("admit() holds a listener to its rate, a second's worth at once", () => {
  const table = createClientLimitsMemory();
  const limits = { ...LIMITS, acceptPerSecond: 100 };
  let client = 0;
  const at = (nowMs: number) => table.admit(0, limits, `10.0.0.${client++ % 250}`, nowMs);
  assert.deepEqual(counted(times(150, () => at(5_000))), { admitted: 100, "listener-rate": 50 });
  assert.deepEqual(counted(times(50, () => at(5_100))), { admitted: 10, "listener-rate": 40 });
});

test("a client that the listener refuses has neither place nor rate charged", () => {
  const table = createClientLimitsMemory();
  const limits = { ...LIMITS, maxConnections: 1, clientConnections: 1, clientPerSecond: 1, clientBurst: 1 };
  assert.equal(table.admit(0, limits, "192.0.2.1", 0), "admitted");
  assert.equal(table.admit(0, limits, "192.0.2.2", 0), "listener-full");
  table.release(0, limits, "192.0.2.1");
  assert.equal(table.admit(0, limits, "192.0.2.2", 0), "admitted");
});

test("a client over its own limits does not use up the listener's rate", () => {
  const table = createClientLimitsMemory();
  const limits = { ...LIMITS, acceptPerSecond: 5, clientConnections: 1 };
  for (let round = 0; round < 100; round++) table.admit(0, limits, "192.0.2.1", 0);
  assert.equal(table.admit(0, limits, "192.0.2.2", 0), "admitted");
});

for (const { name, before, after } of [
  {
    name: "limits come",
    before: LIMITS,
    after: { ...LIMITS, clientConnections: 2, clientPerSecond: 1, clientBurst: 9 },
  },
  { name: "limits go", before: { ...LIMITS, clientConnections: 9, clientPerSecond: 9, clientBurst: 9 }, after: LIMITS },
  { name: "limits shrink", before: { ...LIMITS, clientConnections: 9 }, after: { ...LIMITS, clientConnections: 1 } },
])
  test(`release() gives back what admit() took when ${name} in between`, () => {
    const table = createClientLimitsMemory();
    for (let count = 0; count < 4; count++) assert.equal(table.admit(0, before, "192.0.2.1", 0), "admitted");
    for (let count = 0; count < 4; count++) table.release(0, after, "192.0.2.1");
    assert.equal(table.connections(0), 0);
    const strict = { ...LIMITS, clientConnections: 2 };
    assert.deepEqual(counted(times(3, () => table.admit(0, strict, "192.0.2.1", 9_000))), {
      admitted: 2,
      "client-full": 1,
    });
  });

test("release() never counts below nothing, and a zeroed table starts anew", () => {
  const shared = new SharedArrayBuffer(CLIENT_LIMITS_OCTETS);
  const table = createClientLimits(shared, { offsetMs: 0 });
  const limits = { ...LIMITS, maxConnections: 1, clientConnections: 1 };
  assert.equal(table.admit(0, limits, "192.0.2.1", 0), "admitted");
  new Int32Array(shared).fill(0);
  table.release(0, limits, "192.0.2.1");
  table.release(0, limits, "192.0.2.1");
  assert.equal(table.admit(0, limits, "192.0.2.1", 0), "admitted");
  assert.equal(table.admit(0, limits, "192.0.2.1", 0), "client-full");
});

test("a full table lets clients in and says how many; what they give back is nobody else's", () => {
  const table = tableOf(1);
  const limits = { ...LIMITS, clientConnections: 1 };
  const address = (client: number) => `10.0.0.${client}`;
  for (let client = 0; client < 64; client++) assert.equal(table.admit(0, limits, address(client), 0), "admitted");
  assert.equal(table.overflows(), 0);
  assert.deepEqual(counted(times(3, () => table.admit(0, limits, address(64), 0))), { admitted: 3 });
  assert.equal(table.overflows(), 3);
  table.release(0, limits, address(0));
  assert.equal(table.admit(0, limits, address(64), 0), "admitted", "now there is an entry");
  assert.equal(table.admit(0, limits, address(64), 0), "client-full");
  for (let count = 0; count < 3; count++) table.release(0, limits, address(64));
  assert.equal(table.admit(0, limits, address(64), 0), "client-full", "the one that was counted is still there");
  table.release(0, limits, address(64));
  assert.equal(table.admit(0, limits, address(64), 0), "admitted");
  assert.equal(table.connections(0), 64);
});

test("entries of clients that have gone are used again, once their rate has recovered", () => {
  const table = tableOf(1);
  const limits = { ...LIMITS, clientPerSecond: 1, clientBurst: 2 };
  const visit = (client: number, nowMs: number): void => {
    assert.equal(table.admit(0, limits, `10.0.0.${client}`, nowMs), "admitted");
    table.release(0, limits, `10.0.0.${client}`);
  };
  for (let client = 0; client < 64; client++) visit(client, 1_000);
  visit(64, 1_500);
  assert.equal(table.overflows(), 1, "everybody is remembered for a second");
  for (let client = 65; client < 129; client++) visit(client, 2_001);
  assert.equal(table.overflows(), 1);
});

test("65,536 clients fit", () => {
  const table = createClientLimits(new SharedArrayBuffer(CLIENT_LIMITS_OCTETS), {
    rng: createSeededRng(9),
    offsetMs: 0,
  });
  const limits = { ...LIMITS, clientConnections: 1 };
  const address = (client: number) => `10.${client >>> 16}.${(client >>> 8) & 255}.${client & 255}`;
  for (let client = 0; client < 65_536; client++) assert.equal(table.admit(0, limits, address(client), 0), "admitted");
  assert.equal(table.overflows(), 0);
  for (let client = 0; client < 65_536; client += 97)
    assert.equal(table.admit(0, limits, address(client), 0), "client-full");
});

test("nextArrival() lets through no more than rate × time + burst, whatever the pattern", () => {
  const rng = createSeededRng(371);
  for (let round = 0; round < 200; round++) {
    const perSecond = 1 + Math.floor(rng() * 1_000);
    const burst = 1 + Math.floor(rng() * 50);
    let nowMs = rng() * 1e9;
    const startMs = nowMs;
    let tat = 0;
    let admitted = 0;
    for (let step = 0; step < 500; step++) {
      if (rng() < 0.3) nowMs += rng() * 20;
      const next = nextArrival(tat, nowMs, perSecond, burst);
      if (next < 0) continue;
      tat = next;
      admitted++;
    }
    const most = burst + ((nowMs - startMs) * perSecond) / 1_000 + 0.1;
    assert.ok(admitted <= most, `${admitted} of ${most}`);
    assert.ok(admitted >= Math.min(burst, 150));
  }
});

/** Two threads at the same table. */
async function hammer(data: Omit<HammerData, "seed" | "active" | "shared">) {
  const shared = new SharedArrayBuffer(CLIENT_LIMITS_OCTETS);
  const active = new Int32Array(new SharedArrayBuffer((2 + data.clients.length) * 4));
  const workers = [1, 2].map(
    (seed) =>
      new Worker(new URL("client-limits-worker.ts", import.meta.url), {
        workerData: { ...data, shared, active, seed } satisfies HammerData,
      }),
  );
  await Promise.all(workers.map((worker) => once(worker, "message")));
  const reports = Promise.all(workers.map(async (worker) => (await once(worker, "message"))[0] as HammerReport));
  Atomics.store(active, 0, 1);
  Atomics.notify(active, 0);
  const sum = (outcome: Admission) => async () =>
    (await reports).reduce((total, { outcomes }) => total + (outcomes[outcome] ?? 0), 0);
  return {
    reports: await reports,
    table: createClientLimits(shared, { offsetMs: 0 }),
    admitted: await sum("admitted")(),
    clientFull: await sum("client-full")(),
    listenerFull: await sum("listener-full")(),
  };
}
const CLIENTS = Array.from({ length: 50 }, (_, client) =>
  client % 2 ? `192.0.2.${client}` : `2001:db8:0:${client}::1`,
);

test("limits are exact under two threads, and all is given back in the end", async () => {
  const limits = { ...LIMITS, maxConnections: 8, clientConnections: 2 };
  const { reports, table, clientFull, listenerFull } = await hammer({
    limits,
    rounds: 100_000,
    clients: CLIENTS.slice(0, 6),
    releases: true,
  });
  for (const { mostOfClient, mostOfAll } of reports) {
    assert.ok(mostOfClient <= 2, `${mostOfClient} connections of a client`);
    assert.ok(mostOfAll <= 8, `${mostOfAll} connections`);
  }
  assert.ok(clientFull > 0 && listenerFull > 0, "both limits were met");
  assert.equal(table.connections(0), 0);
  assert.equal(table.overflows(), 0);
  const strict = { ...LIMITS, clientConnections: 1 };
  for (const client of CLIENTS) assert.equal(table.admit(0, strict, client, 1_000), "admitted", client);
});

test("a place that nobody gives back is taken once, whichever thread asks", async () => {
  const { admitted } = await hammer({
    limits: { ...LIMITS, clientConnections: 7 },
    rounds: 20_000,
    clients: CLIENTS,
    releases: false,
  });
  assert.equal(admitted, CLIENTS.length * 7);
});

test("rates are exact under two threads", async () => {
  const { admitted, table } = await hammer({
    limits: { ...LIMITS, clientPerSecond: 10, clientBurst: 20 },
    rounds: 20_000,
    clients: CLIENTS,
    releases: true,
  });
  assert.equal(admitted, CLIENTS.length * 20);
  assert.equal(table.connections(0), 0);
});
