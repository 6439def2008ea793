import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import {
  createLatencyBlock,
  LATENCY_BUCKETS,
  latencyBoundMicros,
  latencyBucket,
  latencyQuantile,
  latencyRow,
  noteLatency,
} from "#state/latency.ts";

test("latencyBucket() finds the first bound that is not below", () => {
  const rng = createSeededRng(7);
  for (let round = 0; round < 20_000; round++) {
    const micros = 2 ** (rng() * 30);
    const bucket = latencyBucket(micros);
    assert.ok(micros <= latencyBoundMicros(bucket) * (1 + 1e-12), `${micros} is above its bucket`);
    if (bucket > 0) assert.ok(micros > latencyBoundMicros(bucket - 1) * (1 - 1e-12), `${micros} is below its bucket`);
  }
  for (const micros of [0, -1, 64]) assert.equal(latencyBucket(micros), 0);
  assert.equal(latencyBucket(Number.POSITIVE_INFINITY), LATENCY_BUCKETS - 1);
});

test("latencyQuantile() is within a fifth of the true quantile, whatever the times", () => {
  const rng = createSeededRng(11);
  for (let round = 0; round < 50; round++) {
    const block = createLatencyBlock(3);
    const scale = 100 * 10 ** (rng() * 4);
    const times = Array.from({ length: 500 }, () => scale * (0.5 + rng() ** 3 * 20)).sort((a, b) => a - b);
    for (const micros of times) noteLatency(block, 1, micros);
    const counts = latencyRow(block, 1);
    for (const share of [0.5, 0.95, 0.99]) {
      const [low, high] = [times[Math.floor(share * 500) - 2]!, times[Math.min(499, Math.ceil(share * 500) + 1)]!];
      const found = latencyQuantile(counts, share)!;
      assert.ok(found > low / 1.2 && found < high * 1.2, `${share}: ${found} is not between ${low} and ${high}`);
    }
  }
});

test("rows do not touch each other, and an empty one has no quantile", () => {
  const block = createLatencyBlock(2);
  noteLatency(block, 0, 1e12);
  assert.equal(latencyQuantile(latencyRow(block, 1), 0.5), undefined);
  assert.equal(latencyQuantile(latencyRow(block, 0), 0.5), 64 * 2 ** 20);
  assert.equal(latencyRow(block, 0)[LATENCY_BUCKETS], 1e12);
});
