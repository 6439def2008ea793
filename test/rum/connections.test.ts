/** Times of connections, and what is made of those of all nodes. */
import assert from "node:assert/strict";
import test from "node:test";
import { createConnectionTimes, HALF_LIFE_MS, MAX_ROWS, MIN_SAMPLES } from "#rum/connection-times.ts";
import { mergeLatency } from "#rum/merge.ts";
import type { LatencyShare } from "#state/shared.ts";

const NOW = 1_800_000_000_000;
const netOf = (number: number): string => `10.${number >> 8}.${number & 255}.0/24`;

test("a network is told of when it has enough connections, by their median, until it has faded", () => {
  const times = createConnectionTimes();
  for (const ms of [20, 500, 22]) times.add(netOf(1), ms * 1_000, NOW);
  for (let count = 1; count < MIN_SAMPLES; count++) times.add(netOf(2), 1_000, NOW);
  assert.deepEqual(times.rows("eu-west", NOW), [
    { network: "10.0.1.0/24", region: "eu-west", by: "connections", rttMicros: 22_000, samples: 3, ageMs: 0 },
  ]);
  assert.deepEqual(times.rows("eu-west", NOW + HALF_LIFE_MS), []);
  assert.equal(times.size(), 2);
  times.rows("eu-west", NOW + 4 * HALF_LIFE_MS);
  assert.equal(times.size(), 0, "forgotten");
});

test("memory and what is shared are bounded; who was seen last stays", () => {
  const times = createConnectionTimes(5_000);
  for (let number = 0; number < 20_000; number++)
    for (let count = 0; count < 4; count++) times.add(netOf(number), 1_000, NOW);
  assert.equal(times.size(), 5_000);
  const rows = times.rows("eu-west", NOW);
  assert.equal(rows.length, MAX_ROWS);
  assert.ok(rows.every(({ network }) => Number(network.split(".")[1]) >= 15_000 >> 8));
});

const row = (over: Partial<LatencyShare["rows"][number]> = {}): LatencyShare["rows"][number] => ({
  network: "10.0.1.0/24",
  region: "eu-west",
  by: "connections",
  rttMicros: 20_300,
  samples: 4,
  ageMs: 0,
  ...over,
});
const merge = (rows: LatencyShare["rows"], atMs = NOW) =>
  mergeLatency([{ atMs, rows }], (id) => id === "eu-west", NOW).map(({ network, rttMicros, atMs: at }) => ({
    network,
    rttMicros,
    ageMs: NOW - at,
  }));

for (const { says, rows, atMs, expected } of [
  {
    says: "rounds to what decides",
    rows: [row()],
    expected: [{ network: "10.0.1.0/24", rttMicros: 20_000, ageMs: 0 }],
  },
  { says: "leaves out regions that are gone", rows: [row({ region: "mars" })], expected: [] },
  { says: "leaves out what has faded", rows: [row({ ageMs: 2 * HALF_LIFE_MS })], expected: [] },
  { says: "leaves out what was shared long ago", rows: [row()], atMs: NOW - 2 * HALF_LIFE_MS, expected: [] },
  { says: "leaves out beacons of few samples", rows: [row({ by: "beacons" })], expected: [] },
  {
    says: "leaves out nonsense",
    rows: [
      row({ rttMicros: 0 }),
      row({ samples: -1 }),
      row({ rttMicros: Number.NaN }),
      row({ by: "rumours" as never }),
    ],
    expected: [],
  },
  {
    says: "takes a clock that is ahead for now",
    rows: [row({ rttMicros: 10 })],
    atMs: NOW + 3_600_000,
    expected: [{ network: "10.0.1.0/24", rttMicros: 1_000, ageMs: 0 }],
  },
  {
    says: "puts what has more samples first",
    rows: [row(), row({ network: "10.0.2.0/24", samples: 9 })],
    expected: [
      { network: "10.0.2.0/24", rttMicros: 20_000, ageMs: 0 },
      { network: "10.0.1.0/24", rttMicros: 20_000, ageMs: 0 },
    ],
  },
])
  test(`mergeLatency() ${says}`, () => assert.deepEqual(merge(rows, atMs), expected));
