/**
 * The query log: drains the samples of all DNS workers, and hands them to whoever looks.
 *
 * Owns:    the timer, one reader per worker, and the counts of what was read and lost.
 * Writer:  DNS workers, through their rings. Readers: `GET /queries`, the file, metrics.
 * @module
 */
import { createEventRing, type EventRing } from "#api/event-ring.ts";
import type { QueryView } from "#api/views.ts";
import { createQueryFile } from "#app/query-file.ts";
import { queryView, regionsByAddress, type SampleContext } from "#app/query-view.ts";
import type { Clock, Timer } from "#base/clock.ts";
import type { Emit } from "#state/events.ts";
import type { Observations } from "#state/observations.ts";
import { createSampleReader, type QuerySample, type SampleReader } from "#state/query-ring.ts";
import type { QueryLogSnapshot, RegionSpec } from "#state/snapshot.ts";

const DRAIN_MS = 200;
const KEPT_QUERIES = 1_000;
/** A worker that goes may answer for as long as connections are drained: its ring is read until then. */
const GONE_MS = 90_000;

export type QueryLog = {
  /** Opens the file anew, also when it is the same one: a reload is what log rotation asks for. */
  apply(settings: QueryLogSnapshot, regions: readonly RegionSpec[]): void;
  readonly queries: EventRing<QueryView>;
  /** Fetches at once what was sampled until now, for somebody who looks. */
  drain(): void;
  settings(): QueryLogSnapshot;
  /** Samples since the start of the process. */
  counts(): { readonly read: number; readonly lost: number };
  /** Resolves when what was drained stands in the file, or cannot be written. */
  flushed(): Promise<void>;
  close(): Promise<void>;
};

const OFF: QueryLogSnapshot = { every: 0, privacy: "prefix", file: undefined };

/**
 * @param options.workers the blocks of the DNS workers of now
 * @param options.run as for `createEventRing`
 */
export function createQueryLog(options: {
  clock: Clock;
  emit: Emit;
  run: string;
  workers(): readonly Observations[];
}): QueryLog {
  const { clock, emit, run } = options;
  const queries = createEventRing<QueryView>({ run, capacity: KEPT_QUERIES });
  const file = createQueryFile({ clock, emit });
  const rings = new Map<SharedArrayBuffer, { readonly reader: SampleReader; seenAtMs: number }>();
  let settings = OFF;
  let context: SampleContext = { privacy: "prefix", regionOf: new Map() };
  let timer: Timer | undefined;
  let read = 0;
  let lost = 0;

  function drain(): void {
    const nowMs = clock.monotonicMs();
    for (const { samples } of options.workers()) {
      const known = rings.get(samples);
      if (known) known.seenAtMs = nowMs;
      else rings.set(samples, { reader: createSampleReader(samples), seenAtMs: nowMs });
    }
    const found: QuerySample[] = [];
    for (const [ring, { reader, seenAtMs }] of rings) {
      lost += reader.drain((sample) => found.push(sample));
      if (nowMs - seenAtMs > GONE_MS) rings.delete(ring);
    }
    // Each worker's samples are in order; people want all of them to be.
    found.sort((a, b) => a.atMs - b.atMs);
    let lines = "";
    for (const sample of found) {
      const view = queryView(sample, context);
      if (view === undefined) {
        lost++;
        continue;
      }
      read++;
      queries.push(view);
      if (settings.file !== undefined) lines += `${JSON.stringify(view)}\n`;
    }
    if (lines !== "") file.write(lines);
  }

  function tick(): void {
    drain();
    timer = clock.after(DRAIN_MS, tick);
  }

  return {
    apply(next, regions) {
      drain(); // what was sampled under the settings of before
      settings = next;
      context = { privacy: next.privacy, regionOf: regionsByAddress(regions) };
      file.reopen(next.file);
      timer?.cancel();
      timer = next.every === 0 ? undefined : clock.after(DRAIN_MS, tick);
    },
    queries,
    drain,
    settings: () => settings,
    counts: () => ({ read, lost }),
    flushed: () => file.flushed(),
    async close() {
      timer?.cancel();
      drain();
      await file.close();
    },
  };
}
