/** Answering allocates nothing: what a worker leaves behind, the garbage collector must stop it to take away. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import test from "node:test";
import { promisify } from "node:util";

/** Of a million answers: the numbers that the clock makes, a hundred, and what asking for the size of the heap takes. */
const SPARE_OCTETS = 8_192;

test("respond() answers a million queries of all kinds without a collection, and leaves the heap as it was", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--expose-gc",
    join(import.meta.dirname, "allocation-load.ts"),
    String(SPARE_OCTETS),
  ]);
  const { grownOctets, collections, given } = JSON.parse(stdout) as {
    grownOctets: number;
    collections: number;
    given: Record<string, number>;
  };
  for (const counter of [
    "rcode_noerror",
    "rcode_nxdomain",
    "rcode_refused",
    "queries_ecs",
    "steered",
    "truncated",
    "dropped_rrl",
    "rrl_slipped",
  ]) {
    assert.ok(given[counter]! > 10_000, `${counter} is among what happened: ${JSON.stringify(given)}`);
  }
  assert.equal(collections, 0, `${grownOctets} octets`);
  assert.ok(grownOctets < SPARE_OCTETS, `${grownOctets} octets`);
});
