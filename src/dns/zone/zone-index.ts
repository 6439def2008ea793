/**
 * The records of a zone by name, for all that looks at more than one record: checks, tidying, the image.
 *
 * Owns:   the node of each record, and each node's records as a chain of record numbers, in the order of the file.
 * @module
 */
import { TYPE } from "#dns/wire/types.ts";
import { APEX_NODE } from "#dns/zone/image.ts";
import { NameTree } from "#dns/zone/name-tree.ts";
import type { RecordStore } from "#dns/zone/record-store.ts";

/** End of a chain, and no record, node or cut. */
export const NONE = -1;

export type ZoneIndex = {
  readonly records: RecordStore;
  readonly names: NameTree;
  /** By record: its node, or `NONE`: it lies outside of the zone. */
  readonly nodeOf: Int32Array;
  /** Nodes that have records, in the order of the file. The others are empty non-terminals. */
  readonly owners: Int32Array;
  /** By node: its first record, or `NONE`. */
  readonly first: Int32Array;
  /** By record: the next one of its node, or `NONE`. */
  readonly next: Int32Array;
  /** Nodes below the apex that have NS records. */
  readonly cuts: readonly number[];
  /** By node: the cut nearest to the apex that it lies at or below, or `NONE`; undefined: there are no cuts. */
  readonly cutAbove: Int32Array | undefined;
};

/**
 * @param apex wire name in any case
 * @param seed of the name hash; one that outsiders know is for data that they cannot choose
 */
export function indexZone(records: RecordStore, apex: Uint8Array, seed: number): ZoneIndex {
  const names = new NameTree(apex, seed);
  const nodeOf = new Int32Array(records.length);
  let lastOwnerAt = NONE;
  let node = NONE;
  for (let record = 0; record < records.length; record++) {
    const ownerAt = records.ownerAt[record]!;
    if (ownerAt !== lastOwnerAt) {
      lastOwnerAt = ownerAt;
      node = names.intern(records.names, ownerAt);
    }
    nodeOf[record] = node;
  }
  return chainRecords(records, names, nodeOf);
}

/** The index of `records` whose nodes are known already. */
export function chainRecords(records: RecordStore, names: NameTree, nodeOf: Int32Array): ZoneIndex {
  const first = new Int32Array(names.count).fill(NONE);
  const last = new Int32Array(names.count);
  const next = new Int32Array(records.length).fill(NONE);
  const owners = new Int32Array(names.count);
  const cuts = new Set<number>();
  let ownerCount = 0;
  for (let record = 0; record < records.length; record++) {
    const node = nodeOf[record]!;
    if (node === NONE) continue;
    if (first[node] === NONE) {
      first[node] = record;
      owners[ownerCount++] = node;
    } else next[last[node]!] = record;
    last[node] = record;
    if (records.types[record] === TYPE.NS && node !== APEX_NODE) cuts.add(node);
  }
  return {
    records,
    names,
    nodeOf,
    owners: owners.subarray(0, ownerCount),
    first,
    next,
    cuts: [...cuts],
    cutAbove: cuts.size === 0 ? undefined : findCuts(names, cuts),
  };
}

function findCuts(names: NameTree, cuts: ReadonlySet<number>): Int32Array {
  const cutAbove = new Int32Array(names.count).fill(NONE);
  for (let node = APEX_NODE + 1; node < names.count; node++) {
    const above = cutAbove[names.parent(node)]!;
    cutAbove[node] = above === NONE && cuts.has(node) ? node : above;
  }
  return cutAbove;
}

/** Numbers of the records at a node; none at `NONE`. */
export function recordsAt({ first, next }: ZoneIndex, node: number): number[] {
  const found: number[] = [];
  if (node === NONE) return found;
  for (let record = first[node]!; record !== NONE; record = next[record]!) found.push(record);
  return found;
}

/** Records at a node by type, both in the order of the file. */
export function rrsetsAt(index: ZoneIndex, node: number): ReadonlyMap<number, number[]> {
  const rrsets = new Map<number, number[]>();
  for (const record of recordsAt(index, node)) {
    const type = index.records.types[record]!;
    const rrset = rrsets.get(type);
    if (rrset) rrset.push(record);
    else rrsets.set(type, [record]);
  }
  return rrsets;
}

/** The first record at a node whose type is one of `types`, or `NONE`. */
export function findType({ records, first, next }: ZoneIndex, node: number, types: readonly number[]): number {
  if (node === NONE) return NONE;
  for (let record = first[node]!; record !== NONE; record = next[record]!) {
    if (types.includes(records.types[record]!)) return record;
  }
  return NONE;
}

export const hasType = (index: ZoneIndex, node: number, type: number): boolean =>
  findType(index, node, [type]) !== NONE;

/** Whether a node has records itself. */
export const isOwner = ({ first }: ZoneIndex, node: number): boolean => node !== NONE && first[node] !== NONE;

/** Whether a wildcard stands for names below `node`. */
export const hasWildcard = (index: ZoneIndex, node: number): boolean => isOwner(index, index.names.wildcard(node));

/** Whether the wire name at `at` in `source` is in the zone and not in one that is delegated from it. */
export function isOurs({ names, cutAbove }: ZoneIndex, source: Uint8Array, at = 0): boolean {
  const encloser = names.encloserOf(source, at);
  return encloser !== NONE && (cutAbove === undefined || cutAbove[encloser] === NONE);
}
