import assert from "node:assert/strict";
import test from "node:test";
import type { BalancerEngine } from "#app/balancer/engine.ts";
import { createRegionReporter } from "#app/balancer/region-report.ts";
import { createManualClock } from "#base/clock.ts";
import type { BackendView, PoolView } from "#pool/pool-view.ts";
import { LISTENER_COUNTERS, type ListenerCounter } from "#state/counters.ts";
import { backendAt, balancerOf, listenerOf, poolOf } from "../../pool/specs.ts";

type Counts = Partial<Record<ListenerCounter, number>>;

/** A balancer with an HTTP listener `web` and a TCP listener `db`, each with a pool of two. */
function reporting() {
  const clock = createManualClock(1_000_000);
  const world = {
    web: {} as Counts,
    db: {} as Counts,
    states: { web: ["active", "active"], db: ["active", "active"] } as Record<string, BackendView["state"][]>,
    minHealthy: 1,
    drain: undefined as string | undefined,
  };
  const pools = () =>
    ["web", "db"].map((name, at) =>
      poolOf([backendAt(at * 2), backendAt(at * 2 + 1)], { name, minHealthy: world.minHealthy }),
    );
  const snapshot = () =>
    balancerOf({
      region: "eu-west",
      capacityRps: 1_000,
      listeners: [
        listenerOf({ name: "web", protocol: "http", pool: 0 }),
        listenerOf({ name: "db", protocol: "tcp", pool: 1 }),
      ],
      pools: pools(),
    });
  const engine = {
    snapshot,
    stats: () => ({
      listeners: (["web", "db"] as const).map((name) => ({
        name,
        counters: { ...Object.fromEntries(LISTENER_COUNTERS.map((counter) => [counter, 0])), ...world[name] },
      })),
    }),
    pools: () =>
      pools().map((spec) => ({
        spec,
        queued: 3,
        backends: world.states[spec.name]!.map((state) => ({ state })),
      })) as unknown as PoolView[],
  } as unknown as BalancerEngine;
  const reporter = createRegionReporter({ engine, clock, node: "b1", draining: () => world.drain });
  return { clock, world, report: () => reporter.report()! };
}

test("rates are those of the last seconds", () => {
  const { clock, world, report } = reporting();
  assert.equal(report().admittedRps, 0, "there is nothing to compare with at first");
  for (let second = 1; second <= 20; second++) {
    clock.advance(1_000);
    // 100 requests and 10 shed each second for ten seconds, then 400; 7 connections of 9 that come.
    world.web = {
      http_requests: second <= 10 ? second * 110 : 1_100 + (second - 10) * 400,
      http_shed: Math.min(second, 10) * 10,
      http_active: 12,
    };
    world.db = { accepted: second * 9, queue_timeout: second, no_backend: second, active: 5 };
    const { admittedRps, shedRps, inFlight, listeners } = report();
    if (second === 10) assert.deepEqual([admittedRps, shedRps], [107, 12]);
    if (second === 20) {
      assert.deepEqual([admittedRps, shedRps, inFlight], [407, 2, 17]);
      assert.deepEqual(
        listeners.map((listener) => [listener.name, listener.admittedRps, listener.shedRps, listener.inFlight]),
        [
          ["web", 400, 0, 12],
          ["db", 7, 2, 5],
        ],
      );
    }
  }
});

test("counters that begin anew, as when a worker falls, are no negative rate", () => {
  const { clock, world, report } = reporting();
  world.web = { http_requests: 1_000 };
  report();
  clock.advance(1_000);
  world.web = { http_requests: 5 };
  assert.equal(report().admittedRps, 0);
});

const ROWS: readonly {
  readonly name: string;
  readonly web?: readonly BackendView["state"][];
  readonly db?: readonly BackendView["state"][];
  readonly minHealthy?: number;
  readonly drain?: string;
  readonly says: string;
  readonly healthy: number;
}[] = [
  { name: "all are well", says: "", healthy: 4 },
  { name: "one of two is enough", web: ["active", "down"], says: "", healthy: 3 },
  { name: "nobody knows yet", web: ["unknown", "unknown"], says: "", healthy: 2 },
  { name: "none is left", web: ["down", "ejected"], says: "pool web has 0 of 2 backends, and needs 1", healthy: 2 },
  {
    name: "kept out by an operator",
    db: ["maint", "drain"],
    says: "pool db has 0 of 2 backends, and needs 1",
    healthy: 2,
  },
  {
    name: "fewer than asked",
    minHealthy: 2,
    db: ["active", "down"],
    says: "pool db has 1 of 2 backends, and needs 2",
    healthy: 3,
  },
  { name: "nobody minds", minHealthy: 0, web: ["down", "down"], says: "", healthy: 2 },
  { name: "the node drains", drain: "kim drains this node", says: "kim drains this node", healthy: 4 },
];
for (const { name, says, healthy, ...row } of ROWS)
  test(`serving: ${name}`, () => {
    const { world, report } = reporting();
    if (row.web) world.states["web"] = [...row.web];
    if (row.db) world.states["db"] = [...row.db];
    world.minHealthy = row.minHealthy ?? 1;
    world.drain = row.drain;
    const told = report();
    assert.deepEqual([told.isServing, told.says, told.healthyBackends], [says === "", says, healthy]);
    const failing = told.listeners.filter(({ isServing }) => !isServing).map((listener) => listener.name);
    assert.deepEqual(failing, says.startsWith("pool web") ? ["web"] : says.startsWith("pool db") ? ["db"] : []);
  });
