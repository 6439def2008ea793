/**
 * What nodes share → the metrics of `catalog-cluster.ts`.
 * @module
 */
import type { CLUSTER_METRICS } from "#metrics/catalog-cluster.ts";
import { dutyOf, EVACUATION_STEPS, type Evacuation } from "#state/evacuation.ts";
import type { PeerState, SharedStatus } from "#state/shared.ts";

export type ClusterSource = {
  readonly status: SharedStatus;
  readonly peers: readonly PeerState[];
  readonly evacuations: readonly Evacuation[];
};
type Write = (name: keyof typeof CLUSTER_METRICS, value: number, labels?: Record<string, string>) => void;

/** @param total sets a counter to what it has become */
export function readCluster({ status, peers, evacuations }: ClusterSource, set: Write, total: Write): void {
  for (const evacuation of evacuations) {
    const { region, direction, step } = evacuation;
    set("rhumb_evacuation_step", EVACUATION_STEPS.indexOf(step), { region, direction });
    set("rhumb_evacuation_weight_percent", dutyOf(evacuation).weightPercent, { region });
  }
  if (status.by === "alone") return;
  set("rhumb_cluster_connected", status.isConnected ? 1 : 0, { by: status.by });
  for (const [kind, count] of Object.entries(status.records)) set("rhumb_cluster_records", count, { kind });
  for (const [reason, count] of Object.entries(status.refused)) total("rhumb_cluster_refused_total", count, { reason });
  for (const [direction, count] of Object.entries(status.octets))
    total("rhumb_cluster_octets_total", count, { direction });
  for (const { node, isAlive, silentMs, clockOffsetMs } of peers) {
    set("rhumb_cluster_peer_alive", isAlive ? 1 : 0, { node });
    if (silentMs !== null) set("rhumb_cluster_peer_silent_seconds", silentMs / 1_000, { node });
    if (clockOffsetMs !== null) set("rhumb_cluster_clock_offset_seconds", clockOffsetMs / 1_000, { node });
  }
}
