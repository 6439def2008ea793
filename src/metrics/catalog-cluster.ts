/**
 * Metrics of what nodes share. Absent on a node that is alone, but for evacuations.
 * @module
 */
import { counter, gauge } from "#metrics/metric.ts";

export const CLUSTER_METRICS = {
  rhumb_cluster_connected: gauge("bool", "1 while what others publish reaches this node", ["by"]),
  rhumb_cluster_records: gauge("records", "Shared records that live, by kind", ["kind"]),
  rhumb_cluster_refused_total: counter("records", "Records that were refused, by reason; `old` ones are harmless", [
    "reason",
  ]),
  rhumb_cluster_octets_total: counter("octets", "What sharing costs, without the framing of RESP or HTTP", [
    "direction",
  ]),
  rhumb_cluster_peer_alive: gauge("bool", "1 while heartbeats of the node come", ["node"]),
  rhumb_cluster_peer_silent_seconds: gauge("seconds", "Since its last heartbeat; absent before the first", ["node"]),
  rhumb_evacuation_step: gauge(
    "step",
    "Where the evacuation of a region stands: 0 serving, 1 weight, 2 tail, 3 balancer, 4 withdraw, 5 evacuated",
    ["region", "direction"],
  ),
  rhumb_evacuation_weight_percent: gauge("percent", "Of its clients that DNS gives to a region that is evacuated", [
    "region",
  ]),
  rhumb_cluster_clock_offset_seconds: gauge("seconds", "How far its clock is ahead of this node's", ["node"]),
};
