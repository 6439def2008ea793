import assert from "node:assert/strict";
import test from "node:test";
import { negotiate } from "#l7/compress/accept-encoding.ts";
import type { Coding } from "#l7/compress/compression.ts";

const ALL: readonly Coding[] = ["zstd", "br", "gzip"];

for (const [field, expected, why] of [
  ["gzip", "gzip", "the one that it names"],
  ["gzip, deflate, br, zstd", "zstd", "ours first among equals"],
  ["gzip, deflate, br", "br", "the best of those it names"],
  ["GZIP", "gzip", "whatever the case"],
  ["x-gzip", "gzip", "by its old name"],
  ["gzip;q=1.0, br;q=0.5", "gzip", "its weights before our order"],
  ["gzip;q=0.8,br;q=0.8", "br", "our order among equal weights"],
  ["gzip ; q=0.8", "gzip", "white space around the weight"],
  ["*", "zstd", "our first for any"],
  ["zstd;q=0, *", "br", "any but one"],
  ["br;q=0, *;q=0.1", "zstd", "any, with little weight"],
  ["*;q=0", undefined, "none of all"],
  ["gzip;q=0", undefined, "not that which it refuses"],
  ["gzip;q=0.000", undefined, "not that which it refuses, written out"],
  ["identity;q=0, gzip;q=0.1", "gzip", "one where it refuses none"],
  ["identity, gzip;q=0.5", undefined, "none where it likes that better"],
  ["identity, gzip", "gzip", "a coding where it likes both"],
  ["identity;q=0", undefined, "none where it names none"],
  ["deflate, compress", undefined, "none that we do not make"],
  ["", undefined, "none where the list is empty"],
  [", ,gzip,", "gzip", "past empty members"],
  ["gzip;q=2", undefined, "nothing for a weight that is none"],
  ["gzip;q=0.1234", undefined, "nothing for a weight with too many digits"],
  ["gzip;level=9", undefined, "nothing for a parameter that is no weight"],
] as const)
  test(`negotiate() takes ${why}: ${JSON.stringify(field)}`, () => assert.equal(negotiate(field, ALL), expected));
