import assert from "node:assert/strict";
import test from "node:test";
import { type Reading, rateText, type Sort, type TopStats, topPage } from "#cli/top-page.ts";

type Backend = TopStats["backends"][number];
const backend = (name: string, requests: number, changes: Partial<Backend> = {}, more = {}): Backend => ({
  backend_id: `backend-${name}`,
  pool: "web",
  resolved_address: "10.0.0.1",
  port: Number(name),
  status: "healthy",
  active_connections: 1,
  ejected_times: 0,
  traffic: {
    connections: 5,
    failures: 0,
    retries_away: 0,
    requests,
    responses: { "5xx": 0 },
    octets: { to_backend: 0, from_backend: 0 },
    latency_ms: { p50: 1.24, p95: 20, p99: 123.4 },
    ...more,
  },
  ...changes,
});
const reading = (atMs: number, backends: readonly Backend[], counters = {}): Reading => ({
  atMs,
  stats: {
    region: "us-east",
    engine: null,
    workers: [
      { name: "a", isServing: true },
      { name: "b", isServing: false },
    ],
    listeners: [{ name: "front", protocol: "http", address: "127.0.0.1", port: 8080, counters }],
    pools: [{ name: "web", queued: 3, panic: true }],
    backends,
  },
});
const lines = (page: string): string[] => page.split("\n");

test("rates are what came between two readings, by their time", () => {
  const before = reading(1_000, [backend("81", 100)], { http_requests: 10, http_5xx: 1, active: 9 });
  const now = reading(3_000, [backend("81", 300, {}, { failures: 4 })], { http_requests: 50, http_5xx: 3, active: 7 });
  const page = lines(topPage(now, before, "name", 10));
  assert.match(page[0]!, /rhumb top, us-east {2}1 of 2 workers/);
  assert.match(page[1]!, /web: 3 queued, health is ignored/);
  assert.match(page.find((line) => line.startsWith("front"))!, /http 127\.0\.0\.1:8080 +7 +0 +20 +1\.0 +0 +0$/);
  assert.match(
    page.find((line) => line.startsWith("web "))!,
    /10\.0\.0\.1:81 +healthy +1 +100 +2\.0 +0 +1\.2 +20\.0 +123 +0$/,
  );
});

test("a first reading has no rates, nor has a backend that is new", () => {
  assert.match(lines(topPage(reading(0, [backend("81", 100)]), undefined, "name", 10)).at(-1)!, /healthy +1 +0 +0/);
  const page = topPage(reading(1_000, [backend("81", 100)]), reading(0, []), "name", 10);
  assert.match(lines(page).at(-1)!, /healthy +1 +0 +0/);
});

test("a backend without HTTP counts connections, and has no latency", () => {
  const plain = (connections: number): Backend => backend("81", 0, {}, { connections, latency_ms: null });
  const page = topPage(reading(1_000, [plain(60)]), reading(0, [plain(10)]), "name", 10);
  assert.match(lines(page).at(-1)!, /healthy +1 +50 +0 +0 +- +- +- +0$/);
});

const sorts: readonly (readonly [Sort, readonly number[]])[] = [
  ["name", [81, 82, 83]],
  ["requests", [83, 82, 81]],
  ["connections", [82, 81, 83]],
  ["p99", [81, 83, 82]],
];
for (const [sort, expected] of sorts)
  test(`sorted by ${sort}, and no longer than the screen`, () => {
    const of = (scale: number): Backend[] => [
      backend("81", 10 * scale, { active_connections: 5 }),
      backend("82", 20 * scale, { active_connections: 9 }, { latency_ms: null }),
      backend("83", 30 * scale, { active_connections: 1 }, { latency_ms: { p50: 1, p95: 1, p99: 2 } }),
    ];
    const page = (rows: number) => lines(topPage(reading(1_000, of(2)), reading(0, of(1)), sort, rows));
    const ports = (rows: number): number[] =>
      page(rows).flatMap((line) => Number(/^web .*:(\d+)/.exec(line)?.[1]) || []);
    assert.deepEqual(ports(10), expected);
    assert.deepEqual(ports(2), expected.slice(0, 2));
    assert.equal(page(2).at(-1), "and 1 more");
  });

for (const [rate, expected] of [
  [0, "0"],
  [3.21, "3.2"],
  [45.4, "45"],
  [9_999, "9999"],
  [12_345, "12.3k"],
  [999_960, "1.0M"],
] as const)
  test(`rateText(${rate}) is ${expected}`, () => assert.equal(rateText(rate), expected));
