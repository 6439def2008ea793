/** Who serves: states of four backends, of which the last is the backup tier, against who may be picked. */
import assert from "node:assert/strict";
import test from "node:test";
import { fillEffective, type Standing } from "#pool/eligible.ts";
import { createBackendTable } from "#state/backend-table.ts";
import type { PoolSpec } from "#state/balancer.ts";
import { publish, type StateName } from "./pool-fixture.ts";
import { backendAt, poolOf } from "./specs.ts";

const NAMES: Readonly<Record<string, StateName>> = {
  A: "active",
  "?": "unknown",
  d: "drain",
  m: "maint",
  x: "down",
  e: "ejected",
  ".": "none",
};

/** @param states one letter a backend; the last one is the backup */
function standing(states: string, changes: Partial<PoolSpec>): { is: Standing; serves: string } {
  const table = createBackendTable(8);
  const backends = [0, 1, 2, 3].map((row) => backendAt(row, { priority: row === 3 ? 1 : 0 }));
  publish(table, Object.fromEntries([...states].map((letter, row) => [row, NAMES[letter]!])));
  const effective = new Float64Array(4).fill(7);
  const is = fillEffective(poolOf(backends, changes), table, effective);
  return { is, serves: Array.from(effective, (weight) => (weight > 0 ? "1" : "-")).join("") };
}

for (const [name, states, changes, is, serves] of [
  ["all active ones may be picked", "AAAA", {}, "healthy", "1111"],
  ["who is not active is left out", "A?xA", {}, "healthy", "1--1"],
  ["an ejected one is left out", "AeAx", {}, "healthy", "1-1-"],
  ["what operators say is heeded", "AdmA", {}, "healthy", "1--1"],
  ["a tier without anybody active leaves it to the next", "xxeA", {}, "healthy", "---1"],
  ["the next tier comes before what was not probed yet", "???A", {}, "healthy", "---1"],
  [
    "a tier without anybody active is not in panic while the next serves",
    "xxxA",
    { panicPercent: 50 },
    "healthy",
    "---1",
  ],
  ["below the threshold health is ignored", "Axex", { panicPercent: 50 }, "healthy", "111-"],
  ["at the threshold it is not", "AAxx", { panicPercent: 60 }, "healthy", "11--"],
  ["panic does not count those whom operators took out", "Admx", { panicPercent: 50 }, "healthy", "1---"],
  ["panic does not use those whom operators took out", "Axdx", { panicPercent: 90 }, "healthy", "11--"],
  ["panic uses what was not probed yet", "A??x", { panicPercent: 50 }, "healthy", "111-"],
  ["panic is no matter of failing open", "Axxx", { panicPercent: 50, isFailOpen: false }, "healthy", "111-"],
  ["with nothing active those not probed yet serve", "?xe?", {}, "unknown", "1--1"],
  [
    "with nothing active those not probed yet serve, not failing open",
    "?xxx",
    { isFailOpen: false },
    "unknown",
    "1---",
  ],
  ["with nothing else it fails open", "xxex", {}, "fail-open", "1111"],
  ["failing open leaves out whom operators took out", "xdmx", {}, "fail-open", "1--1"],
  ["where it shall not fail open nobody serves", "xxex", { isFailOpen: false }, "none", "----"],
  ["nobody serves where operators took out all", "dmdm", {}, "none", "----"],
  ["rows that are no backends do not serve", "....", {}, "none", "----"],
] as const satisfies readonly (readonly [string, string, Partial<PoolSpec>, Standing, string])[]) {
  test(`fillEffective() ${states} ${JSON.stringify(changes)}: ${name}`, () =>
    assert.deepEqual(standing(states, changes), { is, serves }));
}

test("fillEffective() takes weights from the table for active backends, from the configuration for others", () => {
  const table = createBackendTable(8);
  const backends = [backendAt(0, { weight: 4 }), backendAt(1, { weight: 6 }), backendAt(2, { weight: 5 })];
  publish(table, { 0: ["active", 0.4], 1: ["down", 0], 2: ["active", 0] });
  const effective = new Float64Array(3);
  fillEffective(poolOf(backends, { panicPercent: 100 }), table, effective);
  assert.deepEqual([...effective], [0.4, 6, 0]);
});

test("fillEffective() takes what is disabled by configuration as in maintenance, whatever the table says", () => {
  const table = createBackendTable(8);
  publish(table, { 0: "active", 1: "down" });
  const effective = new Float64Array(2);
  assert.equal(
    fillEffective(poolOf([backendAt(0, { isEnabled: false }), backendAt(1)]), table, effective),
    "fail-open",
  );
  assert.deepEqual([...effective], [0, 1]);
});
