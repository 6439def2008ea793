import assert from "node:assert/strict";
import test from "node:test";
import { type AlgorithmKey, createAlgorithm } from "#balance/table.ts";
import { createTiers, groupOf, type Tiers } from "#balance/tiers.ts";
import { createSeededRng } from "#base/rng.ts";
import { countPicks, create, equalMembers, membersOf, NAMES, randomKey, ranking, take } from "./contract.ts";

const createTiersOf = (name: AlgorithmKey): Tiers =>
  createTiers(() => createAlgorithm(name, { rng: createSeededRng(1), balanceFactorPercent: 0 }));

/** Of members 0 to 7: tier 0 here (0, 1), tier 0 elsewhere (2, 3), tier 1 here (4), tier 1 elsewhere (5), tier 2 (6, 7). */
const GROUPS = [
  groupOf(0, true),
  groupOf(0, true),
  groupOf(0, false),
  groupOf(0, false),
  groupOf(1, true),
  groupOf(1, false),
  groupOf(2, false),
  groupOf(2, false),
];
const RANKED = [[0, 1], [2, 3], [4], [5], [6, 7]];

for (const name of NAMES) {
  test(`createTiers() of ${name} uses the own zone, then others, then the next tier`, () => {
    const members = equalMembers(8);
    const tiers = createTiersOf(name);
    tiers.update(members, GROUPS);
    const rng = createSeededRng(2);
    for (let round = 0; round < 50; round++) {
      const all = ranking(tiers as never, randomKey(rng));
      let at = 0;
      for (const group of RANKED) {
        assert.deepEqual(
          all.slice(at, at + group.length).sort((a, b) => a - b),
          group,
        );
        at += group.length;
      }
      assert.equal(all.length, 8);
    }
    for (const group of RANKED) {
      for (let pick = 0; pick < 20; pick++) assert.ok(group.includes(tiers.pick(randomKey(rng), 0, [])));
      for (const index of group) members.effective[index] = 0;
      tiers.refresh();
    }
    assert.equal(tiers.pick(0, 0, []), -1);
    members.effective[3] = 1;
    tiers.refresh();
    assert.equal(tiers.pick(0, 0, []), 3);
  });
}

test("createTiers() of one group picks what the algorithm alone picks", () => {
  const members = membersOf([1, 2, 3, 4]);
  for (const name of NAMES) {
    const tiers = createTiersOf(name);
    tiers.update(members, [0, 0, 0, 0]);
    const alone = create(name, members, 1);
    const rng = createSeededRng(3);
    for (let pick = 0; pick < 100; pick++) {
      const key = randomKey(rng);
      assert.equal(tiers.pick(key, pick, []), alone.pick(key, pick, []));
    }
  }
});

test("createTiers() hands loads and samples on to the group", () => {
  const members = equalMembers(4);
  const groups = [1, 1, 0, 0];
  const least = createTiersOf("least_connections");
  least.update(members, groups);
  for (let pick = 0; pick < 10; pick++) {
    const index = least.pick(0, 0, []);
    members.loads[index]!++;
    least.loadChanged!(index);
  }
  assert.deepEqual([...members.loads], [0, 0, 5, 5]);
  const fastest = createTiersOf("least_response_time");
  fastest.update(equalMembers(4), groups);
  fastest.observe!(2, 90_000, 0);
  fastest.observe!(3, 1_000, 0);
  for (let pick = 0; pick < 10; pick++) assert.equal(fastest.pick(0, 0, []), 3);
});

test("createTiers() keeps the state of a group over an update", () => {
  const members = equalMembers(6);
  const tiers = createTiersOf("round_robin");
  tiers.update(members, [0, 0, 0, 0, 1, 1]);
  const first = [tiers.pick(0, 0, []), tiers.pick(0, 0, [])];
  tiers.update(members, [0, 0, 0, 0, 2, 2]);
  const second = [tiers.pick(0, 0, []), tiers.pick(0, 0, [])];
  assert.equal(new Set([...first, ...second]).size, 4);
});

test("createTiers() shares by weight within a group alone", () => {
  const members = membersOf([3, 1, 50, 50]);
  const tiers = createTiersOf("weighted_round_robin");
  tiers.update(members, [0, 0, 1, 1]);
  assert.deepEqual(countPicks(tiers as never, 4, 400), [300, 100, 0, 0]);
});

test("createTiers() forgets members that an update has left out", () => {
  const tiers = createTiersOf("p2c");
  tiers.update(equalMembers(4), [0, 0, 1, 1]);
  tiers.update(equalMembers(1), [1]);
  assert.equal(tiers.pick(0, 0, []), 0);
  assert.equal(tiers.pick(0, 0, [0]), -1);
  tiers.update(equalMembers(0), []);
  assert.equal(tiers.pick(0, 0, []), -1);
  take(tiers as never, equalMembers(4), 3); // a connection of before ends
});
