/**
 * The head of a connection's last response, so that the same one is read once: backends that are asked for the same, or that
 * answer with bodies of one size, say the same within a second.
 *
 * Owns:    the text of a head, and what reading it came to. Heads are the same when they are so octet for octet.
 * Never:   remembers long heads.
 * @module
 */
import type { ParsedResponse } from "#l7/http1/parse.ts";

/** Of a head: an idle connection keeps it. */
const MAX_OCTETS = 2_048;

export class ResponseMemo {
  /** The head with its empty line; "": none is remembered. */
  text = "";
  parsed: ParsedResponse | undefined;
  #length = 0;

  /** The second head of a length is remembered: who says something else each time shall not pay for that. */
  keep(text: string, parsed: ParsedResponse): void {
    if (text.length === this.#length && text.length <= MAX_OCTETS) {
      const { head } = parsed;
      const fields = head.fields.slice();
      this.text = text;
      this.parsed = { ...parsed, head: { ...head, fields, known: { fields, lines: undefined } } };
    }
    this.#length = text.length;
  }
}
