/** The door of the spread plan: what is published is what is read. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import {
  copySpread,
  createSpreadDoor,
  NO_LOSS,
  publishSpread,
  type SpreadRow,
  spreadGeneration,
} from "#state/spread.ts";

const row = (more: Partial<SpreadRow>): SpreadRow => ({
  service: 0,
  class: 0,
  lost: NO_LOSS,
  natural: 0,
  shares: { regions: [0, 1], ends: [2_000, 4_096] },
  ...more,
});

test("copySpread() of a door that nobody published to has no plan", () => {
  const copy = copySpread(createSpreadDoor());
  assert.deepEqual([copy.generation, copy.version(0), copy.isCounted(0)], [0, 0, false]);
  assert.equal(copy.moves(0, 0, NO_LOSS).size, 0);
});

test("publishSpread() and copySpread() agree on every row, however they stand (property)", () => {
  const key = fc.tuple(fc.nat(5), fc.nat(700), fc.integer({ min: -1, max: 5 }), fc.nat(5));
  fc.assert(
    fc.property(fc.uniqueArray(key, { selector: (each) => each.join(), maxLength: 60 }), (keys) => {
      const door = createSpreadDoor();
      const rows = keys.map(([service, number, lost, natural], index) =>
        row({
          service,
          class: number,
          lost,
          natural,
          shares: { regions: [natural, 6 + index], ends: [index + 1, 4_096] },
        }),
      );
      const versions = [1, 2, 3, 4, 5, 6];
      assert.equal(publishSpread(door, { numbering: -77, versions, isCounted: [true, false], rows }), 0);
      const copy = copySpread(door);
      assert.equal(copy.numbering, -77);
      assert.deepEqual([copy.isCounted(0), copy.isCounted(1), copy.version(5), copy.version(6)], [true, false, 6, 0]);
      for (const { service, class: number, lost, natural, shares } of rows)
        assert.deepEqual(copy.moves(service, number, lost).get(natural), shares);
      const found = new Set(keys.map(([service, number, lost]) => `${service} ${number} ${lost}`));
      const sizes = [...found].map((text) => {
        const [service, number, lost] = text.split(" ").map(Number) as [number, number, number];
        return copy.moves(service, number, lost).size;
      });
      assert.equal(
        sizes.reduce((a, b) => a + b, 0),
        rows.length,
      );
    }),
    { numRuns: 100, seed: 4 },
  );
});

test("a copy stays what it was when the next plans are published", () => {
  const door = createSpreadDoor();
  const publish = (end: number): void => {
    const rows = [row({ shares: { regions: [0, 1], ends: [end, 4_096] } })];
    publishSpread(door, { numbering: 1, versions: [end], isCounted: [true, true], rows });
  };
  publish(1_000);
  const copy = copySpread(door);
  publish(2_000);
  publish(3_000);
  assert.deepEqual(copy.moves(0, 0, NO_LOSS).get(0)?.ends, [1_000, 4_096]);
  assert.deepEqual(copySpread(door).moves(0, 0, NO_LOSS).get(0)?.ends, [3_000, 4_096]);
  assert.equal(spreadGeneration(door), 3);
});

test("publishSpread() leaves out the last rows when there is no room, and says how many", () => {
  const door = createSpreadDoor();
  const rows = Array.from({ length: 40_000 }, (_, number) => row({ class: number }));
  const left = publishSpread(door, { numbering: 1, versions: [1], isCounted: [true], rows });
  assert.ok(left > 0 && left < rows.length);
  const copy = copySpread(door);
  assert.equal(copy.moves(0, rows.length - left - 1, NO_LOSS).size, 1);
  assert.equal(copy.moves(0, rows.length - left, NO_LOSS).size, 0);
});
