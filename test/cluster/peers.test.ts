/** Clocks of two nodes that hear each other late: what can be known of them, and what cannot. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createPeerTable, type PeerTable } from "#cluster/peers.ts";
import type { Heartbeat, PeerState } from "#state/shared.ts";

const BEATS = 8;
const heartbeat = (clockMs: number, clocks?: Heartbeat["clocks"]): Heartbeat => ({
  version: "1.0.0",
  startedAtMs: 0,
  clockMs,
  roles: [],
  serves: null,
  desired: null,
  region: null,
  url: null,
  ...(clocks ? { clocks } : {}),
});

type Delays = () => number;
const inTurn = (delays: readonly number[]): Delays => {
  const each = delays.values();
  return () => each.next().value!;
};
/** @param aheadMs the clock of `b`, of that of `a`. @returns what `a` knows of `b` after some beats of both */
function meet(aheadMs: number, toA: Delays, toB: Delays, says = true): PeerState {
  let trueMs = 1_000_000;
  const a = createPeerTable(
    "a",
    () => trueMs,
    () => trueMs,
  );
  const b = createPeerTable(
    "b",
    () => trueMs,
    () => trueMs + aheadMs,
  );
  let sequence = 0;
  const beat = (to: PeerTable, from: string, clockMs: number, delayMs: number, clocks?: Heartbeat["clocks"]): void => {
    const sentMs = trueMs;
    trueMs += delayMs;
    to.heard({ epoch: 1, sequence: ++sequence, node: from }, heartbeat(clockMs, clocks), 0);
    trueMs = sentMs;
  };
  for (let turn = 0; turn < BEATS; turn++) {
    trueMs += 1_000;
    beat(b, "a", trueMs, toB());
    beat(a, "b", trueMs + aheadMs, toA(), says ? b.clocks(["a"]) : undefined);
  }
  return a.list(["b"])[0]!;
}

for (const { name, aheadMs, toA, toB, says, offsetMs, astrayMs } of [
  { name: "a delay is no skew", aheadMs: 0, toA: 110, toB: 110, says: true, offsetMs: 0, astrayMs: 0 },
  {
    name: "a delay of one way alone is none either",
    aheadMs: 0,
    toA: 300,
    toB: 0,
    says: true,
    offsetMs: -150,
    astrayMs: 0,
  },
  {
    name: "what is ahead by more than the way",
    aheadMs: 500,
    toA: 100,
    toB: 100,
    says: true,
    offsetMs: 500,
    astrayMs: 400,
  },
  {
    name: "what is behind by more than the way",
    aheadMs: -500,
    toA: 100,
    toB: 100,
    says: true,
    offsetMs: -500,
    astrayMs: -400,
  },
  {
    name: "who does not say what it sees, ahead",
    aheadMs: 500,
    toA: 100,
    toB: 100,
    says: false,
    offsetMs: 400,
    astrayMs: 400,
  },
  {
    name: "who does not say what it sees, behind",
    aheadMs: -500,
    toA: 100,
    toB: 100,
    says: false,
    offsetMs: -600,
    astrayMs: 0,
  },
]) {
  test(`list() tells clocks apart from delays: ${name}`, () => {
    const { clockOffsetMs, clockAstrayMs } = meet(
      aheadMs,
      () => toA,
      () => toB,
      says,
    );
    assert.deepEqual([clockOffsetMs, clockAstrayMs], [offsetMs, astrayMs]);
  });
}

test("list() says nothing of a clock that is not so, whatever the delays", () => {
  const delays = fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: BEATS, maxLength: BEATS });
  fc.assert(
    fc.property(fc.integer({ min: -10_000, max: 10_000 }), delays, delays, (aheadMs, toA, toB) => {
      const { clockOffsetMs, clockAstrayMs } = meet(aheadMs, inTurn(toA), inTurn(toB));
      assert.ok(Math.abs(clockAstrayMs) <= Math.abs(aheadMs), `${clockAstrayMs} of ${aheadMs}`);
      assert.ok(clockAstrayMs === 0 || Math.sign(clockAstrayMs) === Math.sign(aheadMs));
      assert.ok(Math.abs(clockOffsetMs! - aheadMs) <= 2_500, "half of the longest round trip");
    }),
  );
});

test("list() takes no word of another node that is no number", () => {
  const table = createPeerTable(
    "a",
    () => 0,
    () => 0,
  );
  for (const [index, said] of [null, "5", Number.NaN, Number.POSITIVE_INFINITY, {}].entries()) {
    const beat = { ...heartbeat(-7), clocks: { a: said } } as unknown as Heartbeat;
    table.heard({ epoch: 1, sequence: index + 1, node: "b" }, beat, 0);
    assert.deepEqual([table.list(["b"])[0]!.clockOffsetMs, table.list(["b"])[0]!.clockAstrayMs], [-7, 0]);
  }
});

test("list() sees a clock that was set, either way, with the next beat of both", () => {
  for (const stepMs of [10_000, -10_000]) {
    let aheadMs = 0;
    let sequence = 0;
    const a = createPeerTable(
      "a",
      () => 0,
      () => 0,
    );
    const b = createPeerTable(
      "b",
      () => 0,
      () => aheadMs,
    );
    const turn = (): PeerState => {
      b.heard({ epoch: 1, sequence: ++sequence, node: "a" }, heartbeat(0), 0);
      a.heard({ epoch: 1, sequence, node: "b" }, heartbeat(aheadMs, b.clocks(["a"])), 0);
      return a.list(["b"])[0]!;
    };
    for (let beats = 0; beats < BEATS; beats++) turn();
    aheadMs = stepMs;
    assert.equal(turn().clockAstrayMs, stepMs);
  }
});
