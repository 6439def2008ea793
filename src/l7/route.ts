/**
 * What a rule means for a request, made ready once per configuration.
 *
 * Owns:    types alone. `rules/` makes routes; `exchange/` follows them.
 * @module
 */
import type { Fields, Reply } from "#l7/message.ts";
import type { HttpRequest } from "#l7/request.ts";
import type { Places } from "#pool/place.ts";
import type { PoolSpec } from "#state/balancer.ts";
import type { RuleSpec } from "#state/http.ts";

/** Pools as objects: an index means something else in the next configuration. */
export type PoolRef = { readonly spec: PoolSpec; readonly places: Places };

/** What is to be done with a request that passed all guards. */
export type Decision =
  | { readonly kind: "reply"; readonly reply: Reply }
  /** @param setCookie a field to add to the response, such as the cookie of a sticky split */
  | { readonly kind: "pool"; readonly pool: PoolRef; readonly setCookie?: string };

/** @returns a reply: the request goes no further. A promise only where something has to be waited for. */
export type Guard = (request: HttpRequest, nowMs: number) => Reply | undefined | Promise<Reply | undefined>;

export type Route = {
  readonly spec: RuleSpec;
  readonly guards: readonly Guard[];
  /** @param nowMs as of guards: steady ms */
  decide(request: HttpRequest, nowMs: number): Decision;
  /** The target that the backend gets. */
  rewrite(request: HttpRequest): string;
  editRequest(fields: Fields, request: HttpRequest): void;
  /** Whether `editRequest` does anything. */
  readonly editsRequest: boolean;
  editResponse(fields: Fields, request: HttpRequest): void;
  /** Where copies go, with its share in percent. */
  readonly mirror: PoolRef | undefined;
};

export type Router = {
  /**
   * The rule that has this request.
   * @returns `body`: a rule that comes before the answer looks at the body; ask again with `request.body`, up to
   *   `maxOctets` of it, or without, once it is known to be longer. Undefined: no rule matches (404)
   */
  route(request: HttpRequest): Routed | Promise<Routed>;
};
/** A promise only where a token has to be verified that was not seen before. */
export type Routed = Route | { readonly body: number } | undefined;

/** Changes a response's body on its way: compression, and what keeps a copy (cache). */
export type BodyFilter = {
  /** The view is valid during the call alone. @returns false: it has enough for now, and calls `room` of its sink */
  write(octets: Uint8Array): boolean;
  end(): void;
  /** The sink takes more again, after it said that it had enough. */
  room(): void;
  /** Nobody wants it any more. */
  cancel(): void;
};
/** Where a filter's output goes. */
export type FilterSink = {
  /** The filter may hand over octets that it uses again. @returns false: stop until `room()` of the filter */
  body(octets: Uint8Array): boolean;
  end(): void;
  /** The filter takes more again. */
  room(): void;
  /** The filter cannot go on, and says nothing more: the response is to be aborted. */
  fail(): void;
};
