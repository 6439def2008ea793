/**
 * Every metric: name, help, unit, type, labels. `docs/metrics.md` and the registry are made from this table alone.
 *
 * Owns:    the names, which dashboards and alerts depend on: a rename is a breaking change.
 * Rules:   Prometheus naming: base units in the name, `_total` on counters.
 * @module
 */
import { ANYCAST_METRICS } from "#metrics/catalog-anycast.ts";
import { BALANCER_METRICS } from "#metrics/catalog-balancer.ts";
import { CLUSTER_METRICS } from "#metrics/catalog-cluster.ts";
import { SOURCE_METRICS } from "#metrics/catalog-sources.ts";
import { XDP_METRICS } from "#metrics/catalog-xdp.ts";
import { counter, gauge, type Metric } from "#metrics/metric.ts";
import type { DnsCounter } from "#state/counters.ts";

const TRANSITION_LABELS = "target from to cause".split(" ");

export const METRICS = {
  // DNS, from the workers' counter slots
  rhumb_dns_queries_total: counter("queries", "Queries taken in", ["transport"]),
  rhumb_dns_queries_ipv6_total: counter("queries", "Queries that came over IPv6"),
  rhumb_dns_queries_edns_total: counter("queries", "Queries with EDNS"),
  rhumb_dns_queries_ecs_total: counter("queries", "Queries with a client subnet option"),
  rhumb_dns_questions_total: counter("queries", "Questions by type", ["type"]),
  rhumb_dns_responses_total: counter("responses", "Responses by response code", ["rcode"]),
  rhumb_dns_response_octets_total: counter("octets", "DNS octets sent, without IP and UDP or TCP headers"),
  rhumb_dns_truncated_total: counter("responses", "Responses sent with TC, so that the client comes back over TCP"),
  rhumb_dns_steered_total: counter("responses", "Responses whose addresses steering chose"),
  rhumb_dns_steered_answers_total: counter(
    "responses",
    "Steered responses by service and the region that they name first; no region: they name none",
    ["service", "region"],
  ),
  rhumb_dns_fail_open_total: counter(
    "responses",
    "Steered responses with targets that are down, because nothing better was left",
  ),
  rhumb_dns_variants_compiled_total: counter(
    "variants",
    "Answer variants compiled; grows when inputs change, not with queries",
  ),
  rhumb_dns_dropped_total: counter("queries", "Packets that got no response, by reason", ["reason"]),
  rhumb_dns_rrl_slipped_total: counter("responses", "Limited responses that were sent truncated instead of dropped"),
  rhumb_dns_rrl_would_limit_total: counter(
    "responses",
    "Responses that the rate limit would have limited, were it not a dry run",
  ),
  rhumb_dns_cookies_total: counter("queries", "Queries with a full DNS cookie, by what became of it", ["result"]),
  rhumb_dns_handler_faults_total: counter(
    "queries",
    "Faults inside the handler; each answered SERVFAIL. Should stay 0",
  ),
  rhumb_dns_send_errors_total: counter("responses", "Responses that the kernel did not take"),
  rhumb_dns_partial_sends_total: counter(
    "calls",
    "System calls that sent fewer responses than they were given; the rest went with the next one",
  ),
  rhumb_dns_batches_total: counter(
    "calls",
    "System calls that received datagrams. Queries over UDP divided by this is the mean batch; engine batch only",
  ),
  rhumb_dns_tcp_connections_total: counter("connections", "TCP connections accepted"),
  rhumb_dns_tcp_rejected_total: counter("connections", "TCP connections refused by a limit"),
  rhumb_dns_tcp_timeouts_total: counter("connections", "TCP connections closed because they were idle or too slow"),
  rhumb_dns_query_samples_total: counter(
    "samples",
    "Samples for the query log: `read`, or `lost` because they were not fetched in time",
    ["result"],
  ),
  rhumb_dns_workers: gauge("workers", "Workers that serve", ["transport"]),
  rhumb_zone_serial: gauge("serial", "SOA serial of each zone that is served", ["zone"]),
  rhumb_zone_records: gauge("records", "Records of each zone", ["zone"]),

  // Health
  rhumb_target_up: gauge("bool", "1 when the verdict on the target is up or held; 0 also while nothing is known", [
    "target",
  ]),
  rhumb_target_verdict: gauge("enum", "Verdict: 0 unknown, 1 up, 2 down, 3 held", ["target"]),
  rhumb_target_override: gauge("enum", "Override in force: 0 none, 1 up, 2 down, 3 drain, 4 ignore-health", ["target"]),
  rhumb_target_stale: gauge("bool", "1 when the evidence is older than three intervals", ["target"]),
  rhumb_target_low_confidence: gauge("bool", "1 when fewer votes than wanted decided", ["target"]),
  rhumb_target_ramp_ratio: gauge("ratio", "Share of its clients that a returning target gets", ["target"]),
  rhumb_target_weight_ratio: gauge("ratio", "Share that drain leaves; 1 without an override", ["target"]),
  rhumb_target_rtt_seconds: gauge("seconds", "Smoothed round trip of the probes; absent until measured", ["target"]),
  rhumb_target_load_ratio: gauge("ratio", "Load as a share of capacity", ["target"]),
  rhumb_region_load_ratio: gauge(
    "ratio",
    "Load as a share of capacity: measured, predicted for when caches have let go, effective for `shed`",
    ["region", "kind"],
  ),
  rhumb_region_load_frozen: gauge("regions", "1 while no balancer of the region reports its load", ["region"]),
  rhumb_spread_level_ratio: gauge(
    "ratio",
    "Share of capacity up to which regions are filled by the plan; above 1: more demand than capacity; absent without a plan",
  ),
  rhumb_spread_moved_ratio: gauge("ratio", "Share of the planned demand that does not go to its first choice"),
  rhumb_target_next_flip_seconds: gauge(
    "seconds",
    "Earliest possible change of the verdict, Unix time; absent while quiet",
    ["target"],
  ),
  rhumb_health_transitions_total: counter(
    "transitions",
    "Changes of verdict, and of regions on their way back: down, hold, approval, ramp, up",
    TRANSITION_LABELS,
  ),
  rhumb_health_probes_total: counter("probes", "Probes finished", ["kind", "result"]),
  rhumb_health_probe_duration_seconds: {
    type: "histogram",
    unit: "seconds",
    help: "How long probes took",
    labels: ["kind", "result"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5],
  },
  rhumb_health_probe_results_total: counter(
    "probes",
    "Probes judged, by class of error: `none` is a pass, `self` and `stalled` are our own trouble and count neither way",
    ["kind", "error"],
  ),
  rhumb_health_monitors: gauge("endpoints", "Endpoints that are probed; targets with equal checks share one"),
  rhumb_health_probes_running: gauge("probes", "Probes under way"),
  rhumb_health_probes_waiting: gauge(
    "probes",
    "Probes that wait for others to end: above 0 for long, there are too many",
  ),
  rhumb_health_stalls_total: counter("stalls", "Times that this process stood still, so that probes were not judged"),
  rhumb_health_frozen_targets: gauge("targets", "Failing targets that the blast budget keeps at their last verdict"),
  rhumb_health_votes: gauge(
    "votes",
    "Votes of each vantage on addresses of regions: for up, for down, and stale, which do not count",
    ["vantage", "vote"],
  ),
  rhumb_health_vantage_quarantined: gauge("bool", "1 while the votes of the vantage do not count", ["vantage"]),
  rhumb_health_disagreements: gauge(
    "targets",
    "Regions whose own report contradicts the probes, and addresses on which vantages contradict each other",
    ["between"],
  ),
  rhumb_health_reports_ignored: gauge("bool", "1 while no report of a region counts, because too many say no at once"),
  rhumb_override_age_seconds: gauge("seconds", "Age of each override: an old one is a forgotten one", [
    "id",
    "target",
    "verb",
    "owner",
  ]),
  rhumb_override_remaining_seconds: gauge(
    "seconds",
    "Time until each override ends by itself; +Inf where it has no end",
    ["id", "target", "verb", "owner"],
  ),

  ...CLUSTER_METRICS,
  ...SOURCE_METRICS,
  ...ANYCAST_METRICS,
  ...XDP_METRICS,
  ...BALANCER_METRICS,

  // Configuration and databases
  rhumb_config_epoch: gauge("epoch", "Epoch of the configuration's generation"),
  rhumb_config_generation: gauge("sequence", "Sequence of the configuration's generation"),
  rhumb_config_last_reload_ok: gauge("bool", "1 when the last attempt to load the configuration succeeded"),
  rhumb_config_last_reload_seconds: gauge("seconds", "Unix time of the last attempt to load the configuration"),
  rhumb_config_reloads_total: counter("reloads", "Attempts to load the configuration", ["result"]),
  rhumb_geo_database_age_seconds: gauge("seconds", "Time since the geo database was built by its maker", ["database"]),
  rhumb_geo_map_classes: gauge("classes", "Classes of clients that a map tells apart", ["map"]),
  rhumb_geo_map_leaves: gauge("networks", "Leaves of a map's trie", ["map"]),
  rhumb_geo_map_octets: gauge("octets", "Memory of a map's trie", ["map"]),

  // Events, notifiers, the API
  rhumb_events_total: counter("events", "Events, as GET /events shows them", ["kind", "severity"]),
  rhumb_notify_deliveries_total: counter(
    "messages",
    "Messages to notifiers: delivered, failed (given up) or dropped (queue full)",
    ["notifier", "result"],
  ),
  rhumb_api_requests_total: counter("requests", "Requests to the control API", ["method", "route", "status"]),
  rhumb_api_request_duration_seconds: {
    type: "histogram",
    unit: "seconds",
    help: "How long the control API took to answer",
    labels: ["route"],
    buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5],
  },

  // The process
  rhumb_dns_engine_info: gauge("info", "Always 1; the labels say how UDP is received, and why so", ["engine", "why"]),
  rhumb_build_info: gauge("info", "Always 1; the labels say what runs", ["version", "node_version"]),
  rhumb_event_loop_delay_seconds: gauge("seconds", "Delay of the main thread's event loop since the last scrape", [
    "quantile",
  ]),
  process_cpu_seconds_total: counter("seconds", "CPU time of all threads"),
  process_resident_memory_bytes: gauge("bytes", "Resident memory"),
  process_start_time_seconds: gauge("seconds", "Unix time at which the process started"),
  process_open_fds: gauge("files", "Open file descriptors; Linux only"),
  nodejs_heap_used_bytes: gauge("bytes", "Used heap of the main thread"),
} as const satisfies Record<string, Metric>;
export type MetricName = keyof typeof METRICS;

type Slot = { readonly metric: MetricName; readonly labels?: Readonly<Record<string, string>> };
const of = (metric: MetricName, labels?: Readonly<Record<string, string>>): Slot => ({
  metric,
  ...(labels ? { labels } : {}),
});

/** Which metric each counter slot of a DNS worker feeds. A new slot without a row here breaks the build. */
export const DNS_SLOTS: Readonly<Record<DnsCounter, Slot>> = {
  queries_udp: of("rhumb_dns_queries_total", { transport: "udp" }),
  queries_tcp: of("rhumb_dns_queries_total", { transport: "tcp" }),
  queries_ipv6: of("rhumb_dns_queries_ipv6_total"),
  queries_edns: of("rhumb_dns_queries_edns_total"),
  queries_ecs: of("rhumb_dns_queries_ecs_total"),
  qtype_a: of("rhumb_dns_questions_total", { type: "A" }),
  qtype_ns: of("rhumb_dns_questions_total", { type: "NS" }),
  qtype_cname: of("rhumb_dns_questions_total", { type: "CNAME" }),
  qtype_soa: of("rhumb_dns_questions_total", { type: "SOA" }),
  qtype_ptr: of("rhumb_dns_questions_total", { type: "PTR" }),
  qtype_mx: of("rhumb_dns_questions_total", { type: "MX" }),
  qtype_txt: of("rhumb_dns_questions_total", { type: "TXT" }),
  qtype_aaaa: of("rhumb_dns_questions_total", { type: "AAAA" }),
  qtype_srv: of("rhumb_dns_questions_total", { type: "SRV" }),
  qtype_ds: of("rhumb_dns_questions_total", { type: "DS" }),
  qtype_dnskey: of("rhumb_dns_questions_total", { type: "DNSKEY" }),
  qtype_svcb: of("rhumb_dns_questions_total", { type: "SVCB" }),
  qtype_https: of("rhumb_dns_questions_total", { type: "HTTPS" }),
  qtype_any: of("rhumb_dns_questions_total", { type: "ANY" }),
  qtype_other: of("rhumb_dns_questions_total", { type: "other" }),
  rcode_noerror: of("rhumb_dns_responses_total", { rcode: "NOERROR" }),
  rcode_formerr: of("rhumb_dns_responses_total", { rcode: "FORMERR" }),
  rcode_servfail: of("rhumb_dns_responses_total", { rcode: "SERVFAIL" }),
  rcode_nxdomain: of("rhumb_dns_responses_total", { rcode: "NXDOMAIN" }),
  rcode_notimp: of("rhumb_dns_responses_total", { rcode: "NOTIMP" }),
  rcode_refused: of("rhumb_dns_responses_total", { rcode: "REFUSED" }),
  rcode_notauth: of("rhumb_dns_responses_total", { rcode: "NOTAUTH" }),
  rcode_badvers: of("rhumb_dns_responses_total", { rcode: "BADVERS" }),
  rcode_badcookie: of("rhumb_dns_responses_total", { rcode: "BADCOOKIE" }),
  truncated: of("rhumb_dns_truncated_total"),
  steered: of("rhumb_dns_steered_total"),
  fail_open: of("rhumb_dns_fail_open_total"),
  variants_compiled: of("rhumb_dns_variants_compiled_total"),
  dropped_short: of("rhumb_dns_dropped_total", { reason: "short" }),
  dropped_response: of("rhumb_dns_dropped_total", { reason: "response" }),
  dropped_port: of("rhumb_dns_dropped_total", { reason: "port" }),
  dropped_acl: of("rhumb_dns_dropped_total", { reason: "acl" }),
  dropped_rrl: of("rhumb_dns_dropped_total", { reason: "rrl" }),
  dropped_by_kernel: of("rhumb_dns_dropped_total", { reason: "kernel" }),
  rrl_slipped: of("rhumb_dns_rrl_slipped_total"),
  rrl_would_limit: of("rhumb_dns_rrl_would_limit_total"),
  cookies_valid: of("rhumb_dns_cookies_total", { result: "valid" }),
  cookies_bad: of("rhumb_dns_cookies_total", { result: "bad" }),
  handler_faults: of("rhumb_dns_handler_faults_total"),
  send_errors: of("rhumb_dns_send_errors_total"),
  send_partial: of("rhumb_dns_partial_sends_total"),
  batches: of("rhumb_dns_batches_total"),
  tcp_connections: of("rhumb_dns_tcp_connections_total"),
  tcp_rejected: of("rhumb_dns_tcp_rejected_total"),
  tcp_timeouts: of("rhumb_dns_tcp_timeouts_total"),
  response_octets: of("rhumb_dns_response_octets_total"),
};
