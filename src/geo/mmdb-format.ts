/**
 * The MaxMind DB format, read with bounds: metadata, and single fields of records.
 * Source: "MaxMind DB File Format Specification", version 2.0.
 *
 * Why not a library: at load every record of a file of 100 MB is looked at, of which we need five fields, and a file
 * that is cut off or crafted must end in one sentence. `mmdb-lib` decodes whole records (about 30 µs each), recurses
 * without a limit and reads a double of the wrong size as if it were right. It serves as second reader: `geo/database.ts`.
 * @module
 */

/** Why a file is not a usable database. Caught and given the file's name by `geo/database.ts`; never leaves the room. */
export class MmdbFault extends Error {}

export type MmdbMetadata = {
  readonly nodeCount: number;
  readonly recordBits: 24 | 28 | 32;
  readonly ipVersion: 4 | 6;
  readonly databaseType: string;
  readonly builtAtMs: number;
  /** Octets of the search tree, which starts the file. */
  readonly treeOctets: number;
  /** The data section: from after the separator to the metadata marker. */
  readonly dataStart: number;
  readonly dataEnd: number;
};

const MARKER = Buffer.from("\xab\xcd\xefMaxMind.com", "latin1");
/** The marker lies in the last 128 KiB of the file (specification, "Database Metadata"). */
const METADATA_MAX_OCTETS = 128 * 1024;
/** Zero octets between search tree and data. */
export const SEPARATOR_OCTETS = 16;
/** Ours: real records nest four deep and take some hundred octets; these stop crafted files. */
const MAX_NESTING = 16;
const MAX_RECORD_OCTETS = 64 * 1024;

export const MMDB_TYPE = {
  pointer: 1,
  text: 2,
  double: 3,
  bytes: 4,
  uint16: 5,
  uint32: 6,
  map: 7,
  int32: 8,
  uint64: 9,
  uint128: 10,
  array: 11,
  boolean: 14,
  float: 15,
} as const;

export type MmdbValues = {
  /**
   * Steps through the map at `at` (or behind the pointer there).
   * @param visit is given each key and the place of its value
   * @returns where the map's data really starts: the same for all pointers to it
   */
  eachField(at: number, visit: (key: string, valueAt: number) => void): void;
  /** Offset of what lies at `at`, behind a pointer if there is one: a memo key for shared values. */
  target(at: number): number;
  text(at: number): string;
  /** A double or float. */
  real(at: number): number;
  /** Any unsigned or signed integer up to 2^53. */
  integer(at: number): number;
};

/** Reads values of `bytes` between `start` and `end`; pointers count from `start`. Every read is checked. */
export function createMmdbValues(bytes: Buffer, start: number, end: number): MmdbValues {
  // The value that `head` saw last.
  let type = 0;
  let size = 0;
  let payload = 0;
  /** Past the pointer, when the value came through one; else -1. */
  let afterPointer = -1;

  const need = (at: number, octets: number): void => {
    if (at < start || at + octets > end) throw new MmdbFault(`a value at octet ${at} reaches outside of the data`);
  };
  function head(at: number, isTarget = false): void {
    need(at, 1);
    const control = bytes[at++]!;
    type = control >>> 5;
    if (type === MMDB_TYPE.pointer) {
      // One level only: "a pointer may not point to another pointer".
      if (isTarget) throw new MmdbFault(`the pointer at octet ${at - 1} is pointed to`);
      const length = ((control >>> 3) & 3) + 1;
      need(at, length);
      const low = bytes.readUIntBE(at, length);
      const high = (control & 7) * 2 ** (8 * length);
      const target = start + (length === 4 ? low : high + low + [0, 2_048, 526_336][length - 1]!);
      head(target, true);
      afterPointer = at + length;
      return;
    }
    if (!isTarget) afterPointer = -1;
    if (type === 0) {
      need(at, 1);
      type = 7 + bytes[at++]!;
      if (type < MMDB_TYPE.int32 || type > MMDB_TYPE.float) throw new MmdbFault(`unknown data type ${type}`);
    }
    size = control & 0x1f;
    if (size >= 29) {
      const more = size - 28;
      need(at, more);
      size = bytes.readUIntBE(at, more) + [29, 285, 65_821][more - 1]!;
      at += more;
    }
    payload = at;
    if (type !== MMDB_TYPE.map && type !== MMDB_TYPE.array && type !== MMDB_TYPE.boolean) need(at, size);
  }
  /** @returns the offset past the value at `at`, without following pointers */
  function skip(at: number, nesting: number, limit: number): number {
    if (nesting > MAX_NESTING) throw new MmdbFault(`values at octet ${at} nest deeper than ${MAX_NESTING}`);
    head(at);
    if (afterPointer >= 0) return afterPointer;
    if (type === MMDB_TYPE.boolean) return payload;
    if (type !== MMDB_TYPE.map && type !== MMDB_TYPE.array) return payload + size;
    const values = type === MMDB_TYPE.map ? size * 2 : size;
    let next = payload;
    for (let count = 0; count < values; count++) {
      next = skip(next, nesting + 1, limit);
      if (next > limit) throw new MmdbFault(`the record at octet ${at} is longer than ${MAX_RECORD_OCTETS} octets`);
    }
    return next;
  }
  function expect(at: number, wanted: number, name: string): void {
    head(at);
    if (type !== wanted) throw new MmdbFault(`the value at octet ${at} is of type ${type}, not a ${name}`);
  }
  function text(at: number): string {
    expect(at, MMDB_TYPE.text, "text");
    return bytes.toString("utf8", payload, payload + size);
  }
  return {
    text,
    target(at) {
      head(at);
      return payload;
    },
    eachField(at, visit) {
      expect(at, MMDB_TYPE.map, "map");
      const fields = size;
      let next = payload;
      const limit = payload + MAX_RECORD_OCTETS;
      for (let field = 0; field < fields; field++) {
        const key = text(next);
        const valueAt = afterPointer >= 0 ? afterPointer : payload + size;
        visit(key, valueAt);
        next = skip(valueAt, 0, limit);
        if (next > limit) throw new MmdbFault(`the record at octet ${at} is longer than ${MAX_RECORD_OCTETS} octets`);
      }
    },
    real(at) {
      head(at);
      if (type === MMDB_TYPE.double && size === 8) return bytes.readDoubleBE(payload);
      if (type === MMDB_TYPE.float && size === 4) return bytes.readFloatBE(payload);
      throw new MmdbFault(`the value at octet ${at} is of type ${type} with ${size} octets, not a double`);
    },
    integer(at) {
      head(at);
      const isUnsigned = type === MMDB_TYPE.uint16 || type === MMDB_TYPE.uint32 || type === MMDB_TYPE.uint64;
      if (!isUnsigned || size > 8) throw new MmdbFault(`the value at octet ${at} is not an unsigned integer`);
      let value = 0;
      for (let index = 0; index < size; index++) value = value * 256 + bytes[payload + index]!;
      if (!Number.isSafeInteger(value)) throw new MmdbFault(`the integer at octet ${at} is out of range`);
      return value;
    },
  };
}

/** @throws MmdbFault when there is no metadata, or it contradicts the file */
export function readMmdbMetadata(bytes: Buffer): MmdbMetadata {
  const tail = bytes.subarray(Math.max(0, bytes.length - METADATA_MAX_OCTETS));
  const found = tail.lastIndexOf(MARKER);
  if (found < 0) throw new MmdbFault("it has no metadata at its end: cut off, or not a MaxMind DB file");
  const dataEnd = bytes.length - tail.length + found;
  const start = dataEnd + MARKER.length;
  const values = createMmdbValues(bytes, start, bytes.length);
  const numbers: Record<string, number> = {};
  let databaseType = "";
  values.eachField(start, (key, at) => {
    if (key === "database_type") databaseType = values.text(at);
    else if (["node_count", "record_size", "ip_version", "binary_format_major_version", "build_epoch"].includes(key))
      numbers[key] = values.integer(at);
  });
  const { node_count: nodeCount, record_size: recordBits, ip_version: ipVersion, build_epoch: epoch = 0 } = numbers;
  if (numbers["binary_format_major_version"] !== 2)
    throw new MmdbFault(`its format version is ${numbers["binary_format_major_version"]}, not 2`);
  if (recordBits !== 24 && recordBits !== 28 && recordBits !== 32)
    throw new MmdbFault(`its record size is ${recordBits} bits, not 24, 28 or 32`);
  if (ipVersion !== 4 && ipVersion !== 6) throw new MmdbFault(`its IP version is ${ipVersion}, not 4 or 6`);
  if (nodeCount === undefined || nodeCount < 1) throw new MmdbFault("its search tree has no nodes");
  const treeOctets = (nodeCount * recordBits) / 4;
  const dataStart = treeOctets + SEPARATOR_OCTETS;
  if (dataStart > dataEnd)
    throw new MmdbFault(`a search tree of ${nodeCount} nodes does not fit its ${bytes.length} octets`);
  for (let at = treeOctets; at < dataStart; at++)
    if (bytes[at] !== 0) throw new MmdbFault(`the search tree does not end after ${nodeCount} nodes`);
  return { nodeCount, recordBits, ipVersion, databaseType, builtAtMs: epoch * 1_000, treeOctets, dataStart, dataEnd };
}
