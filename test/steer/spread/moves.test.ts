/** The plan as it is read when more is lost than one region: what was planned for the first loss, less the others. */
import assert from "node:assert/strict";
import test from "node:test";
import { copySpread, createSpreadDoor, NO_LOSS, publishSpread, type SpreadRow } from "#state/spread.ts";
import { movesUnder } from "#steer/spread/moves.ts";

const [A, B, C, D] = [0, 1, 2, 3];
const row = (lost: number, natural: number, shares: Readonly<Record<number, number>>): SpreadRow => {
  let end = 0;
  const entries = Object.entries(shares).map(([region, share]) => {
    end += share;
    return { region: Number(region), end };
  });
  return {
    service: 0,
    class: 7,
    lost,
    natural,
    shares: { regions: entries.map(({ region }) => region), ends: entries.map(({ end: each }) => each) },
  };
};
function planOf(...rows: readonly SpreadRow[]) {
  const door = createSpreadDoor();
  publishSpread(door, { numbering: 1, versions: [1], isCounted: [true, true, true, true], rows });
  return copySpread(door);
}

for (const { says, lost, expected } of [
  { says: "as all are up", lost: [], expected: { [A]: { regions: [A, B], ends: [3_072, 4_096] } } },
  {
    says: "for the loss of one",
    lost: [A],
    expected: { [B]: { regions: [B, C, D], ends: [1_024, 2_048, 4_096] }, [C]: { regions: [D], ends: [4_096] } },
  },
  {
    says: "and of another, whose share goes to those that are left, in proportion",
    lost: [A, C],
    expected: { [B]: { regions: [B, D], ends: [1_365, 4_096] }, [C]: { regions: [D], ends: [4_096] } },
  },
  { says: "and nobody is sent where nobody is left of them", lost: [A, B, C, D], expected: {} },
])
  test(`movesUnder() reads the plan ${says}`, () => {
    const plan = planOf(
      row(NO_LOSS, A, { [A]: 3_072, [B]: 1_024 }),
      row(A, B, { [B]: 1_024, [C]: 1_024, [D]: 2_048 }),
      row(A, C, { [D]: 4_096 }),
      row(B, A, { [C]: 4_096 }),
    );
    assert.deepEqual(Object.fromEntries(movesUnder(plan, 0, 7, lost)), expected);
  });
