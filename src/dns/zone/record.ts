/**
 * One record as the master-file parser hands it to the zone builder.
 * @module
 */
import type { Position } from "#base/problem.ts";

/**
 * Pseudo-types of zone files; they never appear on the wire (private use, RFC 6895 §3.1).
 * STEER rdata: the service's name in ASCII. ALIAS rdata: the target's uncompressed wire name.
 */
export const PSEUDO_TYPE = { steer: 0xff01, alias: 0xff02 } as const;

export type ZoneRecord = {
  /** Uncompressed wire name in the case of the file. */
  readonly owner: Uint8Array;
  readonly type: number;
  readonly ttlSeconds: number;
  /** Uncompressed wire form. */
  readonly rdata: Uint8Array;
  readonly at: Position;
};
