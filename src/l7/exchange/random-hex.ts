/**
 * Random hexadecimal digits for ids that nobody should guess, from octets that are fetched many at a time.
 * @module
 */
import { randomFillSync } from "node:crypto";

const POOL_OCTETS = 4_096;

/** @returns a function that makes that many digits; an even number, at most 64 */
export function createRandomHex(): (digits: number) => string {
  const pool = Buffer.alloc(POOL_OCTETS);
  let next = POOL_OCTETS;
  return (digits) => {
    const octets = digits / 2;
    if (next + octets > POOL_OCTETS) {
      randomFillSync(pool);
      next = 0;
    }
    next += octets;
    return pool.toString("hex", next - octets, next);
  };
}
