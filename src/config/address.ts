/**
 * What kind of address an operator wrote.
 * @module
 */
import { parseIp, unmapIp } from "#base/ip.ts";

/** 127.0.0.0/8 (RFC 1122 §3.2.1.3) and ::1 (RFC 4291 §2.5.3). */
export function isLoopback(address: string): boolean {
  const bytes = parseIp(address);
  if (!bytes) return false;
  const plain = unmapIp(bytes);
  if (plain.length === 4) return plain[0] === 127;
  return plain.every((octet, index) => octet === (index === 15 ? 1 : 0));
}

/** Why clients cannot be sent to `address`, or undefined when they can. */
export function unusableReason(address: string): string | undefined {
  const bytes = parseIp(address);
  if (!bytes) return "is not an address";
  const plain = unmapIp(bytes);
  if (plain.every((octet) => octet === 0)) return "stands for no address";
  if (plain.length === 4 && plain[0]! >= 224) return "is a multicast or reserved address";
  if (plain.length === 16 && plain[0] === 0xff) return "is a multicast address";
  if (plain.length === 16 && plain[0] === 0xfe && (plain[1]! & 0xc0) === 0x80) return "is a link-local address";
  return undefined;
}
