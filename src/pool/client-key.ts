/**
 * From a client's address to the key that hash algorithms look at: the same on every worker and every node.
 *
 * Owns:    the hash. IPv4 costs no allocation; `::ffff:192.0.2.7` is the IPv4 address that it maps.
 * @module
 */
import { combine32, hashBytes, hashText, mix32 } from "#base/hash.ts";
import { maskIp, parseIp, unmapIp } from "#base/ip.ts";
import type { AlgorithmName, PoolSpec } from "#state/balancer.ts";

/** So that an IPv4 network and an IPv6 network of the same octets have different keys. */
const IPV4_SEED = 4;
const IPV6_SEED = 6;

const HASH_ALGORITHMS: ReadonlySet<AlgorithmName> = new Set<AlgorithmName>([
  "ip_hash",
  "ring_hash",
  "maglev",
  "rendezvous",
]);
/** Whether an algorithm looks at the key of who asks. */
export const hasKey = (algorithm: AlgorithmName): boolean => HASH_ALGORITHMS.has(algorithm);

/**
 * @param client the address as text
 * @param bits how many bits of the address count; clients that agree in them have one key
 * @returns 32 bits, unsigned; text that is no address has a key as well
 */
export function clientKey(client: string, bits: PoolSpec["hashBits"]): number {
  const quad = parseQuad(client);
  if (quad >= 0) return ipv4Key(quad, bits.v4);
  const parsed = parseIp(client);
  if (!parsed) return hashText(client);
  const address = unmapIp(parsed);
  if (address.length === 16) return hashBytes(maskIp(address, bits.v6), IPV6_SEED);
  return ipv4Key(((address[0]! << 24) | (address[1]! << 16) | (address[2]! << 8) | address[3]!) >>> 0, bits.v4);
}

/** A shift by 32 is a shift by 0 in JavaScript. */
const ipv4Key = (address: number, bits: number): number =>
  combine32(IPV4_SEED, mix32(bits === 0 ? 0 : address & (-1 << (32 - bits))));

/** @returns the 32 bits of a dotted quad, or -1 */
function parseQuad(text: string): number {
  let address = 0;
  let octet = 0;
  let digits = 0;
  let parts = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x2e) {
      if (digits === 0 || ++parts > 3) return -1;
      address = address * 256 + octet;
      octet = 0;
      digits = 0;
      continue;
    }
    const digit = code - 0x30;
    if (digit < 0 || digit > 9 || ++digits > 3) return -1;
    octet = octet * 10 + digit;
    if (octet > 255) return -1;
  }
  return parts === 3 && digits > 0 ? address * 256 + octet : -1;
}
