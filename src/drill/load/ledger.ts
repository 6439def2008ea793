/**
 * Counts by second, exactly: what begins is entered in the second in which it was due, and comes to one end there, however
 * late. A second is told when it is over and all that began in it has ended, so seconds are told in order and once.
 *
 * Units:   Unix ms; seconds are whole ones of that clock, so that those of several places lie on each other.
 * @module
 */
import { nearestRank } from "#drill/load/percentile.ts";
import type { LoadSecond } from "#drill/load/protocol.ts";
import type { Continent } from "#drill/stage.ts";

const SECOND_MS = 1_000;
/** A start so long after it was due is the fault of this process, not of who is asked. */
export const LATE_MS = 100;

export type HttpOutcome = "ok" | "retried" | "lost";

export type OpenQuestion = {
  /** @param region that the answer names first, "" for none; undefined: nobody answered */
  end(region: string | undefined, nowMs: number): void;
};
export type OpenRequest = {
  /** Age of the DNS answer that it goes by, in ms. */
  sentBy(ageMs: number): void;
  end(region: string, outcome: HttpOutcome, nowMs: number): void;
};
export type OpenProbe = { end(region: string, isOk: boolean): void };

export type Ledger = {
  question(nowMs: number): OpenQuestion;
  request(dueMs: number, nowMs: number): OpenRequest;
  anycast(dueMs: number, nowMs: number): OpenProbe;
  /** How much has begun and not ended. */
  open(): number;
  /** @returns the seconds that can be told now, oldest first. All that was due by `nowMs` must have been entered. */
  advance(nowMs: number): readonly LoadSecond[];
  /** @returns what is left, when nothing is open any more: the last second as far as it went */
  rest(): readonly LoadSecond[];
};

function entryOf<Value>(map: Map<string, Value>, key: string, create: () => Value): Value {
  const found = map.get(key);
  if (found !== undefined) return found;
  const created = create();
  map.set(key, created);
  return created;
}

class Second {
  readonly atMs: number;
  open = 0;
  queries = 0;
  queriesLost = 0;
  readonly answers = new Map<string, number>();
  readonly dnsMicros: number[] = [];
  readonly http = new Map<string, Record<HttpOutcome, number>>();
  readonly httpMs: number[] = [];
  ages = 0;
  ageSumMs = 0;
  ageMostMs = 0;
  readonly anycast = new Map<string, { ok: number; lost: number }>();
  late = 0;

  constructor(atMs: number) {
    this.atMs = atMs;
  }

  told(continent: Continent): LoadSecond {
    const dns = this.dnsMicros.sort((a, b) => a - b);
    const http = this.httpMs.sort((a, b) => a - b);
    return {
      kind: "second",
      atMs: this.atMs,
      continent,
      dns: {
        queries: this.queries,
        lost: this.queriesLost,
        answers: Object.fromEntries(this.answers),
        p50Micros: nearestRank(dns, 0.5),
        p99Micros: nearestRank(dns, 0.99),
      },
      http: Object.fromEntries(this.http),
      httpP50Ms: nearestRank(http, 0.5),
      httpP99Ms: nearestRank(http, 0.99),
      ttlAge: { meanMs: this.ages === 0 ? 0 : Math.round(this.ageSumMs / this.ages), mostMs: this.ageMostMs },
      anycast: Object.fromEntries(this.anycast),
      late: this.late,
    };
  }
}

const tenths = (ms: number): number => Math.round(ms * 10) / 10;

export function createLedger(continent: Continent, fromMs: number): Ledger {
  /** Not told yet, oldest first, without a gap. */
  const seconds: Second[] = [];
  let nextMs = Math.floor(fromMs / SECOND_MS) * SECOND_MS;
  let open = 0;

  function secondOf(atMs: number): Second {
    while (nextMs <= atMs) {
      seconds.push(new Second(nextMs));
      nextMs += SECOND_MS;
    }
    // What is due before the oldest second that is still here would have been entered too late: that one has to take it.
    return seconds[Math.max(0, Math.floor((atMs - seconds[0]!.atMs) / SECOND_MS))]!;
  }
  function begin(dueMs: number, nowMs: number): Second {
    secondOf(nowMs);
    const second = secondOf(dueMs);
    if (nowMs - dueMs > LATE_MS) second.late++;
    second.open++;
    open++;
    return second;
  }
  function close(second: Second): void {
    second.open--;
    open--;
  }
  function takeTold(isOver: (second: Second) => boolean): LoadSecond[] {
    const told: LoadSecond[] = [];
    while (seconds.length > 0 && seconds[0]!.open === 0 && isOver(seconds[0]!))
      told.push(seconds.shift()!.told(continent));
    return told;
  }

  return {
    question(nowMs) {
      const second = begin(nowMs, nowMs);
      second.queries++;
      return {
        end(region, endMs) {
          close(second);
          if (region === undefined) {
            second.queriesLost++;
            return;
          }
          second.answers.set(region, (second.answers.get(region) ?? 0) + 1);
          second.dnsMicros.push(Math.round((endMs - nowMs) * 1_000));
        },
      };
    },
    request(dueMs, nowMs) {
      const second = begin(dueMs, nowMs);
      return {
        sentBy(ageMs) {
          const age = Math.round(ageMs);
          second.ages++;
          second.ageSumMs += age;
          second.ageMostMs = Math.max(second.ageMostMs, age);
        },
        end(region, outcome, endMs) {
          close(second);
          entryOf(second.http, region, () => ({ ok: 0, retried: 0, lost: 0 }))[outcome]++;
          // From when it was due: waiting for a slow client is part of what its user sees.
          if (outcome !== "lost") second.httpMs.push(tenths(endMs - dueMs));
        },
      };
    },
    anycast(dueMs, nowMs) {
      const second = begin(dueMs, nowMs);
      return {
        end(region, isOk) {
          close(second);
          entryOf(second.anycast, region, () => ({ ok: 0, lost: 0 }))[isOk ? "ok" : "lost"]++;
        },
      };
    },
    open: () => open,
    advance(nowMs) {
      secondOf(nowMs);
      return takeTold((second) => second.atMs + SECOND_MS <= nowMs);
    },
    rest: () => takeTold(() => true),
  };
}
