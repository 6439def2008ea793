/** A keeper on a clock that is moved by hand, with a health table and workers' counters that the test writes. */
import { createManualClock, type ManualClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createSeededRng } from "#base/rng.ts";
import { createKeeper, type Keeper } from "#pool/keeper.ts";
import type { BackendView } from "#pool/pool-view.ts";
import {
  BACKEND_COUNTER,
  BACKEND_EPOCH_WORD,
  BACKEND_STATE_NAMES,
  BACKEND_WORD,
  backendCounter,
  backendState,
  backendWord,
  createBackendCounters,
  createBackendTable,
} from "#state/backend-table.ts";
import type { RhumbEvent } from "#state/events.ts";
import {
  createHealthTable,
  emptyTargetState,
  healthWordIndex,
  OVERRIDE,
  packStateWord,
  VERDICT,
} from "#state/health-table.ts";

const ROWS = 32;

export type Said = {
  readonly verdict?: keyof typeof VERDICT;
  readonly override?: keyof typeof OVERRIDE;
  readonly weightPercent?: number;
};

export type KeeperBed = {
  readonly clock: ManualClock;
  readonly table: Int32Array;
  readonly keeper: Keeper;
  readonly blocks: Float64Array[];
  readonly events: RhumbEvent[];
  readonly expired: { readonly row: number; readonly atMs: number }[];
  changes: number;
  /** Writes rows of the health table, and tells the keeper in one go. */
  say(rows: Readonly<Record<number, Said>>): void;
  /** Writes without telling. */
  note(rows: Readonly<Record<number, Said>>): void;
  /** Moves the clock; the keeper ticks each 250 ms. */
  run(ms: number): void;
  /** So many failed connections at a backend, then, where wanted, good ones. */
  fail(row: number, count: number): void;
  succeed(row: number, count: number): void;
  /** So many responses, one after the other. */
  answer(row: number, status: 200 | 500 | 503, count: number): void;
  setActive(row: number, count: number): void;
  state(row: number): string;
  weight(row: number): number;
  epoch(): number;
  /** Of the first pool. */
  view(row: number): BackendView;
  told(kind: RhumbEvent["kind"]): string[];
};

export function createKeeperBed(): KeeperBed {
  const clock = createManualClock();
  const table = createBackendTable(ROWS);
  const healthTable = createHealthTable(ROWS);
  const said = Array.from({ length: ROWS }, emptyTargetState);
  const blocks = [createBackendCounters(ROWS), createBackendCounters(ROWS)];
  const events: RhumbEvent[] = [];
  const expired: { row: number; atMs: number }[] = [];
  const word = (row: number, name: keyof typeof BACKEND_WORD): number => backendWord(row, BACKEND_WORD[name]);
  const count = (row: number, name: "successes" | "failures", by: number): void => {
    blocks[row % 2]![backendCounter(row, BACKEND_COUNTER[name])]! += by;
  };
  const bed: KeeperBed = {
    clock,
    table,
    blocks,
    events,
    expired,
    changes: 0,
    keeper: createKeeper({
      table,
      healthTable,
      clock,
      rng: createSeededRng(3),
      emit: (event) => events.push(event),
      log: silentLog,
      counters: () => blocks,
      onExpire: (row) => expired.push({ row, atMs: clock.monotonicMs() }),
      onChange: () => {
        bed.changes++;
      },
      cause: (row) => (said[row]!.verdict === VERDICT.down ? "connection refused" : undefined),
    }),
    note(rows) {
      for (const [row, { verdict, override, weightPercent }] of Object.entries(rows)) {
        const state = said[Number(row)]!;
        if (verdict !== undefined) state.verdict = VERDICT[verdict];
        if (override !== undefined) state.override = OVERRIDE[override];
        state.weightPercent = weightPercent ?? (state.override === OVERRIDE.drain ? 0 : 100);
        Atomics.store(healthTable, healthWordIndex(Number(row)), packStateWord(state));
      }
    },
    say(rows) {
      bed.note(rows);
      bed.keeper.healthChanged(Object.keys(rows).map(Number));
    },
    run(ms) {
      for (let done = 0; done < ms; done += 250) {
        clock.advance(Math.min(250, ms - done));
        bed.keeper.tick();
      }
    },
    fail(row, by) {
      count(row, "failures", by);
      Atomics.add(table, word(row, "failuresInARow"), by);
    },
    answer(row, status, by) {
      const counter = status === 200 ? "responses_2xx" : "responses_5xx";
      blocks[row % 2]![backendCounter(row, BACKEND_COUNTER[counter])]! += by;
      const follow = (name: "fiveXxInARow" | "gatewayInARow", isFailure: boolean): void => {
        if (isFailure) Atomics.add(table, word(row, name), by);
        else Atomics.store(table, word(row, name), 0);
      };
      follow("fiveXxInARow", status >= 500);
      follow("gatewayInARow", status === 503);
    },
    succeed(row, by) {
      count(row, "successes", by);
      Atomics.store(table, word(row, "failuresInARow"), 0);
    },
    setActive(row, connections) {
      Atomics.store(table, word(row, "active"), connections);
    },
    state: (row) => BACKEND_STATE_NAMES[backendState(table, row)],
    weight: (row) => Atomics.load(table, word(row, "weightMilli")),
    epoch: () => Atomics.load(table, BACKEND_EPOCH_WORD),
    view: (row) => bed.keeper.view()[0]!.backends.find(({ spec }) => spec.target === row)!,
    told: (kind) => events.flatMap((event) => (event.kind === kind ? [`${event.severity} ${event.says}`] : [])),
  };
  return bed;
}
