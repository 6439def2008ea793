/**
 * The last events, in order, with ids by which a reader can come back and miss nothing (SSE Last-Event-ID). There is
 * one ring of what happens, and one of sampled queries.
 *
 * Owns:    a bounded list in memory. Writer: `app/`, which hands `push` to the engines as their `Emit`.
 * Readers: `api/routes/events.ts`, `queries.ts`; `app/` for whoever else wants events (notify, metrics, log).
 * Never:   blocks or throws: a subscriber that throws is dropped from that event alone.
 * @module
 */
import type { RhumbEvent } from "#state/events.ts";

/** `id` is `<run>-<number>`: ids of an earlier run of the process are recognised as foreign. */
export type NumberedEvent<Event = RhumbEvent> = { readonly id: string; readonly event: Event };
export type EventRing<Event = RhumbEvent> = {
  readonly push: (event: Event) => void;
  /** All that is kept, oldest first. */
  list(): readonly NumberedEvent<Event>[];
  /**
   * What came after `id`.
   * @returns `isComplete` false when events between `id` and the first one returned are lost: too old, or another run
   */
  since(id: string): { readonly events: readonly NumberedEvent<Event>[]; readonly isComplete: boolean };
  /** @returns a function that ends the subscription */
  subscribe(listener: (event: NumberedEvent<Event>) => void): () => void;
};

/** @param run text that differs between two runs of the process, without `-` */
export function createEventRing<Event = RhumbEvent>(options: { capacity?: number; run: string }): EventRing<Event> {
  const { capacity = 1_024, run } = options;
  const kept: NumberedEvent<Event>[] = [];
  const listeners = new Set<(event: NumberedEvent<Event>) => void>();
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
