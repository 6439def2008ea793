/**
 * What was worked out of the fields of a message, for as long as the next ones on its connection come with the same: most
 * clients say the same of themselves again and again, under another target.
 *
 * Owns:    types alone. `http1/request-memo.ts` and `http1/response-memo.ts` begin one, `exchange/outbound.ts` and `http1/write-head.ts` add to it.
 * Rule:    nothing here is more than a function of the fields, of the connection and of what is kept beside them; who uses
 *          it compares those first, so that it can be lost, or never be there, and nobody sees a difference.
 * @module
 */
import type { Forwarded } from "#l7/headers/forwarded.ts";
import type { Fields } from "#l7/message.ts";

export type KnownFields = {
  /** As they were read. */
  readonly fields: Readonly<Fields>;
  /** What backends are told instead, by a listener's settings. */
  outbound: KnownOutbound | undefined;
};

export type KnownOutbound = {
  /** The settings. */
  readonly forwarded: Forwarded;
  /** All but for the request's id. */
  readonly fields: Readonly<Fields>;
  /** Where the id is put; -1: backends are told none. */
  readonly idAt: number;
  lines: KnownRequestLines | undefined;
};

/** Fields of a response as they are written. */
export type KnownLines = {
  readonly fields: Readonly<Fields>;
  lines: string | undefined;
};

/** `host` and fields of a request as they are written: `before`, the id, `after`. */
export type KnownRequestLines = {
  readonly host: string;
  readonly keepsUnderscores: boolean;
  readonly before: string;
  readonly after: string;
};
