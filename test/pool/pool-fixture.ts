/** What tests of pools share: the rows of the backend table, and the keeper's part of publishing states. */
import { createAlgorithm } from "#balance/table.ts";
import { createManualClock, type ManualClock } from "#base/clock.ts";
import { hashText } from "#base/hash.ts";
import { createSeededRng } from "#base/rng.ts";
import type { PlaceRequest, Places, StickyStore } from "#pool/place.ts";
import { createPlaces, type PlacesOptions } from "#pool/places.ts";
import {
  BACKEND_COUNTER,
  BACKEND_EPOCH_WORD,
  BACKEND_STATE,
  BACKEND_WORD,
  type BackendCounter,
  backendCounter,
  backendWord,
  createBackendCounters,
  createBackendTable,
} from "#state/backend-table.ts";
import type { PoolSpec } from "#state/balancer.ts";

export type StateName = keyof typeof BACKEND_STATE;

/** What `pool/keeper.ts` writes: states and weights, then the epoch. */
export function publish(
  table: Int32Array,
  states: Readonly<Record<number, StateName | readonly [StateName, weight: number]>>,
): void {
  for (const [row, said] of Object.entries(states)) {
    const [state, weight] = typeof said === "string" ? ([said, 1] as const) : said;
    Atomics.store(table, backendWord(Number(row), BACKEND_WORD.state), BACKEND_STATE[state]);
    Atomics.store(table, backendWord(Number(row), BACKEND_WORD.weightMilli), weight * 1000);
  }
  Atomics.add(table, BACKEND_EPOCH_WORD, 1);
}

export const activeAt = (table: Int32Array, row: number): number =>
  Atomics.load(table, backendWord(row, BACKEND_WORD.active));
export const wordAt = (table: Int32Array, row: number, word: keyof typeof BACKEND_WORD): number =>
  Atomics.load(table, backendWord(row, BACKEND_WORD[word]));

let clients = 0;
/** A client that nobody has met. */
export const newClient = (): string => {
  const number = clients++;
  return `198.${18 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
};
export const requestOf = (client: string = newClient(), tried: readonly number[] = []): PlaceRequest => ({
  client,
  key: hashText(client),
  tried,
});

export type PoolWorld = {
  readonly table: Int32Array;
  readonly clock: ManualClock;
  /** One per worker. */
  readonly workers: readonly Places[];
  readonly places: Places;
  now(): number;
  take(client?: string, tried?: readonly number[]): number;
  counter(row: number, name: BackendCounter, worker?: number): number;
};

/** Workers over one table; all backends are active with their configured weights at first. */
export function createPoolWorld(
  spec: PoolSpec,
  options: {
    workers?: number;
    rows?: number;
    zone?: string;
    sticky?: StickyStore;
    stickyTable?: Int32Array;
    seed?: number;
    createAlgorithm?: PlacesOptions["createAlgorithm"];
  } = {},
): PoolWorld {
  const rows = options.rows ?? 64;
  const table = createBackendTable(rows);
  const clock = createManualClock();
  const rng = createSeededRng(options.seed ?? 1);
  publish(table, Object.fromEntries(spec.backends.map(({ target, weight }) => [target, ["active", weight] as const])));
  const blocks = Array.from({ length: options.workers ?? 1 }, () => createBackendCounters(rows));
  const workers = blocks.map((counters) =>
    createPlaces({
      spec,
      table,
      counters,
      zone: options.zone,
      clock,
      rng,
      sticky: options.sticky,
      stickyTable: options.stickyTable,
      createAlgorithm: options.createAlgorithm ?? createAlgorithm,
    }),
  );
  const places = workers[0]!;
  return {
    table,
    clock,
    workers,
    places,
    now: () => clock.monotonicMs(),
    take: (client, tried) => places.take(requestOf(client, tried), clock.monotonicMs()),
    counter: (row, name, worker = 0) => blocks[worker]![backendCounter(row, BACKEND_COUNTER[name])]!,
  };
}
