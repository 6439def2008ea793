/**
 * The walk: client address → value (a class, or a row of measured RTTs) and depth of the leaf. The hottest loop of geo.
 *
 * Owns:    the layout of `nodes` in `ClientMap` and `RttMap`. Writer: `geo/trie.ts`. Readers: `dns/answer/`, `steer/`.
 * Never:   allocates, throws on 4 or 16 octets, or reads what is not shared memory.
 *
 * Layout of `nodes`:
 *   [0, 65536)        IPv4: a reference for each value of the first 16 bits
 *   [65536, 131072)   IPv6: likewise
 *   [131072, …)       pairs: the references for the next bit 0 and 1
 * A reference ≥ 0 is the index of a pair; a negative one is a leaf: ~reference = value × 256 + depth. A leaf above bit
 * 16 fills its part of the table and keeps its own depth. Depths end at 24 (IPv4) and 48 (IPv6): `geo/build.ts` clamps.
 * @module
 */
export const IPV4_TABLE = 0;
export const IPV6_TABLE = 65_536;
export const PAIRS_START = 131_072;

/** In place of the depth at the leaf 2002::/16: take the IPv4 address inside (6to4, RFC 3056 §2). */
export const DEPTH_6TO4 = 254;
/** In place of the depth at the leaf ::/48, which holds ::ffff:0:0/96 (RFC 4291 §2.5.5.2); its value is for the rest. */
export const DEPTH_MAPPED = 255;
/** Values fit 22 bits, so that value × 256 + depth stays a small integer of V8. */
export const MAX_WALK_VALUE = 2 ** 22 - 1;

/** The value of a walk's result: class of a `ClientMap`, row of an `RttMap`. */
export const classOf = (walked: number): number => walked >>> 8;
/**
 * Depth of the leaf in bits, counted in the family of the address that was walked: for IPv6 up to 48, but 96 + the
 * IPv4 depth for v4-mapped addresses and 16 + the IPv4 depth for 6to4. This is the ECS scope (RFC 7871 §7.2.1).
 */
export const depthOf = (walked: number): number => walked & 0xff;

function walkIpv4(nodes: Int32Array, address: Uint8Array, at: number): number {
  let reference = nodes[(address[at]! << 8) | address[at + 1]!]!;
  const rest = (address[at + 2]! << 8) | address[at + 3]!;
  for (let bit = 15; reference >= 0; bit--) reference = nodes[reference + ((rest >>> bit) & 1)]!;
  return ~reference;
}

/** Length in bits of the common prefix with ::ffff:0:0/96, at most 96; the first 48 bits are known to be zero. */
function mappedPrefixBits(address: Uint8Array): number {
  for (let index = 6; index < 12; index++) {
    const difference = address[index]! ^ (index < 10 ? 0 : 0xff);
    if (difference !== 0) return index * 8 + Math.clz32(difference) - 24;
  }
  return 96;
}

/**
 * @param address network order; the first 4 or 16 octets count (more may follow: buffers are reused)
 * @returns value × 256 + depth; `classOf` and `depthOf` take it apart
 */
export function walk(nodes: Int32Array, address: Uint8Array, isIpv6: boolean): number {
  if (!isIpv6) return walkIpv4(nodes, address, 0);
  let reference = nodes[IPV6_TABLE + ((address[0]! << 8) | address[1]!)]!;
  const rest = (address[2]! << 24) | (address[3]! << 16) | (address[4]! << 8) | address[5]!;
  for (let bit = 31; reference >= 0; bit--) reference = nodes[reference + ((rest >>> bit) & 1)]!;
  const leaf = ~reference;
  const depth = leaf & 0xff;
  if (depth < DEPTH_6TO4) return leaf;
  if (depth === DEPTH_6TO4) return walkIpv4(nodes, address, 2) + 16;
  const common = mappedPrefixBits(address);
  // Beside the mapped block the leaf ends where the address leaves its path, so that no two leaves overlap.
  return common === 96 ? walkIpv4(nodes, address, 12) + 96 : leaf - DEPTH_MAPPED + common + 1;
}
