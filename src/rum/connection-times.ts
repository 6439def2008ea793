/**
 * How long handshakes of a balancer's own clients took → times by client network. Pure.
 *
 * Owns:    of each /24 or /48 the last `KEPT_VALUES` times and a count that fades. A client can make its own connection look
 *          slow, never fast; it speaks for its network alone.
 * Bounds:  `MAX_NETWORKS` in memory, the least recently seen goes first; `MAX_ROWS` are shared, those with the most samples.
 * Units:   µs, Unix ms.
 * @module
 */
import { medianOf } from "#rum/median.ts";
import type { LatencyShare } from "#state/shared.ts";

/** After this a connection counts for half. */
export const HALF_LIFE_MS = 1_800_000;
/** Connections of a network, those of long ago counted for less, below which nothing is said of it. */
export const MIN_SAMPLES = 3;
const KEPT_VALUES = 15;
export const MAX_NETWORKS = 20_000;
export const MAX_ROWS = 4_096;

type Network = { values: number[]; samples: number; atMs: number };

export type ConnectionTimes = {
  /** @param network `networkOf()` of the client */
  add(network: string, rttMicros: number, atMs: number): void;
  rows(region: string, nowMs: number): LatencyShare["rows"];
  size(): number;
};

export function createConnectionTimes(maxNetworks = MAX_NETWORKS): ConnectionTimes {
  /** In the order in which they were seen last. */
  const networks = new Map<string, Network>();
  const faded = ({ samples, atMs }: Network, nowMs: number): number =>
    samples * 2 ** (-Math.max(0, nowMs - atMs) / HALF_LIFE_MS);
  return {
    add(network, rttMicros, atMs) {
      const entry = networks.get(network) ?? { values: [], samples: 0, atMs };
      networks.delete(network);
      if (networks.size >= maxNetworks) networks.delete(networks.keys().next().value!);
      networks.set(network, entry);
      entry.samples = faded(entry, atMs) + 1;
      entry.atMs = atMs;
      entry.values.push(rttMicros);
      if (entry.values.length > KEPT_VALUES) entry.values.shift();
    },
    rows(region, nowMs) {
      const rows: LatencyShare["rows"][number][] = [];
      for (const [network, entry] of networks) {
        const samples = faded(entry, nowMs);
        if (samples < 0.5) networks.delete(network);
        if (samples < MIN_SAMPLES) continue;
        const rttMicros = medianOf([...entry.values]);
        const ageMs = Math.max(0, nowMs - entry.atMs);
        rows.push({ network, region, by: "connections", rttMicros, samples: Math.round(samples), ageMs });
      }
      return rows.sort((a, b) => b.samples - a.samples).slice(0, MAX_ROWS);
    },
    size: () => networks.size,
  };
}
