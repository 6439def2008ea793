/**
 * How the other nodes stand: heard when, alive, and how far their clocks lie from ours.
 *
 * Owns:    what can be told from heartbeats. Pure: time comes in.
 * Units:   ms; `…AtMs` by the steady clock.
 * @module
 */
import { compareVersions, type Heartbeat, type PeerState, type RecordVersion } from "#state/shared.ts";

/** Heartbeats come each second; a round of reading may lie between, and one may be lost. */
export const ALIVE_MS = 4_000;
/** A heartbeat that was long on its way makes a clock look slow, never fast: the fastest of so many is nearest. */
const OFFSETS = 8;

type Heard = { version: RecordVersion; heartbeat: Heartbeat; atMs: number; offsets: number[] };

export type PeerTable = {
  /** @param ageMs how old it was when it came */
  heard(version: RecordVersion, heartbeat: Heartbeat, ageMs: number): void;
  /** @param nodes the others, by the configuration */
  list(nodes: readonly string[]): PeerState[];
};

export function createPeerTable(steadyMs: () => number, nowMs: () => number): PeerTable {
  const heard = new Map<string, Heard>();
  return {
    heard(version, heartbeat, ageMs) {
      const before = heard.get(version.node);
      if (before && compareVersions(version, before.version) <= 0) return;
      const offsets = before?.heartbeat.startedAtMs === heartbeat.startedAtMs ? before.offsets : [];
      offsets.push(heartbeat.clockMs + ageMs - nowMs());
      if (offsets.length > OFFSETS) offsets.shift();
      heard.set(version.node, { version, heartbeat, atMs: steadyMs() - ageMs, offsets });
    },
    list(nodes) {
      return nodes.map((node): PeerState => {
        const last = heard.get(node);
        if (!last) return { node, heartbeat: null, silentMs: null, isAlive: false, clockOffsetMs: null };
        const silentMs = steadyMs() - last.atMs;
        return {
          node,
          heartbeat: last.heartbeat,
          silentMs,
          isAlive: silentMs < ALIVE_MS,
          clockOffsetMs: Math.max(...last.offsets),
        };
      });
    },
  };
}
