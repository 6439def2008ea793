import assert from "node:assert/strict";
import test from "node:test";
import { DECAY_MS } from "#balance/latency.ts";
import type { AlgorithmKey } from "#balance/table.ts";
import { createSeededRng } from "#base/rng.ts";
import { countPicks, create, equalMembers, membersOf, take } from "./contract.ts";

for (const { name, loads, weights, expected } of [
  { name: "least_connections", loads: [3, 1, 2], weights: [9, 1, 9], expected: 1 },
  { name: "weighted_least_connections", loads: [10, 4], weights: [5, 2], expected: 0 }, // 2 each: the turn decides
  { name: "weighted_least_connections", loads: [10, 3], weights: [5, 2], expected: 1 },
  { name: "weighted_least_connections", loads: [10, 5], weights: [5, 2], expected: 0 },
  { name: "p2c", loads: [10, 3], weights: [5, 2], expected: 1 },
  { name: "p2c", loads: [10, 5], weights: [5, 2], expected: 0 },
] as const) {
  test(`${name} with ${loads} connections and weights ${weights} picks member ${expected}`, () => {
    const members = membersOf(weights);
    loads.forEach((load, index) => {
      members.loads[index] = load;
    });
    const algorithm = create(name, members);
    for (let pick = 0; pick < (name === "p2c" ? 20 : 1); pick++) assert.equal(algorithm.pick(0, 0, []), expected);
  });
}

test("least_connections counts a member in slow start as more loaded than it is", () => {
  const members = equalMembers(2);
  const algorithm = create("least_connections", members);
  members.effective[0] = 0.1;
  algorithm.refresh();
  take(algorithm, members, 0);
  take(algorithm, members, 1, 9);
  assert.equal(algorithm.pick(0, 0, []), 1);
  take(algorithm, members, 1, 2);
  assert.equal(algorithm.pick(0, 0, []), 0);
});

test("weighted_least_connections spreads ties by weight, smoothly", () => {
  const weights = [5, 1, 1];
  const algorithm = create("weighted_least_connections", membersOf(weights));
  for (let round = 0; round < 5; round++) {
    const picks = Array.from({ length: 7 }, () => algorithm.pick(0, 0, []));
    assert.deepEqual(
      weights.map((_, index) => picks.filter((pick) => pick === index).length),
      weights,
    );
    assert.ok(!picks.join("").includes("000000"), picks.join(""));
  }
});

test("least_connections does not flood a member whose connections have all ended at once", () => {
  const members = equalMembers(3);
  const algorithm = create("least_connections", members);
  take(algorithm, members, 0, 100);
  countPicks(algorithm, 3, 1_000);
  take(algorithm, members, 0, -100);
  const counts = countPicks(algorithm, 3, 30);
  assert.ok(counts[0]! <= 12, `${counts}`);
});

/** Workers that share counts, and hear nothing of what the others do. */
for (const { size, limit } of [
  { size: 10, limit: 2 },
  { size: 100, limit: 3 },
  { size: 1_000, limit: 3 },
]) {
  test(`two workers with least_connections over ${size} members stay within ${limit} of the fewest`, () => {
    const members = equalMembers(size);
    const workers = [create("least_connections", members, 1), create("least_connections", members, 2)];
    const rng = createSeededRng(5);
    const held: { worker: number; index: number }[] = [];
    let sum = 0;
    const picks = 20_000;
    for (let pick = -10_000; pick < picks; pick++) {
      const worker = rng() < 0.5 ? 0 : 1;
      const index = workers[worker]!.pick(0, 0, []);
      const excess = members.loads[index]! - Math.min(...members.loads);
      if (pick >= 0) {
        assert.ok(excess <= limit, `pick ${pick}: ${excess} more than the fewest`);
        sum += excess;
      }
      take(workers[worker]!, members, index);
      held.push({ worker, index });
      if (held.length <= 5 * size) continue;
      const [ended] = held.splice(Math.floor(rng() * held.length), 1);
      take(workers[ended!.worker]!, members, ended!.index, -1);
    }
    assert.ok(sum / picks < 1, `${sum / picks} on average`);
  });
}

// ── response time ────────────────────────────────────────────────────────────────────────────────────────────────

const LATENCY_NAMES = ["least_response_time", "peak_ewma"] as const satisfies AlgorithmKey[];

/** One client after the other; member i answers after `micros[i]`, and a pick is made each `stepMs`. */
function serve(name: AlgorithmKey, micros: number[], forMs: number, stepMs = 5) {
  const members = equalMembers(micros.length);
  const algorithm = create(name, members);
  const counts = micros.map(() => 0);
  let nowMs = 1_000;
  const run = (untilMs: number): number[] => {
    const before = [...counts];
    for (; nowMs < untilMs; nowMs += stepMs) {
      const index = algorithm.pick(0, nowMs, []);
      counts[index]!++;
      algorithm.observe!(index, micros[index]!, nowMs);
    }
    return counts.map((count, index) => count - before[index]!);
  };
  return { first: run(1_000 + forMs), run, micros, algorithm, members };
}

for (const name of LATENCY_NAMES) {
  test(`${name} prefers who answers faster`, () => {
    const { first } = serve(name, [50_000, 1_000, 40_000], 5_000);
    assert.ok(first[1]! > 600, `${first} of 1,000`);
  });

  test(`${name} tries a member again that was slow once, and stays when it is fast now`, () => {
    const world = serve(name, [1_000_000, 2_000, 2_000, 2_000], 5_000);
    assert.ok(world.first[0]! <= 2, `slow: ${world.first}`);
    world.micros[0] = 500;
    world.run(6_000 + 12 * DECAY_MS);
    const later = world.run(6_000 + 14 * DECAY_MS);
    assert.ok(later[0]! > 0.2 * later.reduce((sum, count) => sum + count, 0), `fast again: ${later}`);
  });

  test(`${name} asks a slow member seldom`, () => {
    const world = serve(name, [1_000_000, 2_000, 2_000, 2_000], 1_000);
    const later = world.run(601_000);
    // Once per time that an average of 1 s takes to fade to 2 ms: 62 s.
    assert.ok(later[0]! >= 5 && later[0]! <= 15, `${later[0]} of ${later}`);
  });

  test(`${name} sends one client, not all, to a member that nobody knows`, () => {
    const members = equalMembers(4);
    const algorithm = create(name, members);
    for (let index = 0; index < 3; index++) algorithm.observe!(index, 100_000, 0);
    const counts = [0, 0, 0, 0];
    for (let pick = 0; pick < 200; pick++) {
      const index = algorithm.pick(0, 10, []);
      counts[index]!++;
      take(algorithm, members, index);
    }
    assert.equal(counts[3], 1);
    algorithm.observe!(3, 1_000, 20);
    for (let pick = 0; pick < 200; pick++) {
      const index = algorithm.pick(0, 30, []);
      counts[index]!++;
      take(algorithm, members, index);
    }
    assert.ok(counts[3]! > 50, `${counts}: it is fast`);
  });

  test(`${name} asks again when the first answer never came`, () => {
    const members = equalMembers(2);
    const algorithm = create(name, members);
    algorithm.observe!(0, 40_000, 0);
    const at = (nowMs: number) => Array.from({ length: 20 }, () => algorithm.pick(0, nowMs, []));
    assert.equal(at(1).filter((index) => index === 1).length, 1);
    assert.equal(at(DECAY_MS / 2).filter((index) => index === 1).length, 0);
    algorithm.observe!(0, 40_000, DECAY_MS);
    assert.ok(at(DECAY_MS + 2).includes(1));
  });

  test(`${name} keeps what it knows of members that stay`, () => {
    const { algorithm } = serve(name, [50_000, 1_000], 2_000);
    algorithm.update(membersOf([1, 1, 1], ["10.0.0.1:80", "10.0.7.7:80", "10.0.0.0:80"]));
    algorithm.observe!(1, 200_000, 3_000);
    const picks = Array.from({ length: 30 }, () => algorithm.pick(0, 3_000, []));
    assert.ok(picks.filter((index) => index === 0).length >= 15, `${picks}`);
  });
}

test("least_response_time goes on after hours, with an idle time between", () => {
  const world = serve("least_response_time", [9_000, 1_000], 1_000, 100);
  world.run(4 * 3_600_000);
  const later = world.run(4 * 3_600_000 + 10_000);
  assert.ok(later[1]! > 80, `${later}`);
  assert.ok(world.algorithm.pick(0, 100 * 3_600_000, []) >= 0);
});
