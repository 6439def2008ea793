/**
 * Counter slots: engines → metrics, without messages.
 *
 * Owns:    names and layout. One block per worker in shared memory; the worker is the block's single writer.
 * Readers: `metrics/`, which sums over workers. Float64: exact up to 2^53, so no wrap-around.
 * @module
 */

/** @returns the index of each name */
export function indexOfNames<Name extends string>(names: readonly Name[]): Readonly<Record<Name, number>> {
  return Object.fromEntries(names.map((name, index) => [name, index])) as Record<Name, number>;
}

export const DNS_COUNTERS = [
  "queries_udp",
  "queries_tcp",
  "queries_ipv6",
  "queries_edns",
  "queries_ecs",
  "qtype_a",
  "qtype_ns",
  "qtype_cname",
  "qtype_soa",
  "qtype_ptr",
  "qtype_mx",
  "qtype_txt",
  "qtype_aaaa",
  "qtype_srv",
  "qtype_ds",
  "qtype_dnskey",
  "qtype_svcb",
  "qtype_https",
  "qtype_any",
  "qtype_other",
  "rcode_noerror",
  "rcode_formerr",
  "rcode_servfail",
  "rcode_nxdomain",
  "rcode_notimp",
  "rcode_refused",
  "rcode_notauth",
  "rcode_badvers",
  "rcode_badcookie",
  "truncated",
  "steered",
  "fail_open",
  "variants_compiled",
  "dropped_short",
  "dropped_response",
  "dropped_port",
  "dropped_acl",
  "dropped_rrl",
  "dropped_by_kernel",
  "rrl_slipped",
  "rrl_would_limit",
  "cookies_valid",
  "cookies_bad",
  "handler_faults",
  "send_errors",
  "send_partial",
  "batches",
  "tcp_connections",
  "tcp_rejected",
  "tcp_timeouts",
  "response_octets",
] as const;
export type DnsCounter = (typeof DNS_COUNTERS)[number];

/** Index of each counter in a worker's block: `slots[DNS_COUNTER.truncated]! += 1`. */
export const DNS_COUNTER = indexOfNames(DNS_COUNTERS);

/** What a balancer's worker counts of each listener; one block of `listeners × LISTENER_COUNTERS.length` per worker. */
export const LISTENER_COUNTERS = [
  "active",
  "accepted",
  "refused_access",
  "refused_limit",
  "refused_client_limit",
  "refused_preamble",
  "refused_route",
  "no_backend",
  "queue_full",
  "queue_timeout",
  "retry_budget",
  "connect_failed",
  "retries",
  "closed",
  "client_reset",
  "upstream_reset",
  "idle_timeout",
  "lifetime_ended",
  "stopped",
  "octets_from_clients",
  "octets_to_clients",
  "datagrams_from_clients",
  "datagrams_to_clients",
  "datagrams_dropped",
  "sessions_evicted",
  "handshake_failed",
  /** Of HTTP from here on. Requests under way now: */
  "http_active",
  "http_requests",
  "http_1xx",
  "http_2xx",
  "http_3xx",
  "http_4xx",
  "http_5xx",
  "http_bad_requests",
  "http_timeouts",
  "http_shed",
  /** Over a rate limit: 429. */
  "http_limited",
  /** By the access list of a rule. */
  "http_denied_access",
  "http_denied_waf",
  /** By a password, a token, or another service. */
  "http_denied_auth",
  /** A WAF found something in them, whether it is enforced or not. */
  "http_waf_found",
  "http_retries",
  "http_hedges",
  "http_mirrored",
  "http_client_aborts",
  "http_upstream_aborts",
  "http_tunnels",
  "cache_hits",
  "cache_misses",
  "cache_stale",
] as const;
export type ListenerCounter = (typeof LISTENER_COUNTERS)[number];
export const LISTENER_COUNTER = indexOfNames(LISTENER_COUNTERS);

/** RR types that are counted apart, by number (IANA "Resource Record (RR) TYPEs"). */
const COUNTED_QTYPES: Readonly<Record<number, DnsCounter>> = {
  1: "qtype_a",
  2: "qtype_ns",
  5: "qtype_cname",
  6: "qtype_soa",
  12: "qtype_ptr",
  15: "qtype_mx",
  16: "qtype_txt",
  28: "qtype_aaaa",
  33: "qtype_srv",
  43: "qtype_ds",
  48: "qtype_dnskey",
  64: "qtype_svcb",
  65: "qtype_https",
  255: "qtype_any",
};
const QTYPE_SLOTS = Uint8Array.from({ length: 256 }, (_, qtype) => DNS_COUNTER[COUNTED_QTYPES[qtype] ?? "qtype_other"]);

/** Slot in which questions of a type are counted. */
export const qtypeSlot = (qtype: number): number =>
  qtype < QTYPE_SLOTS.length ? QTYPE_SLOTS[qtype]! : DNS_COUNTER.qtype_other;

export const createCounterSlots = (count: number): Float64Array =>
  new Float64Array(new SharedArrayBuffer(count * Float64Array.BYTES_PER_ELEMENT));
