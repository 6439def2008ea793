/** What every selection algorithm must do, whichever it is. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import type { Algorithm, Members } from "#balance/algorithm.ts";
import { ALGORITHM_TABLE, type AlgorithmKey } from "#balance/table.ts";
import { createSeededRng } from "#base/rng.ts";
import { ALGORITHMS } from "#state/balancer.ts";
import {
  clientKeys,
  countPicks,
  create,
  equalMembers,
  HASH_NAMES,
  keyOf,
  membersOf,
  NAMES,
  PROMISES,
  randomKey,
  ranking,
  take,
} from "./contract.ts";

test("the configuration's names are those of the table", () =>
  assert.deepEqual(Object.keys(ALGORITHM_TABLE), [...ALGORITHMS]));

test("docs/algorithms.md has a row for every algorithm, and no other", () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/algorithms.md"), "utf8");
  const rowsOf = (heading: string): string[] => {
    const section = page.slice(page.indexOf(`\n## ${heading}\n`)).split("\n## ")[1]!;
    return [...section.matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1]!);
  };
  assert.deepEqual(rowsOf("All of them"), [...ALGORITHMS]);
  assert.deepEqual(rowsOf("What it costs"), [...ALGORITHMS]);
});

const WEIGHTS = [1, 2, 3, 4, 1, 2, 3, 4, 2, 3];
const WEIGHT_SUM = 25;
const PICKS = 100_000;

const availableOf = (members: Members): number[] =>
  [...members.keys.keys()].filter((index) => members.effective[index]! > 0 && members.weights[index]! > 0);

for (const name of NAMES) {
  for (const size of [0, 1, 2, 100, 10_000]) {
    test(`${name} picks among ${size} members`, () => {
      const algorithm = create(name, equalMembers(size));
      const rng = createSeededRng(size);
      for (let pick = 0; pick < 200; pick++) {
        const index = algorithm.pick(randomKey(rng), pick, []);
        if (size === 0) assert.equal(index, -1);
        else assert.ok(index >= 0 && index < size, `${index}`);
      }
    });
  }

  test(`${name} never picks who is not available, has weight 0 or was tried, whatever changes`, () => {
    const rng = createSeededRng(0xba1a);
    const below = (limit: number) => Math.floor(rng() * limit);
    for (let world = 0; world < 60; world++) {
      const factor = world % 3 === 0 ? 125 : 0;
      // One world in six is large enough for the algorithms that work differently there.
      const sizeOf = () => (world % 6 === 5 ? 60 + below(30) : 1 + below(9));
      let keys = Array.from({ length: sizeOf() }, (_, index) => keyOf(index));
      const build = () =>
        membersOf(
          keys.map(() => below(5)),
          keys,
        );
      let members = build();
      const algorithm = create(name, members, world, factor);
      const held: number[] = [];
      let nowMs = 1_000_000 * rng();
      for (let step = 0; step < 150; step++) {
        nowMs += rng() < 0.02 ? 60_000 : rng() * 50;
        const chance = rng();
        if (chance < 0.1) {
          const index = below(members.size);
          members.effective[index] = rng() < 0.4 ? 0 : (members.weights[index]! || 1) * (rng() < 0.5 ? 1 : rng());
          algorithm.refresh();
        } else if (chance < 0.14) {
          keys = [...keys.filter(() => rng() < 0.8), keyOf(1_000 + step)].sort(() => rng() - 0.5);
          members = build();
          held.length = 0;
          algorithm.update(members);
        } else if (chance < 0.3) {
          algorithm.observe?.(below(members.size), 1 + rng() * 1e6, nowMs);
        } else if (chance < 0.4 && held.length > 0) {
          take(algorithm, members, held.splice(below(held.length), 1)[0]!, -1);
        } else if (chance < 0.45) {
          members.loads[below(members.size)]! += below(3); // another worker, who tells nobody
        }
        const available = availableOf(members);
        const tried = [...members.keys.keys()].filter(() => rng() < 0.2);
        const picked = algorithm.pick(randomKey(rng), nowMs, rng() < 0.5 ? [] : tried);
        if (picked >= 0) {
          assert.ok(available.includes(picked), `world ${world}, step ${step}: ${picked} of ${available}`);
          take(algorithm, members, picked);
          held.push(picked);
        } else assert.ok(available.every((index) => tried.includes(index)));
        const second = algorithm.pick(randomKey(rng), nowMs, tried);
        assert.ok(!tried.includes(second), `world ${world}, step ${step}: ${second} was tried`);
        if (step % 30 === 0) {
          const all = ranking(algorithm, randomKey(rng), nowMs);
          assert.deepEqual(
            all.sort((a, b) => a - b),
            available,
            `world ${world}, step ${step}`,
          );
        }
      }
    }
  });

  test(`${name} ranks every available member once, with most of them away`, () => {
    const members = equalMembers(2_000);
    const algorithm = create(name, members);
    for (let index = 0; index < 2_000; index++) if (index % 97 !== 5) members.effective[index] = 0;
    algorithm.refresh();
    for (const key of clientKeys(20))
      assert.deepEqual(
        ranking(algorithm, key).sort((a, b) => a - b),
        availableOf(members),
      );
  });

  test(`${name} picks again who is back, and everybody if nobody was left`, () => {
    const members = equalMembers(3);
    const algorithm = create(name, members);
    members.effective.fill(0);
    algorithm.refresh();
    assert.equal(algorithm.pick(1, 0, []), -1);
    members.effective.fill(1);
    algorithm.refresh();
    assert.equal(ranking(algorithm, 1).length, 3);
  });

  const { shares, hash, isExact } = PROMISES[name];
  if (shares !== "none") {
    test(`${name} keeps shares by ${shares} over ${PICKS} picks`, () => {
      const members = membersOf(WEIGHTS);
      const counts =
        hash === undefined ? underLoad(name, members) : countPicks(create(name, members), WEIGHTS.length, PICKS);
      WEIGHTS.forEach((weight, index) => {
        const expected = shares === "heads" ? 1 / WEIGHTS.length : weight / WEIGHT_SUM;
        const share = counts[index]! / PICKS;
        // One point; of hash kinds four standard deviations of the draw, and three of the table.
        const draw = 4 * Math.sqrt((expected * (1 - expected)) / PICKS);
        const limit = hash === undefined ? 0.01 : draw + 3 * hash.deviation(weight) * expected;
        assert.ok(Math.abs(share - expected) <= limit, `member ${index}: ${share}, not ${expected} ± ${limit}`);
      });
    });
  }

  if (isExact) {
    for (const size of [1, 7, 32, 33, 300]) {
      test(`${name} is exact over every cycle of ${size} members`, () => {
        const weights = Array.from({ length: size }, (_, index) => 1 + ((index * 7) % 5));
        const turns = shares === "heads" ? weights.map(() => 1) : weights;
        const cycle = turns.reduce((sum, turn) => sum + turn, 0);
        for (const seed of [1, 2, 3]) {
          const algorithm = create(name, membersOf(weights), seed);
          for (let round = 0; round < 20; round++) assert.deepEqual(countPicks(algorithm, size, cycle), turns);
        }
      });
    }
    test(`${name} goes on where it was after an update that changes nothing, or only the order`, () => {
      for (const size of [5, 100]) {
        const members = membersOf(Array.from({ length: size }, (_, index) => 1 + (index % 3)));
        const through = create(name, members, 4);
        const updated = create(name, members, 4);
        for (let pick = 0; pick < 3 * size; pick++) {
          if (pick % 7 === 0) updated.update({ ...members });
          assert.equal(updated.pick(0, 0, []), through.pick(0, 0, []));
        }
      }
    });
    test(`${name} starts workers at different places`, () => {
      const firsts = new Set(
        Array.from({ length: 20 }, (_, seed) => create(name, equalMembers(10), seed).pick(0, 0, [])),
      );
      assert.ok(firsts.size > 4, `${firsts.size}`);
    });
    test(`${name} gives a member at half of its weight half of the turns`, () => {
      for (const size of [8, 80]) {
        const members = equalMembers(size);
        const algorithm = create(name, members);
        members.effective[3] = 0.5;
        algorithm.refresh();
        const counts = countPicks(algorithm, size, (size - 0.5) * 200);
        counts.forEach((count, index) => {
          assert.ok(Math.abs(count - (index === 3 ? 100 : 200)) <= 1, `${index}: ${count}`);
        });
      }
    });
  }
}

/** Two thousand connections stand; for each one more that is made, another ends. Answers take the same time everywhere. */
function underLoad(name: AlgorithmKey, members: Members): number[] {
  const algorithm: Algorithm = create(name, members);
  const rng = createSeededRng(3);
  const held: number[] = [];
  const counts = new Array<number>(members.size).fill(0);
  for (let pick = -1_000; pick < PICKS; pick++) {
    const nowMs = (pick + 1_000) * 2;
    const index = algorithm.pick(randomKey(rng), nowMs, []);
    if (pick >= 0) counts[index]!++;
    take(algorithm, members, index);
    algorithm.observe?.(index, 5_000, nowMs);
    held.push(index);
    if (held.length <= 2_000) continue;
    const at = Math.floor(rng() * held.length);
    const ended = held[at]!;
    held[at] = held.at(-1)!;
    held.length--;
    take(algorithm, members, ended, -1);
  }
  return counts;
}

// ── hash algorithms ──────────────────────────────────────────────────────────────────────────────────────────────

const KEYS = clientKeys(20_000);
const choices = (algorithm: Algorithm, members: Members): string[] =>
  KEYS.map((key) => members.keys[algorithm.pick(key, 0, [])]!);

for (const name of HASH_NAMES) {
  const { strayLimit } = PROMISES[name].hash!;
  test(`${name} agrees over nodes, whatever the order of members and the dice`, () => {
    const keys = WEIGHTS.map((_, index) => keyOf(index));
    const mixed = [7, 3, 0, 9, 1, 8, 2, 6, 4, 5];
    const one = membersOf(WEIGHTS, keys);
    const other = membersOf(
      mixed.map((index) => WEIGHTS[index]!),
      mixed.map((index) => keys[index]!),
    );
    assert.deepEqual(choices(create(name, one, 1), one), choices(create(name, other, 2), other));
    const rankings = (members: Members) => {
      const algorithm = create(name, members);
      return KEYS.slice(0, 100).map((key) => ranking(algorithm, key).map((index) => members.keys[index]));
    };
    assert.deepEqual(rankings(one), rankings(other));
  });

  test(`${name} moves the clients of a member that goes down, no others, and gives them back`, () => {
    const members = membersOf(WEIGHTS);
    const algorithm = create(name, members);
    const before = choices(algorithm, members);
    members.effective[3] = 0;
    algorithm.refresh();
    const down = choices(algorithm, members);
    const moved = new Set<string>();
    before.forEach((key, at) => {
      if (key === members.keys[3]) moved.add(down[at]!);
      else assert.equal(down[at], key);
    });
    assert.equal(moved.size, WEIGHTS.length - 1, "to all of the others");
    members.effective[3] = 0.3;
    algorithm.refresh();
    assert.deepEqual(choices(algorithm, members), before);
  });

  test(`${name} gives a client on a retry what it would get if the first were down`, () => {
    const members = membersOf(WEIGHTS);
    const algorithm = create(name, members);
    const retried = KEYS.map((key) => algorithm.pick(key, 0, [algorithm.pick(key, 0, [])]));
    KEYS.slice(0, 500).forEach((key, at) => {
      const first = algorithm.pick(key, 0, []);
      members.effective[first] = 0;
      algorithm.refresh();
      assert.equal(algorithm.pick(key, 0, []), retried[at]);
      members.effective[first] = 1;
      algorithm.refresh();
    });
  });

  test(`${name} moves at most ${strayLimit * 100} % of others' clients when one of twenty comes or leaves`, () => {
    const keys = Array.from({ length: 20 }, (_, index) => keyOf(index));
    const without = membersOf(
      keys.slice(1).map(() => 1),
      keys.slice(1),
    );
    const all = membersOf(
      keys.map(() => 1),
      keys,
    );
    const algorithm = create(name, without);
    const few = choices(algorithm, without);
    algorithm.update(all);
    const many = choices(algorithm, all);
    algorithm.update(without);
    assert.deepEqual(choices(algorithm, without), few, "and goes back");
    let own = 0;
    let stray = 0;
    many.forEach((key, at) => {
      if (key === keys[0]) own++;
      else if (key !== few[at]) stray++;
    });
    assert.ok(stray / KEYS.length <= strayLimit, `${stray} of ${KEYS.length}`);
    assert.ok(Math.abs(own / KEYS.length - 1 / 20) < 0.015, `${own} of ${KEYS.length} to the new one`);
    if (name === "ip_hash") assert.ok(stray / KEYS.length > 0.8, "which is why it is not the default");
  });

  test(`${name} with a balance factor keeps everybody below it, and most clients in their place`, () => {
    const members = membersOf(WEIGHTS);
    const bounded = create(name, members, 1, 125);
    const free = create(name, membersOf(WEIGHTS));
    // A few clients make most of the connections.
    const rng = createSeededRng(11);
    const connections = 5_000;
    let kept = 0;
    for (let made = 0; made < connections; made++) {
      const key = KEYS[Math.floor(rng() ** 3 * 500)]!;
      const index = bounded.pick(key, 0, []);
      const limit = Math.ceil(((made + 1) * WEIGHTS[index]! * 1.25) / WEIGHT_SUM);
      take(bounded, members, index);
      assert.ok(members.loads[index]! <= limit, `${members.loads[index]} at ${index}, not ${limit}`);
      if (index === free.pick(key, 0, [])) kept++;
    }
    assert.ok(kept / connections > 0.5, `${kept}`);
  });
}

test("without a balance factor, loads do not move anybody", () => {
  for (const name of HASH_NAMES) {
    const members = membersOf(WEIGHTS);
    const algorithm = create(name, members);
    const before = choices(algorithm, members);
    take(algorithm, members, 3, 1_000);
    assert.deepEqual(choices(algorithm, members), before);
  }
});
