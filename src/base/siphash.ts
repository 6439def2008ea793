/**
 * SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) on pairs of 32-bit halves.
 *
 * BigInt would allocate and `node:crypto` costs ten times as much a call; this stays in registers. It is a keyed hash
 * with a 64-bit result for DNS cookies and for hash tables that strangers fill. It is not a signature.
 * @module
 */

/** A key as four 32-bit words, little endian, as the rounds want it. */
export type SipKey = Uint32Array;

/** @param octets 16 octets of secret */
export function sipKey(octets: Uint8Array): SipKey {
  const view = new DataView(octets.buffer, octets.byteOffset, 16);
  return Uint32Array.of(
    view.getUint32(0, true),
    view.getUint32(4, true),
    view.getUint32(8, true),
    view.getUint32(12, true),
  );
}

/**
 * Hashes `data[0, length)` and writes the 64-bit result to `out[at, at + 8)`, little endian, as the reference code does
 * and RFC 9018 §4.4 puts it into cookies.
 */
export function sipHash24(key: SipKey, data: Uint8Array, length: number, out: Uint8Array, at: number): void {
  let v0h = key[1]! ^ 0x736f6d65;
  let v0l = key[0]! ^ 0x70736575;
  let v1h = key[3]! ^ 0x646f7261;
  let v1l = key[2]! ^ 0x6e646f6d;
  let v2h = key[1]! ^ 0x6c796765;
  let v2l = key[0]! ^ 0x6e657261;
  let v3h = key[3]! ^ 0x74656462;
  let v3l = key[2]! ^ 0x79746573;
  const blocks = length >>> 3;
  const tail = length & 7;
  // Blocks 0 … blocks−1 are data, block `blocks` is the tail with the length in its top octet, the one after finalises.
  for (let block = 0; block <= blocks + 1; block++) {
    let low = 0;
    let high = 0;
    let rounds = 2;
    if (block < blocks) {
      const from = block << 3;
      low = data[from]! | (data[from + 1]! << 8) | (data[from + 2]! << 16) | (data[from + 3]! << 24);
      high = data[from + 4]! | (data[from + 5]! << 8) | (data[from + 6]! << 16) | (data[from + 7]! << 24);
    } else if (block === blocks) {
      const from = block << 3;
      for (let octet = 0; octet < tail; octet++) {
        if (octet < 4) low |= data[from + octet]! << (octet << 3);
        else high |= data[from + octet]! << ((octet - 4) << 3);
      }
      high |= length << 24;
    } else {
      v2l ^= 0xff;
      rounds = 4;
    }
    v3h ^= high;
    v3l ^= low;
    for (let round = 0; round < rounds; round++) {
      let sum = (v0l >>> 0) + (v1l >>> 0);
      v0h = (v0h + v1h + (sum > 0xffffffff ? 1 : 0)) | 0;
      v0l = sum | 0;
      let turnedH = (v1h << 13) | (v1l >>> 19);
      let turnedL = (v1l << 13) | (v1h >>> 19);
      v1h = turnedH ^ v0h;
      v1l = turnedL ^ v0l;
      let swap = v0h;
      v0h = v0l;
      v0l = swap;
      sum = (v2l >>> 0) + (v3l >>> 0);
      v2h = (v2h + v3h + (sum > 0xffffffff ? 1 : 0)) | 0;
      v2l = sum | 0;
      turnedH = (v3h << 16) | (v3l >>> 16);
      turnedL = (v3l << 16) | (v3h >>> 16);
      v3h = turnedH ^ v2h;
      v3l = turnedL ^ v2l;
      sum = (v0l >>> 0) + (v3l >>> 0);
      v0h = (v0h + v3h + (sum > 0xffffffff ? 1 : 0)) | 0;
      v0l = sum | 0;
      turnedH = (v3h << 21) | (v3l >>> 11);
      turnedL = (v3l << 21) | (v3h >>> 11);
      v3h = turnedH ^ v0h;
      v3l = turnedL ^ v0l;
      sum = (v2l >>> 0) + (v1l >>> 0);
      v2h = (v2h + v1h + (sum > 0xffffffff ? 1 : 0)) | 0;
      v2l = sum | 0;
      turnedH = (v1h << 17) | (v1l >>> 15);
      turnedL = (v1l << 17) | (v1h >>> 15);
      v1h = turnedH ^ v2h;
      v1l = turnedL ^ v2l;
      swap = v2h;
      v2h = v2l;
      v2l = swap;
    }
    v0h ^= high;
    v0l ^= low;
  }
  const low = v0l ^ v1l ^ v2l ^ v3l;
  const high = v0h ^ v1h ^ v2h ^ v3h;
  out[at] = low;
  out[at + 1] = low >>> 8;
  out[at + 2] = low >>> 16;
  out[at + 3] = low >>> 24;
  out[at + 4] = high;
  out[at + 5] = high >>> 8;
  out[at + 6] = high >>> 16;
  out[at + 7] = high >>> 24;
}
