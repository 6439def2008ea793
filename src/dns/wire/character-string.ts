/**
 * Character-strings: up to 255 octets behind a length octet (RFC 1035 §3.3), and their escapes (§5.1).
 * @module
 */
import { escapedOctet, escapeWidth } from "#dns/wire/name.ts";

export const MAX_CHARACTER_STRING_OCTETS = 255;
const encoder = new TextEncoder();
const charScratch = new Uint8Array(4);

/**
 * Writes the octets that `text` stands for: `\X` and `\DDD` undone, characters beyond ASCII as UTF-8.
 *
 * @param into long enough for all of `text`, 4 octets a character at most
 * @returns the offset just past the last octet, or -1 for a bad escape
 */
export function unescapeOctets(text: string, into: Uint8Array, at: number): number {
  for (let index = 0; index < text.length; ) {
    const code = text.charCodeAt(index++);
    if (code === 0x5c) {
      const octet = escapedOctet(text, index);
      if (octet < 0) return -1;
      into[at++] = octet;
      index += escapeWidth(text, index);
    } else if (code <= 0x7f) {
      into[at++] = code;
    } else {
      const point = text.codePointAt(index - 1)!;
      if (point > 0xffff) index++;
      const { written } = encoder.encodeInto(String.fromCodePoint(point), charScratch);
      for (let extra = 0; extra < written; extra++) into[at++] = charScratch[extra]!;
    }
  }
  return at;
}

/** Quoted text of octets; `unescapeOctets()` gives them back. */
export function formatCharacterString(octets: Uint8Array): string {
  let text = '"';
  for (const octet of octets) {
    if (octet === 0x22 || octet === 0x5c) text += `\\${String.fromCharCode(octet)}`;
    else if (octet < 0x20 || octet > 0x7e) text += `\\${String(octet).padStart(3, "0")}`;
    else text += String.fromCharCode(octet);
  }
  return `${text}"`;
}
