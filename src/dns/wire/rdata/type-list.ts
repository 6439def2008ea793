/**
 * Lists of RR types as bitmaps in windows of 256 types (RFC 4034 §4.1.2), as NSEC, NSEC3 and CSYNC hold them.
 * @module
 */
import type { TextReader } from "#dns/wire/rdata/text-reader.ts";
import { quote } from "#dns/wire/rdata/text-reader.ts";
import type { WireReader } from "#dns/wire/rdata/wire-reader.ts";
import { typeNumber, typeText } from "#dns/wire/types.ts";

/** Reads mnemonics to the end and writes the bitmap; no type at all writes nothing. */
export function parseTypeList(from: TextReader): void {
  const types: number[] = [];
  while (from.hasMore()) {
    const text = from.word("type");
    const type = typeNumber(text);
    if (type < 0) from.fail(`The type ${quote(text)} is unknown`, "Write a known type, or TYPE and its number");
    else types.push(type);
  }
  from.putBytes(encodeTypeBitmap(types));
}

/** @param types in any order; duplicates count once */
function encodeTypeBitmap(types: readonly number[]): Uint8Array {
  const octets: number[] = [];
  const sorted = types.toSorted((left, right) => left - right);
  for (let index = 0; index < sorted.length; ) {
    const window = sorted[index]! >>> 8;
    const bitmap = new Uint8Array(32);
    let used = 0;
    for (; index < sorted.length && sorted[index]! >>> 8 === window; index++) {
      const bit = sorted[index]! & 0xff;
      bitmap[bit >>> 3]! |= 0x80 >>> (bit & 7);
      used = (bit >>> 3) + 1;
    }
    octets.push(window, used, ...bitmap.subarray(0, used));
  }
  return Uint8Array.from(octets);
}

/** Mnemonics in ascending order, each with a blank in front. */
export function formatTypeList(from: WireReader): string {
  let text = "";
  let lastWindow = -1;
  while (from.hasMore()) {
    const window = from.u8("type bitmap's window");
    const octets = from.u8("type bitmap's length");
    if (window <= lastWindow) from.fail("The windows of the type bitmap are not ascending", "Order them");
    if (octets === 0 || octets > 32) from.fail(`A type bitmap has ${octets} octets`, "Use 1 to 32");
    lastWindow = window;
    const bitmap = from.bytes(octets, "type bitmap");
    for (let bit = 0; bit < bitmap.length * 8; bit++) {
      if ((bitmap[bit >>> 3]! & (0x80 >>> (bit & 7))) !== 0) text += ` ${typeText((window << 8) | bit)}`;
    }
  }
  return text;
}
