/**
 * The last events, in order, with ids by which a reader can come back and miss nothing (SSE Last-Event-ID).
 *
 * Owns:    a bounded list in memory. Writer: `app/`, which hands `push` to the engines as their `Emit`.
 * Readers: `api/routes/events.ts`; `app/` for whoever else wants events (notify, metrics, log).
 * Never:   blocks or throws: a subscriber that throws is dropped from that event alone.
 * @module
 */
import type { Emit, RhumbEvent } from "#state/events.ts";

/** `id` is `<run>-<number>`: ids of an earlier run of the process are recognised as foreign. */
export type NumberedEvent = { readonly id: string; readonly event: RhumbEvent };
export type EventRing = {
  readonly push: Emit;
  /** All that is kept, oldest first. */
  list(): readonly NumberedEvent[];
  /**
   * What came after `id`.
   * @returns `isComplete` false when events between `id` and the first one returned are lost: too old, or another run
   */
  since(id: string): { readonly events: readonly NumberedEvent[]; readonly isComplete: boolean };
  /** @returns a function that ends the subscription */
  subscribe(listener: (event: NumberedEvent) => void): () => void;
};

/** @param run text that differs between two runs of the process, without `-` */
export function createEventRing(options: { capacity?: number; run: string }): EventRing {
  const { capacity = 1_024, run } = options;
  const kept: NumberedEvent[] = [];
  const listeners = new Set<(event: NumberedEvent) => void>();
  let count = 0;
  return {
    push(event) {
      const numbered = { id: `${run}-${++count}`, event };
      kept.push(numbered);
      if (kept.length > capacity) kept.shift();
      for (const listener of listeners) {
        try {
          listener(numbered);
        } catch {
          // An engine emits in the middle of its work; a reader's fault must not reach it.
        }
      }
    },
    list: () => [...kept],
    since(id) {
      const dash = id.lastIndexOf("-");
      const number = Number(id.slice(dash + 1));
      const isOurs =
        dash > 0 && id.slice(0, dash) === run && Number.isInteger(number) && number >= 0 && number <= count;
      if (!isOurs) return { events: [...kept], isComplete: false };
      const firstKept = count - kept.length + 1;
      return { events: kept.slice(Math.max(0, number + 1 - firstKept)), isComplete: number + 1 >= firstKept };
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
