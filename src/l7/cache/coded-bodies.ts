/**
 * A stored body in the codings that clients took it in, so that a hit need not be compressed again.
 *
 * Owns:    these bodies, and the copies that are being made of them. What they hold counts for the stored response in its
 *          store: they come with it, weigh with it and leave with it.
 * Rule:    all together are no longer than the body itself, and one coding is copied by one request at a time: so whatever
 *          clients ask for at once, copies hold no more than what is stored. A coding that did not fit is not tried again.
 * @module
 */
import { BodyCopy } from "#l7/cache/body-copy.ts";
import type { CodedBody, CodedCopy, CodedVariants } from "#l7/cache/cache.ts";
import type { Store } from "#l7/cache/store.ts";
import type { StoredResponse } from "#l7/cache/stored-response.ts";
import { UNKNOWN_LENGTH } from "#l7/message.ts";

export class CodedBodies implements CodedVariants {
  /** Of all of them. */
  octets = 0;
  readonly #stored: StoredResponse;
  readonly #store: Store;
  readonly #bodies = new Map<string, CodedBody>();
  readonly #tried = new Set<string>();

  constructor(stored: StoredResponse, store: Store) {
    this.#stored = stored;
    this.#store = store;
  }

  get(variant: string): CodedBody | undefined {
    return this.#bodies.get(variant);
  }

  copy(variant: string): CodedCopy | undefined {
    const most = this.#stored.bodyOctets - this.octets;
    if (!this.#stored.isStored || most <= 0 || this.#tried.has(variant)) return undefined;
    this.#tried.add(variant);
    const copy = new BodyCopy(this.#store, most, UNKNOWN_LENGTH);
    return {
      write: (octets) => copy.write(octets),
      end: () => {
        const pieces = copy.end();
        // Another coding may have taken the room meanwhile.
        if (pieces !== undefined && this.octets + copy.octets <= this.#stored.bodyOctets)
          this.#keep(variant, { pieces, octets: copy.octets });
      },
      cancel: () => {
        copy.drop();
        this.#tried.delete(variant);
      },
    };
  }

  #keep(variant: string, body: CodedBody): void {
    if (!this.#stored.isStored) return;
    this.#bodies.set(variant, body);
    this.octets += body.octets;
    this.#store.reweigh(this.#stored);
  }
}
