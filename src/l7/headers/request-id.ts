/**
 * Request ids: UUIDv7 (RFC 9562 §5.7), so that they sort by time in logs.
 *
 * Owns:    the pool of random octets: the system is asked once for many ids; and the octets of the last id, of which the next
 *          is made.
 * @module
 */
const POOL_IDS = 1_024;
const RANDOM_OCTETS = 10;
const DIGITS = Buffer.from("0123456789abcdef", "latin1");
const SEVEN = 0x37;
/** Where the two digits of each random octet stand; version and variant are written over some of them. */
const PLACES = [14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/**
 * @param nowMs Unix ms
 * @param fillRandom of `node:crypto`, in production
 */
export function createRequestIds(
  nowMs: () => number,
  fillRandom: (octets: Uint8Array<ArrayBuffer>) => unknown,
): () => string {
  const pool = new Uint8Array(POOL_IDS * RANDOM_OCTETS);
  let next = pool.length;
  let timeMs = -1;
  const text = Buffer.from("tttttttt-tttt-7rrr-vrrr-rrrrrrrrrrrr", "latin1");
  return () => {
    if (next === pool.length) {
      fillRandom(pool);
      next = 0;
    }
    const now = nowMs();
    if (now !== timeMs) {
      timeMs = now;
      const hex = Math.floor(now).toString(16).padStart(12, "0");
      text.write(`${hex.slice(0, 8)}-${hex.slice(8)}-7`, "latin1");
    }
    for (let index = 0; index < RANDOM_OCTETS; index++) {
      const octet = pool[next++]!;
      const place = PLACES[index]!;
      text[place] = DIGITS[octet >>> 4]!;
      text[place + 1] = DIGITS[octet & 15]!;
    }
    text[14] = SEVEN;
    text[19] = DIGITS[8 | ((pool[next - 8]! >>> 4) & 3)]!;
    return text.toString("latin1");
  };
}

/** Of a trusted peer: what can stand in logs and fields as it is. */
export const isRequestId = (text: string): boolean => /^[0-9A-Za-z._~+/=:@-]{1,128}$/.test(text);
