/**
 * Names → nodes: the walk of RFC 1034 §4.3.2 step 3, with the wildcards of RFC 4592.
 *
 * Most names exist, so the whole name is tried first; then ever shorter suffixes, until one exists: the closest
 * encloser. Zone cuts and DNAMEs on the way were found when the image was built.
 *
 * Never:   looks at clients or types, allocates, or throws.
 * @module
 */
import { isSameName, type NameKey } from "#dns/wire/name-key.ts";
import { NODE, NODE_FLAG, NODE_WORDS, TABLE_WORDS } from "#dns/zone/image.ts";
import type { ZoneImage } from "#state/zone-image.ts";

export const MATCH = {
  /** `node` is the name. */
  exact: 0,
  /** `node` is the wildcard that stands for the name (RFC 4592 §3.3.1: at the closest encloser only). */
  wildcard: 1,
  /** `node` is the zone cut at or above the name. */
  referral: 2,
  /** `node` owns the DNAME above the name. */
  dname: 3,
  /** No such name; `node` is the closest encloser. */
  missing: 4,
} as const;
export type Match = (typeof MATCH)[keyof typeof MATCH];

/** Filled in by `lookup`; one object is used again and again. */
export type Lookup = {
  match: Match;
  node: number;
  /** Label of the name with which the closest encloser starts; 0 where the name itself exists. */
  encloserLabel: number;
};
export const createLookup = (): Lookup => ({ match: MATCH.missing, node: 0, encloserLabel: 0 });

/** @returns the node whose name is the suffix of `name` from label `label` on, or -1 */
export function findNode(image: ZoneImage, name: NameKey, label: number): number {
  const at = name.labelAt[label]!;
  return findName(image, name.hashes[label]!, name.octets, at, name.length - at);
}

/** @returns the node with the name of `octets` octets at `at` in `source`, which may be in any case, or -1 */
export function findName(image: ZoneImage, hash: number, source: Uint8Array, at: number, octets: number): number {
  const { table, nodes } = image;
  const last = table.length - TABLE_WORDS;
  for (let slot = Math.imul(hash, TABLE_WORDS) & last; ; slot = (slot + TABLE_WORDS) & last) {
    const entry = table[slot + 1]!;
    if (entry === 0) return -1;
    if (table[slot] !== hash) continue;
    const word = (entry - 1) * NODE_WORDS;
    if (nodes[word + NODE.nameOctets] !== octets) continue;
    if (isSameName(source, at, image.names, nodes[word + NODE.nameAt]!, octets)) return entry - 1;
  }
}

/** @param name lies at or below the image's apex, and was hashed with the image's seed */
export function lookup(image: ZoneImage, name: NameKey, into: Lookup): void {
  const node = findNode(image, name, 0);
  if (node >= 0) lookupAt(image, node, into);
  else lookupAbove(image, name, into);
}

/** The name is that of `node`. */
export function lookupAt(image: ZoneImage, node: number, into: Lookup): void {
  const barrier = image.nodes[node * NODE_WORDS + NODE.barrier]!;
  into.encloserLabel = 0;
  into.match = MATCH.exact;
  into.node = node;
  if (barrier >= 0) stopAt(image, barrier, into);
}

/** The name itself has no node, but lies below the apex. */
export function lookupAbove(image: ZoneImage, name: NameKey, into: Lookup): void {
  const { nodes } = image;
  let label = 1;
  let node = findNode(image, name, label);
  while (node < 0) node = findNode(image, name, ++label); // ends at the apex
  into.encloserLabel = label;
  const barrier = nodes[node * NODE_WORDS + NODE.barrierBelow]!;
  if (barrier >= 0) {
    stopAt(image, barrier, into);
    return;
  }
  const wildcard = nodes[node * NODE_WORDS + NODE.wildcard]!;
  into.match = wildcard < 0 ? MATCH.missing : MATCH.wildcard;
  into.node = wildcard < 0 ? node : wildcard;
}

function stopAt(image: ZoneImage, barrier: number, into: Lookup): void {
  const isCut = (image.nodes[barrier * NODE_WORDS + NODE.flags]! & NODE_FLAG.cut) !== 0;
  into.match = isCut ? MATCH.referral : MATCH.dname;
  into.node = barrier;
}
