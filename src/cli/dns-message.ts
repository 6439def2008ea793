/**
 * A DNS client's half of the wire format: one question out, any response in, as text for people.
 *
 * Reads with the server's own codec for names and resource data. Never: used by the serving path.
 * @module
 */
import type { Cidr } from "#base/ip.ts";
import { formatIp } from "#base/ip.ts";
import { type DecodedRecord, decodeMessage } from "#dns/wire/decode-message.ts";
import { OPTION } from "#dns/wire/edns.ts";
import { ecsData, encodeQuery } from "#dns/wire/encode-query.ts";
import { describeFault } from "#dns/wire/fault.ts";
import { formatName } from "#dns/wire/name.ts";
import { rcodeText } from "#dns/wire/rcodes.ts";
import { formatRdata } from "#dns/wire/rdata/table.ts";
import { TYPE, typeText } from "#dns/wire/types.ts";

export type DnsQuestion = {
  readonly id: number;
  /** Uncompressed wire name. */
  readonly name: Uint8Array;
  readonly type: number;
  /** EDNS client subnet to send; undefined: none. */
  readonly subnet: Cidr | undefined;
  /** Sets RD: for resolvers; name servers do not care. */
  readonly isRecursive?: boolean | undefined;
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
export function encodeQuestion({ id, name, type, subnet, isRecursive }: DnsQuestion): Uint8Array {
  const data = subnet && ecsData(subnet.bytes, subnet.bits);
  const options = data ? [{ code: OPTION.CLIENT_SUBNET, data }] : [];
  return encodeQuery(name, type, { id, isRd: isRecursive === true, edns: { options } });
}

/** @throws Error that says what is wrong with the message */
export function decodeResponse(octets: Uint8Array): DnsResponse {
  const message = decodeMessage(octets);
  if (typeof message === "number") throw new Error(`the response is malformed: ${describeFault(message).says}`);
  const { opt } = message;
  const flags = [
    message.isResponse && "qr",
    message.isAuthoritative && "aa",
    message.isTruncated && "tc",
    message.isRd && "rd",
    message.isRa && "ra",
    message.isAd && "ad",
    message.isCd && "cd",
  ].filter((flag) => typeof flag === "string");
  return {
    id: message.id,
    rcode: rcodeText(message.rcode),
    flags,
    answer: texts(message.answer),
    authority: texts(message.authority),
    additional: texts(message.additional),
    edns: opt && { payloadOctets: opt.class, ...readOptions(opt.rdata) },
  };
}

const texts = (records: readonly DecodedRecord[]): DnsRecordText[] =>
  records
    .filter(({ type }) => type !== TYPE.OPT)
    .map(({ owner, ttlSeconds, type, rdata }) => ({
      owner: formatName(owner),
      ttlSeconds,
      type: typeText(type),
      rdata: formatRdata(type, rdata),
    }));

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
