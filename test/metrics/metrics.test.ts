/** The metrics text, its catalog and its page. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { createManualClock } from "#base/clock.ts";
import { DNS_SLOTS, METRICS } from "#metrics/catalog.ts";
import { createMetrics, type MetricSources } from "#metrics/create-metrics.ts";
import type { Metric } from "#metrics/metric.ts";
import { metricsPage } from "#metrics/page.ts";
import { createCounterSlots, DNS_COUNTER, DNS_COUNTERS } from "#state/counters.ts";
import { createHealthTable, healthWordIndex, packStateWord } from "#state/health-table.ts";

type Sample = { name: string; labels: Record<string, string>; value: number };
/** A strict reader of the text format: HELP and TYPE come before the samples of a family, each once. */
function parse(text: string): { samples: Sample[]; types: Map<string, string> } {
  assert.ok(text.endsWith("\n"));
  const samples: Sample[] = [];
  const types = new Map<string, string>();
  const helps = new Set<string>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const meta = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (meta) {
      const seen = meta[1] === "HELP" ? helps.has(meta[2]!) : types.has(meta[2]!);
      assert.ok(!seen, line);
      if (meta[1] === "HELP") helps.add(meta[2]!);
      else types.set(meta[2]!, meta[3]!);
      continue;
    }
    const match = /^([a-z0-9_]+)(?:\{(.*)\})? (-?[0-9.e+-]+|NaN|\+Inf)$/.exec(line);
    assert.ok(match, `not a sample: ${line}`);
    const labels: Record<string, string> = {};
    for (const pair of (match[2] ?? "").matchAll(/([a-z0-9_]+)="((?:[^"\\]|\\.)*)"/g)) labels[pair[1]!] = pair[2]!;
    samples.push({ name: match[1]!, labels, value: Number(match[3]) });
  }
  return { samples, types };
}

function setUp(t: TestContext, sources: MetricSources = {}) {
  const clock = createManualClock();
  const metrics = createMetrics({ clock, sources });
  t.after(() => metrics.close());
  const scrape = async () => parse((await metrics.expose()).text);
  const value = async (name: string, labels: Record<string, string> = {}) =>
    (await scrape()).samples.find(
      (sample) => sample.name === name && Object.entries(labels).every(([key, text]) => sample.labels[key] === text),
    )?.value;
  return { clock, metrics, scrape, value };
}

test("every metric that is exposed stands in the catalog with its type, and the other way round", async (t) => {
  const { scrape } = setUp(t);
  const { types } = await scrape();
  assert.deepEqual(
    Object.fromEntries(types),
    Object.fromEntries(Object.entries<Metric>(METRICS).map(([name, { type }]) => [name, type])),
  );
});

test("names follow the Prometheus conventions, and labels are the declared ones", () => {
  for (const [name, { type, help }] of Object.entries<Metric>(METRICS)) {
    assert.match(name, /^(rhumb|process|nodejs)_[a-z0-9_]+$/);
    assert.equal(name.endsWith("_total"), type === "counter", name);
    assert.doesNotMatch(help, /\.$/, name);
  }
  for (const { metric, labels } of Object.values(DNS_SLOTS)) {
    assert.deepEqual(Object.keys(labels ?? {}), [...METRICS[metric].labels], metric);
  }
});

test("docs/metrics.md is what the catalog says (RHUMB_WRITE_DOCS=1 writes it)", () => {
  const file = join(import.meta.dirname, "../../docs/metrics.md");
  if (process.env["RHUMB_WRITE_DOCS"] === "1") writeFileSync(file, metricsPage());
  assert.equal(readFileSync(file, "utf8"), metricsPage());
});

test("each counter slot is summed over the workers into its own sample", async (t) => {
  const blocks = [createCounterSlots(DNS_COUNTERS.length), createCounterSlots(DNS_COUNTERS.length)];
  for (const [slot] of DNS_COUNTERS.entries()) {
    blocks[0]![slot] = 1_000 + slot;
    blocks[1]![slot] = 2 ** 40;
  }
  const { value } = setUp(t, { dnsSlots: () => blocks });
  for (const [slot, name] of DNS_COUNTERS.entries()) {
    const { metric, labels } = DNS_SLOTS[name];
    assert.equal(await value(metric, labels), 2 ** 40 + 1_000 + slot, name);
  }
  blocks[0]![DNS_COUNTER.steered]! += 5;
  assert.equal(await value("rhumb_dns_steered_total"), 2 ** 40 + 1_005 + DNS_COUNTER.steered);
});

test("steered answers and samples of queries are the totals of their sources", async (t) => {
  const steered = [
    { service: "www", region: "eu-west", answers: 7 },
    { service: "www", region: "", answers: 1 },
  ];
  const { value } = setUp(t, { steered: () => steered, querySamples: () => ({ read: 5, lost: 2 }) });
  const name = "rhumb_dns_steered_answers_total";
  assert.equal(await value(name, { service: "www", region: "eu-west" }), 7);
  assert.equal(await value(name, { service: "www", region: "" }), 1);
  steered[0]!.answers = 9;
  assert.equal(await value(name, { service: "www", region: "eu-west" }), 9);
  assert.equal(await value("rhumb_dns_query_samples_total", { result: "read" }), 5);
  assert.equal(await value("rhumb_dns_query_samples_total", { result: "lost" }), 2);
});

test("health is read from the table; a target that is gone leaves nothing behind", async (t) => {
  const table = createHealthTable(2);
  const at = healthWordIndex(1);
  table[at] = packStateWord({
    verdict: 2,
    isStale: true,
    isLowConfidence: false,
    isHeldForFailback: false,
    override: 3,
    rampPercent: 25,
    weightPercent: 10,
  });
  table[at + 2] = 12_500;
  let targets = [
    { id: "region/us-east", index: 0 },
    { id: "region/eu-west", index: 1 },
  ];
  const { value } = setUp(t, { health: () => ({ table, targets }) });
  const eu = { target: "region/eu-west" };
  assert.equal(await value("rhumb_target_up", eu), 0);
  assert.equal(await value("rhumb_target_verdict", eu), 2);
  assert.equal(await value("rhumb_target_override", eu), 3);
  assert.equal(await value("rhumb_target_stale", eu), 1);
  assert.equal(await value("rhumb_target_ramp_ratio", eu), 0.25);
  assert.equal(await value("rhumb_target_weight_ratio", eu), 0.1);
  assert.equal(await value("rhumb_target_rtt_seconds", eu), 0.0125);
  assert.equal(await value("rhumb_target_rtt_seconds", { target: "region/us-east" }), undefined);
  targets = targets.slice(0, 1);
  assert.equal(await value("rhumb_target_up", eu), undefined);
});

test("events count, and reloads and transitions by what they say", async (t) => {
  const { metrics, value } = setUp(t);
  const base = { atMs: 1_800_000_000_000, severity: "info", subject: "region/eu-west", says: "x" } as const;
  metrics.observeEvent({ ...base, kind: "health.transition", data: { from: "up", to: "down", cause: "probe" } });
  metrics.observeEvent({ ...base, kind: "config.applied" });
  assert.equal(await value("rhumb_config_last_reload_ok"), 1);
  metrics.observeEvent({ ...base, kind: "config.refused", severity: "alarm" });
  assert.equal(await value("rhumb_config_last_reload_ok"), 0);
  metrics.observeEvent({ ...base, kind: "config.refused", severity: "resolved" }); // the files were put back
  assert.equal(await value("rhumb_config_last_reload_ok"), 1);
  metrics.observeEvent({ ...base, kind: "config.refused", severity: "info" }); // an overlay that was answered 422
  assert.equal(await value("rhumb_config_last_reload_ok"), 1);
  assert.equal(await value("rhumb_config_reloads_total", { result: "refused" }), 1);
  assert.equal(
    await value("rhumb_health_transitions_total", { target: "region/eu-west", from: "up", to: "down", cause: "probe" }),
    1,
  );
  assert.equal(await value("rhumb_events_total", { kind: "config.refused", severity: "alarm" }), 1);
});

test("transitions of failback count by cause; steps of a ramp and alarms raised again do not", async (t) => {
  const { metrics, value } = setUp(t);
  const base = { atMs: 1, severity: "info", subject: "region/eu-west", says: "x", kind: "health.failback" } as const;
  metrics.observeEvent({ ...base, data: { from: "down", to: "hold", cause: "probes" } });
  metrics.observeEvent({ ...base, data: { from: "ramp", to: "ramp", cause: "ramp-ended" } });
  metrics.observeEvent({ ...base, kind: "health.transition", severity: "alarm" });
  const total = (labels: Record<string, string>) => value("rhumb_health_transitions_total", labels);
  assert.equal(await total({ from: "down", to: "hold", cause: "probes" }), 1);
  assert.equal(await total({ from: "ramp" }), undefined);
  assert.equal(await total({ cause: "undefined" }), undefined);
});

test("probe results count by kind and class of error, beside what the scheduler does", async (t) => {
  const results = [
    { kind: "http", errorClass: "none", count: 40 },
    { kind: "http", errorClass: "timeout", count: 2 },
  ];
  const scheduler = { monitors: 7, running: 3, waiting: 1, stalls: 4 };
  const { value } = setUp(t, { healthStats: () => ({ results, scheduler, frozen: 2 }) });
  assert.equal(await value("rhumb_health_probe_results_total", { kind: "http", error: "timeout" }), 2);
  assert.equal(await value("rhumb_health_probe_results_total", { kind: "http", error: "none" }), 40);
  assert.equal(await value("rhumb_health_monitors"), 7);
  assert.equal(await value("rhumb_health_probes_running"), 3);
  assert.equal(await value("rhumb_health_probes_waiting"), 1);
  assert.equal(await value("rhumb_health_stalls_total"), 4);
  assert.equal(await value("rhumb_health_frozen_targets"), 2);
});

test("overrides have an age and a rest, maps and databases their sizes", async (t) => {
  const nowMs = 1_800_000_000_000;
  const override = {
    id: "o1",
    target: "region/eu-*",
    verb: "down",
    owner: 'k"im',
    createdAtMs: nowMs - 60_000,
    untilMs: nowMs + 30_000,
  } as const;
  const info = {
    leaves: 7,
    mergedRatio: 1,
    octets: 4096,
    database: "demo.mmdb",
    databaseBuiltAtMs: nowMs - 86_400_000,
  };
  const map = { mapId: "m", generation: 1, nodes: new Int32Array(0), classes: [], info };
  const { value } = setUp(t, {
    overrides: () => [override],
    maps: () => [map],
    generation: () => ({ epoch: 2, sequence: 9 }),
  });
  assert.equal(await value("rhumb_override_age_seconds", { owner: 'k\\"im' }), 60);
  assert.equal(await value("rhumb_override_remaining_seconds", { id: "o1" }), 30);
  assert.equal(await value("rhumb_geo_database_age_seconds", { database: "demo.mmdb" }), 86_400);
  assert.equal(await value("rhumb_geo_map_leaves", { map: "m" }), 7);
  assert.equal(await value("rhumb_config_generation"), 9);
});

test("probes, deliveries and requests count and are timed", async (t) => {
  const { metrics, value } = setUp(t);
  metrics.observeProbe("http", true, 20);
  metrics.observeProbe("http", false, 2_000);
  metrics.observeDelivery("hook", "failed");
  metrics.observeRequest("GET", "/status", 200, 3);
  assert.equal(await value("rhumb_health_probes_total", { kind: "http", result: "fail" }), 1);
  assert.equal(await value("rhumb_health_probe_duration_seconds_bucket", { result: "pass", le: "0.025" }), 1);
  assert.equal(await value("rhumb_health_probe_duration_seconds_bucket", { result: "pass", le: "0.01" }), 0);
  assert.equal(await value("rhumb_notify_deliveries_total", { notifier: "hook", result: "failed" }), 1);
  assert.equal(await value("rhumb_api_requests_total", { route: "/status", status: "200" }), 1);
});
