/** The key of hash algorithms from a request, and what stickiness knows its client by. */
import assert from "node:assert/strict";
import test from "node:test";
import { createAlgorithm } from "#balance/table.ts";
import { hashText } from "#base/hash.ts";
import { keyOf, nameOf } from "#l7/exchange/outbound.ts";
import { clientKey } from "#pool/client-key.ts";
import type { KeySource } from "#state/http.ts";
import { activeAt, createPoolWorld } from "../../pool/pool-fixture.ts";
import { backendAt, poolOf, stickyBySource } from "../../pool/specs.ts";
import { ask } from "../rules/bed.ts";

const BITS = { v4: 24, v6: 64 };
const poolOn = (...hashOn: KeySource[]) => poolOf([], { algorithm: "ring_hash", hashOn, hashBits: BITS });
const request = ask({
  source: "192.0.2.7",
  target: "/a%20b/../c?user=u%31&empty=",
  fields: { "x-user": "u2", "x-empty": "", cookie: "session=s1; none=" },
});
const byAddress = clientKey("192.0.2.7", BITS);

for (const [sources, expected] of [
  [["address"], byAddress],
  [["path"], hashText("/c")],
  [["uri"], hashText("/a%20b/../c?user=u%31&empty=")],
  [[{ header: "x-user" }], hashText("u2")],
  [[{ cookie: "session" }], hashText("s1")],
  [[{ query: "user" }], hashText("u1")],
  [
    [{ header: "x-none" }, { header: "x-empty" }, { cookie: "none" }, { query: "empty" }, { query: "user" }],
    hashText("u1"),
  ],
  [[{ header: "x-none" }, "address", "path"], byAddress],
  [[{ header: "x-none" }], byAddress],
] as const satisfies readonly (readonly [readonly KeySource[], number])[])
  test(`keyOf() of ${JSON.stringify(sources)}`, () => assert.equal(keyOf(poolOn(...sources), request), expected));

test("keyOf() is the same for clients of one network, where so many bits count", () => {
  assert.equal(keyOf(poolOn("address"), ask({ source: "192.0.2.200" })), byAddress);
  assert.notEqual(keyOf(poolOn("address"), ask({ source: "192.0.3.7" })), byAddress);
});

for (const [by, expected] of [
  ["source", "192.0.2.7"],
  ["cookie", "192.0.2.7"],
  [{ header: "x-user" }, "u2"],
  [{ header: "x-none" }, "192.0.2.7"],
  [{ header: "x-empty" }, "192.0.2.7"],
] as const)
  test(`nameOf() of a client by ${JSON.stringify(by)}`, () => {
    assert.equal(nameOf(poolOf([], { sticky: { ...stickyBySource(), by } }), request), expected);
  });

for (const algorithm of ["ring_hash", "maglev", "rendezvous", "ip_hash"] as const)
  test(`${algorithm}: requests with one key go to one backend, whoever sends them; keys are spread`, () => {
    const spec = poolOf(
      [0, 1, 2, 3].map((row) => backendAt(row)),
      { algorithm, hashOn: [{ header: "x-user" }] },
    );
    const { places, now } = createPoolWorld(spec, { createAlgorithm });
    const rowOf = (user: string, source: string): number => {
      const client = ask({ source, fields: { "x-user": user } });
      const row = places.take({ client: source, key: keyOf(spec, client), tried: [] }, now());
      places.release(row, now());
      return row;
    };
    const rows = Array.from({ length: 200 }, (_, user) => {
      const row = rowOf(`u${user}`, "192.0.2.1");
      for (let client = 2; client < 5; client++) assert.equal(rowOf(`u${user}`, `192.0.2.${client}`), row);
      return row;
    });
    assert.equal(new Set(rows).size, 4);
  });

test("bounded load: one key under way more often than its share goes to others as well, and comes back", () => {
  const spec = poolOf(
    [0, 1, 2, 3].map((row) => backendAt(row)),
    {
      algorithm: "ring_hash",
      balanceFactorPercent: 150,
      hashOn: ["path"],
    },
  );
  const { places, now, table } = createPoolWorld(spec, { createAlgorithm });
  const key = keyOf(spec, ask({ target: "/hot" }));
  const rows = Array.from({ length: 40 }, () => places.take({ client: "c", key, tried: [] }, now()));
  for (let row = 0; row < 4; row++) assert.ok(activeAt(table, row) <= Math.ceil((40 / 4) * 1.5) + 1, `${row}`);
  assert.ok(new Set(rows).size > 1);
  for (const row of rows) places.release(row, now());
  assert.equal(places.take({ client: "c", key, tried: [] }, now()), rows[0]);
});
