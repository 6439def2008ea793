/**
 * One store with all that goes on at it: requests that fetch, requests that wait for them, URLs that are not worth waiting for.
 *
 * Owns:    flights (collapsing of concurrent requests), marks, counters.
 * Units:   ms of the steady clock.
 * @module
 */
import type { CacheLookup, CacheStats, CacheWaiter } from "#l7/cache/cache.ts";
import type { Fill } from "#l7/cache/fill.ts";
import { Store } from "#l7/cache/store.ts";

/** How long a request waits for another one before it goes by itself. */
export const WAIT_MS = 5_000;
/** For how long nobody waits for a URL whose last response could not be shared, and how many such URLs are known. */
const MARK_MS = 10_000;
const MAX_MARKS = 4_096;

/** How a flight ended. `stored`: look again; `failed`: no answer that is better than a stale one; `useless`: each for itself. */
export type Landing = "stored" | "failed" | "useless";

/** A request that waits. */
export type Waiting = {
  readonly owner: CacheWaiter;
  readonly sinceMs: number;
  /** The lookup that it gets when the flight is over. */
  look(landing: Landing): CacheLookup;
  /** The fill that it gets in the place of who led the flight and has gone. */
  lead(flight: Flight): CacheLookup;
};

export class Flight {
  readonly key: string;
  readonly waiting = new Set<Waiting>();
  constructor(key: string) {
    this.key = key;
  }
}

export class Bucket {
  readonly store: Store;
  /** Fills under way: an invalidation or a purge amid one keeps its response out. */
  readonly fills = new Set<Fill>();
  hits = 0;
  stale = 0;
  misses = 0;
  revalidated = 0;
  passed = 0;
  purged = 0;
  waited = 0;
  readonly #flights = new Map<string, Flight>();
  readonly #marks = new Map<string, number>();

  constructor(name: string, maxOctets: number) {
    this.store = new Store(name, maxOctets);
  }

  flight(key: string): Flight | undefined {
    return this.#flights.get(key);
  }

  begin(key: string): Flight {
    const flight = new Flight(key);
    this.#flights.set(key, flight);
    return flight;
  }

  land(flight: Flight, landing: Landing): void {
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key);
    for (const waiting of [...flight.waiting]) {
      // One of those before it may have made it leave.
      if (flight.waiting.delete(waiting)) waiting.owner.onCached(waiting.look(landing));
    }
  }

  /** Who led it has gone without an answer: the first that waits goes in its place. */
  handOver(flight: Flight): void {
    for (const waiting of flight.waiting) {
      flight.waiting.delete(waiting);
      waiting.owner.onCached(waiting.lead(flight));
      return;
    }
    this.land(flight, "useless");
  }

  mark(key: string, nowMs: number): void {
    if (this.#marks.size >= MAX_MARKS) this.#marks.clear();
    this.#marks.set(key, nowMs + MARK_MS);
  }

  isMarked(key: string, nowMs: number): boolean {
    const untilMs = this.#marks.get(key);
    if (untilMs === undefined) return false;
    if (untilMs > nowMs) return true;
    this.#marks.delete(key);
    return false;
  }

  removeKey(key: string): number {
    for (const fill of this.fills) if (fill.key === key) fill.invalidate();
    return this.store.removeKey(key);
  }

  tick(nowMs: number): void {
    for (const flight of this.#flights.values())
      for (const waiting of [...flight.waiting])
        if (nowMs - waiting.sinceMs >= WAIT_MS && flight.waiting.delete(waiting))
          waiting.owner.onCached(waiting.look("useless"));
  }

  stats(): CacheStats {
    const { store } = this;
    return {
      store: store.name,
      objects: store.objects,
      octets: store.held,
      maxOctets: store.maxOctets,
      hits: this.hits,
      stale: this.stale,
      misses: this.misses,
      revalidated: this.revalidated,
      passed: this.passed,
      stored: store.stored,
      evicted: store.evicted,
      purged: this.purged,
      waited: this.waited,
    };
  }
}
