/**
 * A domain name prepared for lookups: lower case, its label starts, and the hash of each of its suffixes.
 *
 * Owns:    `NameKey`, the one pass that fills it, and the name hash that zone tables use as well.
 * Never:   follows compression pointers, allocates, or throws. Keys are made once and filled in anew for each name.
 * Units:   octets; `labelCount` does not count the root label.
 * @module
 */
import { mix32 } from "#base/hash.ts";
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

/**
 * Reads an uncompressed name (RFC 1035 §3.1) into `key`, in one pass forward for bounds, case and labels and one back
 * for the hashes. A compression pointer is a bad label here: questions must not have one.
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
    labelAt[count++] = at - start;
    octets[at - start] = length;
    for (let from = at + 1; from < stop; from++) octets[from - start] = LOWER[source[from]!]!;
    at = stop;
  }
  let position = at - start;
  octets[position] = 0;
  labelAt[count] = position;
  key.length = position + 1;
  key.labelCount = count;
  let hash = seed ^ 0x811c9dc5;
  hashes[count] = mix32(hash);
  for (let label = count - 1; label >= 0; label--) {
    const first = labelAt[label]!;
    while (position > first) hash = Math.imul(hash ^ octets[--position]!, 0x01000193);
    hashes[label] = mix32(hash);
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
