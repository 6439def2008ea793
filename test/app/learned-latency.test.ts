/** What one node learns goes to all, and what all have learnt into the map: when it changed, and not else. */
import assert from "node:assert/strict";
import test from "node:test";
import { createLearnedLatency } from "#app/learned-latency.ts";
import { createManualClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import type { LearnedLatency } from "#geo/learned-latency.ts";
import type { LatencyShare, Shared, SharedRecord } from "#state/shared.ts";

type Listener = (key: string, record: SharedRecord<"latency"> | undefined, isOwn: boolean) => void;

/** Nodes that hear each other at once. */
function createWorld() {
  const clock = createManualClock();
  const listeners: Listener[] = [];
  const records: SharedRecord<"latency">[] = [];
  let sequence = 0;
  const sharedOf = (node: string) =>
    ({
      publish(kind: "latency", key: string, body: LatencyShare, ttlMs: number) {
        const version = { epoch: 1, sequence: ++sequence, node };
        const record = { kind, key, version, atMs: clock.nowMs(), ttlMs, body };
        records.push(record);
        for (const listener of listeners) listener(key, record, true);
        return record;
      },
      onRecord: (_kind: string, listener: Listener) => void listeners.push(listener),
    }) as unknown as Pick<Shared, "publish" | "onRecord">;
  function start(node: string, region?: string, beacons: LatencyShare["rows"] = []) {
    const maps: (readonly LearnedLatency[])[] = [];
    const learned = createLearnedLatency({
      node,
      clock,
      log: silentLog,
      shared: sharedOf(node),
      rum: { rows: () => beacons },
      geo: { setLearned: async (rows) => void maps.push(rows) },
      region: () => region,
      isRegion: (id) => id === "eu-west",
      steers: () => region === undefined,
    });
    return { learned, maps };
  }
  return { clock, listeners, records, start };
}
const samples = (address: string, count: number) => ({
  addresses: new Array<string>(count).fill(address),
  rttMicros: new Array<number>(count).fill(20_000),
});

test("a balancer's connections reach the map of another node, by network", async () => {
  const world = createWorld();
  const balancer = world.start("lb1", "eu-west");
  const dns = world.start("ns1");
  balancer.learned.take(samples("198.51.100.7", 3));
  balancer.learned.take(samples("not an address", 3));
  await balancer.learned.step();
  await dns.learned.step();
  assert.deepEqual(balancer.maps, [], "who answers no DNS needs no map");
  assert.deepEqual(
    dns.maps.map((rows) => rows.map(({ network, region, rttMicros, by }) => [network, region, rttMicros, by])),
    [[["198.51.100.0/24", "eu-west", 20_000, "connections"]]],
  );
  world.clock.advance(1_000);
  await dns.learned.step();
  assert.equal(dns.maps.length, 1, "nothing new is no reason to build");
  for (const listener of world.listeners) listener("lb1", undefined, false);
  await dns.learned.step();
  assert.deepEqual(dns.maps.at(-1), [], "the node is gone, and what it said has ended");
});

test("a node speaks for itself alone, and says once that it has nothing to say any more", async () => {
  const world = createWorld();
  const dns = world.start("ns1");
  const rows: LatencyShare["rows"] = [
    { network: "10.0.0.0/24", region: "eu-west", by: "connections", rttMicros: 1, samples: 9, ageMs: 0 },
  ];
  const version = { epoch: 1, sequence: 1, node: "mallory" };
  for (const listener of world.listeners)
    listener(
      "lb1",
      { kind: "latency", key: "lb1", version, atMs: world.clock.nowMs(), ttlMs: 1, body: { rows } },
      false,
    );
  await dns.learned.step();
  assert.deepEqual(dns.maps, []);
  const balancer = world.start("lb1", "eu-west");
  await balancer.learned.step();
  assert.equal(world.records.length, 0, "nothing to say");
  balancer.learned.take(samples("198.51.100.7", 3));
  await balancer.learned.step();
  world.clock.advance(3 * 3_600_000);
  await balancer.learned.step();
  await balancer.learned.step();
  assert.deepEqual(
    world.records.slice(-2).map(({ body }) => body.rows.length),
    [1, 0],
  );
});
