/**
 * What health remembers over a restart: reads the state file once, writes it after changes and each minute.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import { tellRestored } from "#health/region-events.ts";
import type { Rows } from "#health/rows.ts";
import { createRtt } from "#health/rtt.ts";
import {
  restoreState,
  type StoredMonitor,
  type StoredRegion,
  type StoredState,
  saveState,
  saveStateNow,
} from "#health/state-file.ts";
import type { Seed, Watch } from "#health/watch.ts";
import type { RhumbEvent } from "#state/events.ts";

const SAVE_AFTER_MS = 1_000;
const SAVE_EVERY_MS = 60_000;

export type Memory = {
  /** What the file knows of an endpoint, until `restoreRegions()`. */
  seedOf(key: string): Seed | undefined;
  /** Gives the regions that have just been made their phases back, and forgets the file: it is about the start only. */
  restoreRegions(): void;
  /** Something worth saving has happened. */
  note(): void;
  /** Call it about once a second. */
  tick(): void;
  /** Saves at once; resolves when nothing is being written any more. */
  close(): Promise<void>;
};

export function createMemory(options: {
  readonly clock: Clock;
  readonly file: string | undefined;
  readonly watch: Watch;
  readonly rows: Rows;
  readonly tell: (event: Omit<RhumbEvent, "atMs">) => void;
}): Memory {
  const { clock, file, watch, rows, tell } = options;
  const offsetMs = (): number => clock.nowMs() - clock.monotonicMs();
  let monitors: Record<string, StoredMonitor> = {};
  let regions: Record<string, StoredRegion> = {};
  let savedMs = clock.monotonicMs();
  let notedMs: number | undefined;
  let saving: Promise<void> | undefined;
  let isClosed = false;
  let hasFault = false;

  if (file !== undefined) {
    const restored = restoreState(file, clock.nowMs());
    if (restored.kind === "state") {
      monitors = { ...restored.state.monitors };
      regions = { ...restored.state.regions };
    } else if (restored.kind === "corrupt") {
      const says = `Cannot use the health state in ${file}: ${restored.says}. Starting without it; it is kept as ${restored.keptAs}`;
      tell({ kind: "store.fault", severity: "warning", subject: file, says });
    }
  }

  const capture = (): StoredState => {
    const offset = offsetMs();
    const state = {
      savedAtMs: clock.nowMs(),
      monitors: {} as Record<string, StoredMonitor>,
      regions: {} as Record<string, StoredRegion>,
    };
    for (const one of watch.all()) {
      if (!one.isKnown) continue;
      state.monitors[one.key] = {
        isUp: one.isUp,
        sinceMs: one.sinceMs + offset,
        resultAtMs: one.conclusiveMs + offset,
        rttMicros: one.rtt.smoothedMicros,
        baselineMicros: one.rtt.baselineMicros,
        lows: one.rtt.lows,
      };
    }
    for (const row of rows.all()) {
      if (row.kind !== "region") continue;
      const { sinceMs, downSinceMs, penaltyAtMs, ...rest } = row.failback;
      state.regions[row.spec.id] = {
        ...rest,
        sinceMs: sinceMs + offset,
        downSinceMs: downSinceMs + offset,
        penaltyAtMs: penaltyAtMs + offset,
      };
    }
    return state;
  };

  const fault = (error: unknown): void => {
    if (hasFault) return;
    hasFault = true;
    const says = `Cannot save the health state to ${file}: ${(error as Error).message}. A restart will start optimistic`;
    tell({ kind: "store.fault", severity: "warning", subject: file!, says });
  };
  const saved = (): void => {
    if (!hasFault) return;
    hasFault = false;
    tell({
      kind: "store.fault",
      severity: "resolved",
      subject: file!,
      says: `The health state is saved to ${file} again`,
    });
  };

  return {
    seedOf(key) {
      const stored = monitors[key];
      if (stored === undefined) return undefined;
      const offset = offsetMs();
      const rtt = createRtt(clock.monotonicMs());
      rtt.smoothedMicros = stored.rttMicros;
      rtt.baselineMicros = stored.baselineMicros;
      rtt.hourLowMicros =
        stored.rttMicros === 0 ? 0 : Math.min(stored.rttMicros, stored.baselineMicros || stored.rttMicros);
      rtt.lows.push(...stored.lows);
      return { isUp: stored.isUp, sinceMs: stored.sinceMs - offset, conclusiveMs: stored.resultAtMs - offset, rtt };
    },
    restoreRegions() {
      const offset = offsetMs();
      for (const [id, stored] of Object.entries(regions)) {
        const row = rows.region(id);
        if (row === undefined) continue;
        row.failback = {
          ...stored,
          sinceMs: stored.sinceMs - offset,
          downSinceMs: stored.downSinceMs - offset,
          penaltyAtMs: stored.penaltyAtMs - offset,
        };
        tellRestored(row, tell);
      }
      if (Object.keys(monitors).length > 0) {
        for (const row of rows.all()) if (row.kind === "address") tellRestored(row, tell);
      }
      regions = {};
      monitors = {};
    },
    note() {
      notedMs ??= clock.monotonicMs();
    },
    tick() {
      const nowMs = clock.monotonicMs();
      const isDue = nowMs - savedMs >= SAVE_EVERY_MS || (notedMs !== undefined && nowMs - notedMs >= SAVE_AFTER_MS);
      if (file === undefined || saving || !isDue) return;
      savedMs = nowMs;
      notedMs = undefined;
      saving = saveState(file, capture(), () => !isClosed)
        .then(saved, fault)
        .finally(() => {
          saving = undefined;
        });
    },
    async close() {
      if (file === undefined) return;
      isClosed = true;
      try {
        saveStateNow(file, capture());
      } catch (error) {
        fault(error);
      }
      await saving;
    },
  };
}
