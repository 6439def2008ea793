import assert from "node:assert/strict";
import test from "node:test";
import { isPanic } from "#pool/panic.ts";

for (const [name, active, total, percent, expected] of [
  ["is off for a tier without backends", 0, 0, 50, false],
  ["is on where none is active, whatever the threshold", 0, 3, 0, true],
  ["is off with one of many active and a threshold of 0", 1, 100, 0, false],
  ["is off exactly at the threshold", 1, 2, 50, false],
  ["is on below the threshold", 1, 3, 50, true],
  ["is off while all are active, at 100 %", 3, 3, 100, false],
  ["is on from the first that is missing, at 100 %", 2, 3, 100, true],
] as const) {
  test(`isPanic() ${name}`, () => assert.equal(isPanic(active, total, percent), expected));
}
