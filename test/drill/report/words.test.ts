/** How a report writes its numbers. */
import assert from "node:assert/strict";
import test from "node:test";
import {
  boundText,
  countOf,
  durationText,
  leadingText,
  leadingValue,
  MEASURE_WORDS,
  type MeasureResult,
  shareText,
} from "#drill/report/words.ts";
import { MEASURES } from "#drill/scenario.ts";

for (const [ms, text] of [
  [0, "0 ms"],
  [3.14, "3.1 ms"],
  [9.96, "10 ms"],
  [212, "212 ms"],
  [999.4, "999 ms"],
  [999.6, "1.00 s"],
  [4_380, "4.38 s"],
  [9_996, "10.0 s"],
  [59_940, "59.9 s"],
  [59_960, "1 min 0 s"],
  [125_000, "2 min 5 s"],
  [-1_500, "−1.50 s"],
] as const)
  test(`durationText() writes ${ms} ms as ${text}`, () => assert.equal(durationText(ms), text));

for (const [share, text] of [
  [0, "0 %"],
  [1, "100 %"],
  [0.0021, "0.21 %"],
  [0.03, "3.0 %"],
  [0.9979, "99.79 %"],
  [0.99999, "99.9990 %"],
  [0.5, "50.0 %"],
] as const)
  test(`shareText() writes ${share} as ${text}: neither nothing nor all looks like it`, () =>
    assert.equal(shareText(share), text));

test("countOf() parts thousands", () => {
  assert.deepEqual([0, 999, 1_000, 1_234_567, 2.25].map(countOf), ["0", "999", "1 000", "1 234 567", "2.3"]);
});

test("boundText() names each limit with the unit", () => {
  assert.equal(boundText({ p99: 7_000, max: 9_000 }, "ms"), "p99 ≤ 7.00 s, ≤ 9.00 s");
  assert.equal(boundText({ min: 0.1 }, "share"), "≥ 10.0 %");
});

const result = (more: Partial<MeasureResult>): MeasureResult => ({
  measure: "detection",
  unit: "ms",
  samples: [
    { of: "a", value: 1 },
    { of: "b", value: 9 },
  ],
  p50: 1,
  p99: 8,
  most: 9,
  bound: null,
  isMet: null,
  ...more,
});
for (const { name, of, expected } of [
  { name: "p99 of times that nothing is expected of", of: result({}), expected: { name: "p99", value: 8 } },
  {
    name: "the most where the bound is of it",
    of: result({ bound: { max: 9 } }),
    expected: { name: "most", value: 9 },
  },
  {
    name: "the least where no less is allowed",
    of: result({ bound: { min: 2 } }),
    expected: { name: "least", value: 1 },
  },
  { name: "the most of counts", of: result({ unit: "count" }), expected: { name: "most", value: 9 } },
  { name: "nothing of no samples", of: result({ samples: [], p50: null, p99: null, most: null }), expected: undefined },
])
  test(`leadingValue() is ${name}`, () => assert.deepEqual(leadingValue(of), expected));

test("leadingText() says of what never happened that it took longer than was waited", () => {
  assert.equal(leadingText(result({})), "8 ms");
  const samples = [
    { of: "a", value: 1 },
    { of: "b (not in all that time)", value: 20_000 },
  ];
  assert.equal(leadingText(result({ samples, p99: 20_000, most: 20_000 })), "> 20.0 s");
  assert.equal(leadingText(result({ samples: [], p50: null, p99: null, most: null })), "–");
});

test("each measure has a name of its own and says what it is of", () => {
  assert.equal(new Set(MEASURES.map((measure) => MEASURE_WORDS[measure].name)).size, MEASURES.length);
  for (const measure of MEASURES) assert.match(MEASURE_WORDS[measure].of, /\w{4}/);
});
