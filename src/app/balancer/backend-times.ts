/**
 * When a backend was added and last changed: kept in the store, as neither files nor overlay say it.
 *
 * Owns:    one entry per backend that is configured; those that are gone are forgotten.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { BackendSpec, BalancerSnapshot } from "#state/balancer.ts";

const KEY = "balancer.backend-times";

export type BackendTimes = {
  apply(snapshot: BalancerSnapshot): void;
  of(id: string): { readonly createdAtMs: number; readonly updatedAtMs: number };
};

type Entry = { readonly createdAtMs: number; readonly updatedAtMs: number; readonly says: string };

/** What makes a backend another one; the row of the table does not. */
const textOf = ({ target: _, ...settings }: BackendSpec): string => JSON.stringify(settings);

export function createBackendTimes(options: {
  readonly store: {
    get(key: string): { readonly value: unknown } | undefined;
    put(key: string, value: unknown): unknown;
  };
  readonly clock: Clock;
  readonly log: Log;
}): BackendTimes {
  const { store, clock, log } = options;
  let entries = new Map<string, Entry>(Object.entries((store.get(KEY)?.value ?? {}) as Record<string, Entry>));
  return {
    apply({ pools }) {
      const nowMs = clock.nowMs();
      const next = new Map<string, Entry>();
      for (const backend of pools.flatMap(({ backends }) => backends)) {
        const says = textOf(backend);
        const before = entries.get(backend.id);
        const createdAtMs = before?.createdAtMs ?? nowMs;
        next.set(backend.id, before?.says === says ? before : { createdAtMs, updatedAtMs: nowMs, says });
      }
      const isSame = next.size === entries.size && [...next].every(([id, entry]) => entries.get(id) === entry);
      entries = next;
      if (isSame) return;
      try {
        store.put(KEY, Object.fromEntries(next));
      } catch (error) {
        log.warn({ error: String(error) }, "Cannot keep when backends were added; a restart will forget it");
      }
    },
    of: (id) => entries.get(id) ?? { createdAtMs: clock.nowMs(), updatedAtMs: clock.nowMs() },
  };
}
