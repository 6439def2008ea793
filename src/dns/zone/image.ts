/**
 * The layout of a `ZoneImage`: what its words mean.
 *
 * Owns:    the numbers below. `build.ts` writes by them, `lookup.ts` and `dns/answer/` read by them.
 *
 * A node is a name of the zone, empty non-terminals included; node 0 is the apex, and a node's ancestors have smaller
 * numbers than it has. The RRsets of a node lie side by side, in the order of their types; the records of an RRset lie
 * side by side in `rdata`, each as it is sent when it is not compressed further: the owner as a pointer to the
 * question's name, type, class, TTL of the RRset, length, data (RFC 1035 §4.1.3).
 * @module
 */
import type { ZoneImage } from "#state/zone-image.ts";

/** Words of a node in `ZoneImage.nodes`. */
export const NODE = {
  /** Octet in `names` at which the lower-case wire name starts, and its octets. */
  nameAt: 0,
  nameOctets: 1,
  /** -1 for the apex. */
  parent: 2,
  flags: 3,
  firstRrset: 4,
  rrsetCount: 5,
  /** Node `*` below this one, or -1. */
  wildcard: 6,
  /** The zone cut that this node lies at or below, or the DNAME that it lies below; the topmost one; -1: neither. */
  barrier: 7,
  /** The same for names below this node, whether they exist or not. */
  barrierBelow: 8,
} as const;
export const NODE_WORDS = 9;

/** Bits of `NODE.flags`. */
export const NODE_FLAG = {
  /** NS records, not at the apex: authority ends here. */
  cut: 1,
  cname: 2,
  dname: 4,
  /** A and AAAA come from a service. */
  steer: 8,
  /** A and AAAA come from another name of the zone. */
  alias: 16,
} as const;
/** None of these: what is asked for is what is answered. */
export const NODE_IS_SPECIAL = NODE_FLAG.cname | NODE_FLAG.steer | NODE_FLAG.alias;

/** Words of an RRset in `ZoneImage.rrsets`. */
export const RRSET = {
  type: 0,
  ttlSeconds: 1,
  /** Records. */
  count: 2,
  /** Octet in `rdata` at which the first record starts. */
  rdataAt: 3,
  /** STEER: position in `ZoneImage.services`; else 0. */
  service: 4,
  /** Octets of all records, where they are the whole answer as they stand; 0: an answer with them must be compiled. */
  readyOctets: 5,
} as const;
export const RRSET_WORDS = 6;

/** Octets from the start of a record in `ZoneImage.rdata`. */
export const RECORD = {
  owner: 0,
  type: 2,
  class: 4,
  ttl: 6,
  rdataOctets: 10,
  rdata: 12,
} as const;

/** @returns octets of the data of the record at `at`; the next record starts behind them */
export const rdataOctetsAt = (rdata: Uint8Array, at: number): number =>
  (rdata[at + RECORD.rdataOctets]! << 8) | rdata[at + RECORD.rdataOctets + 1]!;

/**
 * Pseudo-types as the image holds them: above 16 bits, so that no QTYPE ever meets one.
 * (`PSEUDO_TYPE` of `record.ts` is what the parser says.)
 */
export const IMAGE_TYPE = { steer: 0x1ff01, alias: 0x1ff02 } as const;

/** Words of a slot in `ZoneImage.table`: the name's hash, and its node + 1 (0: free). */
export const TABLE_WORDS = 2;

export const APEX_NODE = 0;

/** @returns the RRset of `type` at `node`, or -1 */
export function findRrset(image: ZoneImage, node: number, type: number): number {
  const { nodes, rrsets } = image;
  const first = nodes[node * NODE_WORDS + NODE.firstRrset]!;
  const end = first + nodes[node * NODE_WORDS + NODE.rrsetCount]!;
  for (let rrset = first; rrset < end; rrset++) {
    if (rrsets[rrset * RRSET_WORDS + RRSET.type] === type) return rrset;
  }
  return -1;
}
