/**
 * The contract between a pool and the engines that send traffic to it (l4, l7): places at backends.
 *
 * Owns:    types alone. A place is the right to one connection (UDP: session) at one backend; a backend is named by its
 *          row, which stays the same over configuration changes, so that a connection can outlive its configuration.
 * Units:   µs where the name says so; steady ms.
 * @module
 */
import type { BackendSpec, PoolSpec } from "#state/balancer.ts";

/** Who asks. */
export type PlaceRequest = {
  /** The client as text, such as `192.0.2.7`: the key of stickiness. */
  readonly client: string;
  /** Its 32-bit hash, cut to `PoolSpec.hashBits`. */
  readonly key: number;
  /** Rows that failed this connection already. */
  readonly tried: readonly number[];
  /** Key of the backend that the client brought with it, in a signed cookie; it comes before what is remembered. */
  readonly wanted?: string | undefined;
  /** Where nobody else is left, one of `tried` may be asked again. */
  readonly mayRepeat?: boolean;
};

/** What is returned instead of a row. */
export const NO_PLACE = {
  /** Nothing may be sent anywhere: no backend is left. */
  none: -1,
  /** Backends are there, but all are full: `wait()` may help. */
  full: -2,
  queueFull: -3,
  queueTimeout: -4,
  /** The budget for retries is used up. */
  budget: -5,
} as const;

export type PlaceFault = "refused" | "timeout" | "unreachable" | "reset" | "other";

export type Places = {
  /**
   * Another configuration; places that are taken stay valid.
   * @param stickyTable what workers share of this pool's sticky clients, where it is another one than so far
   */
  apply(spec: PoolSpec, stickyTable?: Int32Array): void;
  readonly spec: PoolSpec;
  /**
   * Takes a place; synchronous, allocates nothing in the usual case. With a row in `tried` it is a retry: `none` where
   * `RetrySpec.attempts` are used up, else the budget is asked. Sticky entries in a shared store come by `remember`.
   * `full` comes as well while others wait: who comes first is served first.
   * @returns the row, or one of `NO_PLACE`
   */
  take(request: PlaceRequest, nowMs: number): number;
  /** Waits in the queue, first come first served. `done` comes once, later, with a row or one of `NO_PLACE`. @returns how to stop waiting */
  wait(request: PlaceRequest, nowMs: number, done: (row: number) => void): () => void;
  /**
   * Looks the client up in the shared sticky store before `take` where the pool has one. `done` comes once, at the
   * latest after 50 ms: a store that is away costs nobody a connection.
   * @returns false: there is nothing to look up, call `take` at once
   */
  remember(request: PlaceRequest, done: () => void): boolean;
  backend(row: number): BackendSpec | undefined;
  /** The connection stands. */
  connected(row: number, micros: number, nowMs: number): void;
  /** First octet from the backend. */
  firstOctet(row: number, micros: number, nowMs: number): void;
  /** Of HTTP: the response head came. 5xx are failures of the backend, of which outlier detection hears. */
  answered(row: number, status: number, nowMs: number): void;
  /** It did not come about, or broke. The place is still held. */
  failed(row: number, fault: PlaceFault, nowMs: number): void;
  /** Gives the place back. */
  release(row: number, nowMs: number): void;
  /** Once every 100 ms or so: queue time-outs, breakers, epoch of the backend table. */
  tick(nowMs: number): void;
  queued(): number;
  close(): void;
};

/** A store of sticky entries that nodes share. Never throws: a fault is undefined. */
export type StickyStore = {
  /** @param ttlMs how long the entry is kept from now on, if there is one */
  get(key: string, ttlMs: number): Promise<string | undefined>;
  put(key: string, backendKey: string, ttlMs: number): void;
};
