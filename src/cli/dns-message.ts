/**
 * A DNS client's half of the wire format: one question out, any response in, as text for people.
 *
 * Reads with the server's own codec for names and resource data. Never: used by the serving path.
 * @module
 */
import type { Cidr } from "#base/ip.ts";
import { formatIp } from "#base/ip.ts";
import { MAX_UDP_PAYLOAD_OCTETS, OPTION } from "#dns/wire/edns.ts";
import { FLAGS, FLAGS2, HEADER, HEADER_OCTETS } from "#dns/wire/header.ts";
import { formatName, readName, skipName } from "#dns/wire/name.ts";
import { rcodeText } from "#dns/wire/rcodes.ts";
import { formatRdata, rdataNames } from "#dns/wire/rdata/table.ts";
import { TYPE, typeText } from "#dns/wire/types.ts";

export type DnsQuestion = {
  readonly id: number;
  /** Uncompressed wire name. */
  readonly name: Uint8Array;
  readonly type: number;
  /** EDNS client subnet to send; undefined: none. */
  readonly subnet: Cidr | undefined;
};
export type DnsRecordText = {
  readonly owner: string;
  readonly ttlSeconds: number;
  readonly type: string;
  readonly rdata: string;
};
export type DnsResponse = {
  readonly id: number;
  readonly rcode: string;
  /** Set ones among qr aa tc rd ra ad cd. */
  readonly flags: readonly string[];
  readonly answer: readonly DnsRecordText[];
  readonly authority: readonly DnsRecordText[];
  readonly additional: readonly DnsRecordText[];
  readonly edns:
    | {
        readonly payloadOctets: number;
        readonly subnet: { readonly network: string; readonly scopeBits: number } | undefined;
        readonly errors: readonly { readonly code: number; readonly says: string }[];
        readonly nsid: string | undefined;
      }
    | undefined;
};

/** A query with one question and an OPT record (RFC 1035 §4.1, RFC 6891 §6.1, RFC 7871 §6). */
export function encodeQuestion({ id, name, type, subnet }: DnsQuestion): Uint8Array {
  const addressOctets = subnet ? Math.ceil(subnet.bits / 8) : 0;
  const optionOctets = subnet ? 8 + addressOctets : 0;
  const message = new Uint8Array(HEADER_OCTETS + name.length + 4 + 11 + optionOctets);
  const view = new DataView(message.buffer);
  view.setUint16(HEADER.id, id);
  view.setUint16(HEADER.qdcount, 1);
  view.setUint16(HEADER.arcount, 1);
  message.set(name, HEADER_OCTETS);
  let at = HEADER_OCTETS + name.length;
  view.setUint16(at, type);
  view.setUint16(at + 2, 1); // class IN
  at += 5; // and the root as the owner of OPT
  view.setUint16(at, TYPE.OPT);
  view.setUint16(at + 2, MAX_UDP_PAYLOAD_OCTETS);
  view.setUint16(at + 8, optionOctets);
  if (subnet) {
    at += 10;
    view.setUint16(at, OPTION.CLIENT_SUBNET);
    view.setUint16(at + 2, 4 + addressOctets);
    view.setUint16(at + 4, subnet.bytes.length === 4 ? 1 : 2);
    message[at + 6] = subnet.bits;
    message.set(subnet.bytes.subarray(0, addressOctets), at + 8);
  }
  return message;
}

/** @throws Error that says what is wrong with the message */
export function decodeResponse(message: Uint8Array): DnsResponse {
  if (message.length < HEADER_OCTETS) throw new Error(`the response has ${message.length} octets`);
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const count = (offset: number): number => view.getUint16(offset);
  let at = HEADER_OCTETS;
  for (let left = count(HEADER.qdcount); left > 0; left--) at = past(skipName(message, at)) + 4;

  let edns: DnsResponse["edns"];
  let extendedRcode = 0;
  const section = (records: number): DnsRecordText[] => {
    const texts: DnsRecordText[] = [];
    for (let left = records; left > 0; left--) {
      const ownerAt = at;
      at = past(skipName(message, at));
      if (at + 10 > message.length) throw new Error("a record is cut off");
      const type = view.getUint16(at);
      const ttlSeconds = view.getUint32(at + 4);
      const rdataAt = at + 10;
      const end = rdataAt + view.getUint16(at + 8);
      if (end > message.length) throw new Error("a record is cut off");
      if (type === TYPE.OPT) {
        extendedRcode = ttlSeconds >>> 24;
        edns = { payloadOctets: view.getUint16(at + 2), ...readOptions(message.subarray(rdataAt, end)) };
      } else {
        const rdata = formatRdata(type, expandRdata(message, type, rdataAt, end));
        texts.push({ owner: nameAt(message, ownerAt), ttlSeconds, type: typeText(type), rdata });
      }
      at = end;
    }
    return texts;
  };
  const answer = section(count(HEADER.ancount));
  const authority = section(count(HEADER.nscount));
  const additional = section(count(HEADER.arcount));
  const high = message[HEADER.flags]!;
  const low = message[HEADER.flags2]!;
  const flags = [
    high & FLAGS.qr && "qr",
    high & FLAGS.aa && "aa",
    high & FLAGS.tc && "tc",
    high & FLAGS.rd && "rd",
    low & FLAGS2.ra && "ra",
    low & FLAGS2.ad && "ad",
    low & FLAGS2.cd && "cd",
  ].filter((flag) => typeof flag === "string");
  const rcode = rcodeText((extendedRcode << 4) | (low & FLAGS2.rcode));
  return { id: view.getUint16(HEADER.id), rcode, flags, answer, authority, additional, edns };
}

function past(offset: number): number {
  if (offset < 0) throw new Error("a name in the response is malformed");
  return offset;
}

const scratch = new Uint8Array(255);
function wireNameAt(message: Uint8Array, offset: number): Uint8Array {
  return scratch.slice(0, past(readName(message, offset, scratch)));
}
const nameAt = (message: Uint8Array, offset: number): string => formatName(wireNameAt(message, offset));

/** Resource data with its names uncompressed (RFC 3597 §4: only types of RFC 1035 and a few others may compress). */
function expandRdata(message: Uint8Array, type: number, start: number, end: number): Uint8Array {
  const names = rdataNames(type);
  if (!names) return message.slice(start, end);
  const first = start + (typeof names.at === "number" ? names.at : names.at(message.slice(start, end)));
  const parts: Uint8Array[] = [message.slice(start, first)];
  let at = first;
  for (let left = names.count; left > 0 && at < end; left--) {
    parts.push(wireNameAt(message, at));
    at = past(skipName(message, at));
  }
  parts.push(message.slice(at, end));
  return Buffer.concat(parts);
}

function readOptions(rdata: Uint8Array): Omit<NonNullable<DnsResponse["edns"]>, "payloadOctets"> {
  const view = new DataView(rdata.buffer, rdata.byteOffset, rdata.length);
  let subnet: { network: string; scopeBits: number } | undefined;
  let nsid: string | undefined;
  const errors: { code: number; says: string }[] = [];
  for (let at = 0; at + 4 <= rdata.length; ) {
    const code = view.getUint16(at);
    const data = rdata.subarray(at + 4, at + 4 + view.getUint16(at + 2));
    at += 4 + view.getUint16(at + 2);
    if (code === OPTION.CLIENT_SUBNET && data.length >= 4) {
      const address = new Uint8Array(data[1] === 1 ? 4 : 16);
      address.set(data.subarray(4, 4 + address.length));
      subnet = { network: `${formatIp(address)}/${data[2]}`, scopeBits: data[3]! };
    } else if (code === OPTION.EXTENDED_ERROR && data.length >= 2) {
      errors.push({ code: (data[0]! << 8) | data[1]!, says: new TextDecoder().decode(data.subarray(2)) });
    } else if (code === OPTION.NSID) nsid = new TextDecoder().decode(data);
  }
  return { subnet, errors, nsid };
}
