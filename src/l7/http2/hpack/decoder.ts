/**
 * Blocks of a peer → fields (RFC 7541).
 *
 * Owns:    the peer's dynamic table. One per connection: each block changes what the next one means.
 * Never:   throws, or holds more than the table's limit.
 * @module
 */
import type { HeaderList } from "#l7/http2/hpack/header-list.ts";
import { decodeHuffman } from "#l7/http2/hpack/huffman.ts";
import {
  DEFAULT_TABLE_OCTETS,
  ENTRY_OVERHEAD,
  FIRST_DYNAMIC,
  STATIC_NAMES,
  STATIC_VALUES,
} from "#l7/http2/hpack/static-table.ts";

const FAULT = -1;
const NONE = Buffer.alloc(0);
const HUFFMAN = 0x80;
/** Bits of an integer behind its prefix: more than any index or length has here. */
const MAX_SHIFT = 21;

export class HpackDecoder {
  /** What the peer's table may be, as we have said. */
  readonly #limit: number;
  #maxOctets: number;
  #octets = 0;
  /** A ring: `#newest` is where the newest entry stands, older ones follow. Its length is a power of two. */
  #names: string[] = new Array(8).fill("");
  #values: string[] = new Array(8).fill("");
  #newest = 0;
  #count = 0;
  // of the block under way
  #block: Buffer = NONE;
  #at = 0;
  #to = 0;

  constructor(limit = DEFAULT_TABLE_OCTETS) {
    this.#limit = limit;
    this.#maxOctets = limit;
  }

  /** Octets of the dynamic table. */
  get tableOctets(): number {
    return this.#octets;
  }

  /** @returns false: COMPRESSION_ERROR. What `list` holds then means nothing */
  decode(block: Buffer, from: number, to: number, list: HeaderList): boolean {
    this.#block = block;
    this.#at = from;
    this.#to = to;
    let isGood = true;
    for (let isFirst = true; isGood && this.#at < to; ) {
      const first = block[this.#at]!;
      if ((first & 0xe0) === 0x20) isGood = isFirst && this.#resize();
      else {
        isFirst = false;
        isGood = (first & 0x80) !== 0 ? this.#indexed(list) : this.#literal(list, (first & 0x40) !== 0);
      }
    }
    this.#block = NONE;
    return isGood;
  }

  #indexed(list: HeaderList): boolean {
    const index = this.#integer(0x7f);
    if (index <= 0 || index >= FIRST_DYNAMIC + this.#count) return false;
    if (index < FIRST_DYNAMIC) list.add(STATIC_NAMES[index]!, STATIC_VALUES[index]!);
    else {
      const slot = this.#slotOf(index);
      list.add(this.#names[slot]!, this.#values[slot]!);
    }
    return true;
  }
  #literal(list: HeaderList, isKept: boolean): boolean {
    const index = this.#integer(isKept ? 0x3f : 0x0f);
    if (index < 0 || index >= FIRST_DYNAMIC + this.#count) return false;
    const name =
      index === 0 ? this.#text() : index < FIRST_DYNAMIC ? STATIC_NAMES[index]! : this.#names[this.#slotOf(index)]!;
    if (name === undefined) return false;
    const value = this.#text();
    if (value === undefined) return false;
    list.add(name, value);
    if (isKept) this.#keep(name, value);
    return true;
  }

  /** At the beginning of a block alone (RFC 7541 §4.2). */
  #resize(): boolean {
    const octets = this.#integer(0x1f);
    if (octets < 0 || octets > this.#limit) return false;
    this.#maxOctets = octets;
    this.#evict(0);
    return true;
  }
  #slotOf(index: number): number {
    return (this.#newest + index - FIRST_DYNAMIC) & (this.#names.length - 1);
  }
  #keep(name: string, value: string): void {
    const octets = name.length + value.length + ENTRY_OVERHEAD;
    this.#evict(octets);
    if (octets > this.#maxOctets) return; // it has emptied the table, and that is no error (RFC 7541 §4.4)
    if (this.#count === this.#names.length) this.#grow();
    this.#newest = (this.#newest - 1) & (this.#names.length - 1);
    this.#names[this.#newest] = name;
    this.#values[this.#newest] = value;
    this.#octets += octets;
    this.#count++;
  }
  /** Makes room for so many octets. */
  #evict(octets: number): void {
    while (this.#count > 0 && this.#octets + octets > this.#maxOctets) {
      const slot = this.#slotOf(FIRST_DYNAMIC + --this.#count);
      this.#octets -= this.#names[slot]!.length + this.#values[slot]!.length + ENTRY_OVERHEAD;
      this.#names[slot] = "";
      this.#values[slot] = "";
    }
  }
  #grow(): void {
    const inOrder = (ring: string[]): string[] => [...ring.slice(this.#newest), ...ring.slice(0, this.#newest)];
    const room: string[] = new Array(this.#count).fill("");
    this.#names = [...inOrder(this.#names), ...room];
    this.#values = [...inOrder(this.#values), ...room];
    this.#newest = 0;
  }

  /** RFC 7541 §5.1. @param mask of the prefix; @returns `FAULT`: it is cut off, or too large for anything */
  #integer(mask: number): number {
    let value = this.#block[this.#at++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= MAX_SHIFT && this.#at < this.#to; shift += 7) {
      const octet = this.#block[this.#at++]!;
      value += (octet & 0x7f) << shift;
      if (octet < 0x80) return value;
    }
    return FAULT;
  }
  /** RFC 7541 §5.2. */
  #text(): string | undefined {
    if (this.#at >= this.#to) return undefined;
    const isHuffman = (this.#block[this.#at]! & HUFFMAN) !== 0;
    const length = this.#integer(0x7f);
    const from = this.#at;
    const to = from + length;
    if (length < 0 || to > this.#to) return undefined;
    this.#at = to;
    return isHuffman ? decodeHuffman(this.#block, from, to) : this.#block.toString("latin1", from, to);
  }
}
