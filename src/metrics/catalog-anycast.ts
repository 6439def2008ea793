/**
 * Metrics of what a node announces by BGP. Absent without a section `anycast:`.
 * @module
 */
import { counter, gauge } from "#metrics/metric.ts";

export const ANYCAST_METRICS = {
  rhumb_anycast_announced: gauge("bool", "1 while ExaBGP has the route, as it has acknowledged", ["prefix"]),
  rhumb_anycast_phase: gauge("bool", "1 for the phase that the prefix is in", ["prefix", "phase"]),
  rhumb_anycast_held_seconds: gauge("seconds", "For how long it is still held down; 0: it is not", ["prefix"]),
  rhumb_anycast_advertisers: gauge("nodes", "Nodes that announce it, by their records", ["prefix"]),
  rhumb_anycast_flaps_total: counter("withdrawals", "Withdrawals that nobody planned", ["prefix"]),
  rhumb_anycast_refused_total: counter("withdrawals", "Planned withdrawals that were refused"),
  rhumb_anycast_self_check_up: gauge("bool", "1 while this node's own serving works"),
  rhumb_anycast_exabgp_up: gauge("bool", "1 while ExaBGP answers"),
  rhumb_anycast_guard_up: gauge("bool", "1 while the guard in the sidecar reads the heartbeat"),
  rhumb_anycast_session_up: gauge("bool", "1 while the BGP session is established", ["neighbour"]),
};
