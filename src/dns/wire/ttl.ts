/**
 * Times to live as master files write them: seconds, or with the units that BIND made common (`1h30m`, `2w`).
 * @module
 */
/** RFC 2181 §8: 31 bits. */
export const MAX_TTL_SECONDS = 2 ** 31 - 1;

/**
 * @returns seconds from 0 to 2^32 − 1, -1 when `text` is no TTL, -2 when it is one but does not fit in 32 bits.
 *   Whether more than `MAX_TTL_SECONDS` is an error is for the caller to say.
 */
export function parseTtl(text: string): number {
  let total = 0;
  let value = -1; // -1: no digit since the last unit
  let hasUnit = false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code >= 0x30 && code <= 0x39) {
      value = Math.min((value < 0 ? 0 : value * 10) + code - 0x30, 1e12);
      continue;
    }
    const factor = unitSeconds(code | 0x20);
    if (factor === 0 || value < 0) return -1;
    total += value * factor;
    value = -1;
    hasUnit = true;
  }
  if (value < 0 && !hasUnit) return -1;
  if (value >= 0) total += value;
  return total <= 0xffff_ffff ? total : -2;
}

function unitSeconds(lowerCode: number): number {
  switch (lowerCode) {
    case 0x73: // s
      return 1;
    case 0x6d: // m
      return 60;
    case 0x68: // h
      return 3_600;
    case 0x64: // d
      return 86_400;
    case 0x77: // w
      return 604_800;
    default:
      return 0;
  }
}
