/**
 * Records → `ZoneImage`: the tables that the query path reads.
 *
 * Owns:    interning names (with their empty non-terminals), grouping records to RRsets, and what is worked out ahead:
 *          zone cuts, DNAMEs and wildcards on each node's path.
 * Never:   judges a zone: `check.ts` has found it good before. What must hold for the tables to be sound is checked
 *          here again, and throws.
 * @module
 */
import { RhumbError } from "#base/errors.ts";
import { CLASS } from "#dns/wire/classes.ts";
import { MAX_TCP_MESSAGE_OCTETS } from "#dns/wire/edns.ts";
import { HEADER_OCTETS, POINTER_TO_QNAME, QUESTION_TAIL_OCTETS } from "#dns/wire/header.ts";
import { formatName, isWildcard, MAX_NAME_OCTETS } from "#dns/wire/name.ts";
import { createNameKey, isSuffixAt, readNameKey } from "#dns/wire/name-key.ts";
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
  TABLE_WORDS,
} from "#dns/zone/image.ts";
import { PSEUDO_TYPE, type ZoneRecord } from "#dns/zone/record.ts";
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
export function buildZone(records: readonly ZoneRecord[], apex: Uint8Array, options: BuildOptions): ZoneImage {
  const names = internNames(records, apex, options.seed);
  const { nodes, nodeOfRecord } = names;
  const groups = groupRrsets(records, nodeOfRecord, names.count);
  const services: string[] = [];
  const { rrsets, rdata } = layOutRrsets(records, groups, nodes, services);
  linkNodes(nodes, rrsets, names.octets);
  const image: ZoneImage = {
    apex: shared(names.octets.slice(0, nodes[NODE.nameOctets])),
    serial: readSerial(rrsets, rdata, nodes, apex),
    file: options.file,
    recordCount: records.length,
    seed: options.seed,
    names: shared(names.octets),
    table: sharedWords(names.table),
    nodes: sharedWords(nodes),
    rrsets: sharedWords(rrsets),
    rdata: shared(rdata),
    services,
  };
  return image;
}

/** Gives every owner, and every name between it and the apex, a node: ancestors first. */
function internNames(records: readonly ZoneRecord[], apex: Uint8Array, seed: number) {
  const key = createNameKey();
  readNameKey(apex, 0, apex.length, seed, key);
  const apexLabels = key.labelCount;
  const apexOctets = key.octets.slice(0, key.length);
  let table = new Int32Array(64 * TABLE_WORDS);
  let octets = new Uint8Array(4096);
  let octetCount = 0;
  let nodes = new Int32Array(64 * NODE_WORDS);
  let count = 0;

  const find = (label: number): number => {
    const mask = table.length / TABLE_WORDS - 1;
    const hash = key.hashes[label]!;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = table[slot * TABLE_WORDS + 1]!;
      if (entry === 0) return -1;
      const word = (entry - 1) * NODE_WORDS;
      if (
        table[slot * TABLE_WORDS] === hash &&
        isSuffixAt(key, label, octets, nodes[word + NODE.nameAt]!, nodes[word + NODE.nameOctets]!)
      ) {
        return entry - 1;
      }
    }
  };
  const place = (into: Int32Array, hash: number, entry: number): void => {
    const mask = into.length / TABLE_WORDS - 1;
    let slot = hash & mask;
    while (into[slot * TABLE_WORDS + 1] !== 0) slot = (slot + 1) & mask;
    into[slot * TABLE_WORDS] = hash;
    into[slot * TABLE_WORDS + 1] = entry;
  };
  const add = (label: number, parent: number): number => {
    // Half full at most: probe sequences stay short.
    if ((count + 1) * 2 > table.length / TABLE_WORDS) {
      const larger = new Int32Array(table.length * 2);
      for (let at = 0; at < table.length; at += TABLE_WORDS) {
        if (table[at + 1] !== 0) place(larger, table[at]!, table[at + 1]!);
      }
      table = larger;
    }
    const from = key.labelAt[label]!;
    const length = key.length - from;
    if (octetCount + length > octets.length) octets = grown(octets, new Uint8Array(octets.length * 2));
    if ((count + 1) * NODE_WORDS > nodes.length) nodes = grown(nodes, new Int32Array(nodes.length * 2));
    for (let index = 0; index < length; index++) octets[octetCount + index] = key.octets[from + index]!;
    const word = count * NODE_WORDS;
    nodes[word + NODE.nameAt] = octetCount;
    nodes[word + NODE.nameOctets] = length;
    nodes[word + NODE.parent] = parent;
    nodes[word + NODE.wildcard] = -1;
    octetCount += length;
    place(table, key.hashes[label]!, ++count);
    return count - 1;
  };

  add(0, -1);
  const nodeOfRecord = new Int32Array(records.length);
  let lastOwner: Uint8Array | undefined;
  let lastNode = 0;
  for (let index = 0; index < records.length; index++) {
    const { owner } = records[index]!;
    if (owner !== lastOwner) {
      lastOwner = owner;
      const end = readNameKey(owner, 0, owner.length, seed, key);
      const apexLabel = key.labelCount - apexLabels;
      if (end < 0 || apexLabel < 0 || !isSuffixAt(key, apexLabel, apexOctets, 0, apexOctets.length)) {
        throw new RhumbError("RHUMB_ZONE_UNSOUND", `${formatName(apex)}: ${formatName(owner)} lies outside of it`);
      }
      let label = 0;
      lastNode = find(0);
      while (lastNode < 0) lastNode = find(++label);
      while (label > 0) lastNode = add(--label, lastNode);
    }
    nodeOfRecord[index] = lastNode;
  }
  return {
    table,
    octets: octets.slice(0, octetCount),
    nodes: nodes.slice(0, count * NODE_WORDS),
    count,
    nodeOfRecord,
  };
}

type Rrset = { readonly type: number; readonly records: number[] };

/** @returns per node its RRsets, by type; the records of each as positions in `records`, without repetitions */
function groupRrsets(records: readonly ZoneRecord[], nodeOfRecord: Int32Array, nodeCount: number): Rrset[][] {
  const groups: Rrset[][] = Array.from({ length: nodeCount }, () => []);
  for (let index = 0; index < records.length; index++) {
    const { type } = records[index]!;
    const group = groups[nodeOfRecord[index]!]!;
    let rrset = group.find((candidate) => candidate.type === type);
    if (!rrset) {
      rrset = { type, records: [] };
      group.push(rrset);
    }
    rrset.records.push(index);
  }
  for (const group of groups) {
    group.sort((a, b) => a.type - b.type);
    for (let index = 0; index < group.length; index++) {
      const rrset = group[index]!;
      if (rrset.records.length > 1) group[index] = { type: rrset.type, records: distinct(records, rrset.records) };
    }
  }
  return groups;
}

/** A record that is there twice counts once (RFC 2181 §5). */
function distinct(records: readonly ZoneRecord[], positions: readonly number[]): number[] {
  const seen = new Set<string>();
  return positions.filter((position) => {
    const text = Buffer.from(records[position]!.rdata).toString("latin1");
    return !seen.has(text) && seen.add(text);
  });
}

function layOutRrsets(records: readonly ZoneRecord[], groups: Rrset[][], nodes: Int32Array, services: string[]) {
  let rrsetCount = 0;
  let octets = 0;
  for (const group of groups) {
    rrsetCount += group.length;
    for (const rrset of group)
      for (const position of rrset.records) octets += RECORD.rdata + records[position]!.rdata.length;
  }
  const rrsets = new Int32Array(rrsetCount * RRSET_WORDS);
  const rdata = new Uint8Array(octets);
  let next = 0;
  let at = 0;
  for (let node = 0; node < groups.length; node++) {
    const group = groups[node]!;
    nodes[node * NODE_WORDS + NODE.firstRrset] = next;
    nodes[node * NODE_WORDS + NODE.rrsetCount] = group.length;
    for (const rrset of group) {
      const word = next * RRSET_WORDS;
      const first = records[rrset.records[0]!]!;
      rrsets[word + RRSET.type] = imageType(rrset.type);
      rrsets[word + RRSET.count] = rrset.records.length;
      rrsets[word + RRSET.rdataAt] = at;
      if (rrset.type === PSEUDO_TYPE.steer) {
        const service = Buffer.from(first.rdata).toString("latin1");
        if (!services.includes(service)) services.push(service);
        rrsets[word + RRSET.service] = services.indexOf(service);
      }
      // One TTL for an RRset: the lowest (RFC 2181 §5.2).
      let ttlSeconds = first.ttlSeconds;
      for (const position of rrset.records) ttlSeconds = Math.min(ttlSeconds, records[position]!.ttlSeconds);
      rrsets[word + RRSET.ttlSeconds] = ttlSeconds;
      const start = at;
      for (const position of rrset.records)
        at = writeRecord(rdata, at, rrset.type, ttlSeconds, records[position]!.rdata);
      rrsets[word + RRSET.readyOctets] = isReady(rrset.type, at - start) ? at - start : 0;
      next++;
    }
  }
  return { rrsets, rdata };
}

/** @returns the end of the record */
function writeRecord(into: Uint8Array, at: number, type: number, ttlSeconds: number, rdata: Uint8Array): number {
  into[at + RECORD.owner] = POINTER_TO_QNAME >>> 8;
  into[at + RECORD.owner + 1] = POINTER_TO_QNAME & 0xff;
  into[at + RECORD.type] = type >>> 8;
  into[at + RECORD.type + 1] = type & 0xff;
  into[at + RECORD.class + 1] = CLASS.IN;
  into[at + RECORD.ttl] = ttlSeconds >>> 24;
  into[at + RECORD.ttl + 1] = (ttlSeconds >>> 16) & 0xff;
  into[at + RECORD.ttl + 2] = (ttlSeconds >>> 8) & 0xff;
  into[at + RECORD.ttl + 3] = ttlSeconds & 0xff;
  into[at + RECORD.rdataOctets] = rdata.length >>> 8;
  into[at + RECORD.rdataOctets + 1] = rdata.length & 0xff;
  into.set(rdata, at + RECORD.rdata);
  return at + RECORD.rdata + rdata.length;
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

/** Flags, wildcards and barriers; parents come before children, so one pass does. */
function linkNodes(nodes: Int32Array, rrsets: Int32Array, octets: Uint8Array): void {
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
    if (parent >= 0 && isWildcard(octets.subarray(nodes[word + NODE.nameAt]!))) {
      nodes[parent * NODE_WORDS + NODE.wildcard] = node;
    }
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

function grown<T extends Uint8Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

function shared(from: Uint8Array): Uint8Array {
  const to = new Uint8Array(new SharedArrayBuffer(from.length));
  to.set(from);
  return to;
}

function sharedWords(from: Int32Array): Int32Array {
  const to = new Int32Array(new SharedArrayBuffer(from.byteLength));
  to.set(from);
  return to;
}
