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

/** Odd numbers of MurmurHash3's finaliser (Appleby, public domain). */
const FACTOR_A = 0x85ebca6b;
const FACTOR_B = 0xc2b2ae35;
const HASH_BASIS = 0x9747b28c | 0;

/** Four octets with their upper-case letters made lower case: bit 7 of an octet tells that it lies within A to Z. */
function lowerWord(word: number): number {
  const low = word & 0x7f7f7f7f;
  const isUpper = (low + 0x3f3f3f3f) & ~(low + 0x25252525) & ~word & 0x80808080;
  return word | (isUpper >>> 2);
}

/** Hash of the label of octets `[from, stop)`, four at a time, whatever its case. */
function hashLabel(source: Uint8Array, from: number, stop: number): number {
  let hash = HASH_BASIS ^ (stop - from);
  for (; from + 4 <= stop; from += 4) {
    const word = (source[from]! << 24) | (source[from + 1]! << 16) | (source[from + 2]! << 8) | source[from + 3]!;
    hash = Math.imul(hash ^ lowerWord(word), FACTOR_A);
    hash ^= hash >>> 15;
  }
  let rest = 0;
  for (; from < stop; from++) rest = (rest << 8) | source[from]!;
  return hash ^ lowerWord(rest);
}

/** Hash of a suffix from that of its first label and of the suffix behind it: all bits reach the low ones, int32. */
function joinHashes(label: number, suffix: number): number {
  let hash = Math.imul(label ^ suffix, FACTOR_A);
  hash = Math.imul(hash ^ (hash >>> 15), FACTOR_B);
  return hash ^ (hash >>> 16);
}

/**
 * Reads an uncompressed name (RFC 1035 §3.1) into `key`, all but `octets`: one pass over its octets for bounds and label
 * hashes, and one back over its labels for the hashes of suffixes. A compression pointer is a bad label here: questions
 * must not have one.
 *
 * @param at offset of the first length octet; the name must end before `end`
 * @param seed of the hash: the same for a process's zones and its queries
 * @returns the offset just past the root label, or `FAULT.truncated`, `badLabel` or `nameTooLong`
 */
export function hashName(source: Uint8Array, at: number, end: number, seed: number, key: NameKey): number {
  const { labelAt, hashes } = key;
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
    labelAt[count] = at - start;
    hashes[count++] = hashLabel(source, at + 1, stop);
    at = stop;
  }
  const last = at - start;
  labelAt[count] = last;
  key.length = last + 1;
  key.labelCount = count;
  let hash = joinHashes(HASH_BASIS, seed | 0);
  hashes[count] = hash;
  for (let label = count - 1; label >= 0; label--) {
    hash = joinHashes(hashes[label]!, hash);
    hashes[label] = hash;
  }
  return at + 1;
}

/** Fills in `octets` of a key that `hashName` has read from `at` in `source`. */
export function lowerOctets(source: Uint8Array, at: number, key: NameKey): void {
  const { octets, length } = key;
  for (let index = 0; index < length; index++) octets[index] = LOWER[source[at + index]!]!;
}

/** `hashName` and `lowerOctets` in one: all of the key. */
export function readNameKey(source: Uint8Array, at: number, end: number, seed: number, key: NameKey): number {
  const after = hashName(source, at, end, seed, key);
  if (after > 0) lowerOctets(source, at, key);
  return after;
}

/** Whether the name of `length` octets at `at` in `source`, in any case, is the lower-case one at `nameAt` in `names`. */
export function isSameName(source: Uint8Array, at: number, names: Uint8Array, nameAt: number, length: number): boolean {
  // Length octets, by the way: what V8 has loaded of both arrays before a loop it does not load again inside.
  if (source[at] !== names[nameAt]) return false;
  for (let index = 1; index < length; index++) {
    const octet = source[at + index]!;
    const wanted = names[nameAt + index]!;
    if (octet !== wanted && LOWER[octet] !== wanted) return false;
  }
  return true;
}

/** Whether the suffix of `key` that starts with label `label` is the lower-case name at `at` in `names`. */
export function isSuffixAt(key: NameKey, label: number, names: Uint8Array, at: number, length: number): boolean {
  const first = key.labelAt[label]!;
  if (key.length - first !== length) return false;
  return isSameName(key.octets, first, names, at, length);
}
