/**
 * Counter slots: engines → metrics, without messages.
 *
 * Owns:    names and layout. One block per worker in shared memory; the worker is the block's single writer.
 * Readers: `metrics/`, which sums over workers. Float64: exact up to 2^53, so no wrap-around.
 * @module
 */

export const DNS_COUNTERS = [
  "queries_udp",
  "queries_tcp",
  "queries_ipv6",
  "queries_edns",
  "queries_ecs",
  "qtype_a",
  "qtype_aaaa",
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
  "tcp_connections",
  "tcp_rejected",
  "tcp_timeouts",
  "response_octets",
] as const;
export type DnsCounter = (typeof DNS_COUNTERS)[number];

/** Index of each counter in a worker's block: `slots[DNS_COUNTER.truncated]! += 1`. */
export const DNS_COUNTER = Object.fromEntries(DNS_COUNTERS.map((name, index) => [name, index])) as Readonly<
  Record<DnsCounter, number>
>;

export const createCounterSlots = (count: number): Float64Array =>
  new Float64Array(new SharedArrayBuffer(count * Float64Array.BYTES_PER_ELEMENT));
