/**
 * The contract between an exchange and compression of responses.
 *
 * Owns:    types alone. `create-compression.ts` makes one per rule and configuration.
 * @module
 */
import type { RequestHead, ResponseHead } from "#l7/message.ts";
import type { BodyFilter, FilterSink } from "#l7/route.ts";

export type Coding = "gzip" | "br" | "zstd";

export type Compression = {
  /**
   * Decides about a response that is about to be sent, after all edits of its fields.
   * @returns undefined: it goes as it is, whatever the client takes
   */
  choose(request: RequestHead, response: ResponseHead): Choice | undefined;
  /**
   * The body on its way. Of a short body all comes out from within `end`.
   * @param response as it was given to `choose`
   */
  filter(coding: Coding, response: ResponseHead, sink: FilterSink): BodyFilter;
  /** Names of what filters make: of the same body the same octets, or as good ones, for the same name. */
  readonly variants: Readonly<Record<Coding, string>>;
};

export type Choice = {
  /** To send in place of the response's own head. Of a HEAD: as that of a GET. */
  readonly head: ResponseHead;
  /** Undefined: this client gets it as it is, but another one would not (Vary). */
  readonly coding: Coding | undefined;
};
