/**
 * Compresses a body as it passes, on the thread pool.
 *
 * Owns:    one encoder: what it was given, what it holds back, and that it is freed. Reading of the backend stops while it has
 *          enough, and it stops while the client takes nothing.
 *          What a slow backend sends does not stay in the encoder: after a while without more it is flushed; of event streams
 *          at once.
 * @module
 */
import type { Clock, Timer } from "#base/clock.ts";
import { createEncoder, type Encoder, FLUSH } from "#l7/compress/codec.ts";
import type { Coding } from "#l7/compress/compression.ts";
import type { BodyFilter, FilterSink } from "#l7/route.ts";

/** For how long nothing must come before what is held back is sent. */
const QUIET_MS = 50;

export type StreamFilterOptions = {
  readonly coding: Coding;
  readonly level: number | undefined;
  /** Of the whole; below 0: not known. */
  readonly octets: number;
  /** Each piece goes out at once. */
  readonly isPrompt: boolean;
  readonly clock: Pick<Clock, "after">;
  readonly waiting: (change: number) => void;
  /** The encoder is free again. */
  readonly freed: () => void;
};

export class StreamFilter implements BodyFilter {
  readonly #options: StreamFilterOptions;
  readonly #sink: FilterSink;
  readonly #encoder: Encoder;
  /** Calls to the encoder that it has not answered. */
  #calls = 0;
  #isWaiting = false;
  #isPaused = false;
  #isOver = false;
  /** Written since the last flush. */
  #isHeldBack = false;
  #quiet: Timer | undefined;

  constructor(options: StreamFilterOptions, sink: FilterSink) {
    this.#options = options;
    this.#sink = sink;
    this.#encoder = createEncoder(options.coding, options.level, options.octets);
    this.#encoder.on("data", this.#give);
    this.#encoder.on("end", this.#finish);
    this.#encoder.on("drain", this.#drained);
    this.#encoder.on("error", this.#broke);
  }

  write(octets: Uint8Array): boolean {
    if (this.#isOver) return true;
    this.#called();
    // The view is the caller's, and the encoder works on another thread.
    const hasRoom = this.#encoder.write(Buffer.from(octets), this.#answered);
    if (this.#options.isPrompt) this.#flush();
    else {
      this.#isHeldBack = true;
      this.#quiet?.cancel();
      this.#quiet = this.#options.clock.after(QUIET_MS, this.#flush);
    }
    return hasRoom;
  }

  end(): void {
    if (this.#isOver) return;
    this.#quiet?.cancel();
    // Answered by `end` of the encoder.
    this.#called();
    this.#encoder.end();
  }

  room(): void {
    if (!this.#isPaused || this.#isOver) return;
    this.#isPaused = false;
    this.#called();
    this.#encoder.resume();
    // What it holds comes in this turn of the event loop or the next.
    setImmediate(this.#answered);
    this.#update();
  }

  cancel(): void {
    if (!this.#isOver) this.#close();
  }

  readonly #give = (octets: Buffer): void => {
    if (this.#isOver || this.#sink.body(octets) || this.#isOver) return;
    this.#isPaused = true;
    this.#encoder.pause();
    this.#update();
  };

  readonly #finish = (): void => {
    if (this.#isOver) return;
    this.#close();
    this.#sink.end();
  };

  readonly #drained = (): void => {
    if (!this.#isOver) this.#sink.room();
  };

  /** It has no memory, or the like. */
  readonly #broke = (): void => {
    if (this.#isOver) return;
    this.#close();
    this.#sink.fail();
  };

  readonly #flush = (): void => {
    if (this.#isOver || (!this.#isHeldBack && !this.#options.isPrompt)) return;
    this.#isHeldBack = false;
    this.#called();
    this.#encoder.flush(FLUSH[this.#options.coding], this.#answered);
  };

  #called(): void {
    this.#calls++;
    this.#update();
  }

  readonly #answered = (): void => {
    this.#calls--;
    this.#update();
  };

  #update(): void {
    const isWaiting = !this.#isOver && !this.#isPaused && this.#calls > 0;
    if (isWaiting === this.#isWaiting) return;
    this.#isWaiting = isWaiting;
    this.#options.waiting(isWaiting ? 1 : -1);
  }

  #close(): void {
    this.#isOver = true;
    this.#quiet?.cancel();
    this.#update();
    this.#encoder.destroy();
    this.#options.freed();
  }
}
