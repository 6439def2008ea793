import assert from "node:assert/strict";
import test from "node:test";
import { createSmooth, SCAN_LIMIT } from "#balance/smooth.ts";
import { countPicks, create, equalMembers, keyOf, membersOf } from "./contract.ts";

const fromStart = { rng: () => 0, balanceFactorPercent: 0 };
for (const { weights, expected } of [
  { weights: [5, 1, 1], expected: "aabacaa" }, // nginx's own example
  { weights: [3, 1, 2], expected: "acabca" },
  { weights: [1, 1, 1], expected: "abc" },
  { weights: [4, 3, 2, 1], expected: "abcabdacba" },
  { weights: [0, 2, 1], expected: "bcb" },
]) {
  test(`weighted_round_robin gives weights ${weights} the turns of nginx, cycle by cycle`, () => {
    const algorithm = createSmooth(fromStart);
    algorithm.update(membersOf(weights));
    for (let round = 0; round < 3; round++) {
      const picks = Array.from(expected, () => "abcd"[algorithm.pick(0, 0, [])]).join("");
      assert.equal(picks, expected);
    }
  });
}

test("weighted_round_robin spreads the turns of a heavy member among many, at most twice as far apart as need be", () => {
  for (const size of [SCAN_LIMIT + 1, 1_000]) {
    const weights = Array.from({ length: size }, (_, index) => (index === 3 ? 20 : 1));
    const algorithm = create("weighted_round_robin", membersOf(weights));
    const ideal = (size + 19) / 20;
    let last = -1;
    for (let pick = 0; pick < 5_000; pick++) {
      if (algorithm.pick(0, 0, []) !== 3) continue;
      const gap = pick - last;
      if (last >= 0) assert.ok(gap > ideal / 2 && gap < 2 * ideal, `${size} members: ${gap} apart, not ${ideal}`);
      last = pick;
    }
  }
});

test("weighted_round_robin keeps turns when a member comes or leaves", () => {
  for (const size of [10, SCAN_LIMIT + 10]) {
    const keys = Array.from({ length: size }, (_, index) => keyOf(index));
    const algorithm = create(
      "weighted_round_robin",
      membersOf(
        keys.map(() => 1),
        keys,
      ),
    );
    const first = Array.from({ length: size / 2 }, () => keys[algorithm.pick(0, 0, [])]);
    const more = ["10.9.9.9:80", ...keys];
    algorithm.update(
      membersOf(
        more.map(() => 1),
        more,
      ),
    );
    // Half have had their turn and wait for the others, among whom the new one is or is not.
    const second = Array.from({ length: size / 2 }, () => more[algorithm.pick(0, 0, [])]);
    assert.ok(first.every((key) => !second.includes(key)));
    assert.ok(new Set(second).size === size / 2);
  }
});

test("weighted_round_robin does not pay a member for the time in which it was down", () => {
  for (const size of [5, SCAN_LIMIT + 5]) {
    const members = equalMembers(size);
    const algorithm = create("weighted_round_robin", members);
    members.effective[1] = 0;
    algorithm.refresh();
    countPicks(algorithm, size, 1_000);
    members.effective[1] = 1;
    algorithm.refresh();
    const counts = countPicks(algorithm, size, size * 10);
    assert.ok(Math.abs(counts[1]! - 10) <= 1, `${size} members: ${counts[1]}`);
  }
});
