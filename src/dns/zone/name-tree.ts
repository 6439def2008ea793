/**
 * The names of a zone, each once, with the names between them and the apex: what checks walk and images are made of.
 *
 * Owns:    giving out node numbers (the apex is 0, ancestors come first), the hash table that finds them, and of the
 *          words of a node (`image.ts`) its name, parent and wildcard.
 * Never:   looks at records.
 * @module
 */
import { MAX_NAME_OCTETS } from "#dns/wire/name.ts";
import { createNameKey, isSuffixAt, type NameKey, readNameKey } from "#dns/wire/name-key.ts";
import { grown } from "#dns/zone/grown.ts";
import { APEX_NODE, NODE, NODE_WORDS, TABLE_WORDS } from "#dns/zone/image.ts";

const ASTERISK = 0x2a;

export class NameTree {
  /** Nodes. */
  count = 0;
  nodes = new Int32Array(64 * NODE_WORDS);
  /** Half full at most, so that probe sequences stay short. */
  table = new Int32Array(64 * TABLE_WORDS);
  /** Lower-case wire names back to back. */
  octets = new Uint8Array(2_048);
  octetCount = 0;
  readonly seed: number;
  private readonly apex: Uint8Array;
  private readonly apexLabels: number;
  /** The name that was asked for last. */
  private readonly key: NameKey = createNameKey();

  /**
   * @param apex wire name in any case
   * @param seed of the name hash
   */
  constructor(apex: Uint8Array, seed: number) {
    this.seed = seed;
    readNameKey(apex, 0, apex.length, seed, this.key);
    this.apexLabels = this.key.labelCount;
    this.apex = this.key.octets.slice(0, this.key.length);
    this.add(0, -1);
  }

  /** The node of the wire name at `at` in `source`, made if need be; -1: the name lies outside of the zone. */
  intern(source: Uint8Array, at: number): number {
    if (!this.read(source, at)) return -1;
    let label = 0;
    let node = this.find(0);
    while (node < 0) node = this.find(++label); // ends at the apex
    while (label > 0) node = this.add(--label, node);
    return node;
  }

  /** The node of the wire name at `at` in `source`, or -1. */
  nodeOf(source: Uint8Array, at = 0): number {
    return this.read(source, at) ? this.find(0) : -1;
  }

  /** The node of the longest suffix that exists (the closest encloser, or the name itself); -1: outside of the zone. */
  encloserOf(source: Uint8Array, at = 0): number {
    if (!this.read(source, at)) return -1;
    let label = 0;
    let node = this.find(0);
    while (node < 0) node = this.find(++label);
    return node;
  }

  /** -1 for the apex. */
  parent(node: number): number {
    return this.nodes[node * NODE_WORDS + NODE.parent]!;
  }

  /** The node `*` below this one, or -1. */
  wildcard(node: number): number {
    return this.nodes[node * NODE_WORDS + NODE.wildcard]!;
  }

  /** A view on the node's lower-case wire name. */
  name(node: number): Uint8Array {
    const word = node * NODE_WORDS;
    const from = this.nodes[word + NODE.nameAt]!;
    return this.octets.subarray(from, from + this.nodes[word + NODE.nameOctets]!);
  }

  /** Fills in the key. @returns whether the name is the apex or lies below it */
  private read(source: Uint8Array, at: number): boolean {
    const { key, apex } = this;
    if (readNameKey(source, at, Math.min(source.length, at + MAX_NAME_OCTETS), this.seed, key) < 0) return false;
    const label = key.labelCount - this.apexLabels;
    return label >= 0 && isSuffixAt(key, label, apex, 0, apex.length);
  }

  private find(label: number): number {
    const { table, nodes, key } = this;
    const mask = table.length / TABLE_WORDS - 1;
    const hash = key.hashes[label]!;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = table[slot * TABLE_WORDS + 1]!;
      if (entry === 0) return -1;
      if (table[slot * TABLE_WORDS] !== hash) continue;
      const word = (entry - 1) * NODE_WORDS;
      if (isSuffixAt(key, label, this.octets, nodes[word + NODE.nameAt]!, nodes[word + NODE.nameOctets]!)) {
        return entry - 1;
      }
    }
  }

  /** @param parent -1 for the apex */
  private add(label: number, parent: number): number {
    const { key, octetCount } = this;
    const node = this.count++;
    if (this.count * 2 > this.table.length / TABLE_WORDS) this.widen();
    const from = key.labelAt[label]!;
    const length = key.length - from;
    if (octetCount + length > this.octets.length) this.octets = grown(this.octets, octetCount + length);
    if (this.count * NODE_WORDS > this.nodes.length) this.nodes = grown(this.nodes, this.count * NODE_WORDS);
    for (let at = 0; at < length; at++) this.octets[octetCount + at] = key.octets[from + at]!;
    const word = node * NODE_WORDS;
    this.nodes[word + NODE.nameAt] = octetCount;
    this.nodes[word + NODE.nameOctets] = length;
    this.nodes[word + NODE.parent] = parent;
    this.nodes[word + NODE.wildcard] = -1;
    this.octetCount += length;
    place(this.table, key.hashes[label]!, node + 1);
    const isWildcard = key.octets[from] === 1 && key.octets[from + 1] === ASTERISK;
    if (isWildcard && node !== APEX_NODE) this.nodes[parent * NODE_WORDS + NODE.wildcard] = node;
    return node;
  }

  private widen(): void {
    const { table } = this;
    const wider = new Int32Array(table.length * 2);
    for (let at = 0; at < table.length; at += TABLE_WORDS) {
      if (table[at + 1] !== 0) place(wider, table[at]!, table[at + 1]!);
    }
    table.buffer.transfer(0); // given back at once
    this.table = wider;
  }
}

function place(table: Int32Array, hash: number, entry: number): void {
  const mask = table.length / TABLE_WORDS - 1;
  let slot = hash & mask;
  while (table[slot * TABLE_WORDS + 1] !== 0) slot = (slot + 1) & mask;
  table[slot * TABLE_WORDS] = hash;
  table[slot * TABLE_WORDS + 1] = entry;
}
