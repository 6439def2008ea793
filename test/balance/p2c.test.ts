import assert from "node:assert/strict";
import test from "node:test";
import { createP2c } from "#balance/p2c.ts";
import { createRandom } from "#balance/random.ts";
import { countPicks, create, equalMembers, membersOf, take } from "./contract.ts";

/** Dice that show what they are told, over and over. */
const dice = (...rolls: number[]) => {
  let at = 0;
  return { rng: () => rolls[at++ % rolls.length]!, balanceFactorPercent: 0 };
};

for (const { name, rolls, loads, expected } of [
  { name: "keeps the first draw where both are equal", rolls: [0.7, 0.1], loads: [5, 5, 5, 5], expected: 2 },
  { name: "takes the second draw where it has fewer", rolls: [0.7, 0.1], loads: [4, 0, 5, 0], expected: 0 },
  { name: "never draws one member twice", rolls: [0.3, 0.4], loads: [0, 9, 3, 0], expected: 2 },
  { name: "draws the last one, too", rolls: [0.99, 0.99], loads: [0, 0, 1, 2], expected: 2 },
]) {
  test(`p2c ${name}`, () => {
    const members = equalMembers(4);
    loads.forEach((load, index) => {
      members.loads[index] = load;
    });
    const algorithm = createP2c(dice(...rolls));
    algorithm.update(members);
    assert.equal(algorithm.pick(0, 0, []), expected);
  });
}

test("p2c never picks the most loaded of all", () => {
  const members = equalMembers(20);
  const algorithm = create("p2c", members);
  take(algorithm, members, 7);
  assert.equal(countPicks(algorithm, 20, 10_000)[7], 0);
});

test("random draws by its table: 1, 2 and 3 share three columns of two", () => {
  const weights = [1, 2, 3];
  const counts = [0, 0, 0];
  for (let roll = 0; roll < 1_200; roll++) {
    const algorithm = createRandom(dice((roll + 0.5) / 1_200), true);
    algorithm.update(membersOf(weights));
    counts[algorithm.pick(0, 0, [])]!++;
  }
  assert.deepEqual(counts, [200, 400, 600]);
});

test("random draws those that are left by their weights", () => {
  const members = membersOf([100, 1, 3, 0]);
  const algorithm = create("weighted_random", members);
  const counts = [0, 0, 0, 0];
  for (let pick = 0; pick < 10_000; pick++) counts[algorithm.pick(0, 0, [0])]!++;
  assert.ok(Math.abs(counts[2]! / 10_000 - 0.75) < 0.02, `${counts}`);
});
