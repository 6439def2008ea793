/**
 * 32-bit hashes for selection and tables: fast in JavaScript (`Math.imul`), the same on every node.
 * Not for secrets: cookies use SipHash (`base/siphash.ts`).
 * @module
 */

/** Finaliser of MurmurHash3 (Appleby, public domain): every input bit changes every output bit with p ≈ ½. */
export function mix32(value: number): number {
  value ^= value >>> 16;
  value = Math.imul(value, 0x85ebca6b);
  value ^= value >>> 13;
  value = Math.imul(value, 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/** Folds `value` into a running hash; order matters. */
export const combine32 = (hash: number, value: number): number =>
  mix32(Math.imul(hash ^ value, 0x9e3779b1) + 0x7f4a7c15);

/** FNV-1a over octets, finished with `mix32` so that low bits are usable as a table index. */
export function hashBytes(bytes: Uint8Array, seed = 0, start = 0, end = bytes.length): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return mix32(hash);
}

/** Stable 32-bit id of a name (region ids, service names), the same on every node and in every release. */
export function hashText(text: string): number {
  return hashBytes(new TextEncoder().encode(text));
}
