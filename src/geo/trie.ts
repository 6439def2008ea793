/**
 * Building tries: folding while they grow, and laying them out for the walk.
 *
 * Owns:    the growing pairs of one build. A reference ≥ 0 is a pair, a negative one is a leaf: ~reference = value.
 *          Depth is not kept here; `layOutTrie` writes it into the leaves.
 * Never:   knows what a value means, but for the two special leaves of IPv6.
 * @module
 */
import { DEPTH_6TO4, DEPTH_MAPPED, IPV4_TABLE, IPV6_TABLE, MAX_WALK_VALUE, PAIRS_START } from "#geo/walk.ts";

/** Leaf 2002::/16 where IPv6 continues in the IPv4 trie. It equals no other leaf, so it never folds. */
export const LEAF_6TO4 = ~(MAX_WALK_VALUE + 1);
/** Leaf ::/48 around ::ffff:0:0/96; `value` is for addresses that are not v4-mapped. */
export const leafMapped = (value: number): number => ~(MAX_WALK_VALUE + 2 + value);

export type TriePairs = {
  /** @returns a reference to both; equal leaves fold into one */
  pair(zero: number, one: number): number;
  /** A pair of twice the same leaf, for formats that need at least one pair. */
  fork(leaf: number): number;
  /** Reference below `reference` for `bit`; a leaf stays what it is. */
  child(reference: number, bit: number): number;
  /** Replaces one child of a pair (for tries that grow by insertion). */
  set(reference: number, bit: number, child: number): void;
};

/** @param expected number of pairs to make room for at first; it grows by doubling */
export function createTriePairs(expected = 1_024): TriePairs {
  let cells = new Int32Array(Math.max(16, expected * 2));
  let used = 0;
  const add = (zero: number, one: number): number => {
    if (used === cells.length) {
      const grown = new Int32Array(cells.length * 2);
      grown.set(cells);
      cells = grown;
    }
    const reference = used;
    cells[used++] = zero;
    cells[used++] = one;
    return reference;
  };
  return {
    pair: (zero, one) => (zero === one && zero < 0 ? zero : add(zero, one)),
    fork: (leaf) => add(leaf, leaf),
    child: (reference, bit) => (reference < 0 ? reference : cells[reference + bit]!),
    set(reference, bit, child) {
      cells[reference + bit] = child;
    },
  };
}

const bitAt = (bytes: Uint8Array, bit: number): number => (bytes[bit >>> 3]! >>> (7 - (bit & 7))) & 1;

/**
 * Puts something at the network of the first `bits` bits of `bytes`.
 * @param update gets the reference that stands there (a leaf, or a pair with narrower networks below), returns the new one
 * @returns the new root
 */
export function insertNetwork(
  trie: TriePairs,
  root: number,
  bytes: Uint8Array,
  bits: number,
  update: (reference: number) => number,
): number {
  const insert = (reference: number, depth: number): number => {
    if (depth === bits) return update(reference);
    const bit = bitAt(bytes, depth);
    const child = insert(trie.child(reference, bit), depth + 1);
    if (reference >= 0) {
      if (child < 0 && trie.child(reference, 1 - bit) === child) return child;
      trie.set(reference, bit, child);
      return reference;
    }
    return bit === 0 ? trie.pair(child, reference) : trie.pair(reference, child);
  };
  return insert(root, 0);
}

/** Counts the leaves below `reference`. */
export function countLeaves(trie: TriePairs, reference: number): number {
  return reference < 0 ? 1 : countLeaves(trie, trie.child(reference, 0)) + countLeaves(trie, trie.child(reference, 1));
}

function encodeLeaf(reference: number, depth: number): number {
  if (reference === LEAF_6TO4) return ~DEPTH_6TO4;
  const value = ~reference;
  if (value <= MAX_WALK_VALUE) return ~(value * 256 + depth);
  return ~((value - MAX_WALK_VALUE - 2) * 256 + DEPTH_MAPPED);
}

/**
 * @param ipv4Root root of the IPv4 trie, at most 32 deep
 * @param ipv6Root root of the IPv6 trie, at most 48 deep
 * @returns the layout of `geo/walk.ts`, over a SharedArrayBuffer of exactly the size needed
 */
export function layOutTrie(trie: TriePairs, ipv4Root: number, ipv6Root: number): Int32Array {
  const countPairs = (reference: number, depth: number): number =>
    reference < 0
      ? 0
      : (depth >= 16 ? 1 : 0) +
        countPairs(trie.child(reference, 0), depth + 1) +
        countPairs(trie.child(reference, 1), depth + 1);
  const pairs = countPairs(ipv4Root, 0) + countPairs(ipv6Root, 0);
  const nodes = new Int32Array(new SharedArrayBuffer((PAIRS_START + pairs * 2) * Int32Array.BYTES_PER_ELEMENT));
  let next = PAIRS_START;
  const copy = (reference: number, depth: number): number => {
    if (reference < 0) return encodeLeaf(reference, depth);
    const at = next;
    next += 2;
    nodes[at] = copy(trie.child(reference, 0), depth + 1);
    nodes[at + 1] = copy(trie.child(reference, 1), depth + 1);
    return at;
  };
  const fillTable = (reference: number, depth: number, start: number): void => {
    const span = 1 << (16 - depth);
    if (depth === 16 || reference < 0) {
      nodes.fill(copy(reference, depth), start, start + span);
      return;
    }
    fillTable(trie.child(reference, 0), depth + 1, start);
    fillTable(trie.child(reference, 1), depth + 1, start + span / 2);
  };
  fillTable(ipv4Root, 0, IPV4_TABLE);
  fillTable(ipv6Root, 0, IPV6_TABLE);
  return nodes;
}
