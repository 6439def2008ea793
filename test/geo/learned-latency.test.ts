/** Latency of three sources as one map: who wins, where, and what autonomous systems stand for. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { formatCidr, parseIp } from "#base/ip.ts";
import { createLatencyTable, type LatencyInput } from "#geo/latency-table.ts";
import { type LearnedLatency, layLatency, type ShortNetwork, shortNetwork, systemOf } from "#geo/learned-latency.ts";
import { buildRttMap } from "#geo/rtt-map.ts";
import { findSystemNetworks } from "#geo/system-networks.ts";
import { classOf, walk } from "#geo/walk.ts";
import { HEARSAY, isHearsay, rttMicrosOf } from "#state/client-map.ts";
import { asnsOf } from "./maker.ts";

const NOW = 1_800_000_000_000;
const regionIds = ["a", "b"];
const row = (network: string, region: string, ms: number, by: LearnedLatency["by"], atMs = NOW): LearnedLatency => ({
  network,
  region,
  rttMicros: ms * 1_000,
  by,
  atMs,
});
const networksOf = (asn: number, country: string): ShortNetwork[] =>
  asn === 64_500
    ? ["10.5.0.0/16", ...(country === "DE" ? [] : ["2a02:5::/32"])].map((text) => shortNetwork(text)!)
    : [];
function mapOf(operators: readonly LatencyInput[], learned: readonly LearnedLatency[], notBeforeMs = 0) {
  const table = createLatencyTable((id) => regionIds.includes(id));
  assert.deepEqual(table.put(operators, false, NOW), []);
  return buildRttMap(layLatency(table.columns(), learned, networksOf), { generation: 1, regionIds, notBeforeMs });
}
/** `[a, b]` in ms; what is hearsay is negative. */
function rttOf(map: ReturnType<typeof mapOf>, text: string): number[] {
  const bytes = parseIp(text)!;
  const at = classOf(walk(map.nodes, bytes, bytes.length === 16)) * regionIds.length;
  return [...map.rttMicros.subarray(at, at + 2)].map((value) =>
    isHearsay(value) ? -rttMicrosOf(value) / 1_000 : value / 1_000,
  );
}

for (const { says, operators = [], learned, expected } of [
  {
    says: "connections count in full, beacons as hearsay",
    learned: [row("10.1.2.0/24", "a", 20, "connections"), row("10.1.2.0/24", "b", 30, "beacons")],
    expected: { "10.1.2.9": [20, -30], "10.1.3.9": [0, 0] },
  },
  {
    says: "of one network and region connections beat beacons",
    learned: [row("10.1.2.0/24", "a", 99, "beacons"), row("10.1.2.0/24", "a", 20, "connections", NOW - 9)],
    expected: { "10.1.2.9": [20, 0] },
  },
  {
    says: "what an operator says of a wide network stands, whatever is said of its parts",
    operators: [{ network: "10.0.0.0/8", rttMs: { a: 50 } }],
    learned: [row("10.1.2.0/24", "a", 5, "connections"), row("10.1.2.0/24", "b", 6, "connections")],
    expected: { "10.1.2.9": [50, 6], "10.9.9.9": [50, 0] },
  },
  {
    says: "what an operator says of a narrow network leaves the rest",
    operators: [{ network: "10.5.6.0/24", rttMs: { a: 50 } }],
    learned: [row("AS64500", "a", 5, "beacons")],
    expected: { "10.5.6.9": [50, 0], "10.5.7.9": [-5, 0], "2a02:5::1": [-5, 0], "2a02:6::1": [0, 0] },
  },
  {
    says: "a system in one country is its networks there",
    learned: [row("AS64500-DE", "a", 5, "beacons"), row("AS64501", "a", 7, "beacons")],
    expected: { "10.5.7.9": [-5, 0], "2a02:5::1": [0, 0] },
  },
  {
    says: "the newest of two nodes is used, and what is unreadable left out",
    learned: [
      row("2001:db8:1::/48", "a", 5, "connections", NOW - 2),
      row("2001:db8:1::/48", "a", 7, "connections"),
      row("nonsense", "a", 9, "connections"),
      row("10.1.2.0/24", "nowhere", 9, "connections"),
    ],
    expected: { "2001:db8:1::1": [7, 0], "10.1.2.9": [0, 0] },
  },
] satisfies {
  says: string;
  operators?: LatencyInput[];
  learned: LearnedLatency[];
  expected: Record<string, number[]>;
}[])
  test(`layLatency(): ${says}`, () => {
    const map = mapOf(operators, learned);
    for (const [address, rtt] of Object.entries(expected)) assert.deepEqual(rttOf(map, address), rtt, address);
  });

test("layLatency() never lets a worse source hide a better one, and never lifts hearsay to more", () => {
  const networks = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.3.0/24", "AS64500", "10.5.6.0/24"];
  const rows = fc.array(
    fc.record({
      network: fc.constantFrom(...networks),
      region: fc.constantFrom(...regionIds),
      ms: fc.integer({ min: 1, max: 999 }),
      by: fc.constantFrom("connections" as const, "beacons" as const),
    }),
    { maxLength: 12 },
  );
  const covers = (network: string, address: string): boolean => {
    const cidr = network === "AS64500" ? "10.5.0.0/16" : network;
    const [base, bits] = cidr.split("/") as [string, string];
    const mask = (text: string): number => new DataView(parseIp(text)!.buffer).getUint32(0) >>> (32 - Number(bits));
    return mask(base) === mask(address);
  };
  fc.assert(
    fc.property(rows, (drawn) => {
      const learned = drawn.map(({ network, region, ms, by }) => row(network, region, ms, by));
      const map = mapOf([], learned);
      for (const address of ["10.1.2.1", "10.1.3.1", "10.5.6.1", "10.9.9.9"])
        for (const [index, region] of regionIds.entries()) {
          const said = learned.filter((one) => one.region === region && covers(one.network, address));
          const ms = rttOf(map, address)[index]!;
          const isTrusted = said.some(({ by }) => by === "connections");
          assert.equal(Math.sign(ms), said.length === 0 ? 0 : isTrusted ? 1 : -1, `${address} ${region}`);
        }
    }),
  );
});

test("shortNetwork() and systemOf() read what nodes share", () => {
  assert.deepEqual(shortNetwork("198.51.100.7/32"), { isIpv6: 0, bits: 24, high: 0xc6336400, low: 0 });
  assert.deepEqual(shortNetwork("2001:db8:1::/48"), { isIpv6: 1, bits: 48, high: 0x20010db8, low: 1 });
  assert.equal(shortNetwork("AS1"), undefined);
  assert.deepEqual(systemOf("AS64500-DE"), { asn: 64_500, country: "DE" });
  assert.deepEqual(systemOf("AS64500"), { asn: 64_500, country: "" });
  for (const text of ["AS0", "AS1-de", "as1", "10.0.0.0/8", "AS1-", "AS12345678901"])
    assert.equal(systemOf(text), undefined);
  assert.ok(HEARSAY > 60_000_000, "apart from every round trip");
});

test("findSystemNetworks() finds the networks of a system, no narrower than /24 and /48", () => {
  const asns = asnsOf({
    "10.1.0.0/16": 64_500,
    "10.2.3.0/25": 64_500,
    "10.2.3.128/25": 64_501,
    "10.3.0.0/16": 64_501,
    "2a02:1::/32": 64_500,
    "2a02:2:3:4::/64": 64_500,
  });
  const text = ({ isIpv6, bits, high, low }: ShortNetwork): string => {
    const bytes = new Uint8Array(isIpv6 === 1 ? 16 : 4);
    new DataView(bytes.buffer).setUint32(0, high);
    if (isIpv6 === 1) new DataView(bytes.buffer).setUint16(4, low);
    return formatCidr({ bytes, bits });
  };
  const found = findSystemNetworks(asns, new Set([64_500, 64_999]));
  assert.deepEqual([...found.keys()], [64_500]);
  assert.deepEqual(found.get(64_500)!.map(text), ["10.1.0.0/16", "10.2.3.0/24", "2a02:1::/32", "2a02:2:3::/48"]);
});
