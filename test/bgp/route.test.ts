/** Commands for ExaBGP, and its answers as 4.2.21 gives them. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { announceCommands, parseAdjRib, parseNeighbours, parseSummary } from "#bgp/route.ts";
import { prefixSpec } from "./bed.ts";

const EXTERNAL = { address: "192.0.2.1", localAs: 65_001, peerAs: 65_000 };
const INTERNAL = { address: "192.0.2.2", localAs: 65_001, peerAs: 65_001 };

for (const { name, spec, drain, neighbours, commands } of [
  {
    name: "says no more than is configured",
    spec: prefixSpec(),
    drain: undefined,
    neighbours: [EXTERNAL],
    commands: ["announce route 203.0.113.1/32 next-hop self"],
  },
  {
    name: "says everything that is",
    spec: prefixSpec({
      nextHop: "192.0.2.9",
      med: 0,
      prepend: 1,
      communities: ["65000:1"],
      largeCommunities: ["1:2:3"],
    }),
    drain: undefined,
    neighbours: [EXTERNAL, { ...EXTERNAL, address: "192.0.2.3" }],
    commands: [
      "announce route 203.0.113.1/32 next-hop 192.0.2.9 as-path [ 65001 65001 ] med 0 community [ 65000:1 ] large-community [ 1:2:3 ]",
    ],
  },
  {
    name: "makes the path longer outside, and the preference lower inside",
    spec: prefixSpec(),
    drain: 2,
    neighbours: [EXTERNAL, INTERNAL],
    commands: [
      "neighbor 192.0.2.1 announce route 203.0.113.1/32 next-hop self as-path [ 65001 65001 65001 ] community [ 65535:0 ]",
      "neighbor 192.0.2.2 announce route 203.0.113.1/32 next-hop self local-preference 0 community [ 65535:0 ]",
    ],
  },
  {
    name: "knows no AS where no neighbour is known",
    spec: prefixSpec({ prepend: 3 }),
    drain: undefined,
    neighbours: [],
    commands: ["announce route 203.0.113.1/32 next-hop self"],
  },
])
  test(`announceCommands() ${name}`, () => assert.deepEqual(announceCommands(spec, drain, neighbours), commands));

test("announceCommands() has no word that ExaBGP would take for another command", () => {
  const drained = announceCommands(prefixSpec({ communities: ["65535:65281"] }), 3, [EXTERNAL]).join("\n");
  assert.doesNotMatch(drained, /shutdown|restart|reload|reset|version|show|crash|help|#/);
});

test("parseAdjRib() reads routes of both families, and knows an answer that is none", () => {
  const lines = [
    "neighbor 192.0.2.1 ipv4 unicast 203.0.113.1/32 next-hop self",
    "neighbor 192.0.2.1 ipv6 unicast 2001:db8::1/128 next-hop 2001:db8::ff",
    "neighbor 192.0.2.1 ipv4 flow whatever",
  ];
  assert.deepEqual(parseAdjRib(lines), [
    { neighbour: "192.0.2.1", prefix: "203.0.113.1/32" },
    { neighbour: "192.0.2.1", prefix: "2001:db8::1/128" },
  ]);
  assert.deepEqual(parseAdjRib([]), []);
  assert.equal(parseAdjRib(["exabgp 4.2.21"]), undefined);
});

test("parseSummary() reads sessions and how long they are up", () => {
  const head = "Peer            AS        up/down state       |     #sent     #recvd";
  const lines = [
    head,
    "127.0.0.1       65000     0:00:25 established           3          2",
    "2001:db8::1     4200000000 2 days, 1:02:03 established  3          2",
    "192.0.2.7       65000        down idle                  0          0",
  ];
  assert.deepEqual(parseSummary(lines), [
    { neighbour: "127.0.0.1", asn: 65_000, upMs: 25_000 },
    { neighbour: "2001:db8::1", asn: 4_200_000_000, upMs: ((49 * 60 + 2) * 60 + 3) * 1_000 },
  ]);
  assert.deepEqual(parseSummary([head]), []);
  assert.equal(parseSummary([]), undefined);
});

test("parseNeighbours() finds each neighbour's numbers", () => {
  const lines = [
    "Neighbor 192.0.2.1",
    "  Setup                           Local          Remote",
    "   AS                             65001           65000                ",
    "   ID                         192.0.2.9             n/a",
    "Neighbor 192.0.2.2",
    "   AS                             65001           65001                ",
  ];
  assert.deepEqual(parseNeighbours(lines), [EXTERNAL, INTERNAL]);
});

test("what ExaBGP says is read without a fault, whatever it is", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 200 }), { maxLength: 20 }), (lines) => {
      parseAdjRib(lines);
      parseSummary(lines);
      parseNeighbours(lines);
    }),
  );
});
