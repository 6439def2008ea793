import assert from "node:assert/strict";
import test from "node:test";
import { clientKey } from "#pool/client-key.ts";

const whole = { v4: 32, v6: 128 };
const networks = { v4: 24, v6: 64 };

for (const { name, one, other, bits, same } of [
  { name: "tells IPv4 addresses apart", one: "192.0.2.7", other: "192.0.2.8", bits: whole, same: false },
  { name: "takes an IPv4 network as one", one: "192.0.2.7", other: "192.0.2.200", bits: networks, same: true },
  { name: "tells IPv4 networks apart", one: "192.0.2.7", other: "192.0.3.7", bits: networks, same: false },
  { name: "tells high addresses apart", one: "255.0.2.7", other: "127.0.2.7", bits: whole, same: false },
  { name: "takes an IPv6 network as one", one: "2001:db8::1", other: "2001:db8::ffff:1", bits: networks, same: true },
  { name: "tells IPv6 networks apart", one: "2001:db8::1", other: "2001:db8:0:1::1", bits: networks, same: false },
  {
    name: "knows an address in all its spellings",
    one: "2001:db8::1",
    other: "2001:0DB8:0::1",
    bits: whole,
    same: true,
  },
  { name: "unmaps IPv4 in IPv6", one: "::ffff:192.0.2.7", other: "192.0.2.7", bits: whole, same: true },
  { name: "cuts what it unmapped", one: "::ffff:192.0.2.7", other: "192.0.2.9", bits: networks, same: true },
  { name: "takes all as one with no bits", one: "192.0.2.7", other: "8.8.8.8", bits: { v4: 0, v6: 0 }, same: true },
  { name: "keeps the families apart", one: "0.0.0.0", other: "::", bits: { v4: 0, v6: 0 }, same: false },
  { name: "has a key for what is no address", one: "unix", other: "unix:", bits: whole, same: false },
  { name: "does not read 4 digits as an octet", one: "1.2.3.0004", other: "1.2.3.4", bits: whole, same: false },
]) {
  test(`clientKey() ${name}`, () => {
    const [a, b] = [clientKey(one, bits), clientKey(other, bits)];
    assert.equal(a === b, same, `${a} ${b}`);
    for (const key of [a, b]) assert.ok(Number.isInteger(key) && key >= 0 && key < 2 ** 32);
  });
}

test("clientKey() never changes: nodes of different releases must agree", () => {
  assert.deepEqual(
    ["192.0.2.7", "2001:db8::1"].map((client) => clientKey(client, networks)),
    [1896062092, 2246604206],
  );
});

test("clientKey() spreads neighbouring networks evenly", () => {
  const counts = new Uint32Array(16);
  for (let third = 0; third < 64; third++)
    for (let second = 0; second < 256; second++) counts[clientKey(`10.${second}.${third}.1`, networks) & 15]! += 1;
  for (const count of counts) assert.ok(Math.abs(count - 1024) < 5 * Math.sqrt(1024), String(counts));
});
