import assert from "node:assert/strict";
import test from "node:test";
import { parseIp } from "#base/ip.ts";
import { createLatencyTable, LATENCY_EXPIRY_MS, type LatencyInput } from "#geo/latency-table.ts";
import { buildRttMap, countNetworks } from "#geo/rtt-map.ts";
import { classOf, depthOf, walk } from "#geo/walk.ts";

const NOW = 1_800_000_000_000;
const regionIds = ["a", "b"];
const tableOf = (entries: readonly LatencyInput[]) => {
  const table = createLatencyTable((id) => regionIds.includes(id));
  assert.deepEqual(table.put(entries, false, NOW), []);
  return table;
};
const mapOf = (entries: readonly LatencyInput[], notBeforeMs = 0) =>
  buildRttMap(tableOf(entries).columns(), { generation: 3, regionIds, notBeforeMs });
const rttOf = (map: ReturnType<typeof mapOf>, text: string) => {
  const bytes = parseIp(text)!;
  const walked = walk(map.nodes, bytes, bytes.length === 16);
  const row = classOf(walked) * regionIds.length;
  return [...map.rttMicros.subarray(row, row + regionIds.length), depthOf(walked)];
};

test("buildRttMap() without entries measures nobody", () => {
  const map = mapOf([]);
  for (const address of ["10.0.0.1", "2a02::1", "2002::1"]) assert.deepEqual(rttOf(map, address), [0, 0, 0]);
});

test("buildRttMap() lets narrow networks inherit what they have not measured", () => {
  const map = mapOf([
    { network: "10.1.2.0/24", rttMs: { b: 5 } },
    { network: "10.0.0.0/8", rttMs: { a: 20.5, b: 30 } },
    { network: "2a02:1::/32", rttMs: { a: 7 } },
  ]);
  assert.deepEqual(rttOf(map, "10.9.0.1").slice(0, 2), [20_500, 30_000]);
  assert.deepEqual(rttOf(map, "10.1.2.3"), [20_500, 5_000, 24]);
  assert.deepEqual(rttOf(map, "2a02:1:ffff::1"), [7_000, 0, 32]);
  assert.deepEqual(rttOf(map, "11.0.0.1").slice(0, 2), [0, 0]);
  assert.deepEqual(rttOf(map, "::ffff:10.1.2.3"), [20_500, 5_000, 96 + 24]);
  assert.deepEqual(rttOf(map, "2002:a01:203::1"), [20_500, 5_000, 16 + 24]);
  assert.deepEqual(rttOf(map, "::1").slice(0, 2), [0, 0]);
});

test("buildRttMap() widens to /24 and /48, where the newest measurement wins", () => {
  const map = mapOf([
    { network: "10.1.2.7/32", rttMs: { a: 1 }, atMs: NOW - 5 },
    { network: "10.1.2.128/25", rttMs: { a: 2 }, atMs: NOW - 9 },
    { network: "2a02:1:2:3::/64", rttMs: { b: 3 } },
  ]);
  assert.deepEqual(rttOf(map, "10.1.2.200"), [1_000, 0, 24]);
  assert.deepEqual(rttOf(map, "2a02:1:2:ffff::"), [0, 3_000, 48]);
});

test("buildRttMap() folds equal networks and leaves expired lines out", () => {
  const map = mapOf(
    [
      { network: "10.0.0.0/9", rttMs: { a: 4 }, atMs: NOW },
      { network: "10.128.0.0/9", rttMs: { a: 4 }, atMs: NOW },
      { network: "10.1.2.0/24", rttMs: { a: 9 }, atMs: NOW - 100 },
    ],
    NOW - 50,
  );
  assert.deepEqual(rttOf(map, "10.1.2.3"), [4_000, 0, 8]);
});

test("buildRttMap() keeps only the regions it is asked for, in their order", () => {
  const table = tableOf([{ network: "10.0.0.0/8", rttMs: { a: 1, b: 2 } }]);
  const map = buildRttMap(table.columns(), { generation: 1, regionIds: ["x", "b"], notBeforeMs: 0 });
  assert.deepEqual(rttOf(map, "10.0.0.1").slice(0, 2), [0, 2_000]);
});

test("createLatencyTable() takes all entries of a request or none", () => {
  const table = tableOf([{ network: "10.0.0.0/8", rttMs: { a: 1 } }]);
  const problems = table.put(
    [
      { network: "11.0.0.0/8", rttMs: { a: 1 } },
      { network: "10.0.0.1/8", rttMs: { a: 1 } },
      { network: "10.0.0.0/8", rttMs: { nowhere: 1 } },
      { network: "10.0.0.0/8", rttMs: { a: -1, b: 60_001 } },
      { network: "10.0.0.0/8", rttMs: { a: Number.NaN } },
      { network: "10.0.0.0/8", rttMs: { a: 1 }, atMs: NOW + 3_600_000 },
    ],
    true,
    NOW,
  );
  assert.deepEqual(
    problems.map(({ entry }) => entry),
    [1, 2, 3, 3, 4, 5],
  );
  assert.deepEqual(table.list(9), [{ network: "10.0.0.0/8", rttMs: { a: 1 }, atMs: NOW }]);
});

test("createLatencyTable() merges, replaces and expires", () => {
  const table = tableOf([{ network: "10.0.0.0/8", rttMs: { a: 1, b: 2 } }]);
  table.put(
    [
      { network: "10.0.0.0/8", rttMs: { a: 3 } },
      { network: "2a02:1::/32", rttMs: { a: 4 } },
    ],
    false,
    NOW + 1,
  );
  assert.deepEqual(table.list(9), [
    { network: "10.0.0.0/8", rttMs: { a: 3, b: 2 }, atMs: NOW + 1 },
    { network: "2a02:1::/32", rttMs: { a: 4 }, atMs: NOW + 1 },
  ]);
  assert.equal(countNetworks(table.columns()), 2);
  assert.equal(table.count(), 3);
  assert.equal(table.list(1).length, 1);
  assert.equal(table.expire(NOW + LATENCY_EXPIRY_MS), false);
  assert.equal(table.expire(NOW + LATENCY_EXPIRY_MS + 1), true);
  assert.deepEqual(table.list(9)[0]!.rttMs, { a: 3 });
  table.put([{ network: "192.0.2.0/24", rttMs: { b: 9 } }], true, NOW);
  assert.deepEqual(table.list(9), [{ network: "192.0.2.0/24", rttMs: { b: 9 }, atMs: NOW }]);
});

test("createLatencyTable() refuses more than its limit and finds every line again while it grows", () => {
  const table = createLatencyTable(() => true, 5_000);
  const entries = Array.from({ length: 4_000 }, (_, index) => ({
    network: `10.${index >>> 8}.${index & 0xff}.0/24`,
    rttMs: { a: index / 100 },
  }));
  assert.deepEqual(table.put(entries, false, NOW), []);
  assert.deepEqual(table.put(entries.slice(0, 1_000), false, NOW), []);
  assert.equal(table.columns().count, 4_000);
  assert.match(table.put(entries.slice(0, 1_001), false, NOW)[0]!.says, /more than 5000 entries/);
});
