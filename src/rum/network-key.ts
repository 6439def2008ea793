/**
 * The network that a client counts as: /24 of IPv4, /48 of IPv6. A household, a company or an attacker has one of them far
 * more often than many.
 * @module
 */
import { formatCidr, maskIp, unmapIp } from "#base/ip.ts";

/** @param address 4 or 16 octets; a v4-mapped one counts as IPv4. @returns `198.51.100.0/24` */
export function networkOf(address: Uint8Array): string {
  const bytes = unmapIp(address);
  const bits = bytes.length === 4 ? 24 : 48;
  return formatCidr({ bytes: maskIp(bytes, bits), bits });
}
