/** What measurements of different worth do to the filter `latency`. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { HEARSAY } from "#state/client-map.ts";
import { VERDICT } from "#state/health-table.ts";
import { runChain } from "#steer/chain.ts";
import { bound, HEALTHY, type Health, LATENCY, rollsOf, service, world } from "./world.ts";

/** Priors of 8, 20 and 140 ms. */
const KM = { "us-east": 200, "eu-west": 1_000, "ap-south": 9_000 };
const said = (ms: number): number => (HEARSAY + ms * 1_000) / 1_000;
const ids = Object.keys(KM);

function order(measuredMs: Readonly<Record<string, number>>, health: Health = {}, km: Record<string, number> = KM) {
  const of = bound(service([HEALTHY, LATENCY]));
  return runChain(of, world(of, { facts: { km }, measuredMs, health }), rollsOf()).kept.map(({ region: { id } }) => id);
}

for (const { says, measuredMs, health, expected } of [
  {
    says: "a slow access network alone moves nobody: all regions have it in common",
    measuredMs: { "us-east": 70 },
    expected: ["us-east", "eu-west", "ap-south"],
  },
  {
    says: "a region that is slower than its twin by more than the distance says loses",
    measuredMs: { "us-east": 90, "eu-west": 62 },
    expected: ["eu-west", "us-east", "ap-south"],
  },
  {
    says: "beacons choose among neighbours",
    measuredMs: { "us-east": said(80), "eu-west": said(30), "ap-south": said(160) },
    expected: ["eu-west", "us-east", "ap-south"],
  },
  {
    says: "beacons do not choose among continents",
    measuredMs: { "us-east": said(5_000), "eu-west": said(5_000), "ap-south": said(1) },
    expected: ["us-east", "eu-west", "ap-south"],
  },
  {
    says: "beacons make no region up",
    measuredMs: { "us-east": said(1), "eu-west": said(500), "ap-south": said(500) },
    health: { "us-east": { verdict: VERDICT.down } },
    expected: ["eu-west", "ap-south"],
  },
  {
    says: "beacons do not beat what was measured",
    measuredMs: { "us-east": 20, "eu-west": 90, "ap-south": said(1) },
    expected: ["us-east", "eu-west", "ap-south"],
  },
] satisfies { says: string; measuredMs: Record<string, number>; health?: Health; expected: string[] }[])
  test(`latency: ${says}`, () => assert.deepEqual(order(measuredMs, health), expected));

test("latency: explain says where each time comes from", () => {
  const of = bound(service([HEALTHY, LATENCY]));
  const there = world(of, { facts: { km: KM }, measuredMs: { "us-east": 20, "eu-west": said(30) } });
  const trace: string[] = [];
  runChain(of, there, rollsOf(), ({ notes }) => {
    for (const { candidate, reason } of notes) trace.push(`${candidate.region.id}: ${reason}`);
  });
  const says = (id: string) => trace.find((line) => line.startsWith(`${id}: `) && line.includes(" ms ")) ?? "";
  assert.match(says("us-east"), /; measured\)$/);
  assert.match(says("eu-west"), /; by distance and what pages say\)$/);
  assert.match(says("ap-south"), /; by distance\)$/);
});

test("latency: beacons say nothing to clients of whom no place is known", () => {
  const nowhere = { "us-east": -1, "eu-west": -1, "ap-south": -1 };
  assert.deepEqual(order({ "ap-south": said(1) }, {}, nowhere), ids);
});

test("latency: whatever beacons say, a region that is nearer by more than twice the cap stays in front", () => {
  const value = fc.integer({ min: 1, max: 60_000 });
  fc.assert(
    fc.property(value, value, value, (a, b, c) => {
      const kept = order({ "us-east": said(a), "eu-west": said(b), "ap-south": said(c) });
      assert.equal(kept.at(-1), "ap-south");
    }),
  );
});
