/**
 * The fields of a connection's last request, so that the same ones are read once.
 *
 * Owns:    the text of a block of field lines, and what reading it came to. Blocks are the same when they are so octet for
 *          octet: to read one again could come to nothing else.
 * Never:   remembers what says anything of a body, an upgrade or the end of the connection, nor long blocks.
 * @module
 */
import type { KnownFields } from "#l7/known-fields.ts";
import type { Fields } from "#l7/message.ts";

/** Of a head whose fields are remembered, with its line: an idle connection keeps it. */
const MAX_OCTETS = 4_096;

export class RequestMemo {
  /** Field lines, each with its CRLF, without the empty line; "": none is remembered. */
  block = "";
  /** Host and port, as they stand in it. */
  authority = "";
  known: KnownFields | undefined;
  #length = 0;

  /**
   * The second block of a length is remembered: who says something else each time shall not pay for that.
   * @param text of a head, whose fields begin at `from`
   */
  keep(text: string, from: number, authority: string, fields: Fields): void {
    const length = text.length - from;
    if (length === this.#length && text.length <= MAX_OCTETS) {
      this.block = text.slice(from);
      this.authority = authority;
      this.known = { fields: fields.slice(), outbound: undefined };
    }
    this.#length = length;
  }
}
