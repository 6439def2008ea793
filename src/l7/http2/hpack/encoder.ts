/**
 * Fields → blocks (RFC 7541).
 *
 * Owns:    our dynamic table, as far as we need to know it: of each name its last value, and where in the table that stands.
 *          A value goes into the table when it comes the second time in succession, so that what changes with each message
 *          (lengths, ids) does not push out what stays (server, type, date). What was sent once is neither judged nor compressed again.
 * Rule:    what may not be sent stays behind here, whoever wrote it (R43).
 * @module
 */
import { writeLatin1 } from "#base/latin1.ts";
import { isFieldValue, isFraming } from "#l7/http1/grammar.ts";
import { isName } from "#l7/http2/fields.ts";
import { encodeHuffman, huffmanLength } from "#l7/http2/hpack/huffman.ts";
import {
  DEFAULT_TABLE_OCTETS,
  ENTRY_OVERHEAD,
  FIRST_DYNAMIC,
  STATIC_NAMES,
  STATIC_VALUES,
  staticNameIndex,
} from "#l7/http2/hpack/static-table.ts";
import type { OctetWriter } from "#l7/http2/octet-writer.ts";

/** Names of which a connection remembers something; the others are written out. */
const MAX_NAMES = 128;
/** An entry that takes more of the table than this would push out too much. */
const MAX_ENTRY_SHARE = 0.25;
/** The longest integer, twice, and the first octet. */
const FIELD_OVERHEAD = 12;
/** Nobody on the way may put it into a table (RFC 7541 §7.1.3). */
const NEVER_KEPT = "set-cookie";

const HUFFMAN = 0x80;
const INDEXED = 0x80;
const KEPT = 0x40;
const RESIZE = 0x20;
const SECRET = 0x10;
const PLAIN = 0x00;

const STATUS_NAME = staticNameIndex(":status");
const LENGTH_NAME = staticNameIndex("content-length");
const STATUS_INDEX: ReadonlyMap<number, number> = new Map(
  STATIC_NAMES.flatMap((name, index) => (name === ":status" ? [[Number(STATIC_VALUES[index]), index] as const] : [])),
);

class KnownName {
  readonly staticIndex: number;
  /** It may be sent. */
  readonly isGood: boolean;
  /** Its values never stand in the table. */
  readonly isPassing: boolean;
  /** What was sent last. */
  value: string | undefined;
  /** What stands in the table, and where: counted from the first entry that there ever was; 0: nothing. */
  kept: string | undefined;
  entry = 0;

  constructor(name: string, isPassing: boolean) {
    this.staticIndex = staticNameIndex(name);
    this.isGood = isName(name) && !isFraming(name);
    this.isPassing = isPassing || name === NEVER_KEPT;
  }
}

export class HpackEncoder {
  readonly #names = new Map<string, KnownName>();
  /** Octets of each entry, the oldest first; `#evicted` were there before. */
  readonly #sizes: number[] = [];
  #evicted = 0;
  #octets = 0;
  #maxOctets = DEFAULT_TABLE_OCTETS;
  /** The least that the limit has been since the last block; undefined: it has not changed. */
  #least: number | undefined;

  /** What the peer allows our table. */
  limit(octets: number): void {
    const limit = Math.min(octets, DEFAULT_TABLE_OCTETS);
    this.#least = Math.min(limit, this.#least ?? limit);
    this.#maxOctets = limit;
    this.#evict(0);
  }

  /** Comes before the fields of a block. */
  begin(to: OctetWriter): void {
    if (this.#least === undefined) return;
    to.reserve(FIELD_OVERHEAD);
    if (this.#least < this.#maxOctets) writeInteger(to, RESIZE, 0x1f, this.#least);
    writeInteger(to, RESIZE, 0x1f, this.#maxOctets);
    this.#least = undefined;
  }
  /** @param status three digits */
  status(to: OctetWriter, status: number): void {
    const index = STATUS_INDEX.get(status);
    to.reserve(FIELD_OVERHEAD);
    if (index !== undefined) to.octets[to.at++] = INDEXED | index;
    else {
      writeInteger(to, PLAIN, 0x0f, STATUS_NAME);
      writeText(to, String(status));
    }
  }
  /** Leaves it out if it would cut the message, or speaks of framing. */
  field(to: OctetWriter, name: string, value: string): void {
    const known = this.#know(name);
    if (!known.isGood) return;
    const isNew = value !== known.value;
    const stands = known.entry > this.#evicted;
    to.reserve(name.length + value.length + FIELD_OVERHEAD);
    if (stands && value === known.kept) writeInteger(to, INDEXED, 0x7f, this.#indexOf(known.entry));
    else if (isNew && !isFieldValue(value)) return;
    else {
      const index = known.staticIndex > 0 ? known.staticIndex : stands ? this.#indexOf(known.entry) : 0;
      const octets = name.length + value.length + ENTRY_OVERHEAD;
      // A name that has no index gets one at once.
      const isKept = !known.isPassing && (!isNew || index === 0) && octets <= this.#maxOctets * MAX_ENTRY_SHARE;
      if (isKept) writeInteger(to, KEPT, 0x3f, index);
      else writeInteger(to, known.isPassing ? SECRET : PLAIN, 0x0f, index);
      if (index === 0) writeText(to, name);
      writeText(to, value);
      if (isKept) {
        known.kept = value;
        known.entry = this.#keep(octets);
      }
    }
    known.value = value;
  }
  /** Framing of HTTP/2 itself. */
  contentLength(to: OctetWriter, octets: number): void {
    to.reserve(FIELD_OVERHEAD + 20);
    writeInteger(to, PLAIN, 0x0f, LENGTH_NAME);
    writeText(to, String(octets));
  }

  #know(name: string): KnownName {
    let known = this.#names.get(name);
    if (known === undefined) {
      const isRemembered = this.#names.size < MAX_NAMES;
      known = new KnownName(name, !isRemembered);
      if (isRemembered) this.#names.set(name, known);
    }
    return known;
  }
  #indexOf(entry: number): number {
    return FIRST_DYNAMIC + this.#evicted + this.#sizes.length - entry;
  }
  #keep(octets: number): number {
    this.#evict(octets);
    this.#sizes.push(octets);
    this.#octets += octets;
    return this.#evicted + this.#sizes.length;
  }
  #evict(octets: number): void {
    while (this.#octets + octets > this.#maxOctets && this.#sizes.length > 0) {
      this.#octets -= this.#sizes.shift()!;
      this.#evicted++;
    }
  }
}

/** RFC 7541 §5.1. @param kind the bits before the prefix */
function writeInteger(to: OctetWriter, kind: number, mask: number, value: number): void {
  const { octets } = to;
  if (value < mask) {
    octets[to.at++] = kind | value;
    return;
  }
  octets[to.at++] = kind | mask;
  let rest = value - mask;
  for (; rest >= 128; rest >>>= 7) octets[to.at++] = (rest & 0x7f) | 0x80;
  octets[to.at++] = rest;
}
/** RFC 7541 §5.2: compressed where that is shorter. */
function writeText(to: OctetWriter, text: string): void {
  const length = huffmanLength(text);
  if (length < text.length) {
    writeInteger(to, HUFFMAN, 0x7f, length);
    to.at = encodeHuffman(text, to.octets, to.at);
  } else {
    writeInteger(to, PLAIN, 0x7f, text.length);
    to.at += writeLatin1(to.octets, text, to.at);
  }
}
