/**
 * The clients of a place: how often each comes, and what it keeps of DNS answers.
 *
 * Clients are as active as Zipf's law says: the one of rank r with weight 1/r. Most keep an answer for its TTL. Some keep it
 * 5 to 10 times as long, as 8.7 % of resolvers do (Moura et al., "Cache Me If You Can", IMC 2019: TTLs that are stretched):
 * what stretches is a resolver between, so such a client gets the old answer again when it asks because a request failed.
 *
 * Never:   asks anybody. Units: ms of whatever clock the caller has.
 * @module
 */
import type { Rng } from "#base/rng.ts";

export type KeptAnswer = {
  readonly addresses: readonly string[];
  readonly gotAtMs: number;
  /** As its TTL says. */
  readonly expiresAtMs: number;
};

export type StubClient = {
  readonly id: number;
  /** Keeps answers so many times their TTL; 1: as it should. */
  readonly stretch: number;
  answer: KeptAnswer | undefined;
};

export type Population = {
  readonly clients: readonly StubClient[];
  /** The one that does something next. */
  pick(): StubClient;
};

const STRETCH = { least: 5, most: 10 } as const;

/** @param stretchTtl share of clients that stretch TTLs, 0 to 1; they are spread evenly over the ranks of activity */
export function createPopulation(count: number, stretchTtl: number, rng: Rng): Population {
  const clients = Array.from({ length: count }, (_, id): StubClient => {
    const isStretching = Math.round((id + 1) * stretchTtl) > Math.round(id * stretchTtl);
    return {
      id,
      stretch: isStretching ? STRETCH.least + (STRETCH.most - STRETCH.least) * rng() : 1,
      answer: undefined,
    };
  });
  const upTo = new Float64Array(count);
  let sum = 0;
  for (let rank = 1; rank <= count; rank++) {
    sum += 1 / rank;
    upTo[rank - 1] = sum;
  }
  return {
    clients,
    pick() {
      const point = rng() * sum;
      let low = 0;
      let high = count - 1;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (upTo[middle]! > point) high = middle;
        else low = middle + 1;
      }
      return clients[low]!;
    },
  };
}

/** @returns the answer that the client still goes by at that time */
export function keptAnswer({ answer, stretch }: StubClient, nowMs: number): KeptAnswer | undefined {
  if (answer === undefined || answer.addresses.length === 0) return undefined;
  return nowMs < answer.gotAtMs + (answer.expiresAtMs - answer.gotAtMs) * stretch ? answer : undefined;
}
