/**
 * PROXY protocol version 2: 12 octets of signature, version and command, family and transport, length; then addresses
 * and extensions.
 * @module
 */
import { formatIp, parseIp } from "#base/ip.ts";
import { crc32c } from "#pool/proxy-protocol/crc32c.ts";
import {
  MAX_V2_BLOCK_OCTETS,
  NO_TLVS,
  type ProxyAddress,
  type ProxyHeader,
  type ProxyParse,
  type ProxyTlvs,
  V2_FIXED_OCTETS,
} from "#pool/proxy-protocol/header.ts";
import { parseTlvs, writeTlvs } from "#pool/proxy-protocol/tlv.ts";

/** Not to be taken for any protocol's first octets: CR LF CR LF NUL CR LF QUIT LF. */
export const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
const VERSION = 0x20;
const LOCAL = 0;
const PROXY = 1;
const UNSPEC = 0x00;

/** The pairs of family and transport that section 2.2 lists, with the octets of their addresses and ports. */
const FAMILIES: Readonly<Record<number, { ip: 0 | 4 | 16; octets: number; transport: "stream" | "datagram" }>> = {
  [UNSPEC]: { ip: 0, octets: 0, transport: "stream" },
  17: { ip: 4, octets: 12, transport: "stream" },
  18: { ip: 4, octets: 12, transport: "datagram" },
  33: { ip: 16, octets: 36, transport: "stream" },
  34: { ip: 16, octets: 36, transport: "datagram" },
  49: { ip: 0, octets: 216, transport: "stream" },
  50: { ip: 0, octets: 216, transport: "datagram" },
};
const bad = (says: string): ProxyParse => ({ kind: "bad", says });

/** @param octets one at least */
export function parseV2(octets: Uint8Array): ProxyParse {
  for (let at = 0; at < Math.min(SIGNATURE.length, octets.length); at++)
    if (octets[at] !== SIGNATURE[at]) return bad("its signature is not that of version 2");
  if (octets.length > 12 && (octets[12]! & 0xf0) !== VERSION) return bad("its version is not 2");
  const command = (octets[12] ?? 0) & 0x0f;
  if (command > PROXY) return bad("its command is neither LOCAL nor PROXY");
  if (octets.length < V2_FIXED_OCTETS) return { kind: "more" };
  const blockOctets = (octets[14]! << 8) | octets[15]!;
  if (blockOctets > MAX_V2_BLOCK_OCTETS) return bad(`it is longer than ${MAX_V2_BLOCK_OCTETS} octets`);
  const family = FAMILIES[octets[13]!];
  // Section 2.2: of LOCAL the receiver discards all that follows, "including the family which is ignored".
  if (command === PROXY) {
    if (!family) return bad("its family and transport are none that version 2 has");
    if (blockOctets < family.octets) return bad("it is too short for the addresses of its family");
  }
  const length = V2_FIXED_OCTETS + blockOctets;
  if (octets.length < length) return { kind: "more" };
  const header: ProxyHeader = {
    kind: "header",
    length,
    version: 2,
    command: command === PROXY ? "proxy" : "local",
    transport: "stream",
    source: undefined,
    destination: undefined,
    tlvs: NO_TLVS,
  };
  // UNSPEC says nothing of how long its addresses are, so there is no telling where extensions would begin.
  if (command === LOCAL || family === undefined || family.octets === 0) return header;
  const block = octets.subarray(V2_FIXED_OCTETS, length);
  const parsed = parseTlvs(block.subarray(family.octets));
  if (typeof parsed === "string") return bad(parsed);
  if (parsed.crcAt >= 0) {
    const crcAt = V2_FIXED_OCTETS + family.octets + parsed.crcAt;
    const whole = octets.subarray(0, length);
    if (viewOf(whole).getUint32(crcAt) !== crc32c(whole, crcAt)) return bad("its checksum does not match");
  }
  const addresses = family.ip === 0 ? undefined : readAddresses(block, family.ip);
  return { ...header, ...addresses, transport: family.transport, tlvs: parsed.tlvs };
}

function readAddresses(block: Uint8Array, ip: 4 | 16): { source: ProxyAddress; destination: ProxyAddress } {
  const view = viewOf(block);
  return {
    source: { address: formatIp(block.subarray(0, ip)), port: view.getUint16(2 * ip) },
    destination: { address: formatIp(block.subarray(ip, 2 * ip)), port: view.getUint16(2 * ip + 2) },
  };
}

export type V2ToWrite = {
  readonly command: "proxy" | "local";
  readonly transport: "stream" | "datagram";
  /** Both, of the same family, or neither: UNSPEC. */
  readonly source: ProxyAddress | undefined;
  readonly destination: ProxyAddress | undefined;
  readonly tlvs: ProxyTlvs;
  readonly crc32c: boolean;
};

/** What does not fit into `MAX_V2_BLOCK_OCTETS` goes without its extensions, for nobody would take it. */
export function writeV2(header: V2ToWrite): Uint8Array {
  const ends = header.source && header.destination && { source: header.source, destination: header.destination };
  const addresses = ends ? writeAddresses(ends.source, ends.destination) : new Uint8Array(0);
  let tlvs = writeTlvs(header.tlvs, header.crc32c);
  if (addresses.length + tlvs.length > MAX_V2_BLOCK_OCTETS) tlvs = writeTlvs(NO_TLVS, header.crc32c);
  const octets = new Uint8Array(V2_FIXED_OCTETS + addresses.length + tlvs.length);
  octets.set(SIGNATURE);
  octets[12] = VERSION | (header.command === "proxy" ? PROXY : LOCAL);
  octets[13] = ends ? (addresses.length === 12 ? 0x10 : 0x20) | (header.transport === "stream" ? 1 : 2) : UNSPEC;
  viewOf(octets).setUint16(14, octets.length - V2_FIXED_OCTETS);
  octets.set(addresses, V2_FIXED_OCTETS);
  octets.set(tlvs, V2_FIXED_OCTETS + addresses.length);
  // The checksum is the last extension, and zeros until now.
  if (header.crc32c) viewOf(octets).setUint32(octets.length - 4, crc32c(octets));
  return octets;
}

function writeAddresses(source: ProxyAddress, destination: ProxyAddress): Uint8Array {
  const from = parseIp(source.address)!;
  const octets = new Uint8Array(2 * from.length + 4);
  octets.set(from);
  octets.set(parseIp(destination.address)!, from.length);
  viewOf(octets).setUint16(2 * from.length, source.port);
  viewOf(octets).setUint16(2 * from.length + 2, destination.port);
  return octets;
}

const viewOf = (octets: Uint8Array): DataView => new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
