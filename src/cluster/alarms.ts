/**
 * What people are told of the cluster's state: cut off, a node silent, a clock astray. Each is told once, and ended.
 *
 * Owns:    when it is worth an alarm. Pure but for `emit`.
 * Units:   ms.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Emit } from "#state/events.ts";
import type { PeerState } from "#state/shared.ts";

/** A connection that comes back by itself within so long is nobody's business: a failover of Redis, a reload. */
const AWAY_MS = 5_000;
/** Silent for as long as its heartbeat lives. */
const SILENT_MS = 10_000;

type Alarm = "cluster.connection" | "cluster.peer" | "clock.skew";
/** Nodes that hear nothing go on with what they know; ones whose clocks differ answer differently. */
const SEVERITY = { "cluster.connection": "warning", "cluster.peer": "warning", "clock.skew": "alarm" } as const;

export type ClusterAlarms = {
  /** Once a second. @param maxSkewMs of ruling 2 */
  tick(state: {
    readonly isConnected: boolean;
    readonly says: string;
    readonly peers: readonly PeerState[];
    readonly maxSkewMs: number;
  }): void;
  /** The configuration has changed: who is new gets its time to come. */
  restart(): void;
};

export function createClusterAlarms(options: { readonly clock: Clock; readonly emit: Emit }): ClusterAlarms {
  const { clock, emit } = options;
  const raised = new Set<string>();
  /** Since when the connection is as it is now. */
  let connection: { readonly isUp: boolean; readonly sinceMs: number } | undefined;
  let startedAtMs = clock.monotonicMs();

  function set(kind: Alarm, subject: string, isRaised: boolean, says: string, data?: Record<string, number>): void {
    const id = `${kind} ${subject}`;
    if (raised.has(id) === isRaised) return;
    if (isRaised) raised.add(id);
    else raised.delete(id);
    emit({
      kind,
      atMs: clock.nowMs(),
      severity: isRaised ? SEVERITY[kind] : "resolved",
      subject,
      says,
      ...(data ? { data } : {}),
    });
  }
  return {
    restart() {
      startedAtMs = clock.monotonicMs();
      connection = undefined;
    },
    tick({ isConnected, says, peers, maxSkewMs }) {
      const nowMs = clock.monotonicMs();
      if (connection?.isUp !== isConnected) connection = { isUp: isConnected, sinceMs: nowMs };
      if (isConnected || nowMs - connection.sinceMs >= AWAY_MS)
        set(
          "cluster.connection",
          "cluster",
          !isConnected,
          isConnected ? says : `${says}: this node goes on with what it knows`,
        );
      const names = new Set(peers.map(({ node }) => node));
      for (const id of raised) {
        const [kind, subject] = id.split(" ") as [Alarm, string];
        if (kind !== "cluster.connection" && !names.has(subject))
          set(kind, subject, false, `${subject} is no longer a node`);
      }
      for (const { node, silentMs, clockOffsetMs, clockAstrayMs, isAlive } of peers) {
        const silent = Math.min(silentMs ?? Number.POSITIVE_INFINITY, nowMs - startedAtMs);
        // Who is cut off hears nobody: that is told above.
        const isSilent = isConnected && nowMs - connection.sinceMs >= SILENT_MS && silent >= SILENT_MS;
        if (isSilent || isAlive)
          set("cluster.peer", node, isSilent, isSilent ? `Nothing is heard of ${node}` : `${node} is heard again`);
        if (!isAlive || clockOffsetMs === null) continue;
        const isAstray = Math.abs(clockAstrayMs) > maxSkewMs;
        // Half of the limit ends it, so that one at the limit is not told every second.
        if (isAstray || Math.abs(clockAstrayMs) < maxSkewMs / 2)
          set(
            "clock.skew",
            node,
            isAstray,
            isAstray
              ? `The clock of ${node} is at least ${skewText(clockAstrayMs)} ours: nodes answer alike only while their clocks agree within ${Math.round(maxSkewMs)} ms. Look at chrony or ntpd on both`
              : `The clock of ${node} agrees with ours`,
            { offsetMs: Math.round(clockOffsetMs) },
          );
      }
    },
  };
}
const skewText = (offsetMs: number): string =>
  `${(Math.abs(offsetMs) / 1_000).toFixed(3)} s ${offsetMs > 0 ? "ahead of" : "behind"}`;
