/**
 * The contract between an exchange and the HTTP cache (RFC 9111, shared) of its worker.
 *
 * Owns:    types alone. `http-cache.ts` makes one.
 *
 *   request → invalidate?          after an unsafe method: `HttpCache.invalidate` with the backend's head
 *           → route.lookup ─ pass  → the backend, without the cache
 *                          ─ serve → `hit` goes to the client; a `hit.refresh` is fetched by a request of our own
 *                          ─ reply → the client (504 of only-if-cached)
 *                          ─ wait  → another request fetches the same; `onCached` brings the next lookup
 *                          ─ fetch → the backend, `fill` follows: editRequest → answered → writer, or failed, or abandon
 *
 * Rules:   stored is what the backend sent: compression and the rule's own edits of the response come after it, on hits as
 *          on misses. Each fill is ended once, by `writer.end`, `writer.cancel`, `failed`, `abandon`, `settle`, or an answer
 *          without a writer; requests may wait for it. Nothing here throws for what peers do.
 * Units:   octets, ms. Times are read from the clock that the cache was made with.
 * @module
 */
import type { SubrequestResult } from "#l7/context.ts";
import type { Fields, Reply, RequestHead, ResponseHead } from "#l7/message.ts";
import type { HttpRequest } from "#l7/request.ts";
import type { BodyFilter } from "#l7/route.ts";
import type { RuleSpec } from "#state/http.ts";

export type HttpCache = {
  /**
   * What the requests of one rule need, made once per configuration. What is stored outlives it: the same listener, rule
   * and pool find it again.
   * @returns undefined: the rule does not cache
   */
  route(listener: string, rule: RuleSpec): CacheRoute | undefined;
  /**
   * To be called with the head of every response of a backend to a method that is not GET or HEAD, of rules without a cache
   * too: what a write changed is not served any more (RFC 9111 §4.4). Cheap where the method is safe or nothing is stored.
   */
  invalidate(request: RequestHead, response: ResponseHead): void;
  /** Drops what matches. @returns how many responses */
  purge(what: Purge): number;
  stats(): readonly CacheStats[];
  /** Lets go of requests that have waited for another one for too long. */
  tick(): void;
  close(): void;
};

export type CacheRoute = {
  /**
   * What to do with a request that passed all guards.
   * @param pool name of the pool that was decided on: pools of a split do not answer for each other
   * @param waiter whom to tell if the answer is `wait`
   */
  lookup(request: HttpRequest, pool: string, waiter: CacheWaiter): CacheLookup;
};

export type CacheLookup =
  | { readonly kind: "serve"; readonly hit: CacheHit }
  | { readonly kind: "fetch"; readonly fill: CacheFill }
  /** `status`: value of Cache-Status for the response, where the rule adds one. */
  | { readonly kind: "pass"; readonly status: string | undefined }
  | { readonly kind: "reply"; readonly reply: Reply }
  /** `leave`: the client has gone; then nothing is told any more. */
  | { readonly kind: "wait"; leave(): void };

export type CacheWaiter = {
  /** What became of it: never `wait` again. Called once, from within a call of another exchange to its fill. */
  onCached(lookup: CacheLookup): void;
};

/** A response from memory. */
export type CacheHit = {
  /** Ready to send: Age is added; 304, 206 or 416 where the request asked for that. The array is the caller's. */
  readonly head: ResponseHead;
  /** In turn, never empty pieces; valid for as long as the hit is held, and never changed. Empty for HEAD and 304. */
  readonly body: readonly Uint8Array[];
  /** The body as it was compressed for others; undefined where not the whole stored body is sent. */
  readonly coded: CodedVariants | undefined;
  /** For the access log: `hit`, `stale`, `revalidated`. */
  readonly outcome: "hit" | "stale" | "revalidated";
  /**
   * The response is stale and served nevertheless (stale-while-revalidate): this is to be fetched in the background, by a
   * GET with the fields of this request after `editRequest`, and ended with `settle`.
   */
  readonly refresh: CacheFill | undefined;
};

/** What compression made of one stored body, by names that compression gives (`Compression.variants`). */
export type CodedVariants = {
  get(variant: string): CodedBody | undefined;
  /** @returns undefined: this one is not to be kept, or another request copies it */
  copy(variant: string): CodedCopy | undefined;
};
/** In turn, as `CacheHit.body`. */
export type CodedBody = { readonly pieces: readonly Uint8Array[]; readonly octets: number };
/** Takes what passes by until `end`, after which hits find it, or `cancel`: it did not become complete. */
export type CodedCopy = {
  write(octets: Uint8Array): void;
  end(): void;
  cancel(): void;
};

/** One request to a backend on behalf of the cache. */
export type CacheFill = {
  /**
   * Makes the fields of the client's request those to send: conditions of the client out, ours in, Range out where the whole
   * is wanted. To be called once, before the head goes out; harmless to repeat for another try.
   */
  editRequest(fields: Fields): void;
  /** What to send: a HEAD, or a GET with the client's other fields. */
  readonly method: "GET" | "HEAD";
  /** The final head of the backend. Called once, for the try whose response is used. */
  answered(head: ResponseHead): CacheAnswer;
  /** No backend answered. @returns what may be served instead (stale-if-error) */
  failed(): CacheHit | undefined;
  /** The request is given up before there was a head. */
  abandon(): void;
  /** Ends a fill in the background. */
  settle(result: SubrequestResult): void;
};

export type CacheAnswer =
  /**
   * The head goes to the client (with Cache-Status where the rule adds one), and the body; each piece of it to `writer` as
   * well, where there is one: it takes all there is, keeps a copy, and sends nothing. `cancel`: the body was not complete.
   */
  | { readonly kind: "send"; readonly head: ResponseHead; readonly writer: BodyFilter | undefined }
  /** The backend's body is dropped, if it has one (a 304 has none, an error may): the client gets this. */
  | { readonly kind: "serve"; readonly hit: CacheHit };

/** All that are given must hold; none: everything. */
export type Purge = {
  readonly store?: string;
  /** `http://host/path?query`, exactly: all variants of it. */
  readonly url?: string;
  /** Of the same text: `http://host/static/`. */
  readonly prefix?: string;
  /** One of those in the response's `Surrogate-Key` or `Cache-Tag`. */
  readonly tag?: string;
};

export type CacheStats = {
  readonly store: string;
  readonly objects: number;
  /** With what each object costs beside its body, and bodies that are still coming. */
  readonly octets: number;
  readonly maxOctets: number;
  /** Counted since the start. */
  readonly hits: number;
  /** Hits that were stale. */
  readonly stale: number;
  readonly misses: number;
  /** Stored responses that a 304 confirmed. */
  readonly revalidated: number;
  readonly passed: number;
  readonly stored: number;
  readonly evicted: number;
  readonly purged: number;
  /** Requests that waited for another one. */
  readonly waited: number;
};
