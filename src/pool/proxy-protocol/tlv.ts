/**
 * The extensions of a version 2 header: type (1 octet), length (2), value; PP2_TYPE_SSL has such a list inside.
 *
 * Rule:    a length is compared with what is left before anything is done with it. A known type that comes twice, or
 *          with a value that it cannot have, spoils the header: who reads it after us might take the other one.
 * @module
 */
import { isUtf8 } from "node:buffer";
import type { ProxySsl, ProxyTlvs, Tlv } from "#pool/proxy-protocol/header.ts";

const TYPE = { alpn: 0x01, authority: 0x02, crc32c: 0x03, noop: 0x04, uniqueId: 0x05, ssl: 0x20, netns: 0x30 } as const;
const SSL_TYPES = [
  [0x21, "version"],
  [0x22, "commonName"],
  [0x23, "cipher"],
  [0x24, "signatureAlgorithm"],
  [0x25, "keyAlgorithm"],
] as const;

const HEAD_OCTETS = 3;
const CRC_OCTETS = 4;
const SSL_FIXED_OCTETS = 5;
const MAX_AUTHORITY_OCTETS = 255;
/** Section 2.2.5. */
const MAX_UNIQUE_ID_OCTETS = 128;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * @param octets the list, whole
 * @returns the extensions and where in `octets` the checksum stands (-1: there is none), or what is wrong
 */
export function parseTlvs(octets: Uint8Array): { tlvs: ProxyTlvs; crcAt: number } | string {
  const other: Tlv[] = [];
  const tlvs: Mutable<ProxyTlvs> = { other };
  let crcAt = -1;
  let fault: string | undefined;
  const problem = eachTlv(octets, (type, value, at) => {
    switch (type) {
      case TYPE.noop:
        return;
      case TYPE.crc32c:
        if (value.length !== CRC_OCTETS) fault = "CRC32C is not 4 octets long";
        else if (crcAt >= 0) fault = "CRC32C comes twice";
        else crcAt = at;
        return;
      case TYPE.alpn:
        if (tlvs.alpn) fault = "ALPN comes twice";
        tlvs.alpn = new Uint8Array(value);
        return;
      case TYPE.uniqueId:
        if (tlvs.uniqueId) fault = "UNIQUE_ID comes twice";
        else if (value.length > MAX_UNIQUE_ID_OCTETS) fault = `UNIQUE_ID is longer than ${MAX_UNIQUE_ID_OCTETS} octets`;
        tlvs.uniqueId = new Uint8Array(value);
        return;
      case TYPE.authority:
        if (tlvs.authority !== undefined) fault = "AUTHORITY comes twice";
        else if (value.length > MAX_AUTHORITY_OCTETS) fault = `AUTHORITY is longer than ${MAX_AUTHORITY_OCTETS} octets`;
        else if (!isUtf8(value)) fault = "AUTHORITY is not UTF-8";
        else tlvs.authority = textOf(value);
        return;
      case TYPE.netns:
        if (tlvs.netns !== undefined) fault = "NETNS comes twice";
        else if (!isUtf8(value)) fault = "NETNS is not text";
        else tlvs.netns = textOf(value);
        return;
      case TYPE.ssl: {
        const ssl = parseSsl(value);
        if (tlvs.ssl) fault = "SSL comes twice";
        else if (typeof ssl === "string") fault = ssl;
        else tlvs.ssl = ssl;
        return;
      }
      default:
        other.push({ type, value: new Uint8Array(value) });
    }
  });
  return problem ?? fault ?? { tlvs, crcAt };
}

function parseSsl(octets: Uint8Array): ProxySsl | string {
  if (octets.length < SSL_FIXED_OCTETS) return "SSL is shorter than 5 octets";
  const other: Tlv[] = [];
  const ssl: Mutable<ProxySsl> = { client: octets[0]!, verify: viewOf(octets).getUint32(1), other };
  let fault: string | undefined;
  const problem = eachTlv(octets.subarray(SSL_FIXED_OCTETS), (type, value) => {
    const name = SSL_TYPES.find(([known]) => known === type)?.[1];
    if (!name) other.push({ type, value: new Uint8Array(value) });
    else if (ssl[name] !== undefined) fault = `SSL has ${name} twice`;
    else if (!isUtf8(value)) fault = `SSL has a ${name} that is not text`;
    else ssl[name] = textOf(value);
  });
  return problem ?? fault ?? ssl;
}

/** @returns what is wrong with the list, if anything */
function eachTlv(
  octets: Uint8Array,
  visit: (type: number, value: Uint8Array, valueAt: number) => void,
): string | undefined {
  for (let at = 0; at < octets.length; ) {
    if (octets.length - at < HEAD_OCTETS) return "an extension ends within its length";
    const length = (octets[at + 1]! << 8) | octets[at + 2]!;
    const valueAt = at + HEAD_OCTETS;
    if (length > octets.length - valueAt) return "an extension is longer than the header";
    visit(octets[at]!, octets.subarray(valueAt, valueAt + length), valueAt);
    at = valueAt + length;
  }
  return undefined;
}

/** Values that are longer than their type allows are left out. The checksum is zeros so far, and comes last. */
export function writeTlvs(tlvs: ProxyTlvs, hasCrc32c: boolean): Uint8Array {
  const parts: Uint8Array[] = [];
  const add = (type: number, value: Uint8Array | undefined, max = 0xffff): void => {
    if (value && value.length <= max) parts.push(tlvOf(type, value));
  };
  add(TYPE.alpn, tlvs.alpn);
  add(TYPE.authority, octetsOf(tlvs.authority), MAX_AUTHORITY_OCTETS);
  add(TYPE.uniqueId, tlvs.uniqueId, MAX_UNIQUE_ID_OCTETS);
  add(TYPE.ssl, tlvs.ssl && writeSsl(tlvs.ssl));
  add(TYPE.netns, octetsOf(tlvs.netns));
  for (const { type, value } of tlvs.other) add(type, value);
  if (hasCrc32c) add(TYPE.crc32c, new Uint8Array(CRC_OCTETS));
  return Buffer.concat(parts);
}

function writeSsl(ssl: ProxySsl): Uint8Array {
  const fixed = new Uint8Array(SSL_FIXED_OCTETS);
  fixed[0] = ssl.client;
  viewOf(fixed).setUint32(1, ssl.verify);
  const parts = [fixed];
  for (const [type, name] of SSL_TYPES) {
    const value = octetsOf(ssl[name]);
    if (value) parts.push(tlvOf(type, value));
  }
  for (const { type, value } of ssl.other) parts.push(tlvOf(type, value));
  return Buffer.concat(parts);
}

function tlvOf(type: number, value: Uint8Array): Uint8Array<ArrayBuffer> {
  const octets = new Uint8Array(HEAD_OCTETS + value.length);
  octets[0] = type;
  octets[1] = value.length >>> 8;
  octets[2] = value.length & 0xff;
  octets.set(value, HEAD_OCTETS);
  return octets;
}

const viewOf = (octets: Uint8Array): DataView => new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
const textOf = (octets: Uint8Array): string => Buffer.from(octets).toString("utf8");
const octetsOf = (text: string | undefined): Uint8Array | undefined =>
  text === undefined ? undefined : Buffer.from(text, "utf8");
