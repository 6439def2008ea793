/**
 * Keeps a copy of a body that passes by, in pieces that can be sent one by one.
 *
 * Owns:    the pieces, and the room for them in the store: a body without room is not kept, and passes by all the same.
 * Units:   octets.
 * @module
 */
import type { Store } from "#l7/cache/store.ts";
import { UNKNOWN_LENGTH } from "#l7/message.ts";

/** What a connection takes at once without holding more back than it must. */
const PIECE_OCTETS = 65_536;

export class BodyCopy {
  octets = 0;
  readonly #store: Store;
  readonly #maxOctets: number;
  #pieces: Buffer[] = [];
  #last: Buffer | undefined;
  /** Octets in the last piece. */
  #filled = 0;
  #reserved = 0;
  /** Undefined: nothing is kept any more. */
  #left: number | undefined;

  /** @param expected octets; `UNKNOWN_LENGTH` */
  constructor(store: Store, maxOctets: number, expected: number) {
    this.#store = store;
    this.#maxOctets = maxOctets;
    this.#left = expected === UNKNOWN_LENGTH ? Number.POSITIVE_INFINITY : expected;
  }

  write(octets: Uint8Array): void {
    if (this.#left === undefined) return;
    if (this.octets + octets.length > this.#maxOctets || octets.length > this.#left) {
      this.drop();
      return;
    }
    this.#left -= octets.length;
    this.octets += octets.length;
    for (let from = 0; from < octets.length; ) {
      if (this.#last === undefined || this.#filled === this.#last.length) {
        if (!this.#grow(octets.length - from)) return;
      }
      const piece = this.#last!;
      const count = Math.min(piece.length - this.#filled, octets.length - from);
      piece.set(from === 0 && count === octets.length ? octets : octets.subarray(from, from + count), this.#filled);
      this.#filled += count;
      from += count;
    }
  }

  /** All of it came. @returns undefined: it was not kept. The room in the store is given back: the response takes it */
  end(): readonly Uint8Array[] | undefined {
    // A body whose length is not known leaves it at Infinity.
    const isWhole = this.#left === 0 || this.#left === Number.POSITIVE_INFINITY;
    const pieces = this.#pieces;
    if (isWhole && this.#last !== undefined && this.#filled < this.#last.length)
      pieces[pieces.length - 1] = trimmed(this.#last, this.#filled);
    this.drop();
    return isWhole ? pieces : undefined;
  }

  drop(): void {
    this.#left = undefined;
    this.#pieces = [];
    this.#last = undefined;
    this.#store.release(this.#reserved);
    this.#reserved = 0;
  }

  /** @param atLeast octets that are at hand */
  #grow(atLeast: number): boolean {
    const isKnown = this.#left !== Number.POSITIVE_INFINITY;
    // Of a known length no more than that, so that it need not be copied again; of an unknown one twice as much each time.
    const wanted = isKnown ? atLeast + this.#left! : Math.max(atLeast, 4 * 1024, this.octets);
    const size = Math.min(PIECE_OCTETS, wanted);
    if (!this.#store.reserve(size)) {
      this.drop();
      return false;
    }
    this.#reserved += size;
    // Not of Node's shared pool: one long-lived slice would keep all of it.
    this.#last = Buffer.allocUnsafeSlow(size);
    this.#pieces.push(this.#last);
    this.#filled = 0;
    return true;
  }
}

function trimmed(piece: Buffer, octets: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(octets);
  piece.copy(copy, 0, 0, octets);
  return copy;
}
