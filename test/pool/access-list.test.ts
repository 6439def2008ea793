import assert from "node:assert/strict";
import test from "node:test";
import { cidrContains, formatIp, parseCidr, parseIp } from "#base/ip.ts";
import { createSeededRng } from "#base/rng.ts";
import { createAccessList } from "#pool/access-list.ts";

const allow = (network: string) => ({ network, action: "allow" as const });
const deny = (network: string) => ({ network, action: "deny" as const });

for (const { name, rules, address, expected } of [
  { name: "allows everybody without rules", rules: [], address: "192.0.2.1", expected: true },
  { name: "allows who no rule names", rules: [deny("192.0.2.0/24")], address: "198.51.100.1", expected: true },
  { name: "denies a network", rules: [deny("192.0.2.0/24")], address: "192.0.2.255", expected: false },
  {
    name: "takes the first match",
    rules: [allow("192.0.2.7"), deny("192.0.2.0/24")],
    address: "192.0.2.7",
    expected: true,
  },
  {
    name: "takes the first match, be it the wider one",
    rules: [deny("192.0.2.0/24"), allow("192.0.2.7")],
    address: "192.0.2.7",
    expected: false,
  },
  {
    name: "can close all of both families",
    rules: [allow("10.0.0.0/8"), deny("0.0.0.0/0"), deny("::/0")],
    address: "2001:db8::1",
    expected: false,
  },
  { name: "keeps the families apart", rules: [deny("::/0")], address: "192.0.2.1", expected: true },
  {
    name: "takes a mapped client for IPv4",
    rules: [deny("192.0.2.0/24")],
    address: "::ffff:192.0.2.1",
    expected: false,
  },
  {
    name: "takes a mapped rule for IPv4",
    rules: [deny("::ffff:192.0.2.0/120")],
    address: "192.0.2.1",
    expected: false,
  },
  {
    name: "takes a link-local client without its zone",
    rules: [deny("fe80::/10")],
    address: "fe80::1%eth0",
    expected: false,
  },
  { name: "denies what is no address", rules: [allow("0.0.0.0/0")], address: "nonsense", expected: false },
])
  test(`createAccessList() ${name}`, () => assert.equal(createAccessList(rules)(address), expected));

test("createAccessList() of 10,000 rules says what a walk over all of them says", () => {
  const rng = createSeededRng(10_000);
  const below = (limit: number): number => Math.floor(rng() * limit);
  const rules = Array.from({ length: 10_000 }, () => {
    const bits = 16 + below(17);
    const value = ((10 << 24) | below(1 << 24)) & (-1 << (32 - bits));
    const network = `${formatIp(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value))}/${bits}`;
    return below(2) === 0 ? allow(network) : deny(network);
  });
  const parsed = rules.map(({ network, action }) => ({ cidr: parseCidr(network)!, isAllowed: action === "allow" }));
  const isAllowed = createAccessList(rules);
  const seen = { true: 0, false: 0 };
  for (let round = 0; round < 2_000; round++) {
    const address = `10.${below(256)}.${below(256)}.${below(256)}`;
    const bytes = parseIp(address)!;
    const expected = parsed.find(({ cidr }) => cidrContains(cidr, bytes))?.isAllowed ?? true;
    assert.equal(isAllowed(address), expected, address);
    seen[`${expected}`] += 1;
  }
  assert.ok(seen.true > 100 && seen.false > 100);
});
