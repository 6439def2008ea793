/**
 * What one exchange has to do with the cache: what is found there, the wait for who fetches the same, and what is made of the
 * backend's answer.
 *
 * Owns:    its wait and its fill, each of which it ends once; what is served instead of the backend's response.
 * Never:   sends. Its exchange is told what to do.
 * @module
 */
import type { CacheAnswer, CacheFill, CacheHit, CacheLookup, CacheRoute, CacheWaiter } from "#l7/cache/cache.ts";
import type { ExchangeHost } from "#l7/exchange/exchange-host.ts";
import type { Reply, ResponseHead } from "#l7/message.ts";
import type { RequestView } from "#l7/request-view.ts";
import type { PoolRef } from "#l7/route.ts";
import type { OutboundRequest } from "#l7/stream.ts";
import type { Arrived } from "#net/arrival.ts";

/** What is stored is fetched anew within so long, or later. */
const REFRESH_MS = 60_000;

export type CacheTurnOwner = {
  onServe(hit: CacheHit): void;
  onCacheReply(reply: Reply): void;
  /** A backend is to be asked. */
  onAsk(): void;
};

export class CacheTurn implements CacheWaiter {
  /** The backend's answer is to go through it. */
  fill: CacheFill | undefined;
  /** The response of the backend is not for the client: what is served instead, when it is over. */
  instead: CacheHit | undefined;
  /** For the log. */
  outcome: string | undefined;
  readonly #owner: CacheTurnOwner;
  readonly #host: Pick<ExchangeHost, "count">;
  /** Stops waiting for somebody else's fetch of the same. */
  #leave: (() => void) | undefined;
  #isOver = false;

  constructor(owner: CacheTurnOwner, host: Pick<ExchangeHost, "count">) {
    this.#owner = owner;
    this.#host = host;
  }

  look(cache: CacheRoute, request: RequestView, pool: string): void {
    this.onCached(cache.lookup(request, pool, this));
  }
  onCached(lookup: CacheLookup): void {
    this.#leave = undefined;
    if (this.#isOver) return;
    switch (lookup.kind) {
      case "serve":
        this.serve(lookup.hit);
        break;
      case "reply":
        this.#owner.onCacheReply(lookup.reply);
        break;
      case "wait":
        this.#leave = () => lookup.leave();
        break;
      case "fetch":
        this.#host.count("cache_misses");
        this.outcome = "miss";
        this.fill = lookup.fill;
        this.#owner.onAsk();
        break;
      case "pass":
        this.#owner.onAsk();
        break;
      default:
        lookup satisfies never;
    }
  }
  serve(hit: CacheHit): void {
    this.outcome = hit.outcome;
    this.#host.count(hit.outcome === "stale" ? "cache_stale" : "cache_hits");
    this.#owner.onServe(hit);
  }

  /** The backend has answered. @returns undefined: the response goes past the cache */
  answered(head: ResponseHead): CacheAnswer | undefined {
    return this.#take()?.answered(head);
  }
  /** No backend has. @returns whether something stale is served */
  failed(): boolean {
    const stale = this.#take()?.failed();
    if (stale !== undefined) this.serve(stale);
    return stale !== undefined;
  }
  #take(): CacheFill | undefined {
    const { fill } = this;
    this.fill = undefined;
    return fill;
  }
  /** The backend's response is over. @returns whether there is something to serve instead of it */
  serveInstead(): boolean {
    const { instead } = this;
    this.instead = undefined;
    if (instead !== undefined) this.serve(instead);
    return instead !== undefined;
  }

  end(): void {
    this.#isOver = true;
    this.#leave?.();
    this.fill?.abandon();
  }
}

/** Fetches anew what is stored, beside the request of a client. */
export function refresh(
  host: Pick<ExchangeHost, "subrequest">,
  pool: PoolRef,
  fill: CacheFill,
  { target, authority, scheme, fields }: OutboundRequest,
  maxBodyOctets: number,
  arrived: Arrived,
): void {
  const request = { method: "GET", target, authority, scheme, fields, body: undefined };
  const terms = { timeoutMs: REFRESH_MS, maxBodyOctets, arrived };
  void host.subrequest(pool, request, terms).then((result) => fill.settle(result));
}
