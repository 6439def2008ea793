/**
 * Stickiness of a pool: what workers remember together of a client (its address, or a field of its requests), and what nodes
 * do. A client with a signed cookie remembers by itself (`l7/sticky/`) and says whom it wants.
 *
 * The memory of the process decides. With `store: redis`, what the store says of a client is written into the memory before
 * the client is given a place, and each new choice is written into the store; while the store is away, the memory goes on
 * alone, and a client that comes to another node may get another backend. What the store has lost is written anew when the
 * client comes.
 * Units:   Unix ms.
 * @module
 */
import { createHash } from "node:crypto";
import type { Clock } from "#base/clock.ts";
import type { PlaceRequest, StickyStore } from "#pool/place.ts";
import { backendHash, createStickyMemory, createStickyTable, NO_BACKEND } from "#pool/sticky-memory.ts";
import type { PoolSpec } from "#state/balancer.ts";

/** How long a client waits for the shared store at most. */
const LOOK_UP_MS = 50;

type LookUp = { readonly untilMs: number; readonly done: () => void };

export type Stickiness = {
  /** @returns the hash of the backend that the client had, or `NO_BACKEND` */
  recall(request: PlaceRequest): number;
  /** @returns the hash of the backend that it has now: the one given, or that of another worker that was faster */
  remember(request: PlaceRequest, backend: number, had: number): number;
  /** As `Places.remember`. */
  lookUp(request: PlaceRequest, done: () => void): boolean;
  tick(): void;
  /** @param table undefined: the one so far */
  apply(spec: PoolSpec, table: Int32Array | undefined): void;
  close(): void;
};

export function createStickiness(options: {
  readonly spec: PoolSpec;
  readonly store: StickyStore | undefined;
  /** Shared by all workers; undefined: this worker has one of its own. */
  readonly table: Int32Array | undefined;
  readonly clock: Clock;
}): Stickiness {
  const { clock } = options;
  let { spec, table } = options;
  let memory = open();
  /** Backends by their hashes: the store has keys. */
  let keys = new Map<number, string>();
  const lookUps = new Set<LookUp>();
  learnKeys();

  function open() {
    if (spec.sticky === undefined || spec.sticky.by === "cookie") return undefined; // the client remembers
    table ??= createStickyTable(spec.sticky.maxEntries);
    return createStickyMemory(table, spec.sticky.ttlMs);
  }
  function learnKeys(): void {
    keys = new Map(spec.backends.map(({ key }) => [backendHash(key), key]));
  }
  const store = (): StickyStore | undefined => (memory && spec.sticky?.store === "redis" ? options.store : undefined);
  const storeKey = ({ client }: PlaceRequest): string =>
    `${spec.name}:${spec.sticky?.by === "source" ? client : secretOf(client)}`;
  function end(lookUp: LookUp): void {
    if (lookUps.delete(lookUp)) lookUp.done();
  }
  function learn(request: PlaceRequest, key: string | undefined): void {
    if (memory === undefined) return;
    const nowMs = clock.nowMs();
    const had = memory.recall(request.client, nowMs);
    const hadKey = keys.get(had);
    if (key === undefined) {
      // It was chosen while the store was away, or the store has lost it since: other nodes are to know.
      if (hadKey !== undefined) store()?.put(storeKey(request), hadKey, spec.sticky!.ttlMs);
      return;
    }
    const backend = backendHash(key);
    if (!keys.has(backend)) return; // of another configuration of the pool
    if (had !== backend) memory.remember(request.client, backend, had, nowMs);
  }

  return {
    recall({ client, wanted }) {
      if (wanted !== undefined) return backendHash(wanted);
      return memory?.recall(client, clock.nowMs()) ?? NO_BACKEND;
    },
    remember(request, backend, had) {
      if (memory === undefined) return backend;
      const has = memory.remember(request.client, backend, had, clock.nowMs());
      if (has === backend) store()?.put(storeKey(request), keys.get(backend)!, spec.sticky!.ttlMs);
      return has;
    },
    lookUp(request, done) {
      const shared = store();
      if (shared === undefined) return false;
      const lookUp: LookUp = { untilMs: clock.monotonicMs() + LOOK_UP_MS, done };
      lookUps.add(lookUp);
      shared.get(storeKey(request), spec.sticky!.ttlMs).then((key) => {
        if (!lookUps.has(lookUp)) return;
        learn(request, key);
        end(lookUp);
      });
      return true;
    },
    tick() {
      if (lookUps.size === 0) return;
      const nowMs = clock.monotonicMs();
      for (const lookUp of lookUps) {
        if (lookUp.untilMs > nowMs) break;
        end(lookUp);
      }
    },
    apply(next, nextTable) {
      spec = next;
      table = nextTable ?? table;
      memory = open();
      learnKeys();
    },
    close() {
      for (const lookUp of lookUps) end(lookUp);
    },
  };
}

/** Fields name clients by sessions and tokens: the store need not know them, nor keep kilobytes of them. */
const secretOf = (client: string): string =>
  createHash("sha256").update(client, "latin1").digest("base64url").slice(0, 32);
