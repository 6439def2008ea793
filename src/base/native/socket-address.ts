/**
 * Socket addresses in the kernel's form: struct sockaddr_in and sockaddr_in6.
 *
 * Owns:    both directions. A v4-mapped IPv6 address is read as IPv4 (RFC 4291 §2.5.5.2).
 * @module
 */
import { formatIp, parseIp, unmapIp } from "#base/ip.ts";
import { SOCKADDR_IN, SOCKADDR_IN6 } from "#base/native/layout.ts";

// sys/socket.h
export const AF_INET = 2;
export const AF_INET6 = 10;

export type SocketAddress = { readonly address: string; readonly port: number };

/** @returns struct sockaddr_in or sockaddr_in6; undefined when `address` is no IP address */
export function encodeSocketAddress({ address, port }: SocketAddress): Uint8Array | undefined {
  const bytes = parseIp(address);
  if (bytes === undefined) return undefined;
  const isIpv6 = bytes.length === 16;
  const layout = isIpv6 ? SOCKADDR_IN6 : SOCKADDR_IN;
  const encoded = new Uint8Array(layout.size);
  encoded[layout.family] = isIpv6 ? AF_INET6 : AF_INET;
  writePort(encoded, port);
  encoded.set(bytes, layout.address);
  return encoded;
}

/** Another port for the same address. */
export function writePort(encoded: Uint8Array, port: number): void {
  encoded[SOCKADDR_IN.port] = port >>> 8;
  encoded[SOCKADDR_IN.port + 1] = port;
}

/** @param octets as the kernel wrote it, from the family on */
export function decodeSocketAddress(octets: Uint8Array): SocketAddress {
  const port = (octets[SOCKADDR_IN.port]! << 8) | octets[SOCKADDR_IN.port + 1]!;
  const at = SOCKADDR_IN.address;
  if (octets[SOCKADDR_IN.family] === AF_INET) {
    return { address: `${octets[at]}.${octets[at + 1]}.${octets[at + 2]}.${octets[at + 3]}`, port };
  }
  const ipv6 = octets.subarray(SOCKADDR_IN6.address, SOCKADDR_IN6.address + 16);
  return { address: formatIp(unmapIp(ipv6)), port };
}
