import assert from "node:assert/strict";
import test from "node:test";
import { buildMaglevTable, MAGLEV_SLOTS } from "#balance/maglev.ts";
import { keyOf } from "./contract.ts";

const keysOf = (size: number): string[] => Array.from({ length: size }, (_, index) => keyOf(index));
const slotsOf = (table: ArrayLike<number>, size: number): number[] => {
  const slots = new Array<number>(size).fill(0);
  for (let at = 0; at < table.length; at++) slots[table[at]!]!++;
  return slots;
};

for (const size of [1, 2, 3, 10, 100, 1_000]) {
  test(`buildMaglevTable() gives ${size} equal members as many slots, but one`, () => {
    const slots = slotsOf(buildMaglevTable(keysOf(size), new Array(size).fill(1)), size);
    assert.equal(
      slots.reduce((sum, count) => sum + count, 0),
      MAGLEV_SLOTS,
    );
    assert.ok(Math.max(...slots) - Math.min(...slots) <= 1, `${Math.min(...slots)} to ${Math.max(...slots)}`);
  });
}

for (const weights of [
  [5, 1, 1],
  [1, 0, 2],
  [1_000, 1, 1],
  [0.5, 1.5, 2],
]) {
  test(`buildMaglevTable() gives weights ${weights} slots in proportion`, () => {
    const slots = slotsOf(buildMaglevTable(keysOf(3), weights), 3);
    const sum = weights.reduce((total, weight) => total + weight, 0);
    weights.forEach((weight, index) => {
      assert.ok(Math.abs(slots[index]! - (weight / sum) * MAGLEV_SLOTS) <= 2, `${slots}`);
    });
  });
}

for (const size of [5, 20, 100]) {
  test(`buildMaglevTable() moves at most 2 % of the slots of others when one of ${size} leaves`, () => {
    const keys = keysOf(size);
    const before = buildMaglevTable(keys, new Array(size).fill(1));
    const rest = keys.filter((_, index) => index !== 2);
    const after = buildMaglevTable(rest, new Array(size - 1).fill(1));
    let moved = 0;
    before.forEach((index, slot) => {
      if (index !== 2 && keys[index] !== rest[after[slot]!]) moved++;
    });
    assert.ok(moved / MAGLEV_SLOTS <= 0.02, `${moved} of ${MAGLEV_SLOTS}`);
  });
}

test("buildMaglevTable() is the same for members in whatever order", () => {
  const keys = keysOf(50);
  const weights = keys.map((_, index) => 1 + (index % 4));
  const mixed = keys.map((_, at) => (at * 17) % 50);
  const one = buildMaglevTable(keys, weights);
  const other = buildMaglevTable(
    mixed.map((index) => keys[index]!),
    mixed.map((index) => weights[index]!),
  );
  assert.deepEqual(
    Array.from(one, (index) => keys[index]),
    Array.from(other, (index) => keys[mixed[index]!]),
  );
});

test("buildMaglevTable() keeps its format: another table would send clients of other nodes elsewhere", () => {
  // Slots 0 to 30 of a table of 31, from this code; changed seeds or hashes show here.
  assert.equal(
    buildMaglevTable(["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"], [1, 1, 2], 31).join(""),
    "2101201101022222122201220221002",
  );
});

test("buildMaglevTable() is empty if nobody has a weight", () => {
  assert.equal(buildMaglevTable(keysOf(2), [0, 0]).length, 0);
  assert.equal(buildMaglevTable([], []).length, 0);
});
