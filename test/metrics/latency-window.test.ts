import assert from "node:assert/strict";
import test from "node:test";
import { createLatencyWindow } from "#metrics/latency-window.ts";
import { createLatencyBlock, LATENCY_BUCKETS, noteLatency } from "#state/latency.ts";

const near = (actual: number | undefined, expected: number): void =>
  assert.ok(actual !== undefined && Math.abs(actual / expected - 1) < 0.2, `${actual} is not near ${expected}`);

test("quantiles are over all workers, and of the last minute alone", () => {
  const blocks = [createLatencyBlock(4), createLatencyBlock(4)];
  const window = createLatencyWindow(() => blocks);
  for (let count = 0; count < 100; count++) noteLatency(blocks[count % 2]!, 2, count < 98 ? 1_000 : 50_000);
  const first = window.of(2)!;
  near(first.p50, 1_000);
  near(first.p99, 50_000);
  assert.equal(first.totals[LATENCY_BUCKETS], 98 * 1_000 + 2 * 50_000);
  for (let tick = 0; tick < 12; tick++) window.tick([2]);
  noteLatency(blocks[0]!, 2, 200);
  near(window.of(2)!.p99, 200);
  assert.equal(window.of(2)!.totals[LATENCY_BUCKETS], 98 * 1_000 + 2 * 50_000 + 200, "totals never go back");
});

test("within the first minute what came at its start counts", () => {
  const blocks = [createLatencyBlock(1)];
  const window = createLatencyWindow(() => blocks);
  noteLatency(blocks[0]!, 0, 1_000);
  for (let tick = 0; tick < 3; tick++) window.tick([0]);
  near(window.of(0)!.p50, 1_000);
});

test("a backend without requests has no latency, and one that is gone is forgotten", () => {
  const blocks = [createLatencyBlock(2)];
  const window = createLatencyWindow(() => blocks);
  assert.equal(window.of(0), undefined);
  noteLatency(blocks[0]!, 0, 1_000);
  for (let tick = 0; tick < 13; tick++) window.tick([0]);
  assert.equal(window.of(0)!.p50, undefined, "none in the last minute");
  window.tick([]);
  near(window.of(0)!.p50, 1_000);
});
