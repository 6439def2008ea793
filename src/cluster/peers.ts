/**
 * How the other nodes stand: heard when, alive, and how far their clocks lie from ours.
 *
 * Owns:    what can be told from heartbeats. Pure: time comes in.
 * Units:   ms; `…AtMs` by the steady clock.
 *
 * A heartbeat that was on its way makes its node's clock look slow, never fast: so each of two nodes sees how far the other
 * one's clock is ahead at least. Each says in its heartbeat what it sees; between the two the truth lies, in the middle if
 * both ways take as long (RFC 5905 section 8, with the four times spread over two messages).
 * @module
 */
import { compareVersions, type Heartbeat, type PeerState, type RecordVersion } from "#state/shared.ts";

/** Heartbeats come each second; a round of reading may lie between, and one may be lost. */
export const ALIVE_MS = 4_000;
/** The one of so many that was fastest tells most. */
const OFFSETS = 8;

type Heard = { version: RecordVersion; heartbeat: Heartbeat; atMs: number; offsets: number[] };

export type PeerTable = {
  /** @param ageMs how old it was when it came */
  heard(version: RecordVersion, heartbeat: Heartbeat, ageMs: number): void;
  /** @param nodes the others, by the configuration */
  list(nodes: readonly string[]): PeerState[];
  /** For our heartbeat. */
  clocks(nodes: readonly string[]): Readonly<Record<string, number>>;
};

/** @param own this node's name: what others say of its clock */
export function createPeerTable(own: string, steadyMs: () => number, nowMs: () => number): PeerTable {
  const heard = new Map<string, Heard>();
  const aheadAtLeast = ({ offsets }: Heard): number => Math.max(...offsets);
  /** @returns how far a clock is ahead of ours, and the part of it that no delay explains */
  function clockOf(last: Heard): Pick<PeerState, "clockOffsetMs" | "clockAstrayMs"> {
    const leastMs = aheadAtLeast(last);
    const said: unknown = last.heartbeat.clocks?.[own];
    if (typeof said !== "number" || !Number.isFinite(said))
      return { clockOffsetMs: leastMs, clockAstrayMs: Math.max(0, leastMs) };
    const mostMs = 0 - said;
    return {
      clockOffsetMs: (leastMs + mostMs) / 2,
      // A clock that was just set contradicts what it said before: what is sure on either side counts.
      clockAstrayMs: leastMs > 0 ? leastMs : Math.min(0, mostMs),
    };
  }
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
        if (!last)
          return { node, heartbeat: null, silentMs: null, isAlive: false, clockOffsetMs: null, clockAstrayMs: 0 };
        const silentMs = steadyMs() - last.atMs;
        return { node, heartbeat: last.heartbeat, silentMs, isAlive: silentMs < ALIVE_MS, ...clockOf(last) };
      });
    },
    clocks(nodes) {
      const known = nodes.filter((node) => heard.has(node));
      return Object.fromEntries(known.map((node) => [node, Math.round(aheadAtLeast(heard.get(node)!))]));
    },
  };
}
