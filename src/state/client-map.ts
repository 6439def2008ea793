/**
 * Client maps: client network → class, in shared memory, swapped whole.
 *
 * Owns:    the type that crosses the door. The layout of `nodes` and the walk belong to `geo/walk.ts`.
 * Writer:  `geo/build.ts` makes one; `app/` publishes it. Readers: `dns/answer/`.
 * @module
 */
import type { ClassFacts } from "#state/class-facts.ts";

export type ClientMap = {
  /** Id of the map specification it was built from; services that tell clients apart in the same way share one map. */
  readonly mapId: string;
  /** Moves on with each build; a class number means something only together with it. */
  readonly generation: number;
  /** The folded binary trie (layout: `geo/walk.ts`), over a SharedArrayBuffer. */
  readonly nodes: Int32Array;
  /** Facts of each class, by class number. Class 0 is "unknown client": no database, or not in it. */
  readonly classes: readonly ClassFacts[];
  /** For the load log, /status and metrics. */
  readonly info: {
    readonly leaves: number;
    readonly mergedRatio: number;
    readonly octets: number;
    readonly database: string;
    readonly databaseBuiltAtMs: number;
  };
};

/**
 * Added to a value of `RttMap.rttMicros` that is hearsay: beacons of pages say it, which anybody can send. It may sway, never
 * decide (`steer/filters/latency.ts`).
 */
export const HEARSAY = 0x8000_0000;
export const isHearsay = (rttMicros: number): boolean => rttMicros >= HEARSAY;
/** µs, whoever says it. */
export const rttMicrosOf = (value: number): number => (value >= HEARSAY ? value - HEARSAY : value);

/** Measured RTT: client network → row of `rttMicros` (one value per region id, 0 where not measured). */
export type RttMap = {
  readonly generation: number;
  readonly nodes: Int32Array;
  readonly regionIds: readonly string[];
  /** Row-major: row × regionIds.length + region; with `HEARSAY` or without. Row 0 is "not measured". */
  readonly rttMicros: Uint32Array;
};
