/**
 * The records of a zone as columns: a million of them are a few arrays, not millions of objects.
 *
 * Owns:    one element a record and column; names and data back to back in two arrays of octets. Records that follow
 *          each other under one owner share its name.
 * Writer:  the parser, record by record; after it nobody. Readers name a record by its number, in the order of the file.
 * Never:   knows what a record means.
 * @module
 */
import type { Position } from "#base/problem.ts";
import { grown } from "#dns/zone/grown.ts";
import type { ZoneRecord } from "#dns/zone/record.ts";

const FIRST_RECORDS = 64;
const FIRST_OCTETS = 1_024;

export class RecordStore implements Iterable<ZoneRecord> {
  length = 0;
  types = new Uint16Array(FIRST_RECORDS);
  ttlSeconds = new Int32Array(FIRST_RECORDS);
  /** Octet in `names` at which the owner starts; its root label ends it. */
  ownerAt = new Int32Array(FIRST_RECORDS);
  /** Octet in `data` at which the resource data start, and how many there are. */
  rdataAt = new Int32Array(FIRST_RECORDS);
  rdataOctets = new Uint16Array(FIRST_RECORDS);
  /** Uncompressed wire names of owners in the case of the file. */
  names = new Uint8Array(FIRST_OCTETS);
  /** Resource data, uncompressed. */
  data = new Uint8Array(FIRST_OCTETS);
  private nameOctets = 0;
  private dataOctets = 0;
  private lastOwnerAt = 0;
  private lines = new Int32Array(FIRST_RECORDS);
  private columns = new Int32Array(FIRST_RECORDS);
  /** Files, and the number of the first record of each stretch of records that one has. */
  private readonly files: string[] = [];
  private readonly fileFrom: number[] = [];

  /** Says where the records that are added from now on stand. */
  startFile(file: string): void {
    this.files.push(file);
    this.fileFrom.push(this.length);
  }

  /** @returns the `ownerAt` of records with this owner */
  addOwner(owner: Uint8Array): number {
    const { lastOwnerAt, nameOctets } = this;
    if (nameOctets - lastOwnerAt === owner.length) {
      let at = 0;
      while (at < owner.length && this.names[lastOwnerAt + at] === owner[at]) at++;
      if (at === owner.length) return lastOwnerAt;
    }
    if (nameOctets + owner.length > this.names.length) this.names = grown(this.names, nameOctets + owner.length);
    for (let at = 0; at < owner.length; at++) this.names[nameOctets + at] = owner[at]!; // short: faster than set()
    this.lastOwnerAt = nameOctets;
    this.nameOctets = nameOctets + owner.length;
    return nameOctets;
  }

  add(ownerAt: number, type: number, ttlSeconds: number, rdata: Uint8Array, line: number, column: number): void {
    const record = this.length++;
    if (record === this.types.length) this.grow();
    const from = this.dataOctets;
    const octets = rdata.length;
    if (from + octets > this.data.length) this.data = grown(this.data, from + octets);
    if (octets > 64) this.data.set(rdata, from);
    else for (let at = 0; at < octets; at++) this.data[from + at] = rdata[at]!;
    this.dataOctets = from + octets;
    this.types[record] = type;
    this.ttlSeconds[record] = ttlSeconds;
    this.ownerAt[record] = ownerAt;
    this.rdataAt[record] = from;
    this.rdataOctets[record] = octets;
    this.lines[record] = line;
    this.columns[record] = column;
  }

  private grow(): void {
    const { length } = this;
    this.types = grown(this.types, length);
    this.ttlSeconds = grown(this.ttlSeconds, length);
    this.ownerAt = grown(this.ownerAt, length);
    this.rdataAt = grown(this.rdataAt, length);
    this.rdataOctets = grown(this.rdataOctets, length);
    this.lines = grown(this.lines, length);
    this.columns = grown(this.columns, length);
  }

  /** A view on the octets of the owner's wire name. */
  owner(record: number): Uint8Array {
    return this.nameAt(this.ownerAt[record]!);
  }

  /** A view on the wire name at `from` in `names`. */
  nameAt(from: number): Uint8Array {
    let at = from;
    while (this.names[at] !== 0) at += 1 + this.names[at]!;
    return this.names.subarray(from, at + 1);
  }

  /** A view on the octets of the resource data. */
  rdata(record: number): Uint8Array {
    const from = this.rdataAt[record]!;
    return this.data.subarray(from, from + this.rdataOctets[record]!);
  }

  at(record: number): Position {
    let file = this.files.length - 1;
    while (this.fileFrom[file]! > record) file--;
    return { file: this.files[file]!, line: this.lines[record]!, column: this.columns[record]! };
  }

  /** One record as an object, its octets as views. */
  get(record: number): ZoneRecord {
    return {
      owner: this.owner(record),
      type: this.types[record]!,
      ttlSeconds: this.ttlSeconds[record]!,
      rdata: this.rdata(record),
      at: this.at(record),
    };
  }

  *[Symbol.iterator](): Generator<ZoneRecord> {
    for (let record = 0; record < this.length; record++) yield this.get(record);
  }

  /** A store of those of its records that `isKept` marks, with other TTLs; names and data are shared with this one. */
  select(isKept: Uint8Array, ttlSeconds: Int32Array): RecordStore {
    const selected = new RecordStore();
    const { types, ownerAt, rdataAt, rdataOctets, lines, columns } = this;
    selected.names = this.names;
    selected.data = this.data;
    let file = 0;
    for (let record = 0; record < this.length; record++) {
      while (file < this.files.length && this.fileFrom[file]! <= record) selected.startFile(this.files[file++]!);
      if (isKept[record] === 0) continue;
      const to = selected.length++;
      if (to === selected.types.length) selected.grow();
      selected.types[to] = types[record]!;
      selected.ttlSeconds[to] = ttlSeconds[record]!;
      selected.ownerAt[to] = ownerAt[record]!;
      selected.rdataAt[to] = rdataAt[record]!;
      selected.rdataOctets[to] = rdataOctets[record]!;
      selected.lines[to] = lines[record]!;
      selected.columns[to] = columns[record]!;
    }
    return selected;
  }
}

/** A store with these records. */
export function storeOf(records: Iterable<ZoneRecord>): RecordStore {
  const store = new RecordStore();
  let file: string | undefined;
  for (const { owner, type, ttlSeconds, rdata, at } of records) {
    if (at.file !== file) {
      file = at.file;
      store.startFile(file);
    }
    store.add(store.addOwner(owner), type, ttlSeconds, rdata, at.line, at.column);
  }
  return store;
}
