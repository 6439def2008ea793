import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { type Cidr, cidrContains, maskIp, parseCidr, parseIp } from "#base/ip.ts";
import { createNetworkList, NO_RULE } from "#base/network-list.ts";

const padded = (bytes: Uint8Array) => {
  const address = new Uint8Array(16).fill(0xaa); // what lies behind an IPv4 address must not matter
  address.set(bytes);
  return address;
};

for (const { name, networks, address, rule } of [
  { name: "finds nothing in an empty list", networks: [], address: "192.0.2.1", rule: NO_RULE },
  { name: "takes the first match", networks: ["192.0.2.0/24", "192.0.2.1"], address: "192.0.2.1", rule: 0 },
  { name: "prefers an earlier narrow rule", networks: ["192.0.2.1", "192.0.2.0/24"], address: "192.0.2.1", rule: 0 },
  { name: "falls to the wide rule beside it", networks: ["192.0.2.1", "192.0.2.0/24"], address: "192.0.2.2", rule: 1 },
  { name: "matches all of a family with /0", networks: ["0.0.0.0/0"], address: "203.0.113.9", rule: 0 },
  { name: "keeps the families apart", networks: ["0.0.0.0/0"], address: "2001:db8::1", rule: NO_RULE },
  { name: "matches IPv6 to the last bit", networks: ["2001:db8::2/127"], address: "2001:db8::3", rule: 0 },
  { name: "misses IPv6 by one bit", networks: ["2001:db8::2/127"], address: "2001:db8::4", rule: NO_RULE },
  { name: "counts mapped networks as IPv4", networks: ["::ffff:192.0.2.0/120"], address: "192.0.2.77", rule: 0 },
]) {
  test(`createNetworkList() ${name}`, () => {
    const list = createNetworkList(networks.map((text) => parseCidr(text)!));
    const bytes = parseIp(address)!;
    assert.equal(list.find(padded(bytes), bytes.length === 16), rule);
    assert.equal(list.isEmpty, networks.length === 0);
  });
}

test("createNetworkList() agrees with a linear search", () => {
  // Few distinct octets, so that networks nest and addresses hit.
  const octets = fc.array(fc.constantFrom(0, 1, 128, 255), { minLength: 4, maxLength: 4 });
  const network = fc
    .tuple(octets, fc.integer({ min: 0, max: 32 }))
    .map(([bytes, bits]): Cidr => ({ bytes: maskIp(Uint8Array.from(bytes), bits), bits }));
  fc.assert(
    fc.property(fc.array(network, { maxLength: 12 }), octets, (networks, address) => {
      const bytes = Uint8Array.from(address);
      const expected = networks.findIndex((each) => cidrContains(each, bytes));
      assert.equal(createNetworkList(networks).find(padded(bytes), false), expected);
    }),
    { seed: 7, numRuns: 500 },
  );
});
