/**
 * Request ids: UUIDv7 (RFC 9562 §5.7), so that they sort by time in logs.
 *
 * Owns:    the pool of random octets: the system is asked once for many ids.
 * @module
 */
const POOL_IDS = 256;
const RANDOM_OCTETS = 10;
const HEX_PAIRS = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, "0"));
const pair = (octet: number): string => HEX_PAIRS[octet]!;

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
  let timeText = "";
  return () => {
    if (next === pool.length) {
      fillRandom(pool);
      next = 0;
    }
    const now = nowMs();
    if (now !== timeMs) {
      timeMs = now;
      const hex = Math.floor(now).toString(16).padStart(12, "0");
      timeText = `${hex.slice(0, 8)}-${hex.slice(8)}-7`;
    }
    const at = next;
    next += RANDOM_OCTETS;
    return (
      timeText +
      pair(pool[at]!).charAt(0) +
      pair(pool[at + 1]!) +
      "-" +
      pair((pool[at + 2]! & 0x3f) | 0x80) +
      pair(pool[at + 3]!) +
      "-" +
      pair(pool[at + 4]!) +
      pair(pool[at + 5]!) +
      pair(pool[at + 6]!) +
      pair(pool[at + 7]!) +
      pair(pool[at + 8]!) +
      pair(pool[at + 9]!)
    );
  };
}

/** Of a trusted peer: what can stand in logs and fields as it is. */
export const isRequestId = (text: string): boolean => /^[0-9A-Za-z._~+/=:@-]{1,128}$/.test(text);
