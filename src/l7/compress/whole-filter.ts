/**
 * Compresses a short body in one go, from within `end`: less work than a turn of the thread pool, and nothing to wait for.
 *
 * Owns:    the octets until the end.
 * @module
 */
import { encodeSync } from "#l7/compress/codec.ts";
import type { Coding } from "#l7/compress/compression.ts";
import type { BodyFilter, FilterSink } from "#l7/route.ts";

/**
 * Bodies up to this many octets are compressed in one go. Beyond it one call keeps all other requests of the worker waiting
 * for longer than handing the work over costs; `bench/micro-compress.ts` shows both.
 */
export const WHOLE_OCTETS = 16_384;

export class WholeFilter implements BodyFilter {
  readonly #coding: Coding;
  readonly #level: number | undefined;
  readonly #sink: FilterSink;
  #pieces: Buffer[] = [];
  #octets = 0;

  constructor(coding: Coding, level: number | undefined, sink: FilterSink) {
    this.#coding = coding;
    this.#level = level;
    this.#sink = sink;
  }

  write(octets: Uint8Array): boolean {
    this.#pieces.push(Buffer.from(octets));
    this.#octets += octets.length;
    return true;
  }

  end(): void {
    const pieces = this.#pieces;
    const body = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, this.#octets);
    this.#pieces = [];
    this.#sink.body(encodeSync(this.#coding, this.#level, body));
    this.#sink.end();
  }

  room(): void {}

  cancel(): void {
    this.#pieces = [];
  }
}
