/**
 * The PROXY protocol, both versions: octets ↔ who is behind a proxy ("The PROXY protocol, versions 1 & 2", HAProxy's
 * doc/proxy-protocol.txt).
 *
 * Owns:    the choice of version when reading; one family for both ends when writing.
 * Never:   decides who may send a header, or waits for one. Never throws, and never reads beyond a header.
 * @module
 */
import { formatIp, parseIp, unmapIp } from "#base/ip.ts";
import { NO_TLVS, type ProxyAddress, type ProxyParse, type ProxyTlvs } from "#pool/proxy-protocol/header.ts";
import { parseV1, writeV1 } from "#pool/proxy-protocol/v1.ts";
import { parseV2, SIGNATURE, writeV2 } from "#pool/proxy-protocol/v2.ts";

/**
 * @param octets all that came so far of a connection that must begin with a header
 * @returns `more` while what came may still become a header; of a `header` the first `length` octets; `bad.says`
 *   continues the sentence "The PROXY header is bad: "
 */
export function parseProxyHeader(octets: Uint8Array): ProxyParse {
  if (octets.length === 0) return { kind: "more" };
  return octets[0] === SIGNATURE[0] ? parseV2(octets) : parseV1(octets);
}

export type ProxyHeaderToWrite = {
  readonly version: 1 | 2;
  /** `local`: we speak for ourselves, as in a health check; addresses are not sent then. */
  readonly command: "proxy" | "local";
  readonly transport?: "stream" | "datagram";
  readonly source?: ProxyAddress;
  readonly destination?: ProxyAddress;
  /** Of version 2, as is `crc32c`. */
  readonly tlvs?: Partial<ProxyTlvs>;
  readonly crc32c?: boolean;
};

/** Addresses that are no IP addresses, or missing, make a header without addresses: UNKNOWN, UNSPEC. */
export function writeProxyHeader(header: ProxyHeaderToWrite): Uint8Array {
  const ends = header.command === "proxy" ? sameFamily(header.source, header.destination) : undefined;
  if (header.version === 1) return writeV1(ends?.source, ends?.destination);
  return writeV2({
    command: header.command,
    transport: header.transport ?? "stream",
    source: ends?.source,
    destination: ends?.destination,
    tlvs: { ...NO_TLVS, ...header.tlvs },
    crc32c: header.crc32c ?? false,
  });
}

/** IPv4 where both ends are (also mapped into IPv6), else both as IPv6. */
function sameFamily(
  source: ProxyAddress | undefined,
  destination: ProxyAddress | undefined,
): { source: ProxyAddress; destination: ProxyAddress } | undefined {
  const from = source && parseIp(withoutZone(source.address));
  const to = destination && parseIp(withoutZone(destination.address));
  if (!from || !to) return undefined;
  const plain = [unmapIp(from), unmapIp(to)] as const;
  const isIpv4 = plain[0].length === 4 && plain[1].length === 4;
  const text = (bytes: Uint8Array): string => (isIpv4 || bytes.length === 16 ? formatIp(bytes) : mapped(bytes));
  return {
    source: { address: text(isIpv4 ? plain[0] : from), port: source!.port },
    destination: { address: text(isIpv4 ? plain[1] : to), port: destination!.port },
  };
}
/** Sockets name the interface of a link-local address: `fe80::1%eth0`. */
const withoutZone = (address: string): string => address.replace(/%.*$/, "");
const mapped = (ipv4: Uint8Array): string => `::ffff:${ipv4.join(".")}`;
