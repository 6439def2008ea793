/** The balancer's part of a scrape: every counter lands in its metric, with its labels and unit. */
import assert from "node:assert/strict";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import { BACKEND_SLOTS, LISTENER_SLOTS } from "#metrics/catalog-balancer.ts";
import { createMetrics } from "#metrics/create-metrics.ts";
import type { BalancerSource } from "#metrics/read-balancer.ts";
import { BACKEND_COUNTERS, type BackendCounter } from "#state/backend-table.ts";
import { LISTENER_COUNTERS, type ListenerCounter } from "#state/counters.ts";

/** Counter n has the value 100 + n, so that two that are mixed up show. */
const numbered = <Name extends string>(names: readonly Name[]): Record<Name, number> =>
  Object.fromEntries(names.map((name, index) => [name, 100 + index])) as Record<Name, number>;

const source = (): BalancerSource => ({
  engine: { name: "epoll", why: "this machine has it" },
  workers: { epoll: 2 },
  listeners: [{ name: "web", counters: numbered<ListenerCounter>(LISTENER_COUNTERS) }],
  pools: [
    {
      name: "web",
      isPanic: true,
      queued: 4,
      backends: [
        {
          key: "10.0.0.1:80",
          state: "ejected",
          weight: 1.5,
          active: 7,
          counters: numbered<BackendCounter>(BACKEND_COUNTERS),
        },
      ],
    },
  ],
});

test("each counter of listeners and backends is a sample with its value", async (t) => {
  const metrics = createMetrics({ clock: createManualClock(), sources: { balancer: source } });
  t.after(() => metrics.close());
  const { text } = await metrics.expose();
  const value = (name: string, labels: Record<string, string>): number | undefined => {
    const line = text
      .split("\n")
      .find(
        (one) =>
          one.startsWith(`${name}{`) && Object.entries(labels).every(([key, is]) => one.includes(`${key}="${is}"`)),
      );
    return line === undefined ? undefined : Number(line.split(" ").at(-1));
  };
  for (const [index, name] of LISTENER_COUNTERS.entries()) {
    const slot = LISTENER_SLOTS[name];
    if (slot) assert.equal(value(slot.metric, { listener: "web", ...slot.labels }), 100 + index, name);
  }
  for (const [index, name] of BACKEND_COUNTERS.entries()) {
    const slot = BACKEND_SLOTS[name];
    const labels = { pool: "web", backend: "10.0.0.1:80" };
    if (slot) assert.equal(value(slot.metric, { ...labels, ...slot.labels }), (100 + index) / (slot.per ?? 1), name);
  }
  const backend = { pool: "web", backend: "10.0.0.1:80" };
  assert.equal(value("rhumb_backend_up", backend), 0);
  assert.equal(value("rhumb_backend_state", backend), 6);
  assert.equal(value("rhumb_backend_weight", backend), 1.5);
  assert.equal(value("rhumb_backend_active_connections", backend), 7);
  assert.equal(value("rhumb_pool_panic", { pool: "web" }), 1);
  assert.equal(value("rhumb_pool_queue_depth", { pool: "web" }), 4);
  assert.equal(value("rhumb_pool_backends", { pool: "web", state: "ejected" }), 1);
  assert.equal(value("rhumb_pool_backends", { pool: "web", state: "active" }), 0);
});

test("a second scrape shows totals, not their sum", async (t) => {
  const metrics = createMetrics({ clock: createManualClock(), sources: { balancer: source } });
  t.after(() => metrics.close());
  const accepted = (text: string) => /rhumb_listener_accepted_total\{[^}]*\} (\d+)/.exec(text)?.[1];
  const first = accepted((await metrics.expose()).text);
  assert.equal(accepted((await metrics.expose()).text), first);
});
