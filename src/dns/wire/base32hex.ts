/**
 * Base 32 with the extended hex alphabet (RFC 4648 §7), without padding, as NSEC3 writes hashes (RFC 5155 §3.3).
 * @module
 */
const ALPHABET = "0123456789abcdefghijklmnopqrstuv";

export function formatBase32hex(octets: Uint8Array): string {
  let text = "";
  let bits = 0;
  let held = 0;
  for (const octet of octets) {
    held = (held << 8) | octet;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(held >>> bits) & 31]!;
    }
    held &= (1 << bits) - 1;
  }
  return bits > 0 ? text + ALPHABET[(held << (5 - bits)) & 31]! : text;
}

/** @returns the octets, or undefined when `text` has other characters, an impossible length, or stray bits at its end */
export function parseBase32hex(text: string): Uint8Array | undefined {
  const lower = text.toLowerCase();
  const out = new Uint8Array((lower.length * 5) >>> 3);
  let bits = 0;
  let held = 0;
  let at = 0;
  for (const character of lower) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) return undefined;
    held = (held << 5) | value;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = held >>> bits;
      held &= (1 << bits) - 1;
    }
  }
  return bits < 5 && held === 0 ? out : undefined;
}
