/**
 * Metrics of the balancer: names, help, and which counter of a worker feeds which.
 * @module
 */
import { counter, gauge, type Metric } from "#metrics/metric.ts";
import type { BackendCounter } from "#state/backend-table.ts";
import type { ListenerCounter } from "#state/counters.ts";
import { latencyBoundMicros } from "#state/latency.ts";

const BACKEND = ["pool", "backend"];
/** Buckets that scrapes get: one an octave, which is what dashboards can use. */
export const LATENCY_OCTAVES: readonly number[] = Array.from({ length: 21 }, (_, octave) => octave * 4);

export const BALANCER_METRICS = {
  rhumb_listener_connections: gauge("connections", "Connections (UDP: sessions) now", ["listener"]),
  rhumb_listener_accepted_total: counter("connections", "Connections accepted, sessions begun", ["listener"]),
  rhumb_listener_refused_total: counter(
    "connections",
    "Connections that got no backend, by reason: access, limit, client_limit, preamble, route, handshake, no_backend, queue_full, queue_timeout, retry_budget, connect",
    ["listener", "reason"],
  ),
  rhumb_listener_ended_total: counter(
    "connections",
    "Relayed connections by how they ended: closed, client_reset, upstream_reset, idle, lifetime, stopped (drained or shut down), evicted",
    ["listener", "reason"],
  ),
  rhumb_listener_retries_total: counter("tries", "Connects to another backend after one had failed", ["listener"]),
  rhumb_listener_octets_total: counter("octets", "Octets relayed", ["listener", "direction"]),
  rhumb_listener_datagrams_total: counter("datagrams", "UDP datagrams relayed or dropped", ["listener", "direction"]),
  rhumb_http_requests_active: gauge("requests", "Requests under way now, tunnels included", ["listener"]),
  rhumb_http_requests_total: counter("requests", "Requests whose head was read", ["listener"]),
  rhumb_http_responses_total: counter("responses", "Responses sent, by class of status: 1xx, 2xx, 3xx, 4xx, 5xx", [
    "listener",
    "class",
  ]),
  rhumb_http_refused_total: counter(
    "requests",
    "Requests that went no further, by reason: bad (could not be read), access (by address), waf, rate (over a rate limit), auth (password, token, or what another service said), shed (too many under way), timeout (no response in time)",
    ["listener", "reason"],
  ),
  rhumb_http_tries_total: counter(
    "tries",
    "Tries beside the first, by kind: retry, hedge (beside one that takes long), mirror",
    ["listener", "kind"],
  ),
  rhumb_http_aborted_total: counter("requests", "Requests that were not completed, by side: client, upstream", [
    "listener",
    "side",
  ]),
  rhumb_http_waf_found_total: counter(
    "requests",
    'Requests in which the WAF of a rule found something; those beyond `rhumb_http_refused_total{reason="waf"}` went on, because their rule does not enforce it',
    ["listener"],
  ),
  rhumb_http_tunnels_total: counter("tunnels", "Upgrades that a backend agreed to, such as WebSocket", ["listener"]),
  rhumb_http_cache_total: counter("requests", "Requests to rules with a cache, by result: hit, miss, stale", [
    "listener",
    "result",
  ]),
  rhumb_cache_objects: gauge("objects", "Responses in the HTTP cache, over all workers", ["store"]),
  rhumb_cache_octets: gauge("octets", "Memory of the HTTP cache, over all workers: used, limit", ["store", "what"]),
  rhumb_cache_requests_total: counter(
    "requests",
    "Requests that the HTTP cache was asked about, by result: hit (fresh), stale, miss, pass (went by it); and of these wait: they waited for another one that fetched the same",
    ["store", "result"],
  ),
  rhumb_cache_responses_total: counter(
    "responses",
    "What became of responses in the HTTP cache: stored, revalidated (confirmed by a 304), evicted (for want of memory), purged",
    ["store", "what"],
  ),
  rhumb_access_log_dropped_lines_total: counter("lines", "Lines of the access log that could not be written", ["file"]),
  rhumb_tls_certificate_not_after_seconds: gauge("seconds", "When a served certificate ends, Unix time", [
    "listener",
    "certificate",
  ]),
  rhumb_acme_orders_total: counter("orders", "Orders at ACME authorities by result: issued, failed", [
    "certificate",
    "result",
  ]),
  rhumb_backend_up: gauge("bool", "1 when the backend gets new connections: active", BACKEND),
  rhumb_backend_state: gauge(
    "enum",
    "State: 1 active, 2 unknown, 3 drain, 4 maint, 5 down, 6 ejected by its failures",
    BACKEND,
  ),
  rhumb_backend_weight: gauge("weight", "Weight now, with slow start and a partial drain", BACKEND),
  rhumb_backend_active_connections: gauge("connections", "Connections (UDP: sessions) now", BACKEND),
  rhumb_backend_request_duration_seconds: {
    type: "histogram",
    unit: "seconds",
    help: "Time from a request's first octet to the end of its response, by the backend that answered",
    labels: BACKEND,
    buckets: LATENCY_OCTAVES.map((bucket) => latencyBoundMicros(bucket) / 1e6),
  },
  rhumb_backend_request_quantile_seconds: gauge("seconds", "Of the last minute: quantile 0.5, 0.95, 0.99", [
    ...BACKEND,
    "quantile",
  ]),
  rhumb_backend_connections_total: counter("connections", "Connections that came about, sessions begun", BACKEND),
  rhumb_backend_failures_total: counter("connections", "Failed connections: refused, timeout, error, reset", [
    ...BACKEND,
    "reason",
  ]),
  rhumb_backend_retries_total: counter("tries", "Tries that went on to another backend", BACKEND),
  rhumb_backend_connect_seconds_total: counter(
    "seconds",
    "Time spent to connect; divided by the connections it is the mean",
    BACKEND,
  ),
  rhumb_backend_octets_total: counter("octets", "Octets relayed", [...BACKEND, "direction"]),
  rhumb_backend_datagrams_total: counter("datagrams", "UDP datagrams relayed", [...BACKEND, "direction"]),
  rhumb_backend_requests_total: counter("requests", "HTTP requests sent", BACKEND),
  rhumb_backend_responses_total: counter("responses", "HTTP responses by class of status: 1xx, 2xx, 3xx, 4xx, 5xx", [
    ...BACKEND,
    "class",
  ]),
  rhumb_backend_gateway_failures_total: counter("responses", "HTTP responses 502, 503 and 504", BACKEND),
  rhumb_backend_client_aborts_total: counter(
    "requests",
    "HTTP requests whose client left before its response was complete",
    BACKEND,
  ),
  rhumb_backend_retried_requests_total: counter(
    "requests",
    "HTTP requests that had been tried before, here or elsewhere",
    BACKEND,
  ),
  rhumb_pool_panic: gauge("bool", "1 while health is ignored because too few backends are healthy", ["pool"]),
  rhumb_pool_queue_depth: gauge("connections", "Connections that wait for a place", ["pool"]),
  rhumb_pool_backends: gauge("backends", "Backends by state", ["pool", "state"]),
  rhumb_balancer_workers: gauge("workers", "Worker threads that serve", ["kind"]),
  rhumb_balancer_engine_info: gauge("info", "Always 1; the labels say how plain TCP is relayed, and why so", [
    "engine",
    "why",
  ]),
} as const satisfies Record<string, Metric>;
export type BalancerMetricName = keyof typeof BALANCER_METRICS;

type Slot = {
  readonly metric: BalancerMetricName;
  readonly labels?: Readonly<Record<string, string>>;
  /** What the counter is divided by to get the metric's unit. */
  readonly per?: number;
};
const refused = (reason: string): Slot => ({ metric: "rhumb_listener_refused_total", labels: { reason } });
const ended = (reason: string): Slot => ({ metric: "rhumb_listener_ended_total", labels: { reason } });
const failed = (reason: string): Slot => ({ metric: "rhumb_backend_failures_total", labels: { reason } });

const responses = (of: string): Slot => ({ metric: "rhumb_http_responses_total", labels: { class: of } });
const refusedRequest = (reason: string): Slot => ({ metric: "rhumb_http_refused_total", labels: { reason } });
const tries = (kind: string): Slot => ({ metric: "rhumb_http_tries_total", labels: { kind } });
const cached = (result: string): Slot => ({ metric: "rhumb_http_cache_total", labels: { result } });
const backendResponses = (of: string): Slot => ({ metric: "rhumb_backend_responses_total", labels: { class: of } });

/** A counter without a row here breaks the build; null: it is no metric by itself. */
export const LISTENER_SLOTS: Readonly<Record<ListenerCounter, Slot | null>> = {
  active: { metric: "rhumb_listener_connections" },
  accepted: { metric: "rhumb_listener_accepted_total" },
  refused_access: refused("access"),
  refused_limit: refused("limit"),
  refused_client_limit: refused("client_limit"),
  refused_preamble: refused("preamble"),
  refused_route: refused("route"),
  no_backend: refused("no_backend"),
  queue_full: refused("queue_full"),
  queue_timeout: refused("queue_timeout"),
  retry_budget: refused("retry_budget"),
  connect_failed: refused("connect"),
  handshake_failed: refused("handshake"),
  retries: { metric: "rhumb_listener_retries_total" },
  closed: ended("closed"),
  client_reset: ended("client_reset"),
  upstream_reset: ended("upstream_reset"),
  idle_timeout: ended("idle"),
  lifetime_ended: ended("lifetime"),
  stopped: ended("stopped"),
  sessions_evicted: ended("evicted"),
  octets_from_clients: { metric: "rhumb_listener_octets_total", labels: { direction: "from_clients" } },
  octets_to_clients: { metric: "rhumb_listener_octets_total", labels: { direction: "to_clients" } },
  datagrams_from_clients: { metric: "rhumb_listener_datagrams_total", labels: { direction: "from_clients" } },
  datagrams_to_clients: { metric: "rhumb_listener_datagrams_total", labels: { direction: "to_clients" } },
  datagrams_dropped: { metric: "rhumb_listener_datagrams_total", labels: { direction: "dropped" } },
  http_active: { metric: "rhumb_http_requests_active" },
  http_requests: { metric: "rhumb_http_requests_total" },
  http_1xx: responses("1xx"),
  http_2xx: responses("2xx"),
  http_3xx: responses("3xx"),
  http_4xx: responses("4xx"),
  http_5xx: responses("5xx"),
  http_bad_requests: refusedRequest("bad"),
  http_timeouts: refusedRequest("timeout"),
  http_shed: refusedRequest("shed"),
  http_limited: refusedRequest("rate"),
  http_denied_access: refusedRequest("access"),
  http_denied_waf: refusedRequest("waf"),
  http_denied_auth: refusedRequest("auth"),
  http_waf_found: { metric: "rhumb_http_waf_found_total" },
  http_retries: tries("retry"),
  http_hedges: tries("hedge"),
  http_mirrored: tries("mirror"),
  http_client_aborts: { metric: "rhumb_http_aborted_total", labels: { side: "client" } },
  http_upstream_aborts: { metric: "rhumb_http_aborted_total", labels: { side: "upstream" } },
  http_tunnels: { metric: "rhumb_http_tunnels_total" },
  cache_hits: cached("hit"),
  cache_misses: cached("miss"),
  cache_stale: cached("stale"),
};
export const BACKEND_SLOTS: Readonly<Record<BackendCounter, Slot | null>> = {
  active: null, // of one worker; the table has the sums
  queued: null,
  connections: { metric: "rhumb_backend_connections_total" },
  connect_refused: failed("refused"),
  connect_timeout: failed("timeout"),
  connect_error: failed("error"),
  resets: failed("reset"),
  retries_away: { metric: "rhumb_backend_retries_total" },
  octets_to_backend: { metric: "rhumb_backend_octets_total", labels: { direction: "to_backend" } },
  octets_from_backend: { metric: "rhumb_backend_octets_total", labels: { direction: "from_backend" } },
  datagrams_to_backend: { metric: "rhumb_backend_datagrams_total", labels: { direction: "to_backend" } },
  datagrams_from_backend: { metric: "rhumb_backend_datagrams_total", labels: { direction: "from_backend" } },
  connect_micros: { metric: "rhumb_backend_connect_seconds_total", per: 1e6 },
  successes: null, // inputs of outlier detection
  failures: null,
  requests: { metric: "rhumb_backend_requests_total" },
  responses_1xx: backendResponses("1xx"),
  responses_2xx: backendResponses("2xx"),
  responses_3xx: backendResponses("3xx"),
  responses_4xx: backendResponses("4xx"),
  responses_5xx: backendResponses("5xx"),
  gateway_failures: { metric: "rhumb_backend_gateway_failures_total" },
  client_aborts: { metric: "rhumb_backend_client_aborts_total" },
  upstream_retries: { metric: "rhumb_backend_retried_requests_total" },
};
