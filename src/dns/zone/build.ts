/**
 * Records → `ZoneImage`: the tables that the query path reads.
 *
 * Owns:    grouping records to RRsets, and what is worked out ahead: zone cuts and DNAMEs on each node's path.
 * Never:   judges a zone: `check.ts` has found it good before. What must hold for the tables to be sound is checked
 *          here again, and throws.
 * @module
 */
import { RhumbError } from "#base/errors.ts";
import { CLASS } from "#dns/wire/classes.ts";
import { MAX_TCP_MESSAGE_OCTETS } from "#dns/wire/edns.ts";
import { HEADER_OCTETS, POINTER_TO_QNAME, QUESTION_TAIL_OCTETS } from "#dns/wire/header.ts";
import { formatName, MAX_NAME_OCTETS } from "#dns/wire/name.ts";
import { rdataNames } from "#dns/wire/rdata/table.ts";
import { TYPE } from "#dns/wire/types.ts";
import {
  APEX_NODE,
  IMAGE_TYPE,
  NODE,
  NODE_FLAG,
  NODE_WORDS,
  RECORD,
  RRSET,
  RRSET_WORDS,
  rdataOctetsAt,
} from "#dns/zone/image.ts";
import { PSEUDO_TYPE } from "#dns/zone/record.ts";
import type { RecordStore } from "#dns/zone/record-store.ts";
import { indexZone, NONE, rrsetsAt, type ZoneIndex } from "#dns/zone/zone-index.ts";
import type { ZoneImage } from "#state/zone-image.ts";

/** So many octets of records fit into a message with whatever question. */
const READY_OCTETS = MAX_TCP_MESSAGE_OCTETS - HEADER_OCTETS - MAX_NAME_OCTETS - QUESTION_TAIL_OCTETS;

export type BuildOptions = {
  /** For the load log and /status. */
  readonly file: string;
  /** Of the name hash; one for all zones of a process. */
  readonly seed: number;
};

/**
 * @param records of one zone, in the order of the file; SOA among them
 * @param apex wire name in any case
 * @throws RhumbError RHUMB_ZONE_UNSOUND when there is no SOA at the apex or an owner lies outside of the zone
 */
export const buildZone = (records: RecordStore, apex: Uint8Array, options: BuildOptions): ZoneImage =>
  buildImage(indexZone(records, apex, options.seed), options.file);

/** `buildZone()` of records that are indexed already; the image takes over the seed of the index. */
export function buildImage(index: ZoneIndex, file: string): ZoneImage {
  const { records, names } = index;
  const outside = index.nodeOf.indexOf(NONE);
  if (outside >= 0) {
    const owner = formatName(records.owner(outside));
    throw new RhumbError("RHUMB_ZONE_UNSOUND", `${formatName(names.name(APEX_NODE))}: ${owner} lies outside of it`);
  }
  const groups = groupRrsets(index);
  const carve = carver(
    names.table.byteLength + names.count * NODE_WORDS * WORD + groups.rrsetCount * RRSET_WORDS * WORD,
    names.octetCount + groups.octets,
  );
  const table = carve.words(names.table.length);
  const nodes = carve.words(names.count * NODE_WORDS);
  const rrsets = carve.words(groups.rrsetCount * RRSET_WORDS);
  const octets = carve.octets(names.octetCount);
  const rdata = carve.octets(groups.octets);
  table.set(names.table);
  nodes.set(names.nodes.subarray(0, nodes.length));
  octets.set(names.octets.subarray(0, names.octetCount));
  const services: string[] = [];
  layOutRrsets(index, groups, { nodes, rrsets, rdata, services });
  linkNodes(nodes, rrsets);
  const apex = octets.subarray(0, names.name(APEX_NODE).length); // the first name
  const serial = readSerial(rrsets, rdata, nodes, apex);
  const recordCount = records.length;
  return { apex, serial, file, recordCount, seed: names.seed, names: octets, table, nodes, rrsets, rdata, services };
}

const WORD = Int32Array.BYTES_PER_ELEMENT;

/**
 * Hands out parts of one piece of shared memory: words first, then octets. One piece, because a C library gives large ones
 * back to the system when they are freed, and keeps middling ones for itself.
 */
function carver(wordOctets: number, octets: number) {
  const buffer = new SharedArrayBuffer(wordOctets + octets);
  let at = 0;
  return {
    words(count: number): Int32Array {
      at += count * WORD;
      return new Int32Array(buffer, at - count * WORD, count);
    },
    octets(count: number): Uint8Array {
      at += count;
      return new Uint8Array(buffer, at - count, count);
    },
  };
}

/** Numbers of the records that are laid out, RRset by RRset; what an RRset has is known before any is written. */
type Groups = {
  /** By position: a record. */
  readonly order: Int32Array;
  /** Positions that are in use: repetitions are left out. */
  readonly count: number;
  /** By position: 1 where an RRset starts. */
  readonly starts: Uint8Array;
  readonly rrsetCount: number;
  /** Of all records as they are laid out. */
  readonly octets: number;
};

/** Puts the records of each node in the order of their types, each once. */
function groupRrsets(index: ZoneIndex): Groups {
  const { records, names, first, next } = index;
  const order = new Int32Array(records.length);
  const starts = new Uint8Array(records.length);
  let count = 0;
  for (let node = 0; node < names.count; node++) {
    const only = first[node]!;
    if (only === NONE) continue;
    if (next[only] === NONE) {
      starts[count] = 1;
      order[count++] = only;
      continue;
    }
    for (const [, rrset] of [...rrsetsAt(index, node)].sort(([a], [b]) => a - b)) {
      starts[count] = 1;
      for (const record of rrset.length > 1 ? distinct(records, rrset) : rrset) order[count++] = record;
    }
  }
  let rrsetCount = 0;
  let octets = 0;
  for (let position = 0; position < count; position++) {
    rrsetCount += starts[position]!;
    octets += RECORD.rdata + records.rdataOctets[order[position]!]!;
  }
  return { order, count, starts, rrsetCount, octets };
}

/** A record that is there twice counts once (RFC 2181 §5). */
function distinct(records: RecordStore, rrset: readonly number[]): number[] {
  const seen = new Set<string>();
  return rrset.filter((record) => {
    const text = Buffer.from(records.rdata(record)).toString("latin1");
    return !seen.has(text) && seen.add(text);
  });
}

function layOutRrsets(
  { records, nodeOf }: ZoneIndex,
  { order, count, starts }: Groups,
  { nodes, rrsets, rdata, services }: Pick<ZoneImage, "nodes" | "rrsets" | "rdata"> & { services: string[] },
): void {
  let rrset = 0;
  let at = 0;
  for (let position = 0; position < count; rrset++) {
    const first = order[position]!;
    const type = records.types[first]!;
    const nodeWord = nodeOf[first]! * NODE_WORDS;
    if (nodes[nodeWord + NODE.rrsetCount]!++ === 0) nodes[nodeWord + NODE.firstRrset] = rrset;
    const word = rrset * RRSET_WORDS;
    // One TTL for an RRset: the lowest (RFC 2181 §5.2).
    let ttlSeconds = records.ttlSeconds[first]!;
    let end = position + 1;
    for (; end < count && starts[end] === 0; end++) {
      ttlSeconds = Math.min(ttlSeconds, records.ttlSeconds[order[end]!]!);
    }
    rrsets[word + RRSET.type] = imageType(type);
    rrsets[word + RRSET.ttlSeconds] = ttlSeconds;
    rrsets[word + RRSET.count] = end - position;
    rrsets[word + RRSET.rdataAt] = at;
    if (type === PSEUDO_TYPE.steer) {
      const service = Buffer.from(records.rdata(first)).toString("latin1");
      if (!services.includes(service)) services.push(service);
      rrsets[word + RRSET.service] = services.indexOf(service);
    }
    const start = at;
    for (; position < end; position++) at = writeRecord(rdata, at, type, ttlSeconds, records, order[position]!);
    rrsets[word + RRSET.readyOctets] = isReady(type, at - start) ? at - start : 0;
  }
}

/** @returns the end of the record */
function writeRecord(
  into: Uint8Array,
  at: number,
  type: number,
  ttlSeconds: number,
  records: RecordStore,
  record: number,
): number {
  const { data } = records;
  const from = records.rdataAt[record]!;
  const octets = records.rdataOctets[record]!;
  into[at + RECORD.owner] = POINTER_TO_QNAME >>> 8;
  into[at + RECORD.owner + 1] = POINTER_TO_QNAME & 0xff;
  into[at + RECORD.type] = type >>> 8;
  into[at + RECORD.type + 1] = type & 0xff;
  into[at + RECORD.class + 1] = CLASS.IN;
  into[at + RECORD.ttl] = ttlSeconds >>> 24;
  into[at + RECORD.ttl + 1] = (ttlSeconds >>> 16) & 0xff;
  into[at + RECORD.ttl + 2] = (ttlSeconds >>> 8) & 0xff;
  into[at + RECORD.ttl + 3] = ttlSeconds & 0xff;
  into[at + RECORD.rdataOctets] = octets >>> 8;
  into[at + RECORD.rdataOctets + 1] = octets & 0xff;
  const to = at + RECORD.rdata;
  for (let index = 0; index < octets; index++) into[to + index] = data[from + index]!;
  return to + octets;
}

/** The records as they stand are the answer: no name in them may be compressed, and any question leaves room for them. */
const isReady = (type: number, octets: number): boolean =>
  imageType(type) === type && !rdataNames(type)?.isCompressible && octets <= READY_OCTETS;

const imageType = (type: number): number =>
  type === PSEUDO_TYPE.steer ? IMAGE_TYPE.steer : type === PSEUDO_TYPE.alias ? IMAGE_TYPE.alias : type;

const FLAG_BY_TYPE: Readonly<Record<number, number>> = {
  [TYPE.CNAME]: NODE_FLAG.cname,
  [TYPE.DNAME]: NODE_FLAG.dname,
  [IMAGE_TYPE.steer]: NODE_FLAG.steer,
  [IMAGE_TYPE.alias]: NODE_FLAG.alias,
};

/** Flags and barriers; parents come before children, so one pass does. */
function linkNodes(nodes: Int32Array, rrsets: Int32Array): void {
  for (let word = 0, node = 0; word < nodes.length; word += NODE_WORDS, node++) {
    const parent = nodes[word + NODE.parent]!;
    const first = nodes[word + NODE.firstRrset]!;
    let flags = 0;
    for (let rrset = first; rrset < first + nodes[word + NODE.rrsetCount]!; rrset++) {
      const type = rrsets[rrset * RRSET_WORDS + RRSET.type]!;
      if (type === TYPE.NS) flags |= node === APEX_NODE ? 0 : NODE_FLAG.cut;
      else flags |= FLAG_BY_TYPE[type] ?? 0;
    }
    nodes[word + NODE.flags] = flags;
    // The topmost barrier counts. At one node the cut comes before the DNAME: the data below it are another zone's.
    const above = parent < 0 ? -1 : nodes[parent * NODE_WORDS + NODE.barrierBelow]!;
    const own = above >= 0 ? above : (flags & NODE_FLAG.cut) !== 0 ? node : -1;
    nodes[word + NODE.barrier] = own;
    nodes[word + NODE.barrierBelow] = own >= 0 ? own : (flags & NODE_FLAG.dname) !== 0 ? node : -1;
  }
}

/** SERIAL is the first of five 32-bit numbers at the end of the SOA's rdata (RFC 1035 §3.3.13). */
function readSerial(rrsets: Int32Array, rdata: Uint8Array, nodes: Int32Array, apex: Uint8Array): number {
  const first = nodes[NODE.firstRrset]!;
  for (let rrset = first; rrset < first + nodes[NODE.rrsetCount]!; rrset++) {
    const word = rrset * RRSET_WORDS;
    if (rrsets[word + RRSET.type] !== TYPE.SOA) continue;
    const at = rrsets[word + RRSET.rdataAt]!;
    const end = at + RECORD.rdata + rdataOctetsAt(rdata, at);
    return new DataView(rdata.buffer, rdata.byteOffset).getUint32(end - 20);
  }
  throw new RhumbError("RHUMB_ZONE_UNSOUND", `${formatName(apex)}: it has no SOA record`);
}
