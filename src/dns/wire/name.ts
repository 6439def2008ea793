/**
 * Domain names as octets: uncompressed wire form, root label included, at most 255 octets (RFC 1035 §3.1).
 *
 * Owns:    text ↔ octets, comparing, stepping over and decompressing names.
 * Never:   throws, or takes a label for text: labels may hold dots, NUL and 0xff (RFC 2181 §11).
 * Faults:  negative numbers of `wire/fault.ts`.
 *
 * A length octet is at most 63 and therefore never looks like a letter: lower-casing a whole wire name is safe.
 * @module
 */
import { FAULT } from "#dns/wire/fault.ts";

export const MAX_NAME_OCTETS = 255; // on the wire, root label included (RFC 1035 §2.3.4)
const MAX_LABEL_OCTETS = 63;
/** 127 labels of one octet, and the root. */
export const MAX_LABELS = 128;
export const MAX_POINTER_HOPS = 16;

export const ROOT_NAME: Uint8Array = new Uint8Array(1);

/** Octet → octet with A to Z lower-cased and all else as it is (RFC 4343 §3). */
export const LOWER: Uint8Array = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet,
);

const BACKSLASH = 0x5c;
const DOT = 0x2e;
const AT_SIGN = 0x40;
const textScratch = new Uint8Array(MAX_NAME_OCTETS + 1);
const encoder = new TextEncoder();
const charScratch = new Uint8Array(4);

/**
 * Reads a name as a master file writes it: `\X` and `\DDD` are escapes, a name without a dot at its end is relative
 * to `origin`, and `@` alone is `origin` (RFC 1035 §5.1). Characters beyond ASCII count as their UTF-8 octets.
 *
 * @param origin wire name to complete relative names with; the root unless given
 * @returns a new wire name in the case of the text, or `FAULT.emptyName`, `emptyLabel`, `labelTooLong`,
 *   `nameTooLong`, `badEscape`
 */
export function parseName(text: string, origin: Uint8Array = ROOT_NAME): Uint8Array | number {
  const length = text.length;
  if (length === 0) return FAULT.emptyName;
  if (length === 1) {
    const only = text.charCodeAt(0);
    if (only === DOT) return new Uint8Array(1);
    if (only === AT_SIGN) return origin.slice();
  }
  const out = textScratch;
  let labelAt = 0; // where the length octet of the current label stands
  let end = 1; // one past the last octet written
  for (let index = 0; index < length; ) {
    let code = text.charCodeAt(index++);
    if (code === DOT) {
      const octets = end - labelAt - 1;
      if (octets === 0) return FAULT.emptyLabel;
      out[labelAt] = octets;
      labelAt = end++;
      if (end > MAX_NAME_OCTETS) return FAULT.nameTooLong;
      continue;
    }
    let wide = 0;
    if (code === BACKSLASH) {
      code = escapedOctet(text, index);
      if (code < 0) return FAULT.badEscape;
      index += escapeWidth(text, index);
    } else if (code > 0x7f) {
      const point = text.codePointAt(index - 1)!;
      if (point > 0xffff) index++;
      wide = encoder.encodeInto(String.fromCodePoint(point), charScratch).written;
      code = charScratch[0]!;
    }
    if (end - labelAt - 1 + Math.max(1, wide) > MAX_LABEL_OCTETS) return FAULT.labelTooLong;
    if (end + Math.max(1, wide) > MAX_NAME_OCTETS) return FAULT.nameTooLong;
    out[end++] = code;
    for (let extra = 1; extra < wide; extra++) out[end++] = charScratch[extra]!;
  }
  if (end - labelAt === 1) {
    // The text ended in a dot: what we have is absolute, and the open label is the root.
    out[labelAt] = 0;
    return out.slice(0, end);
  }
  out[labelAt] = end - labelAt - 1;
  if (end + origin.length > MAX_NAME_OCTETS) return FAULT.nameTooLong;
  const name = new Uint8Array(end + origin.length);
  for (let at = 0; at < end; at++) name[at] = out[at]!; // names are short: a loop beats set(subarray())
  name.set(origin, end);
  return name;
}

/** The octet that the escape after a backslash stands for, `index` being just past the backslash; -1: malformed. */
export function escapedOctet(text: string, index: number): number {
  if (index >= text.length) return -1;
  const first = text.charCodeAt(index);
  if (first < 0x30 || first > 0x39) return first <= 0x7f ? first : -1;
  const second = text.charCodeAt(index + 1) - 0x30;
  const third = text.charCodeAt(index + 2) - 0x30;
  if (!(second >= 0 && second <= 9 && third >= 0 && third <= 9)) return -1;
  const octet = (first - 0x30) * 100 + second * 10 + third;
  return octet <= 255 ? octet : -1;
}

/** Characters of a well-formed escape after its backslash: 3 for `\DDD`, 1 for `\X`. */
export function escapeWidth(text: string, index: number): 1 | 3 {
  const first = text.charCodeAt(index);
  return first >= 0x30 && first <= 0x39 ? 3 : 1;
}

/**
 * Text of a name, absolute, ending in a dot: characters that mean something in a master file get a backslash, octets
 * outside of printable ASCII are `\DDD`. `parseName()` gives the same octets back.
 *
 * @param name well-formed uncompressed wire name, from `offset` on
 */
export function formatName(name: Uint8Array, offset = 0): string {
  if (name[offset] === 0 || offset >= name.length) return ".";
  let text = "";
  for (let at = offset; at < name.length && name[at] !== 0; ) {
    const end = Math.min(name.length, at + 1 + name[at]!);
    for (at++; at < end; at++) text += formatNameOctet(name[at]!);
    text += ".";
  }
  return text;
}

function formatNameOctet(octet: number): string {
  if (octet <= 0x20 || octet >= 0x7f) return `\\${String(octet).padStart(3, "0")}`;
  switch (octet) {
    case 0x22: // "
    case 0x24: // $
    case 0x28: // (
    case 0x29: // )
    case 0x2e: // .
    case 0x3b: // ;
    case 0x40: // @
    case 0x5c: // backslash
      return `\\${String.fromCharCode(octet)}`;
    default:
      return String.fromCharCode(octet);
  }
}

/** A copy in lower case. */
export function lowerName(name: Uint8Array): Uint8Array {
  const lower = new Uint8Array(name.length);
  for (let at = 0; at < name.length; at++) lower[at] = LOWER[name[at]!]!;
  return lower;
}

/** Whether both names are the same but for the case of ASCII letters (RFC 4343). */
export function nameEquals(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let at = 0; at < left.length; at++) if (LOWER[left[at]!] !== LOWER[right[at]!]) return false;
  return true;
}

/** Whether `name` is `apex` or lies below it. */
export function isSubdomain(name: Uint8Array, apex: Uint8Array): boolean {
  const start = name.length - apex.length;
  if (start < 0) return false;
  let at = 0;
  while (at < start) at += 1 + name[at]!;
  if (at !== start) return false;
  for (; at < name.length; at++) if (LOWER[name[at]!] !== LOWER[apex[at - start]!]) return false;
  return true;
}

/** Labels without the root: 0 for the root, 3 for `www.demo.example.`; a `*` counts. */
export function labelCount(name: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < name.length && name[at] !== 0; at += 1 + name[at]!) count++;
  return count;
}

/** The name without its first label, as a view on the same octets; the root is its own parent. */
export function parentName(name: Uint8Array): Uint8Array {
  const first = name[0] ?? 0;
  return first === 0 ? name : name.subarray(1 + first);
}

/** Whether the first label is `*` alone (RFC 4592 §2.1.1). */
export const isWildcard = (name: Uint8Array): boolean => name[0] === 1 && name[1] === 0x2a;

const leftLabels = new Uint8Array(MAX_LABELS);
const rightLabels = new Uint8Array(MAX_LABELS);

/** Canonical order (RFC 4034 §6.1), case ignored: negative, 0, positive as for `Array.sort()`. */
export function compareNames(left: Uint8Array, right: Uint8Array): number {
  let leftCount = labelOffsets(left, leftLabels);
  let rightCount = labelOffsets(right, rightLabels);
  while (leftCount > 0 && rightCount > 0) {
    const leftAt = leftLabels[--leftCount]!;
    const rightAt = rightLabels[--rightCount]!;
    const leftLength = left[leftAt]!;
    const rightLength = right[rightAt]!;
    const shorter = Math.min(leftLength, rightLength);
    for (let index = 1; index <= shorter; index++) {
      const difference = LOWER[left[leftAt + index]!]! - LOWER[right[rightAt + index]!]!;
      if (difference !== 0) return difference;
    }
    if (leftLength !== rightLength) return leftLength - rightLength;
  }
  return leftCount - rightCount;
}

/**
 * Writes the offset of every label's length octet, root left out, to `into`.
 * @returns how many
 */
function labelOffsets(name: Uint8Array, into: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < name.length && name[at] !== 0; at += 1 + name[at]!) into[count++] = at;
  return count;
}

/**
 * Steps over a domain name without decoding it (RFC 1035 §3.1; compression: §4.1.4).
 *
 * @param offset octets from the start of `message` to the name's first length octet
 * @param end where the message stops, in octets
 * @returns the offset just past the name (just past the pointer if it ends in one), or `FAULT.truncated`, `badLabel`
 *   or `nameTooLong`
 */
export function skipName(message: Uint8Array, offset: number, end = message.length): number {
  for (let at = offset; at < end; ) {
    const length = message[at]!;
    if (length >= 0xc0) return at + 2 <= end ? at + 2 : FAULT.truncated;
    if (length > MAX_LABEL_OCTETS) return FAULT.badLabel; // 0x40 and 0x80 are reserved
    at += 1 + length;
    if (at - offset > MAX_NAME_OCTETS) return FAULT.nameTooLong;
    if (length === 0) return at;
  }
  return FAULT.truncated;
}

/**
 * Decompresses a name (RFC 1035 §4.1.4) in its case. Pointers must point before the part of the name they end, and
 * there may be 16 of them: no message makes this loop. Where the name ends in the message, `skipName()` says.
 *
 * @param into where the wire name is written, 255 octets or more
 * @returns octets written, or `FAULT.truncated`, `badLabel`, `nameTooLong`, `badPointer`, `tooManyPointers`
 */
export function readName(message: Uint8Array, offset: number, into: Uint8Array, end = message.length): number {
  let written = 0;
  let hops = 0;
  let partAt = offset;
  for (let at = offset; at < end; ) {
    const length = message[at]!;
    if (length >= 0xc0) {
      if (at + 2 > end) return FAULT.truncated;
      const target = ((length & 0x3f) << 8) | message[at + 1]!;
      if (target >= partAt) return FAULT.badPointer;
      if (++hops > MAX_POINTER_HOPS) return FAULT.tooManyPointers;
      partAt = target;
      at = target;
      continue;
    }
    if (length > MAX_LABEL_OCTETS) return FAULT.badLabel;
    if (at + 1 + length > end) return FAULT.truncated;
    if (written + 1 + length > MAX_NAME_OCTETS) return FAULT.nameTooLong;
    for (let index = 0; index <= length; index++) into[written++] = message[at++]!;
    if (length === 0) return written;
  }
  return FAULT.truncated;
}
