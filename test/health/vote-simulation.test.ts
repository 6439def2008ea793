/** What the votes are for, by simulation; `npm run bench -- votes` has the long forms. */
import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { VERDICT } from "#state/health-table.ts";
import { snapshotOf } from "./bed.ts";
import { quantile, simulateDetection } from "./simulate-detection.ts";
import { simulateLoss } from "./simulate-loss.ts";
import { simulateSick } from "./simulate-sick.ts";
import { createVantages } from "./vantages.ts";

test("one sick vantage never causes a failover, in over a million intervals of targets", () => {
  const { failovers, quarantines, votesDown } = simulateSick({
    intervals: 200_000,
    targets: 6,
    rng: createSeededRng(11),
  });
  assert.equal(failovers, 0);
  assert.ok(quarantines > 100 && votesDown > 20_000, `${quarantines} ${votesDown}`); // it was sick indeed
});

test("one sick vantage never causes a failover on any node, with engines as they are", () => {
  const regions = Object.fromEntries(Array.from({ length: 6 }, (_, at) => [`r${at}`, [`192.0.2.${at + 1}`]]));
  const net = createVantages(["ns1", "ns2", "ns3"], {
    ...snapshotOf(regions),
    references: [{ address: "198.51.100.1", check: "web" }],
  });
  const rng = createSeededRng(12);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(rng() * all.length)]!;
  const addresses = [...Object.values(regions).flat(), "198.51.100.1"];
  net.clock.advance(30_000);
  for (const bed of net.all)
    bed.health.onChange(() => {
      for (let row = 0; row < 12; row++) assert.notEqual(bed.row(row).verdict, VERDICT.down);
    });
  for (let minute = 0; minute < 60; minute++) {
    const share = rng();
    for (const address of addresses)
      net.answer(address, rng() < share ? pick(["refused", "silent", "status", "self"] as const) : "pass", "ns1");
    // Cut off, ns1 would decide alone in the end, as it should: that is not this test's matter.
    if (rng() < 0.1) net.cut.add("ns2");
    net.clock.advance(20_000 + rng() * 60_000);
    net.cut.clear();
  }
  assert.ok(net.all[1]!.events.some(({ kind }) => kind === "health.quarantine"));
});

test("at 1 % random loss, three vantages fail over at most once per target and year; one alone does so hundreds of times", () => {
  const three = simulateLoss({ vantages: 3, quorum: 2, loss: 0.01, years: 1, rng: createSeededRng(13) });
  assert.ok(three.ofVantages > 300, `${three.ofVantages}`);
  assert.ok(three.failovers <= 1, `${three.failovers}`);
  const alone = simulateLoss({ vantages: 1, quorum: 1, loss: 0.01, years: 1, rng: createSeededRng(13) });
  assert.ok(alone.failovers > 100, `${alone.failovers}`);
});

for (const { answer, limitMs } of [
  { answer: "refused", limitMs: 7_000 },
  { answer: "silent", limitMs: 11_000 },
] as const) {
  test(`three vantages publish a region that is ${answer} within ${limitMs} ms (p99 over all phases)`, () => {
    const tookMs = simulateDetection(3, answer, 100, 14);
    assert.ok(quantile(tookMs, 0.99) <= limitMs, `${tookMs.slice(-5)}`);
  });
}
