import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createSeededRng } from "#base/rng.ts";
import { createPopulation, keptAnswer, type StubClient } from "#drill/load/population.ts";

test("createPopulation() lets as many clients stretch TTLs as it is told", () => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 1, max: 500 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (seed, count, share) => {
        const { clients } = createPopulation(count, share, createSeededRng(seed));
        const stretching = clients.filter(({ stretch }) => stretch > 1);
        assert.ok(Math.abs(stretching.length - count * share) <= 0.5, `${stretching.length} of ${count}`);
        assert.ok(stretching.every(({ stretch }) => stretch >= 5 && stretch <= 10));
        assert.ok(clients.every(({ stretch }) => stretch >= 1));
      },
    ),
  );
});

test("createPopulation() spreads those that stretch over ranks: they are as active as others", () => {
  const population = createPopulation(300, 0.09, createSeededRng(1));
  let stretched = 0;
  for (let pick = 0; pick < 50_000; pick++) if (population.pick().stretch > 1) stretched++;
  assert.ok(stretched > 0.05 * 50_000 && stretched < 0.1 * 50_000, `${stretched / 50_000}`);
});

test("createPopulation() picks by Zipf's law: rank 1 twice as often as rank 2, ten times as often as rank 10", () => {
  const population = createPopulation(100, 0, createSeededRng(5));
  const picks = new Array<number>(100).fill(0);
  for (let pick = 0; pick < 100_000; pick++) picks[population.pick().id]!++;
  assert.ok(Math.abs(picks[0]! / picks[1]! - 2) < 0.15, `${picks[0]} ${picks[1]}`);
  assert.ok(Math.abs(picks[0]! / picks[9]! - 10) < 1.5, `${picks[0]} ${picks[9]}`);
  assert.ok(picks.every((count) => count > 0));
});

const client = (stretch: number, addresses: readonly string[]): StubClient => ({
  id: 0,
  stretch,
  answer: { addresses, gotAtMs: 1_000, expiresAtMs: 6_000 },
});
for (const { name, of, at, isKept } of [
  { name: "until its TTL is over", of: client(1, ["192.0.2.1"]), at: 5_999, isKept: true },
  { name: "not once its TTL is over", of: client(1, ["192.0.2.1"]), at: 6_000, isKept: false },
  { name: "several TTLs where it stretches", of: client(5, ["192.0.2.1"]), at: 25_999, isKept: true },
  { name: "not for ever where it stretches", of: client(5, ["192.0.2.1"]), at: 26_000, isKept: false },
  { name: "not at all without an address", of: client(5, []), at: 1_000, isKept: false },
  { name: "not if there is none", of: { id: 0, stretch: 1, answer: undefined }, at: 0, isKept: false },
])
  test(`keptAnswer() keeps an answer ${name}`, () => assert.equal(keptAnswer(of, at) !== undefined, isKept));
