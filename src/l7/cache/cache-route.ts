/**
 * What one rule asks of the cache: from a request to what is to be done with it (RFC 9111 §4).
 *
 * Owns:    directives of the request, the choice among variants, who waits for whom.
 * Units:   ms of the steady clock.
 * @module
 */
import type { Flight, Landing, Waiting } from "#l7/cache/bucket.ts";
import type { CacheHit, CacheLookup, CacheRoute, CacheWaiter } from "#l7/cache/cache.ts";
import { type Forwarded, forwardStatus, hitStatus } from "#l7/cache/cache-status.ts";
import { type Directives, NO_DIRECTIVES, parseDirectives } from "#l7/cache/directives.ts";
import { Fill, type FillTerms, mayServeOnError } from "#l7/cache/fill.ts";
import { hitOf } from "#l7/cache/hit.ts";
import { keyOf, selectorOf } from "#l7/cache/key.ts";
import type { StoredResponse } from "#l7/cache/stored-response.ts";
import { listOf, type RequestHead } from "#l7/message.ts";
import type { HttpRequest } from "#l7/request.ts";

/** What the fields of a request say to a cache, read in one pass. */
class Asked {
  readonly head: RequestHead;
  readonly key: string;
  readonly pool: string;
  directives: Readonly<Directives> = NO_DIRECTIVES;
  isAuthorized = false;
  /** If-None-Match, If-Modified-Since or Range. */
  hasCondition = false;
  /** If-Match or If-Unmodified-Since: for the origin alone (RFC 9111 §4.3.2). */
  isForOrigin = false;

  constructor(head: RequestHead, key: string, pool: string) {
    this.head = head;
    this.key = key;
    this.pool = pool;
    let hasControl = false;
    let pragma: string | undefined;
    const { fields } = head;
    for (let at = 0; at < fields.length; at += 2) {
      const name = fields[at];
      if (name === "cache-control") hasControl = true;
      else if (name === "pragma") pragma = fields[at + 1]!;
      else if (name === "authorization") this.isAuthorized = true;
      else if (name === "if-none-match" || name === "if-modified-since" || name === "range") this.hasCondition = true;
      else if (name === "if-match" || name === "if-unmodified-since") this.isForOrigin = true;
    }
    if (hasControl) this.directives = parseDirectives(listOf(fields, "cache-control"));
    // RFC 9111 §5.4: of who sends no Cache-Control.
    else if (pragma?.toLowerCase() === "no-cache") this.directives = parseDirectives("no-cache");
  }

  /** It says how fresh or how old a response may be: no stale one, then, unless it says that as well. */
  get isExacting(): boolean {
    const { noCache, maxAge, minFresh, maxStale } = this.directives;
    return noCache || ((maxAge !== undefined || minFresh !== undefined) && maxStale === undefined);
  }
}

export class Route implements CacheRoute {
  readonly #terms: FillTerms;
  /** A guard of the rule knows who asks: as if Authorization were there. */
  readonly #isAuthorized: boolean;

  constructor(terms: FillTerms, isAuthorized: boolean) {
    this.#terms = terms;
    this.#isAuthorized = isAuthorized;
  }

  lookup(request: HttpRequest, pool: string, waiter: CacheWaiter): CacheLookup {
    const { head } = request;
    if (head.method !== "GET" && head.method !== "HEAD") return this.#pass("method");
    const key = keyOf(head);
    if (key === undefined || head.bodyOctets !== 0 || head.upgrade !== undefined) return this.#pass("bypass");
    const asked = new Asked(head, key, pool);
    if (this.#isAuthorized) asked.isAuthorized = true;
    if (asked.isForOrigin) return this.#pass("bypass");
    // RFC 9111 §5.2.1.5: not stored; what is stored would do, but who says so wants to talk with the backend.
    if (asked.directives.noStore) return this.#pass("request");
    return this.#look(asked, waiter, undefined);
  }

  /** @param landing of the flight that it waited for; then it does not wait again */
  #look(asked: Asked, waiter: CacheWaiter | undefined, landing: Landing | undefined): CacheLookup {
    const { bucket, clock } = this.#terms;
    const nowMs = clock.monotonicMs();
    const found = this.#find(asked);
    if (found !== undefined) {
      const hit = this.#serve(asked, found, nowMs, landing);
      if (hit !== undefined) return { kind: "serve", hit };
    }
    if (asked.directives.onlyIfCached)
      return {
        kind: "reply",
        reply: { status: 504, fields: ["content-type", "text/plain"], body: "Not in the cache.\n" },
      };
    bucket.misses++;
    const why = this.#why(asked, found);
    const isCollapsed = landing !== undefined;
    // Our own conditions take the place of the client's; without them they go to the backend, and its answer is for this client.
    const isAlone = asked.head.method === "HEAD" || (asked.hasCondition && found?.hasValidator !== true);
    if (isAlone || asked.directives.noCache || waiter === undefined)
      return this.#fetch(asked, found, undefined, why, isCollapsed);
    const key = this.#flightKey(asked);
    if (bucket.isMarked(key, nowMs)) return this.#fetch(asked, found, undefined, why, false);
    const flight = bucket.flight(key);
    if (flight === undefined) return this.#fetch(asked, found, bucket.begin(key), why, false);
    return this.#wait(asked, waiter, flight, nowMs);
  }

  #wait(asked: Asked, owner: CacheWaiter, flight: Flight, sinceMs: number): CacheLookup {
    this.#terms.bucket.waited++;
    const waiting: Waiting = {
      owner,
      sinceMs,
      look: (landing) => this.#look(asked, undefined, landing),
      lead: (next) => this.#fetch(asked, this.#find(asked), next, "uri-miss", false),
    };
    flight.waiting.add(waiting);
    return { kind: "wait", leave: () => void flight.waiting.delete(waiting) };
  }

  #fetch(
    asked: Asked,
    stored: StoredResponse | undefined,
    flight: Flight | undefined,
    why: Forwarded,
    isCollapsed: boolean,
  ): CacheLookup {
    const { head, key, pool, isAuthorized, isExacting } = asked;
    const request = { head, key, pool, isAuthorized, isExacting, why, isCollapsed, isBackground: false };
    return { kind: "fetch", fill: new Fill(this.#terms, request, stored, flight) };
  }

  /** @returns undefined: it may not be served as it is */
  #serve(asked: Asked, stored: StoredResponse, nowMs: number, landing: Landing | undefined): CacheHit | undefined {
    const { bucket, spec } = this.#terms;
    const { directives } = asked;
    const leftMs = stored.leftMs(nowMs);
    const isAccepted =
      !directives.noCache &&
      !stored.directives.noCache &&
      (directives.maxAge === undefined || stored.ageMs(nowMs) <= directives.maxAge * 1000) &&
      (directives.minFresh === undefined || leftMs >= directives.minFresh * 1000);
    if (!isAccepted) return undefined;
    const isStale = leftMs <= 0;
    let refresh: Fill | undefined;
    if (isStale) {
      const { maxStale } = directives;
      const byClient =
        maxStale !== undefined &&
        -leftMs <= maxStale * 1000 &&
        !stored.isStrict &&
        stored.directives.sMaxAge === undefined;
      const byGrace = !asked.isExacting && leftMs + stored.staleWhileRevalidateMs > 0;
      const byError = landing === "failed" && !asked.isExacting && mayServeOnError(stored, nowMs);
      if (!byClient && !byGrace && !byError) return undefined;
      if (byGrace && landing !== "failed") refresh = this.#refresh(asked, stored, nowMs);
      bucket.stale++;
    }
    bucket.hits++;
    const status = spec.addsStatus ? hitStatus(leftMs) : undefined;
    return hitOf(stored, asked.head, nowMs, isStale ? "stale" : "hit", status, refresh);
  }

  /** One at a time. */
  #refresh(asked: Asked, stored: StoredResponse, nowMs: number): Fill | undefined {
    const { bucket } = this.#terms;
    const flightKey = this.#flightKey(asked);
    if (bucket.flight(flightKey) !== undefined || bucket.isMarked(flightKey, nowMs)) return undefined;
    const { head, key, pool, isAuthorized } = asked;
    const request = {
      head,
      key,
      pool,
      isAuthorized,
      isExacting: true,
      why: "stale" as const,
      isCollapsed: false,
      isBackground: true,
    };
    return new Fill(this.#terms, request, stored, bucket.begin(flightKey));
  }

  /** Of the variants that this request selects the one with the latest date (RFC 9111 §4.1). */
  #find(asked: Asked): StoredResponse | undefined {
    const variants = this.#terms.bucket.store.variants(asked.key);
    if (variants === undefined) return undefined;
    let found: StoredResponse | undefined;
    for (const stored of variants) {
      const { scope, pool, varies, selector } = stored.place;
      if (pool !== asked.pool || scope !== this.#terms.scope) continue;
      if (varies.length > 0 && selectorOf(varies, asked.head.fields) !== selector) continue;
      if (found === undefined || stored.dateMs >= found.dateMs) found = stored;
    }
    if (found !== undefined) found.isVisited = true;
    return found;
  }

  /** Requests that would select different variants do not wait for each other, as far as we know what is varied by. */
  #flightKey(asked: Asked): string {
    let key = `${asked.key}\n${this.#terms.scope}\n${asked.pool}`;
    for (const { place } of this.#terms.bucket.store.variants(asked.key) ?? []) {
      if (place.scope !== this.#terms.scope || place.pool !== asked.pool) continue;
      if (place.varies.length > 0) key += `\n${selectorOf(place.varies, asked.head.fields)}`;
      break;
    }
    return asked.isAuthorized ? `${key}\nauthorized` : key;
  }

  #why(asked: Asked, found: StoredResponse | undefined): Forwarded {
    if (found !== undefined)
      return found.leftMs(this.#terms.clock.monotonicMs()) > 0 && !found.directives.noCache ? "request" : "stale";
    return this.#terms.bucket.store.variants(asked.key) === undefined ? "uri-miss" : "vary-miss";
  }

  #pass(why: Forwarded): CacheLookup {
    this.#terms.bucket.passed++;
    return {
      kind: "pass",
      status: this.#terms.spec.addsStatus ? forwardStatus(why, undefined, false, false) : undefined,
    };
  }
}
