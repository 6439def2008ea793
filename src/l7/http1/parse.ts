/**
 * The contract of the HTTP/1.1 framer: octets of a connection → heads and bodies (RFC 9112), strictly.
 *
 * Owns:    types alone. Requests: `request-head.ts`; responses: `response-head.ts`; bodies: `body-reader.ts`; the way back:
 *          `write-head.ts`, `write-body.ts`. All of it is pure.
 * Rule:    what can be read in two ways is refused: smuggling lives on what two parsers read differently.
 * @module
 */
import type { Fields, RequestHead, ResponseHead } from "#l7/message.ts";
import type { HttpLimits } from "#state/http.ts";

export type HeadLimits = Pick<HttpLimits, "lineOctets" | "headOctets" | "fields">;

/** @param status to answer a request with; a response that breaks a rule is answered to the client with 502 */
export type HeadFault = {
  readonly kind: "bad";
  readonly status: number;
  /** Of docs/http1-rules.md, such as `R20`. */
  readonly rule: string;
  readonly says: string;
};

/** How the end of a body is known (RFC 9112 §6.3). */
export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly octets: number }
  | { readonly kind: "chunked" }
  /** Of responses alone. */
  | { readonly kind: "close" };

export type RequestParse =
  /** The head is not complete; within its limits so far. */
  | { readonly kind: "more" }
  | HeadFault
  | {
      readonly kind: "request";
      /** Octets of empty lines and head. */
      readonly length: number;
      readonly head: RequestHead;
      readonly framing: Framing;
      /** Whether the connection may take another request after this one. */
      readonly persists: boolean;
    };

export type ResponseParse = { readonly kind: "more" } | HeadFault | ParsedResponse;
export type ParsedResponse = {
  readonly kind: "response";
  readonly length: number;
  readonly head: ResponseHead;
  readonly framing: Framing;
  readonly persists: boolean;
  /** Of `Keep-Alive: timeout=`. */
  readonly keepAliveMs: number | undefined;
  /** Token of `Upgrade`, of 101. */
  readonly upgrade: string | undefined;
};

/**
 * `parseRequestHead(octets, limits, scheme): RequestParse` and
 * `parseResponseHead(octets, limits, requestMethod): ResponseParse` look at all octets that were not consumed so far.
 */

/** Where a body reader puts what it finds. */
export type BodySink = {
  onBody(octets: Buffer): void;
  onBodyEnd(trailers: Fields | undefined): void;
};
/**
 * Of one connection, for one body after the other: `begin(framing, maxOctets)`, then `feed(octets, sink)`.
 * @returns of `feed`: octets consumed (all of them, or up to the end of the body), or the fault
 */
export type BodyReader = {
  begin(framing: Framing, maxOctets: number): void;
  feed(octets: Buffer, sink: BodySink): number | HeadFault;
  /** Whether the body that was begun has ended. */
  readonly isOver: boolean;
  /** Of `close`: the connection has ended. @returns a fault where the body is not complete */
  end(sink: BodySink): HeadFault | undefined;
};
