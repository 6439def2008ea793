/** A zone's text to its image: what is told of STEER records when there are very many. */
import assert from "node:assert/strict";
import test from "node:test";
import { parseName } from "#dns/wire/name.ts";
import { MAX_STEERS, readZone } from "#dns/zone/read-zone.ts";

const APEX = parseName("ex.") as Uint8Array;
const HEAD = "@ 60 SOA a b 1 2 3 4 5\n@ 60 NS a\na 60 A 192.0.2.1\n";
const steersOf = (lines: readonly string[]) =>
  readZone(HEAD + lines.join("\n"), APEX, 1, { file: "z" }).steers.map(
    ({ name, service, ttlSeconds, at }) => `${at.line} ${name} ${ttlSeconds} ${service}`,
  );

test("readZone() tells of every STEER record, in the order of the file", () => {
  assert.deepEqual(steersOf(["x 30 STEER s", "y STEER t", "z 20 STEER s"]), [
    "4 x.ex. 30 s",
    "5 y.ex. 30 t",
    "6 z.ex. 20 s",
  ]);
});

test("readZone() tells of the first of very many, and of those that other TTLs are seen by", () => {
  const many = (ttl: number) => Array.from({ length: MAX_STEERS + 500 }, (_, index) => `n${index} ${ttl} STEER s`);
  const last = (lines: readonly string[]) => steersOf(lines).slice(MAX_STEERS);
  assert.deepEqual(last(many(30)), []);
  assert.deepEqual(last([...many(30), "x 40 STEER s", "y 40 STEER s"]), ["1504 x.ex. 40 s"]);
  assert.deepEqual(last([...many(30), "x 40 STEER s", "y 20 STEER s", "z 20 STEER s"]), [
    "1504 x.ex. 40 s",
    "1505 y.ex. 20 s",
  ]);
  assert.deepEqual(last([...many(30), "x STEER t"]), ["1504 x.ex. 30 t"], "each service has its own");
});
