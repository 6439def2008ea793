/**
 * The places of one pool in one worker: which backend a connection goes to, and how many there are at each.
 *
 * Owns:    the order of the rules: who waits goes first; a sticky client gets the backend it had; else the algorithm ranks,
 *          tier after tier, and the first that is not full and whose breaker is not open gets the connection. A backend with
 *          an open breaker is taken where nobody else is left and nobody may wait.
 * Reads:   states and weights of the backend table, anew when its epoch has moved on (`eligible.ts`).
 * Writes:  the table's words `active`, `queued`, `freed` and those of failures in a row, by Atomics, and this worker's counters. A
 *          backend's limit holds over all workers: a place is taken by compare and exchange, so it is never passed.
 * Units:   steady ms; Unix ms for sticky entries.
 * @module
 */
import type { Algorithm, AlgorithmOptions } from "#balance/algorithm.ts";
import { createTiers, groupOf, type Tiers } from "#balance/tiers.ts";
import type { Clock } from "#base/clock.ts";
import type { Rng } from "#base/rng.ts";
import { createBreakers } from "#pool/breaker.ts";
import { fillEffective, stateOf } from "#pool/eligible.ts";
import { NO_PLACE, type PlaceFault, type PlaceRequest, type Places, type StickyStore } from "#pool/place.ts";
import { createPoolMembers, type PoolMembers } from "#pool/pool-members.ts";
import { createQueue } from "#pool/queue.ts";
import { createRetryBudget } from "#pool/retry-budget.ts";
import { createStickiness } from "#pool/stickiness.ts";
import {
  BACKEND_COUNTER,
  BACKEND_EPOCH_WORD,
  BACKEND_STATE,
  BACKEND_WORD,
  backendCounter,
  backendWord,
} from "#state/backend-table.ts";
import type { AlgorithmName, BackendSpec, PoolSpec } from "#state/balancer.ts";

/**
 * So often the ranking is asked for the next one while those before are full. Then all are looked at once: with thousands
 * of full backends, a ranking that passes over them one by one would look at each of them for each.
 */
const RANKED_LOOKS = 16;

const NOBODY: readonly number[] = [];

const FAULT_COUNTERS: Readonly<Record<PlaceFault, number>> = {
  refused: BACKEND_COUNTER.connect_refused,
  timeout: BACKEND_COUNTER.connect_timeout,
  unreachable: BACKEND_COUNTER.connect_error,
  other: BACKEND_COUNTER.connect_error,
  reset: BACKEND_COUNTER.resets,
};

const { responses_1xx, responses_2xx, responses_3xx, responses_4xx, responses_5xx } = BACKEND_COUNTER;
/** By the first digit of the status. */
const RESPONSE_COUNTERS: readonly number[] = [
  responses_5xx,
  responses_1xx,
  responses_2xx,
  responses_3xx,
  responses_4xx,
  responses_5xx,
];

export type PlacesOptions = {
  readonly spec: PoolSpec;
  /** The backend table. */
  readonly table: Int32Array;
  /** This worker's block of backend counters. */
  readonly counters: Float64Array;
  /** Where this balancer stands. */
  readonly zone: string | undefined;
  readonly clock: Clock;
  readonly rng: Rng;
  /** What nodes share of sticky clients; used by pools with `store: redis`. */
  readonly sticky: StickyStore | undefined;
  /** What workers share of this pool's sticky clients (`createStickyTable`); undefined: there is one worker. */
  readonly stickyTable?: Int32Array | undefined;
  readonly createAlgorithm: (name: AlgorithmName, options: AlgorithmOptions) => Algorithm;
};

export function createPlaces(options: PlacesOptions): Places {
  const { table, counters, zone, clock, rng } = options;
  let { spec } = options;
  let members: PoolMembers = createPoolMembers(spec, table);
  let ranking: Tiers = createRanking();
  let epoch = 0;
  /** Backends that were removed while this worker has connections there. */
  const gone = new Map<number, BackendSpec>();
  /** Rows that were not active at the last look. */
  let away = new Set<number>();
  const skipped: number[] = [];
  /** Whether the last choice passed over somebody because of its limit. */
  let isAnyFull = false;

  const breakers = createBreakers(spec.breaker);
  const budget = createRetryBudget(spec.retry);
  const queue = createQueue({
    spec: spec.queue,
    firstRow: members.rows[0],
    table,
    take: place,
    nowMs: () => clock.monotonicMs(),
    count: (row, change) => addTo(row, BACKEND_COUNTER.queued, change),
  });
  const stickiness = createStickiness({ spec, store: options.sticky, table: options.stickyTable, clock });

  function createRanking(): Tiers {
    const { algorithm, balanceFactorPercent } = spec;
    return createTiers(() => options.createAlgorithm(algorithm, { rng, balanceFactorPercent }));
  }
  function groups(): number[] {
    const isLocal = (backend: BackendSpec) => !spec.prefersLocalZone || zone === undefined || backend.zone === zone;
    return spec.backends.map((backend) => groupOf(backend.priority, isLocal(backend)));
  }
  function refresh(): void {
    epoch = Atomics.load(table, BACKEND_EPOCH_WORD); // before the states: what changes meanwhile is seen next time
    fillEffective(spec, table, members.effective);
    const awayNow = new Set<number>();
    for (const [index, row] of members.rows.entries())
      if (stateOf(table, spec.backends[index]!) !== BACKEND_STATE.active) awayNow.add(row);
      // Who is back has shown so: what its breaker holds against it is of the time before.
      else if (away.has(row)) breakers.succeeded(row);
    away = awayNow;
  }
  function followEpoch(): boolean {
    if (Atomics.load(table, BACKEND_EPOCH_WORD) === epoch) return false;
    refresh();
    ranking.refresh();
    return true;
  }
  /** @param counter of `BACKEND_COUNTER` */
  function addTo(row: number, counter: number, change: number): void {
    counters[backendCounter(row, counter)]! += change;
  }

  /** A plain read sees the word of a moment ago, and costs a tenth of an atomic one: nearly always it is 0 already. */
  function clearWord(row: number, word: number): void {
    const at = backendWord(row, word);
    if (table[at] !== 0) Atomics.store(table, at, 0);
  }

  // ── taking and giving back ─────────────────────────────────────────────────────────────────────────────────────

  /** @returns false: it is full */
  function occupy(index: number, nowMs: number): boolean {
    const row = members.rows[index]!;
    const at = members.loadAt[index]!;
    const limit = members.limits[index]!;
    if (limit === 0) Atomics.add(table, at, 1);
    else {
      for (let seen = Atomics.load(table, at); ; ) {
        if (seen >= limit) {
          isAnyFull = true;
          return false;
        }
        const was = Atomics.compareExchange(table, at, seen, seen + 1);
        if (was === seen) break;
        seen = was;
      }
    }
    addTo(row, BACKEND_COUNTER.active, 1);
    ranking.loadChanged?.(index);
    breakers.taken(row, nowMs);
    return true;
  }
  function vacate(row: number, nowMs: number): void {
    Atomics.sub(table, backendWord(row, BACKEND_WORD.active), 1);
    addTo(row, BACKEND_COUNTER.active, -1);
    const index = members.indexOf(row);
    if (index >= 0) ranking.loadChanged?.(index);
    else if (counters[backendCounter(row, BACKEND_COUNTER.active)] === 0) gone.delete(row);
    queue.freed(nowMs);
  }

  /** @returns the index of who gives a place, or one of `NO_PLACE` */
  function choose(request: PlaceRequest, nowMs: number): number {
    isAnyFull = false;
    let isAnyShut = false;
    let passed = members.indexesOf(request.tried, skipped) ? skipped : NOBODY;
    let looks = 0;
    for (; looks < RANKED_LOOKS; looks++) {
      const index = ranking.pick(request.key, nowMs, passed);
      if (index < 0) break;
      if (!breakers.allows(members.rows[index]!, nowMs)) isAnyShut = true;
      else if (occupy(index, nowMs)) return index;
      if (passed === NOBODY) {
        skipped.length = 0;
        passed = skipped;
      }
      skipped.push(index);
    }
    if (looks === RANKED_LOOKS) {
      const index = lookAtAll(request, nowMs, false);
      if (index >= 0) return index;
    }
    if (isAnyFull && spec.queue.max > 0) return NO_PLACE.full;
    if (isAnyShut) {
      const index = lookAtAll(request, nowMs, true);
      if (index >= 0) return index;
    }
    return isAnyFull ? NO_PLACE.full : NO_PLACE.none;
  }
  /** The one with the least load for its weight, of the first group that has room. */
  function lookAtAll({ tried }: PlaceRequest, nowMs: number, mayBeShut: boolean): number {
    for (;;) {
      const index = members.leastLoaded((at) => {
        const row = members.rows[at]!;
        return !tried.includes(row) && (mayBeShut || breakers.allows(row, nowMs));
      });
      // Somebody may have taken the last place meanwhile: then it is not least loaded any more, but full.
      if (index < 0 || occupy(index, nowMs)) return index;
    }
  }

  /** @returns the row, or one of `NO_PLACE` */
  function place(request: PlaceRequest, nowMs: number): number {
    followEpoch();
    if (spec.sticky === undefined) {
      const index = choose(request, nowMs);
      return index < 0 ? index : members.rows[index]!;
    }
    const had = stickiness.recall(request);
    const kept = keep(had, request, nowMs);
    if (kept >= 0) return members.rows[kept]!;
    const index = choose(request, nowMs);
    if (index < 0) return index;
    const has = stickiness.remember(request, members.hashes[index]!, had);
    if (has === members.hashes[index]) return members.rows[index]!;
    // Another worker has met this client since, and was faster.
    const theirs = keep(has, request, nowMs);
    if (theirs < 0) return members.rows[index]!;
    vacate(members.rows[index]!, nowMs);
    return members.rows[theirs]!;
  }
  /**
   * A place while others wait: only where they may not go, at a backend that drains and keeps its clients, say.
   * @returns the row, or `NO_PLACE.full`
   */
  function placeBesideQueue(request: PlaceRequest, nowMs: number): number {
    followEpoch();
    const kept = spec.sticky === undefined ? -1 : keep(stickiness.recall(request), request, nowMs);
    return kept < 0 ? NO_PLACE.full : members.rows[kept]!;
  }
  /** Takes a place at the backend that the client had. @returns its index, or -1 */
  function keep(backend: number, { tried }: PlaceRequest, nowMs: number): number {
    const index = members.indexOfHash(backend);
    if (index < 0 || !members.keepsClients(index, spec)) return -1;
    const row = members.rows[index]!;
    if (tried.includes(row) || !breakers.allows(row, nowMs) || !occupy(index, nowMs)) return -1;
    return index;
  }

  /** Of plain properties alone: a getter in a literal makes V8 look each of them up by hash. */
  const places: Places & { spec: PoolSpec } = {
    spec,
    apply(next, stickyTable) {
      const isSameAlgorithm =
        next.algorithm === spec.algorithm && next.balanceFactorPercent === spec.balanceFactorPercent;
      for (const [index, backend] of spec.backends.entries()) gone.set(members.rows[index]!, backend);
      spec = next;
      places.spec = next;
      members = createPoolMembers(spec, table);
      for (const row of gone.keys())
        if (members.indexOf(row) >= 0 || counters[backendCounter(row, BACKEND_COUNTER.active)] === 0) gone.delete(row);
      if (!isSameAlgorithm) ranking = createRanking();
      refresh();
      ranking.update(members, groups());
      breakers.apply(spec.breaker);
      breakers.keep(new Set(members.rows));
      budget.apply(spec.retry);
      stickiness.apply(spec, stickyTable);
      queue.apply(spec.queue, members.rows[0]);
    },
    take(request, nowMs) {
      const { tried } = request;
      if (tried.length === 0) {
        budget.tried(nowMs);
        return queue.size() > 0 ? placeBesideQueue(request, nowMs) : place(request, nowMs);
      }
      if (tried.length >= spec.retry.attempts) return NO_PLACE.none;
      if (!budget.take(nowMs)) return NO_PLACE.budget;
      let row = place(request, nowMs);
      if (row === NO_PLACE.none && request.mayRepeat)
        row = place({ client: request.client, key: request.key, tried: NOBODY }, nowMs);
      if (row >= 0) addTo(tried.at(-1)!, BACKEND_COUNTER.retries_away, 1);
      return row;
    },
    wait: queue.wait,
    remember: stickiness.lookUp,
    backend(row) {
      const index = members.indexOf(row);
      return index >= 0 ? spec.backends[index] : gone.get(row);
    },
    connected(row, micros, nowMs) {
      addTo(row, BACKEND_COUNTER.connections, 1);
      addTo(row, BACKEND_COUNTER.connect_micros, micros);
      addTo(row, BACKEND_COUNTER.successes, 1);
      clearWord(row, BACKEND_WORD.failuresInARow);
      breakers.succeeded(row);
      places.firstOctet(row, micros, nowMs);
    },
    firstOctet(row, micros, nowMs) {
      const index = members.indexOf(row);
      if (index >= 0) ranking.observe?.(index, micros, nowMs);
    },
    answered(row, status) {
      breakers.succeeded(row);
      clearWord(row, BACKEND_WORD.failuresInARow);
      addTo(row, RESPONSE_COUNTERS[Math.trunc(status / 100)] ?? responses_5xx, 1);
      const isGateway = status >= 502 && status <= 504;
      if (isGateway) {
        addTo(row, BACKEND_COUNTER.gateway_failures, 1);
        Atomics.add(table, backendWord(row, BACKEND_WORD.gatewayInARow), 1);
      } else clearWord(row, BACKEND_WORD.gatewayInARow);
      if (status >= 500) Atomics.add(table, backendWord(row, BACKEND_WORD.fiveXxInARow), 1);
      else clearWord(row, BACKEND_WORD.fiveXxInARow);
    },
    failed(row, fault, nowMs) {
      addTo(row, FAULT_COUNTERS[fault], 1);
      addTo(row, BACKEND_COUNTER.failures, 1);
      Atomics.add(table, backendWord(row, BACKEND_WORD.failuresInARow), 1);
      if (members.indexOf(row) >= 0) breakers.failed(row, nowMs);
    },
    release: vacate,
    tick(nowMs) {
      if (followEpoch()) queue.serve(nowMs);
      stickiness.tick();
      queue.tick(nowMs);
    },
    queued: queue.size,
    close() {
      stickiness.close();
      queue.close();
    },
  };
  refresh();
  ranking.update(members, groups());
  return places;
}
