/**
 * A domain name prepared for lookups: lower case, its label starts, and the hash of each of its suffixes.
 *
 * Owns:    `NameKey`, the one pass that fills it, and the name hash that zone tables use as well.
 * Never:   follows compression pointers, allocates, or throws. Keys are made once and filled in anew for each name.
 * Units:   octets; `labelCount` does not count the root label.
 * @module
 */
import { FAULT } from "#dns/wire/fault.ts";
import { LOWER, MAX_LABELS, MAX_NAME_OCTETS } from "#dns/wire/name.ts";

export type NameKey = {
  /** The name in lower case, uncompressed, root label included. */
  readonly octets: Uint8Array;
  length: number;
  labelCount: number;
  /** Offset in `octets` of each label's length octet; `labelAt[labelCount]` is the root label's. */
  readonly labelAt: Uint8Array;
  /** Hash of the suffix that starts with label i; `hashes[labelCount]` is the root's. */
  readonly hashes: Int32Array;
};

export const createNameKey = (): NameKey => ({
  octets: new Uint8Array(256),
  length: 0,
  labelCount: 0,
  labelAt: new Uint8Array(MAX_LABELS),
  hashes: new Int32Array(MAX_LABELS),
});

/** FNV-1a (RFC 9923): offset basis and prime. Hashes a label in the same pass that lower-cases it. */
const FNV_BASIS = 0x811c9dc5 | 0;
const FNV_PRIME = 0x01000193;

/** Hash of a suffix from that of its first label and of the suffix behind it: all bits reach the low ones, int32. */
function joinHashes(label: number, suffix: number): number {
  let hash = Math.imul(label ^ suffix, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/**
 * Reads an uncompressed name (RFC 1035 §3.1) into `key`: one pass over its octets for bounds, case and label hashes, and
 * one back over its labels for the hashes of suffixes. A compression pointer is a bad label here: questions must not have one.
 *
 * @param at offset of the first length octet; the name must end before `end`
 * @param seed of the hash: the same for a process's zones and its queries
 * @returns the offset just past the root label, or `FAULT.truncated`, `badLabel` or `nameTooLong`
 */
export function readNameKey(source: Uint8Array, at: number, end: number, seed: number, key: NameKey): number {
  const { octets, labelAt, hashes } = key;
  const start = at;
  let count = 0;
  for (;;) {
    if (at >= end) return FAULT.truncated;
    const length = source[at]!;
    if (length === 0) break;
    if (length > 63) return FAULT.badLabel;
    const stop = at + 1 + length;
    if (stop - start >= MAX_NAME_OCTETS) return FAULT.nameTooLong;
    if (stop >= end) return FAULT.truncated;
    let to = at - start;
    labelAt[count] = to;
    octets[to] = length;
    let hash = FNV_BASIS ^ length;
    for (let from = at + 1; from < stop; from++) {
      const octet = LOWER[source[from]!]!;
      octets[++to] = octet;
      hash = Math.imul(hash ^ octet, FNV_PRIME);
    }
    hashes[count++] = hash;
    at = stop;
  }
  const last = at - start;
  octets[last] = 0;
  labelAt[count] = last;
  key.length = last + 1;
  key.labelCount = count;
  let hash = joinHashes(FNV_BASIS, seed | 0);
  hashes[count] = hash;
  for (let label = count - 1; label >= 0; label--) {
    hash = joinHashes(hashes[label]!, hash);
    hashes[label] = hash;
  }
  return at + 1;
}

/** Whether the suffix of `key` that starts with label `label` is the lower-case name at `at` in `names`. */
export function isSuffixAt(key: NameKey, label: number, names: Uint8Array, at: number, length: number): boolean {
  const first = key.labelAt[label]!;
  if (key.length - first !== length) return false;
  const octets = key.octets;
  for (let index = 0; index < length; index++) if (octets[first + index] !== names[at + index]) return false;
  return true;
}
