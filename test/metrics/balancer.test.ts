/** The balancer's part of a scrape: every counter lands in its metric, with its labels and unit. */
import assert from "node:assert/strict";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import { BACKEND_SLOTS, LISTENER_SLOTS } from "#metrics/catalog-balancer.ts";
import { createMetrics } from "#metrics/create-metrics.ts";
import type { Latency } from "#metrics/latency-window.ts";
import type { BalancerSource } from "#metrics/read-balancer.ts";
import { BACKEND_COUNTERS, type BackendCounter } from "#state/backend-table.ts";
import { LISTENER_COUNTERS, type ListenerCounter } from "#state/counters.ts";
import { createLatencyBlock, latencyRow, noteLatency } from "#state/latency.ts";

/** Counter n has the value 100 + n, so that two that are mixed up show. */
const numbered = <Name extends string>(names: readonly Name[]): Record<Name, number> =>
  Object.fromEntries(names.map((name, index) => [name, 100 + index])) as Record<Name, number>;

/** Three requests: 1 ms, 1 ms and longer than any bound. */
const latency = (): Latency => {
  const block = createLatencyBlock(1);
  for (const micros of [1_000, 1_000, 100e6]) noteLatency(block, 0, micros);
  return { p50: 1_000, p95: undefined, p99: 2_500, totals: latencyRow(block, 0) };
};
const source = async (): Promise<BalancerSource> => ({
  engine: { name: "epoll", why: "this machine has it" },
  workers: { epoll: 2 },
  certificates: [{ listener: "web", certificate: "web.pem", notAfterMs: 1_800_000_000_000 }],
  acme: [{ key: "www.example-1", issued: 2, failures: 1 }],
  caches: [
    {
      store: "pages",
      objects: 1,
      octets: 2,
      maxOctets: 3,
      hits: 14,
      stale: 4,
      misses: 5,
      passed: 6,
      waited: 7,
      stored: 8,
      revalidated: 9,
      evicted: 10,
      purged: 11,
    },
  ],
  droppedLines: { "/var/log/access.log": 12 },
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
          latency: latency(),
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
  assert.equal(value("rhumb_tls_certificate_not_after_seconds", { listener: "web" }), 1_800_000_000);
  assert.equal(value("rhumb_acme_orders_total", { certificate: "www.example-1", result: "issued" }), 2);
  assert.equal(value("rhumb_acme_orders_total", { certificate: "www.example-1", result: "failed" }), 1);
  for (const [metric, samples] of Object.entries({
    rhumb_cache_objects: { "": 1 },
    rhumb_cache_octets: { used: 2, limit: 3 },
    rhumb_cache_requests_total: { hit: 10, stale: 4, miss: 5, pass: 6, wait: 7 },
    rhumb_cache_responses_total: { stored: 8, revalidated: 9, evicted: 10, purged: 11 },
  }))
    for (const [of, total] of Object.entries(samples)) {
      const label = metric.endsWith("requests_total") ? "result" : "what";
      assert.equal(value(metric, { store: "pages", ...(of === "" ? {} : { [label]: of }) }), total, `${metric} ${of}`);
    }
  assert.equal(value("rhumb_access_log_dropped_lines_total", { file: "/var/log/access.log" }), 12);
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

test("latencies of a backend are a histogram and quantiles of the last minute", async (t) => {
  const metrics = createMetrics({ clock: createManualClock(), sources: { balancer: source } });
  t.after(() => metrics.close());
  await metrics.expose();
  const { text } = await metrics.expose(); // totals, however often they are asked for
  const name = "rhumb_backend_request_duration_seconds";
  const lines = text.split("\n").filter((line) => line.startsWith(name) || line.startsWith("rhumb_backend_request_q"));
  const of = 'backend="10.0.0.1:80"';
  assert.match(text, new RegExp(`^# TYPE ${name} histogram$`, "m"));
  for (const expected of [
    `${name}_bucket{pool="web",${of},le="0.000512"} 0`,
    `${name}_bucket{pool="web",${of},le="0.001024"} 2`,
    `${name}_bucket{pool="web",${of},le="67.108864"} 2`,
    `${name}_bucket{pool="web",${of},le="+Inf"} 3`,
    `${name}_sum{pool="web",${of}} 100.002`,
    `${name}_count{pool="web",${of}} 3`,
    `rhumb_backend_request_quantile_seconds{pool="web",${of},quantile="0.5"} 0.001`,
    `rhumb_backend_request_quantile_seconds{pool="web",${of},quantile="0.99"} 0.0025`,
  ])
    assert.ok(lines.includes(expected), `${expected} is not among\n${lines.join("\n")}`);
  assert.equal(lines.length, 21 + 3 + 2);
});
