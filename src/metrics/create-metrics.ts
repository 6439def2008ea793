/**
 * The registry behind GET /metrics: reads the doors when it is scraped, counts what it is told of in between.
 *
 * Owns:    a prom-client registry with the metrics of `catalog.ts`. Sources come in as functions from `app/`.
 * Never:   is imported by an engine, or keeps a label that no longer exists: gauges are filled anew on each scrape.
 * @module
 */
import { readdirSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Clock } from "#base/clock.ts";
import { DNS_SLOTS, METRICS, type MetricName } from "#metrics/catalog.ts";
import { BALANCER_METRICS } from "#metrics/catalog-balancer.ts";
import type { Metric } from "#metrics/metric.ts";
import { type AnycastSource, readAnycast } from "#metrics/read-anycast.ts";
import { type BalancerSource, isTotal, readBalancer } from "#metrics/read-balancer.ts";
import { type ClusterSource, readCluster } from "#metrics/read-cluster.ts";
import { type LearningSource, readSources } from "#metrics/read-sources.ts";
import { readXdp } from "#metrics/read-xdp.ts";
import { TotalsHistogram } from "#metrics/totals-histogram.ts";
import type { ClientMap } from "#state/client-map.ts";
import { DNS_COUNTERS } from "#state/counters.ts";
import type { RhumbEvent } from "#state/events.ts";
import { emptyTargetState, readTarget, VERDICT } from "#state/health-table.ts";
import type { Generation, OverrideSpec } from "#state/snapshot.ts";
import type { XdpStats } from "#state/xdp.ts";

/** What is known of the load of regions, and of the plan that spreads clients by it. */
export type LoadSource = {
  readonly regions: readonly {
    readonly region: string;
    readonly measuredPermille: number | null;
    readonly predictedPermille: number | null;
    readonly effectivePermille: number;
    readonly frozenSinceMs: number | null;
  }[];
  /** `says`: why there is no plan. */
  readonly spread: {
    readonly says: string;
    readonly level: number;
    readonly movedRps: number;
    readonly demandRps: number;
  };
};

/** All optional: a role that this process does not play has no source, and its metrics have no samples. */
export type MetricSources = {
  /** One block per worker since the process began; a worker that replaces another goes on in its block. */
  readonly dnsSlots?: () => readonly Float64Array[];
  readonly dnsWorkers?: () => Readonly<Record<string, number>>;
  /** Totals that only grow; an empty region: answers that named none. */
  readonly steered?: () => readonly { readonly service: string; readonly region: string; readonly answers: number }[];
  readonly querySamples?: () => { readonly read: number; readonly lost: number };
  readonly zones?: () => readonly { readonly apex: string; readonly serial: number; readonly records: number }[];
  readonly health?: () => {
    readonly table: Uint32Array;
    readonly targets: readonly { readonly id: string; readonly index: number }[];
  };
  readonly healthStats?: () => {
    readonly results: readonly { readonly kind: string; readonly errorClass: string; readonly count: number }[];
    readonly scheduler: {
      readonly monitors: number;
      readonly running: number;
      readonly waiting: number;
      readonly stalls: number;
    };
    readonly frozen: number;
    readonly voting?: {
      readonly vantages: readonly {
        readonly vantage: string;
        readonly quarantine: string | null;
        readonly votes: { readonly up: number; readonly down: number; readonly stale: number };
      }[];
      readonly disagreements: Readonly<Record<string, number>>;
      readonly areReportsIgnored: boolean;
    };
  };
  readonly overrides?: () => readonly (Pick<OverrideSpec, "id" | "target" | "verb" | "owner" | "createdAtMs"> & {
    /** Null: no end. */
    readonly untilMs: number | null;
  })[];
  readonly load?: () => LoadSource;
  readonly cluster?: () => ClusterSource;
  readonly learning?: () => LearningSource;
  readonly anycast?: () => AnycastSource;
  readonly generation?: () => Generation;
  readonly maps?: () => readonly ClientMap[];
  /** Undefined before DNS is answered. */
  readonly engine?: () => { readonly name: string; readonly why: string } | undefined;
  /** Undefined with other engines than `xdp`. */
  readonly xdp?: () => XdpStats | undefined;
  readonly build?: () => { readonly version: string };
  /** Undefined without the role. */
  readonly balancer?: () => Promise<BalancerSource | undefined>;
};

/** Rarely enough to cost nothing beside answering: no query waits for the main thread. */
const DELAY_SAMPLE_MS = 50;

export type Metrics = {
  /** Prometheus text format 0.0.4. */
  expose(): Promise<{ readonly contentType: string; readonly text: string }>;
  /** Counts events, transitions (data: from, to, cause) and reloads. */
  observeEvent(event: RhumbEvent): void;
  observeProbe(kind: string, isPass: boolean, durationMs: number): void;
  observeDelivery(notifier: string, result: "delivered" | "failed" | "dropped"): void;
  observeRequest(method: string, route: string, status: number, durationMs: number): void;
  close(): void;
};

export function createMetrics(options: { clock: Clock; sources: MetricSources }): Metrics {
  const { clock, sources } = options;
  const registry = new Registry();
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  const totals = new Map<string, TotalsHistogram>();
  for (const [name, { type, help, labels, buckets }] of Object.entries<Metric>(METRICS)) {
    const shared = { name, help, labelNames: [...labels], registers: [registry] };
    if (type === "counter") counters.set(name, new Counter(shared));
    else if (type === "gauge") gauges.set(name, new Gauge(shared));
    else if (Object.hasOwn(BALANCER_METRICS, name))
      totals.set(name, new TotalsHistogram({ ...shared, buckets: [...(buckets ?? [])] }));
    else histograms.set(name, new Histogram({ ...shared, buckets: [...(buckets ?? [])] }));
  }
  type Labels = Record<string, string>;
  const count = (name: MetricName, labels: Labels = {}, by = 1): void => counters.get(name)!.inc(labels, by);
  const set = (name: MetricName, value: number, labels: Labels = {}): void => gauges.get(name)!.set(labels, value);
  const time = (name: MetricName, durationMs: number, labels: Labels): void =>
    histograms.get(name)!.observe(labels, durationMs / 1_000);

  const delay = monitorEventLoopDelay({ resolution: DELAY_SAMPLE_MS });
  delay.enable();
  const startedAtSeconds = clock.nowMs() / 1_000 - process.uptime();
  let lastReload: { isOk: boolean; atMs: number } | undefined;

  /** A counter whose truth lies elsewhere: set to the total of now. */
  function setTotal(name: MetricName, value: number, labels: Labels = {}): void {
    const metric = counters.get(name)!;
    metric.remove(labels);
    metric.inc(labels, value);
  }

  function readDns(): void {
    const blocks = sources.dnsSlots?.();
    if (!blocks) return;
    const totals = new Float64Array(DNS_COUNTERS.length);
    for (const block of blocks) {
      for (let slot = 0; slot < totals.length; slot++) totals[slot]! += block[slot] ?? 0;
    }
    for (const [slot, name] of DNS_COUNTERS.entries()) {
      const { metric, labels } = DNS_SLOTS[name];
      setTotal(metric, totals[slot]!, { ...labels });
    }
  }

  function readSteering(): void {
    for (const { service, region, answers } of sources.steered?.() ?? [])
      setTotal("rhumb_dns_steered_answers_total", answers, { service, region });
    for (const [result, samples] of Object.entries(sources.querySamples?.() ?? {}))
      setTotal("rhumb_dns_query_samples_total", samples, { result });
  }

  function readHealth(): void {
    const door = sources.health?.();
    if (!door) return;
    const state = emptyTargetState();
    for (const { id, index } of door.targets) {
      readTarget(door.table, index, state);
      const target = { target: id };
      set("rhumb_target_up", state.verdict === VERDICT.up || state.verdict === VERDICT.held ? 1 : 0, target);
      set("rhumb_target_verdict", state.verdict, target);
      set("rhumb_target_override", state.override, target);
      set("rhumb_target_stale", state.isStale ? 1 : 0, target);
      set("rhumb_target_low_confidence", state.isLowConfidence ? 1 : 0, target);
      set("rhumb_target_ramp_ratio", state.rampPercent / 100, target);
      set("rhumb_target_weight_ratio", state.weightPercent / 100, target);
      set("rhumb_target_load_ratio", state.loadPermille / 1_000, target);
      if (state.rttMicros > 0) set("rhumb_target_rtt_seconds", state.rttMicros / 1e6, target);
      if (state.flipAtSeconds > 0) set("rhumb_target_next_flip_seconds", state.flipAtSeconds, target);
    }
  }

  function readHealthStats(): void {
    const stats = sources.healthStats?.();
    if (!stats) return;
    const { results, scheduler, frozen } = stats;
    for (const { kind, errorClass, count: total } of results)
      setTotal("rhumb_health_probe_results_total", total, { kind, error: errorClass });
    set("rhumb_health_monitors", scheduler.monitors);
    set("rhumb_health_probes_running", scheduler.running);
    set("rhumb_health_probes_waiting", scheduler.waiting);
    setTotal("rhumb_health_stalls_total", scheduler.stalls);
    set("rhumb_health_frozen_targets", frozen);
    for (const { vantage, quarantine, votes } of stats.voting?.vantages ?? []) {
      set("rhumb_health_vantage_quarantined", quarantine === null ? 0 : 1, { vantage });
      for (const [vote, count] of Object.entries(votes)) set("rhumb_health_votes", count, { vantage, vote });
    }
    for (const [between, count] of Object.entries(stats.voting?.disagreements ?? {}))
      set("rhumb_health_disagreements", count, { between });
    if (stats.voting) set("rhumb_health_reports_ignored", stats.voting.areReportsIgnored ? 1 : 0);
  }

  function readRest(): void {
    const nowMs = clock.nowMs();
    for (const [transport, workers] of Object.entries(sources.dnsWorkers?.() ?? {}))
      set("rhumb_dns_workers", workers, { transport });
    for (const { apex, serial, records } of sources.zones?.() ?? []) {
      set("rhumb_zone_serial", serial, { zone: apex });
      set("rhumb_zone_records", records, { zone: apex });
    }
    for (const { id, target, verb, owner, createdAtMs, untilMs } of sources.overrides?.() ?? []) {
      const labels = { id, target, verb, owner };
      set("rhumb_override_age_seconds", Math.max(0, nowMs - createdAtMs) / 1_000, labels);
      set("rhumb_override_remaining_seconds", Math.max(0, (untilMs ?? Infinity) - nowMs) / 1_000, labels);
    }
    const load = sources.load?.();
    for (const { region, measuredPermille, predictedPermille, effectivePermille, frozenSinceMs } of load?.regions ??
      []) {
      if (measuredPermille === null) continue;
      const kinds = { measured: measuredPermille, predicted: predictedPermille, effective: effectivePermille };
      for (const [kind, permille] of Object.entries(kinds))
        if (permille !== null) set("rhumb_region_load_ratio", permille / 1_000, { region, kind });
      set("rhumb_region_load_frozen", frozenSinceMs === null ? 0 : 1, { region });
    }
    if (load && load.spread.says === "") {
      const { level, movedRps, demandRps } = load.spread;
      set("rhumb_spread_level_ratio", level);
      set("rhumb_spread_moved_ratio", demandRps > 0 ? movedRps / demandRps : 0);
    }
    const cluster = sources.cluster?.();
    if (cluster) readCluster(cluster, set, setTotal);
    const learning = sources.learning?.();
    const anycast = sources.anycast?.();
    if (anycast) readAnycast(anycast, clock.nowMs(), set, setTotal);
    if (learning) readSources(learning, clock.nowMs(), set, setTotal);
    const generation = sources.generation?.();
    if (generation) {
      set("rhumb_config_epoch", generation.epoch);
      set("rhumb_config_generation", generation.sequence);
    }
    // Before the first attempt nothing has failed: a 0 would raise the alarm.
    set("rhumb_config_last_reload_ok", lastReload && !lastReload.isOk ? 0 : 1);
    set("rhumb_config_last_reload_seconds", lastReload ? lastReload.atMs / 1_000 : startedAtSeconds);
    for (const { mapId, classes, info } of sources.maps?.() ?? []) {
      set("rhumb_geo_map_classes", classes.length, { map: mapId });
      set("rhumb_geo_map_leaves", info.leaves, { map: mapId });
      set("rhumb_geo_map_octets", info.octets, { map: mapId });
      if (info.databaseBuiltAtMs > 0) {
        set("rhumb_geo_database_age_seconds", Math.max(0, nowMs - info.databaseBuiltAtMs) / 1_000, {
          database: info.database,
        });
      }
    }
  }

  function readProcess(): void {
    const engine = sources.engine?.();
    if (engine) set("rhumb_dns_engine_info", 1, { engine: engine.name, why: engine.why });
    const xdp = sources.xdp?.();
    if (xdp) readXdp(xdp, set, setTotal);
    const build = sources.build?.();
    if (build) set("rhumb_build_info", 1, { version: build.version, node_version: process.version });
    for (const [quantile, percent] of [
      ["0.5", 50],
      ["0.99", 99],
      ["1", 100],
    ] as const) {
      const nanoseconds = delay.percentile(percent);
      // What is measured is the time between two samples.
      const seconds = Number.isFinite(nanoseconds) ? nanoseconds / 1e9 - DELAY_SAMPLE_MS / 1_000 : 0;
      set("rhumb_event_loop_delay_seconds", Math.max(0, seconds), { quantile });
    }
    delay.reset();
    const { user, system } = process.cpuUsage();
    setTotal("process_cpu_seconds_total", (user + system) / 1e6);
    const { rss, heapUsed } = process.memoryUsage();
    set("process_resident_memory_bytes", rss);
    set("nodejs_heap_used_bytes", heapUsed);
    set("process_start_time_seconds", startedAtSeconds);
    try {
      set("process_open_fds", readdirSync("/proc/self/fd").length);
    } catch {
      // not Linux
    }
  }

  return {
    async expose() {
      const balancer = await sources.balancer?.();
      // A target, override or map that is gone must not leave its last value behind.
      for (const metric of gauges.values()) metric.reset();
      for (const metric of totals.values()) metric.clear();
      readDns();
      readSteering();
      readHealth();
      readHealthStats();
      if (balancer)
        readBalancer(
          balancer,
          (name, value, labels) => (isTotal(name) ? setTotal : set)(name, value, labels),
          (name, value, labels) => totals.get(name)!.set(value, labels),
        );
      readRest();
      readProcess();
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
    observeEvent(event) {
      count("rhumb_events_total", { kind: event.kind, severity: event.severity });
      const { from, to, cause } = event.data ?? {};
      const isTransition = event.kind === "health.transition" || event.kind === "health.failback";
      // A step of a ramp is no transition, and an alarm that is raised again after a restart is none either.
      if (isTransition && cause !== undefined && from !== to) {
        const labels = { from: String(from), to: String(to), cause: String(cause) };
        count("rhumb_health_transitions_total", { target: event.subject, ...labels });
      }
      // `info`: an overlay that its sender must correct; `resolved`: the files are again what serves.
      if (event.kind === "config.applied" || (event.kind === "config.refused" && event.severity !== "info")) {
        const isOk = event.kind === "config.applied" || event.severity === "resolved";
        lastReload = { isOk, atMs: event.atMs };
        if (event.severity !== "resolved")
          count("rhumb_config_reloads_total", { result: isOk ? "applied" : "refused" });
      }
    },
    observeProbe(kind, isPass, durationMs) {
      const labels = { kind, result: isPass ? "pass" : "fail" };
      count("rhumb_health_probes_total", labels);
      time("rhumb_health_probe_duration_seconds", durationMs, labels);
    },
    observeDelivery: (notifier, result) => count("rhumb_notify_deliveries_total", { notifier, result }),
    observeRequest(method, route, status, durationMs) {
      count("rhumb_api_requests_total", { method, route, status: String(status) });
      time("rhumb_api_request_duration_seconds", durationMs, { route });
    },
    close: () => void delay.disable(),
  };
}
