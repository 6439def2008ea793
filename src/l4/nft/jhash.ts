/**
 * The hash by which nftables chooses a backend, so that its choice can be told beforehand: Bob Jenkins' lookup3 as Linux
 * has it (`include/linux/jhash.h`), and its way from a hash to a slot (`net/netfilter/nft_hash.c`).
 *
 * Owns:    the arithmetic alone.
 * @module
 */
import { parseIp } from "#base/ip.ts";

/**
 * Seed of every hash. Without one the kernel draws its own for each rule, and nodes and reloads would disagree.
 * Spells "rhum".
 */
export const HASH_SEED = 0x7268756d;

const JHASH_INITVAL = 0xdeadbeef;
const rotate = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));

/** @returns 32 bits; words are read in little-endian order, as on the machines that we run on */
export function jhash(key: Uint8Array, seed: number): number {
  let a = (JHASH_INITVAL + key.length + seed) | 0;
  let b = a;
  let c = a;
  const word = (at: number): number =>
    (key[at] ?? 0) | ((key[at + 1] ?? 0) << 8) | ((key[at + 2] ?? 0) << 16) | ((key[at + 3] ?? 0) << 24);
  let at = 0;
  for (; key.length - at > 12; at += 12) {
    a = (a + word(at)) | 0;
    b = (b + word(at + 4)) | 0;
    c = (c + word(at + 8)) | 0;
    a = ((a - c) | 0) ^ rotate(c, 4);
    c = (c + b) | 0;
    b = ((b - a) | 0) ^ rotate(a, 6);
    a = (a + c) | 0;
    c = ((c - b) | 0) ^ rotate(b, 8);
    b = (b + a) | 0;
    a = ((a - c) | 0) ^ rotate(c, 16);
    c = (c + b) | 0;
    b = ((b - a) | 0) ^ rotate(a, 19);
    a = (a + c) | 0;
    c = ((c - b) | 0) ^ rotate(b, 4);
    b = (b + a) | 0;
  }
  if (at === key.length) return c >>> 0;
  a = (a + word(at)) | 0;
  b = (b + word(at + 4)) | 0;
  c = (c + word(at + 8)) | 0;
  c = ((c ^ b) - rotate(b, 14)) | 0;
  a = ((a ^ c) - rotate(c, 11)) | 0;
  b = ((b ^ a) - rotate(a, 25)) | 0;
  c = ((c ^ b) - rotate(b, 16)) | 0;
  a = ((a ^ c) - rotate(c, 4)) | 0;
  b = ((b ^ a) - rotate(a, 14)) | 0;
  c = ((c ^ b) - rotate(b, 24)) | 0;
  return c >>> 0;
}

/** The kernel's `reciprocal_scale()`: contiguous ranges of hashes, not `hash % slots`. */
export const scaleToSlot = (hash: number, slots: number): number => Number((BigInt(hash) * BigInt(slots)) >> 32n);

/**
 * Key of a client's hash: the leading octets of its address, and in stateless modes its port as well, each padded to
 * whole 32-bit registers as nftables does.
 *
 * @param octets of the address that count
 * @param port undefined: the address alone
 */
export function clientKey(address: string, octets: number, port?: number): Uint8Array {
  const bytes = parseIp(address)!.subarray(0, octets);
  if (port === undefined) return bytes;
  const key = new Uint8Array(Math.ceil(bytes.length / 4) * 4 + 4);
  key.set(bytes);
  new DataView(key.buffer).setUint16(key.length - 4, port);
  return key;
}
