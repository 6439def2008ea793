/**
 * A response's body on its way to the client: from a backend, from the cache or from ourselves, past who keeps a copy, through
 * compression, and past who keeps what that made.
 *
 * Owns:    the order of these, and their pauses: who gives is stopped while the client, or compression, takes nothing.
 * @module
 */
import type { CodedCopy, CodedVariants } from "#l7/cache/cache.ts";
import type { Choice, Compression } from "#l7/compress/compression.ts";
import type { Attempt } from "#l7/exchange/attempt.ts";
import type { Fields, ResponseHead } from "#l7/message.ts";
import type { BodyFilter, FilterSink } from "#l7/route.ts";
import type { ClientStream } from "#l7/stream.ts";

export type ResponsePathOwner = {
  /** All of the body was handed to the client: the end may follow. */
  onSent(trailers: Fields | undefined): void;
  /** The body cannot be completed. */
  onBroken(): void;
};

export class ResponsePath implements FilterSink {
  /** That went to the client. */
  octets = 0;
  /** Who gives was told to stop. */
  isHeldUp = false;
  /** Keeps a copy of what came. */
  copy: BodyFilter | undefined;
  filter: BodyFilter | undefined;
  /** Where it comes from; undefined: from here. */
  source: Attempt | undefined;
  readonly #client: ClientStream;
  readonly #owner: ResponsePathOwner;
  #pieces: readonly Uint8Array[] | undefined;
  #next = 0;
  /** The whole body as compression made it before. */
  #coded: readonly Uint8Array[] | undefined;
  /** Keeps a copy of what compression makes. */
  #codedCopy: CodedCopy | undefined;

  constructor(client: ClientStream, owner: ResponsePathOwner) {
    this.#client = client;
    this.#owner = owner;
  }

  /**
   * Has the body compressed, or takes it as it was compressed for another request.
   * @param head as it was given to `choose`. @param stored undefined: the body does not come from the cache, or not all of it
   * @returns the head to send
   */
  compress(
    compression: Compression,
    head: ResponseHead,
    choice: Choice,
    stored: CodedVariants | undefined,
  ): ResponseHead {
    const { coding } = choice;
    if (coding === undefined) return choice.head;
    const variant = compression.variants[coding];
    const known = stored?.get(variant);
    if (known !== undefined) {
      this.#coded = known.pieces;
      return { ...choice.head, bodyOctets: known.octets };
    }
    this.#codedCopy = stored?.copy(variant);
    this.filter = compression.filter(coding, head, this);
    return choice.head;
  }

  /** Of the backend. */
  write(octets: Uint8Array): void {
    this.copy?.write(octets);
    const hasRoom = this.filter === undefined ? this.body(octets) : this.filter.write(octets);
    if (hasRoom || this.isHeldUp) return;
    this.isHeldUp = true;
    this.source?.stream?.pause();
  }
  /** It is complete. */
  finish(trailers: Fields | undefined): void {
    this.copy?.end();
    this.copy = undefined;
    if (this.filter === undefined) this.#owner.onSent(trailers);
    else this.filter.end();
  }
  /** A body that is there as a whole, in pieces that stay as they are. */
  sendAll(pieces: readonly Uint8Array[]): void {
    this.#pieces = this.#coded ?? pieces;
    this.#next = 0;
    this.#pump();
  }
  #pump(): void {
    const pieces = this.#pieces!;
    while (!this.isHeldUp && this.#next < pieces.length) this.write(pieces[this.#next++]!);
    if (this.isHeldUp) return;
    this.#pieces = undefined;
    this.finish(undefined);
  }

  /** The client takes more. */
  clientRoom(): void {
    if (this.filter === undefined) this.room();
    else this.filter.room();
  }
  /** It is given up. */
  cancel(): void {
    this.copy?.cancel();
    this.copy = undefined;
    this.filter?.cancel();
    this.filter = undefined;
    this.#codedCopy?.cancel();
    this.#codedCopy = undefined;
    this.#pieces = undefined;
  }

  // ── what compression says ──────────────────────────────────────────────────────────────────────────────────────

  body(octets: Uint8Array): boolean {
    this.octets += octets.length;
    this.#codedCopy?.write(octets);
    return this.#client.sendBody(octets);
  }
  end(): void {
    this.filter = undefined;
    this.#codedCopy?.end();
    this.#codedCopy = undefined;
    this.#owner.onSent(undefined);
  }
  fail(): void {
    this.filter = undefined;
    this.#owner.onBroken();
  }
  room(): void {
    if (!this.isHeldUp) return;
    this.isHeldUp = false;
    this.source?.stream?.resume();
    if (this.#pieces !== undefined) this.#pump();
  }
}
