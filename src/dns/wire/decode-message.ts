/**
 * Whole messages → records, for people, clients and tests. Allocates; the query path has `query.ts`.
 *
 * Never:   throws on octets: a message that is cut off or points astray is a fault.
 * @module
 */
import { FAULT } from "#dns/wire/fault.ts";
import { FLAGS, FLAGS2, HEADER, HEADER_OCTETS, OPCODE_SHIFT } from "#dns/wire/header.ts";
import { MAX_NAME_OCTETS, readName, skipName } from "#dns/wire/name.ts";
import { rdataNames } from "#dns/wire/rdata/table.ts";
import { TYPE } from "#dns/wire/types.ts";

export type DecodedQuestion = { readonly name: Uint8Array; readonly type: number; readonly class: number };
/** OPT is among the additional records as it came: its class is a size, its TTL holds flags. */
export type DecodedRecord = {
  /** Uncompressed, in the case of the message. */
  readonly owner: Uint8Array;
  readonly type: number;
  readonly class: number;
  readonly ttlSeconds: number;
  /** Names in it uncompressed. */
  readonly rdata: Uint8Array;
};
export type DecodedMessage = {
  readonly id: number;
  readonly opcode: number;
  readonly isResponse: boolean;
  readonly isAuthoritative: boolean;
  readonly isTruncated: boolean;
  readonly isRd: boolean;
  readonly isRa: boolean;
  readonly isAd: boolean;
  readonly isCd: boolean;
  /** With the upper bits of OPT, where there is one (RFC 6891 §6.1.3). */
  readonly rcode: number;
  readonly questions: readonly DecodedQuestion[];
  readonly answer: readonly DecodedRecord[];
  readonly authority: readonly DecodedRecord[];
  readonly additional: readonly DecodedRecord[];
  readonly opt: DecodedRecord | undefined;
};

/** Type, class, TTL, rdlength. */
const RECORD_FIXED_OCTETS = 10;

/** @returns the message, or a negative `FAULT`; octets behind the counted records are a fault as well (`truncated`) */
export function decodeMessage(message: Uint8Array): DecodedMessage | number {
  if (message.length < HEADER_OCTETS) return FAULT.truncated;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const questions: DecodedQuestion[] = [];
  let at: number = HEADER_OCTETS;
  for (let count = view.getUint16(HEADER.qdcount); count > 0; count--) {
    const name = nameAt(message, at);
    if (typeof name === "number") return name;
    at = skipName(message, at);
    if (at + 4 > message.length) return FAULT.truncated;
    questions.push({ name, type: view.getUint16(at), class: view.getUint16(at + 2) });
    at += 4;
  }
  const sections: DecodedRecord[][] = [[], [], []];
  for (let section = 0; section < 3; section++) {
    for (let count = view.getUint16(HEADER.ancount + 2 * section); count > 0; count--) {
      const owner = nameAt(message, at);
      if (typeof owner === "number") return owner;
      at = skipName(message, at);
      if (at + RECORD_FIXED_OCTETS > message.length) return FAULT.truncated;
      const type = view.getUint16(at);
      const rdataAt = at + RECORD_FIXED_OCTETS;
      const end = rdataAt + view.getUint16(at + 8);
      if (end > message.length) return FAULT.truncated;
      const rdata = expandRdata(message, type, rdataAt, end);
      if (typeof rdata === "number") return rdata;
      sections[section]!.push({
        owner,
        type,
        class: view.getUint16(at + 2),
        ttlSeconds: view.getUint32(at + 4),
        rdata,
      });
      at = end;
    }
  }
  if (at !== message.length) return FAULT.truncated;
  const [answer, authority, additional] = sections as [DecodedRecord[], DecodedRecord[], DecodedRecord[]];
  const opt = additional.find((record) => record.type === TYPE.OPT);
  const flags = message[HEADER.flags]!;
  const flags2 = message[HEADER.flags2]!;
  return {
    id: view.getUint16(HEADER.id),
    opcode: (flags & FLAGS.opcode) >> OPCODE_SHIFT,
    isResponse: (flags & FLAGS.qr) !== 0,
    isAuthoritative: (flags & FLAGS.aa) !== 0,
    isTruncated: (flags & FLAGS.tc) !== 0,
    isRd: (flags & FLAGS.rd) !== 0,
    isRa: (flags2 & FLAGS2.ra) !== 0,
    isAd: (flags2 & FLAGS2.ad) !== 0,
    isCd: (flags2 & FLAGS2.cd) !== 0,
    rcode: (flags2 & FLAGS2.rcode) | (opt ? (opt.ttlSeconds >>> 24) << 4 : 0),
    questions,
    answer,
    authority,
    additional,
    opt,
  };
}

function nameAt(message: Uint8Array, at: number): Uint8Array | number {
  const into = new Uint8Array(MAX_NAME_OCTETS);
  const length = readName(message, at, into);
  return length < 0 ? length : into.slice(0, length);
}

function expandRdata(message: Uint8Array, type: number, at: number, end: number): Uint8Array | number {
  const names = rdataNames(type);
  if (!names || typeof names.at !== "number" || at === end) return message.slice(at, end);
  const parts: Uint8Array[] = [message.slice(at, at + names.at)];
  at += names.at;
  for (let name = 0; name < names.count; name++) {
    const octets = nameAt(message, at);
    if (typeof octets === "number") return octets;
    parts.push(octets);
    at = skipName(message, at, end);
    if (at < 0) return at;
  }
  parts.push(message.slice(at, end));
  const rdata = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let to = 0;
  for (const part of parts) {
    rdata.set(part, to);
    to += part.length;
  }
  return rdata;
}
