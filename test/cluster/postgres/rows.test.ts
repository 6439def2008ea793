/** Rows as anybody may have written them. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { parseIp } from "#base/ip.ts";
import { type RawRow, readRows } from "#cluster/postgres/rows.ts";

const row = (over: Partial<RawRow> = {}): RawRow => ({
  server_id: "id-1",
  pool_name: "web",
  ip_address: "10.0.0.1",
  port: 80,
  weight: 1,
  is_backup: false,
  health_status: "HEALTHY",
  ...over,
});

for (const { says, over, problem } of [
  { says: "an address with a prefix", over: { ip_address: "10.0.0.1/32" }, problem: /no IP address/ },
  { says: "an address with leading zeros", over: { ip_address: "10.0.0.01" }, problem: /no IP address/ },
  { says: "nothing", over: { ip_address: null }, problem: /ip_address null/ },
  { says: "port 0", over: { port: 0 }, problem: /port 0 is no port/ },
  { says: "a port as text", over: { port: "80" }, problem: /port "80"/ },
  { says: "a weight that is too large", over: { weight: 1_001 }, problem: /weight 1001 is out of range/ },
  { says: "half a weight", over: { weight: 0.5 }, problem: /weight 0.5/ },
  { says: "a backup of unknown kind", over: { is_backup: "yes" }, problem: /is_backup is "yes"/ },
  { says: "a status in lower case", over: { health_status: "draining" }, problem: /"draining" is unknown/ },
  { says: "a very long value", over: { ip_address: "x".repeat(500) }, problem: /^.{0,120}$/ },
])
  test(`readRows() refuses ${says}, and keeps the others`, () => {
    const { good, problems } = readRows([row({ ...over, server_id: "bad" }), row({ ip_address: "10.0.0.2" })]);
    assert.deepEqual(
      good.map(({ address }) => address),
      ["10.0.0.2"],
    );
    assert.deepEqual(
      problems.map(({ id }) => id),
      ["bad"],
    );
    assert.match(problems[0]!.says, problem);
    assert.notEqual(problems[0]!.fix, "");
  });

test("readRows() writes addresses in one way, and takes one row of an address", () => {
  const { good, problems } = readRows([
    row({ ip_address: "2001:DB8:0::1", is_backup: true, health_status: "DRAINING", weight: 0 }),
    row({ ip_address: "2001:db8::1", server_id: "id-2" }),
    row({ ip_address: "2001:db8::1", pool_name: "other" }),
    row({ health_status: "UNHEALTHY" }),
  ]);
  assert.deepEqual(
    good.map(({ pool, address, weight, isBackup, isDraining }) => [pool, address, weight, isBackup, isDraining]),
    [
      ["web", "2001:db8::1", 0, true, true],
      ["other", "2001:db8::1", 1, false, false],
      ["web", "10.0.0.1", 1, false, false],
    ],
  );
  assert.deepEqual(problems, [
    {
      id: "id-2",
      pool: "web",
      says: "2001:db8::1 port 80 stands in this pool a second time",
      fix: "Delete it, or the row id-1",
    },
  ]);
});

test("readRows() takes whatever a table holds, and what it calls good is good", () => {
  const value = fc.oneof(fc.constantFrom("10.0.0.1", 80, true, "HEALTHY", null), fc.jsonValue());
  const raw = fc.record({
    server_id: value,
    pool_name: value,
    ip_address: value,
    port: value,
    weight: value,
    is_backup: value,
    health_status: value,
  });
  fc.assert(
    fc.property(fc.array(raw, { maxLength: 8 }), (rows) => {
      const { good, problems } = readRows(rows);
      assert.equal(good.length + problems.length, rows.length);
      for (const { address, port, weight } of good)
        assert.ok(parseIp(address) !== undefined && port >= 1 && port <= 65_535 && weight >= 0 && weight <= 1_000);
    }),
  );
});
