/**
 * Writes MaxMind DB files. Source: "MaxMind DB File Format Specification", version 2.0.
 *
 * Owns:    octets. Same input, same octets: time comes in as an argument, order does not matter to the tree.
 * Reader:  anything that reads the format; `geo/database.ts` and Debian's `mmdblookup` in tests.
 * @module
 */
import type { Cidr } from "#base/ip.ts";
import { MMDB_TYPE, SEPARATOR_OCTETS } from "#geo/mmdb-format.ts";
import { createTriePairs, insertNetwork } from "#geo/trie.ts";

export type MmdbValue = string | number | boolean | { readonly [key: string]: MmdbValue } | readonly MmdbValue[];
export type MmdbNetwork = { readonly cidr: Cidr; readonly record: MmdbValue };
export type MmdbOptions = {
  readonly databaseType: string;
  readonly description: string;
  readonly builtAtMs: number;
  /** 28 by default; the tree must fit, or writing throws a RangeError. */
  readonly recordBits?: 24 | 28 | 32;
  /** 6 by default; 4 takes IPv4 networks only. */
  readonly ipVersion?: 4 | 6;
};

/** Keys whose numbers are doubles, as in MaxMind's own databases; all other numbers are unsigned integers. */
const DOUBLES: ReadonlySet<string> = new Set(["latitude", "longitude"]);
/** As in MaxMind's own databases: an IPv4 address is found by these forms of it, too. */
const IPV4_ALIASES = [
  { bytes: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff), bits: 96 },
  { bytes: Uint8Array.of(0x20, 0x01, 0, 0), bits: 32 },
  { bytes: Uint8Array.of(0x20, 0x02), bits: 16 },
];

function createEncoder(withPointers: boolean) {
  const octets: number[] = [];
  /** Where a text or map was written first; later ones point to it. */
  const written = new Map<string, number>();

  const head = (type: number, size: number): void => {
    const [low, more]: [number, number[]] =
      size < 29
        ? [size, []]
        : size < 285
          ? [29, [size - 29]]
          : size < 65_821
            ? [30, [(size - 285) >>> 8, (size - 285) & 0xff]]
            : [31, [(size - 65_821) >>> 16, ((size - 65_821) >>> 8) & 0xff, (size - 65_821) & 0xff]];
    if (type > 7) octets.push(low, type - 7, ...more);
    else octets.push((type << 5) | low, ...more);
  };
  const pointer = (target: number): void => {
    if (target < 2_048) octets.push(0x20 | (target >>> 8), target & 0xff);
    else if (target < 526_336) {
      const value = target - 2_048;
      octets.push(0x28 | (value >>> 16), (value >>> 8) & 0xff, value & 0xff);
    } else octets.push(0x38, target >>> 24, (target >>> 16) & 0xff, (target >>> 8) & 0xff, target & 0xff);
  };
  const integer = (type: number, value: number): void => {
    const bytes: number[] = [];
    for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
    head(type, bytes.length);
    octets.push(...bytes);
  };
  const encode = (value: MmdbValue, key = ""): void => {
    if (typeof value === "boolean") {
      head(MMDB_TYPE.boolean, value ? 1 : 0);
      return;
    }
    if (typeof value === "number") {
      if (DOUBLES.has(key)) {
        const bytes = Buffer.alloc(8);
        bytes.writeDoubleBE(value);
        head(MMDB_TYPE.double, 8);
        octets.push(...bytes);
        return;
      }
      if (!Number.isSafeInteger(value) || value < 0)
        throw new RangeError(`${key}: ${value} is not an unsigned integer`);
      const isVersion = key.endsWith("_version") || key === "record_size";
      const type = isVersion ? MMDB_TYPE.uint16 : key === "build_epoch" ? MMDB_TYPE.uint64 : MMDB_TYPE.uint32;
      integer(type, value);
      return;
    }
    const text = JSON.stringify(value);
    // A pointer takes two octets or more, so the shortest texts are written out.
    const isShared = withPointers && text.length > 4;
    const at = isShared ? written.get(text) : undefined;
    if (at !== undefined) {
      pointer(at);
      return;
    }
    if (isShared) written.set(text, octets.length);
    if (typeof value === "string") {
      const bytes = Buffer.from(value, "utf8");
      head(MMDB_TYPE.text, bytes.length);
      for (const octet of bytes) octets.push(octet);
    } else if (Array.isArray(value)) {
      head(MMDB_TYPE.array, value.length);
      for (const item of value) encode(item);
    } else {
      const fields = Object.entries(value);
      head(MMDB_TYPE.map, fields.length);
      for (const [name, field] of fields) {
        encode(name);
        encode(field, name);
      }
    }
  };
  return { octets, encode, offsetOf: (value: MmdbValue) => written.get(JSON.stringify(value)) };
}

/**
 * @param networks may lie inside one another: the narrower wins; of equal ones the later
 * @throws RangeError when the tree does not fit the record size, or an IPv6 network is in an IPv4 database
 */
export function writeMmdb(networks: readonly MmdbNetwork[], options: MmdbOptions): Buffer {
  const { recordBits = 28, ipVersion = 6 } = options;
  const data = createEncoder(true);
  const offsets: number[] = [0];
  const indexOfRecord = new Map<string, number>();
  const trie = createTriePairs(networks.length);
  let root = ~0;
  for (const { cidr, record } of [...networks].sort((a, b) => widthOf(a.cidr) - widthOf(b.cidr))) {
    if (ipVersion === 4 && cidr.bytes.length === 16) throw new RangeError("An IPv4 database takes no IPv6 networks");
    const text = JSON.stringify(record);
    let index = indexOfRecord.get(text);
    if (index === undefined) {
      const before = data.offsetOf(record);
      index = offsets.push(before ?? data.octets.length) - 1;
      if (before === undefined) data.encode(record);
      indexOfRecord.set(text, index);
    }
    const isNested = ipVersion === 6 && cidr.bytes.length === 4;
    const bytes = isNested ? new Uint8Array(16) : cidr.bytes;
    if (isNested) bytes.set(cidr.bytes, 12);
    root = insertNetwork(trie, root, bytes, isNested ? cidr.bits + 96 : cidr.bits, () => ~index);
  }
  if (ipVersion === 6) {
    let ipv4Root = root;
    for (let depth = 0; depth < 96; depth++) ipv4Root = trie.child(ipv4Root, 0);
    // Where IPv4 is one record there is no tree to point to, and a copy would be a network of its own.
    if (ipv4Root >= 0) {
      for (const { bytes, bits } of IPV4_ALIASES) root = insertNetwork(trie, root, bytes, bits, () => ipv4Root);
    }
  }
  if (root < 0) root = trie.fork(root);

  // Parents before children, as readers like it; aliases make some nodes reachable twice.
  const nodes: number[] = [];
  const numberOf = new Map<number, number>();
  const visit = (reference: number): void => {
    if (reference < 0 || numberOf.has(reference)) return;
    numberOf.set(reference, nodes.push(reference) - 1);
    visit(trie.child(reference, 0));
    visit(trie.child(reference, 1));
  };
  visit(root);
  const recordOf = (reference: number): number => {
    if (reference >= 0) return numberOf.get(reference)!;
    return reference === ~0 ? nodes.length : nodes.length + SEPARATOR_OCTETS + offsets[~reference]!;
  };
  if (nodes.length + SEPARATOR_OCTETS + data.octets.length >= 2 ** recordBits)
    throw new RangeError(`${nodes.length} nodes do not fit records of ${recordBits} bits`);
  const tree = Buffer.alloc((nodes.length * recordBits) / 4);
  nodes.forEach((reference, number) => {
    const left = recordOf(trie.child(reference, 0));
    const right = recordOf(trie.child(reference, 1));
    const at = (number * recordBits) / 4;
    if (recordBits === 28) {
      tree.writeUIntBE(left & 0xff_ffff, at, 3);
      tree[at + 3] = ((left >>> 24) << 4) | (right >>> 24);
      tree.writeUIntBE(right & 0xff_ffff, at + 4, 3);
    } else {
      tree.writeUIntBE(left, at, recordBits / 8);
      tree.writeUIntBE(right, at + recordBits / 8, recordBits / 8);
    }
  });
  const metadata = createEncoder(false);
  metadata.encode({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: Math.floor(options.builtAtMs / 1_000),
    database_type: options.databaseType,
    description: { en: options.description },
    ip_version: ipVersion,
    languages: ["en"],
    node_count: nodes.length,
    record_size: recordBits,
  });
  return Buffer.concat([
    tree,
    Buffer.alloc(SEPARATOR_OCTETS),
    Buffer.from(data.octets),
    Buffer.from("\xab\xcd\xefMaxMind.com", "latin1"),
    Buffer.from(metadata.octets),
  ]);
}

const widthOf = (cidr: Cidr): number => (cidr.bytes.length === 4 ? cidr.bits + 96 : cidr.bits);
