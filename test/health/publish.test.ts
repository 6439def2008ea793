import assert from "node:assert/strict";
import test from "node:test";
import { createPublisher } from "#health/publish.ts";
import {
  createHealthTable,
  emptyTargetState,
  healthEpoch,
  readTarget,
  type TargetState,
  VERDICT,
} from "#state/health-table.ts";

const NOW_MS = 1_000_000;
const UP: TargetState = {
  ...emptyTargetState(),
  verdict: VERDICT.up,
  flipAtSeconds: 1_100,
  rttMicros: 50_000,
  loadPermille: 10,
};

for (const { name, change, nowMs = NOW_MS, moves } of [
  { name: "nothing", change: {}, moves: false },
  { name: "another verdict", change: { verdict: VERDICT.down }, moves: true },
  { name: "a flag", change: { isStale: true }, moves: true },
  { name: "an earlier flip", change: { flipAtSeconds: 1_090 }, moves: true },
  { name: "no flip any more", change: { flipAtSeconds: 0 }, moves: true },
  { name: "a later flip", change: { flipAtSeconds: 1_200 }, moves: false },
  { name: "a later flip as the old one passes", change: { flipAtSeconds: 1_200 }, nowMs: 1_098_000, moves: true },
  { name: "a later flip with another verdict", change: { verdict: VERDICT.down, flipAtSeconds: 1_200 }, moves: true },
  { name: "an RTT that trembles", change: { rttMicros: 54_000 }, moves: false },
  { name: "an RTT that moves", change: { rttMicros: 56_000 }, moves: true },
  { name: "an excess that trembles", change: { excessRttTenthsMs: 10 }, moves: false },
  { name: "an excess that moves", change: { excessRttTenthsMs: 11 }, moves: true },
  { name: "another load", change: { loadPermille: 20 }, moves: true },
] as { name: string; change: Partial<TargetState>; nowMs?: number; moves: boolean }[]) {
  test(`createPublisher() ${moves ? "moves" : "keeps"} the epoch for ${name}`, () => {
    const table = createHealthTable(4);
    const publisher = createPublisher(table);
    publisher.stage(2, UP, NOW_MS);
    assert.equal(readTarget(table, 2, emptyTargetState()).verdict, VERDICT.unknown, "nothing before flush()");
    assert.deepEqual(publisher.flush(NOW_MS), [2]);
    const wanted = { ...UP, ...change };
    assert.equal(publisher.stage(2, wanted, nowMs), moves);
    assert.deepEqual(publisher.flush(nowMs), moves ? [2] : []);
    assert.equal(healthEpoch(table), moves ? 2 : 1);
    assert.deepEqual(readTarget(table, 2, emptyTargetState()), moves ? wanted : UP);
  });
}

test("createPublisher() moves the epoch once for all that was staged together", () => {
  const table = createHealthTable(4);
  const publisher = createPublisher(table);
  for (const target of [0, 1, 3]) publisher.stage(target, UP, NOW_MS);
  assert.deepEqual(publisher.flush(NOW_MS), [0, 1, 3]);
  assert.equal(healthEpoch(table), 1);
  assert.throws(() => publisher.resize(5), { code: "RHUMB_HEALTH_TABLE_FULL" });
});
