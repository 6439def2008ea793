/**
 * How the nodes stand to what is desired: who serves it, who lags, who refused it. Pure.
 * @module
 */
import { type DesiredState, versionText } from "#config/desired.ts";
import { compareVersions, type Heartbeat, type PeerState } from "#state/shared.ts";
import type { Generation } from "#state/snapshot.ts";

export type NodeState = {
  readonly node: string;
  readonly isOwn: boolean;
  readonly state: "serves" | "lags" | "ahead" | "refused" | "apart" | "silent";
  readonly generation: string | null;
  readonly desired: string | null;
  readonly version: string | null;
  readonly says: string;
};
type Own = {
  readonly node: string;
  readonly version: string;
  readonly serves: Generation | null;
  readonly desired: Heartbeat["desired"];
};

const generationText = (generation: Generation | null): string | null =>
  generation && `${generation.epoch}.${generation.sequence}`;

function stateOf({ accepted, forks }: DesiredState, desired: Heartbeat["desired"]): NodeState["state"] {
  if (!desired) return accepted ? "lags" : "serves";
  if (forks.has(versionText(desired.version))) return "apart";
  const order = accepted ? compareVersions(desired.version, accepted.version) : 1;
  if (order > 0) return "ahead";
  if (order < 0) return "lags";
  return desired.isApplied ? "serves" : "refused";
}

/** @returns this node and the others, by name */
export function nodeStates(state: DesiredState, own: Own, peers: readonly PeerState[]): NodeState[] {
  const rows = peers.map(({ node, heartbeat, isAlive, silentMs }): NodeState => {
    const desired = heartbeat?.desired ?? null;
    const silence =
      silentMs === null ? "not heard since this node started" : `silent for ${Math.round(silentMs / 1_000)} s`;
    return {
      node,
      isOwn: false,
      state: isAlive ? stateOf(state, desired) : "silent",
      generation: generationText(heartbeat?.serves ?? null),
      desired: desired && versionText(desired.version),
      version: heartbeat?.version ?? null,
      says: isAlive ? (desired?.says ?? "") : silence,
    };
  });
  rows.push({
    node: own.node,
    isOwn: true,
    state: stateOf(state, own.desired),
    generation: generationText(own.serves),
    desired: own.desired && versionText(own.desired.version),
    version: own.version,
    says: own.desired?.says ?? "",
  });
  return rows.sort((a, b) => (a.node < b.node ? -1 : 1));
}
