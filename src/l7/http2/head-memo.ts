/**
 * The fields of a connection's last request: what backends are told of the same ones is worked out once (`known-fields.ts`).
 *
 * Never:   remembers long ones: an idle connection keeps them.
 * @module
 */
import type { KnownFields } from "#l7/known-fields.ts";
import { areSame, type Fields } from "#l7/message.ts";

/** Of a field section. */
const MAX_OCTETS = 4_096;

export class HeadMemo {
  #authority = "";
  #known: KnownFields | undefined;

  /** @returns undefined: the last request said something else */
  recall(authority: string, fields: Fields, octets: number): KnownFields | undefined {
    const known = this.#known;
    if (known !== undefined && authority === this.#authority && areSame(known.fields, fields)) return known;
    this.#authority = authority;
    this.#known = octets > MAX_OCTETS ? undefined : { fields: fields.slice(), outbound: undefined };
    return undefined;
  }
}
