import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import type { RhumbError } from "#base/errors.ts";
import { birdConfig, readBestRoute } from "#drill/stage/bird.ts";
import { exabgpConfig } from "#drill/stage/local-bgp.ts";
import { missingNeeds } from "#drill/stage/needs.ts";
import { balancerFiles, dnsNodeFiles } from "#drill/stage/node-files.ts";
import { planStage, waysOf } from "#drill/stage/plan.ts";
import { readWorld } from "#drill/stage/world.ts";

const ports = (): (() => number) => {
  let next = 20_000;
  return () => next++;
};
const plan = planStage(readWorld({}), ["redis", "exabgp"], ports());

test("readWorld() fills in defaults, and names all that it does not know", () => {
  assert.deepEqual(readWorld({}).ttl, { min: 1, max: 5 });
  assert.equal(readWorld({ interval: "1s" }).interval, 1_000);
  assert.throws(
    () => readWorld({ intervall: "1s", nodes: 9 }),
    (error: RhumbError) =>
      error.code === "RHUMB_DRILL_STAGE" && /intervall/.test(error.message) && /nodes/.test(error.message),
  );
});

test("planStage() gives each way a place of its own, but for probes of one region", () => {
  const places = Map.groupBy(plan.links, ({ listen }) => `${listen.address}:${listen.port}`);
  for (const [place, links] of places) {
    if (links.length > 1) assert.deepEqual(new Set(links.map(({ owner }) => owner)).size, links.length, place);
  }
  assert.equal(new Set(plan.links.map(({ id }) => id)).size, plan.links.length);
});

for (const { places, has, hasNot } of [
  {
    places: ["eu-west", "lb-eu-west"],
    has: ["EU>eu-west", "ns1>eu-west", "ns2>lb-eu-west", "lb-eu-west>redis"],
    hasNot: ["EU>us-east", "ns1>ns2"],
  },
  {
    places: ["ns2"],
    has: ["EU>ns2", "ns2>eu-west", "ns2>ns1", "ns1>ns2", "ns2>redis"],
    hasNot: ["ns1>eu-west", "EU>ns1"],
  },
  { places: ["redis"], has: ["ns1>redis", "lb-ap-south>redis"], hasNot: ["ns1>ns2"] },
]) {
  test(`waysOf() ${places.join(" and ")} names all ways from and to there, and no other`, () => {
    const ways = waysOf(plan, ...places);
    for (const id of has) assert.ok(ways.includes(id), id);
    for (const id of hasNot) assert.ok(!ways.includes(id), id);
  });
}

test("dnsNodeFiles() has all nodes probe the same, so that their votes are on the same", () => {
  const [one, other] = ["ns1", "ns2"].map((name) => dnsNodeFiles(plan, name, {}));
  assert.equal(one!["health/region-http.yaml"], other!["health/region-http.yaml"]);
  assert.equal(one!["geo-data/regions.yaml"], other!["geo-data/regions.yaml"]);
});

test("balancerFiles() announces the anycast prefix where there is an ExaBGP", () => {
  const pipes = { in: "in", out: "out", heartbeatPath: "beat" };
  const read = (text: string | undefined) => JSON.parse(text!) as { anycast?: { prefixes: { prefix: string }[] } };
  const files = balancerFiles(plan, "lb-eu-west", {}, { pipes, capacityRps: 10 });
  assert.equal(read(files["rhumb.yaml"]).anycast!.prefixes[0]!.prefix, "203.0.113.53/32");
  const without = balancerFiles(plan, "lb-eu-west", {}, { pipes: undefined, capacityRps: 10 });
  assert.equal(read(without["rhumb.yaml"]).anycast, undefined);
});

test("birdConfig() peers with the continent's region and with each other router", () => {
  const text = birdConfig(plan, "EU");
  assert.match(text, /neighbor 127\.0\.42\.9 as 64602/);
  assert.match(text, /neighbor 127\.0\.51\.1 port \d+ as 64701/);
  assert.match(text, /neighbor 127\.0\.53\.1 port \d+ as 64703/);
  assert.doesNotMatch(text, /neighbor 127\.0\.52\.1/);
});

for (const { name, text, expected } of [
  {
    name: "of one's own region",
    text: "1007-...\n\tBGP.as_path: 64602\n\tBGP.next_hop: 127.0.42.9\n0000 \n",
    expected: { region: "eu-west", path: "64602" },
  },
  {
    name: "by another router",
    text: "\tBGP.as_path: 64701 64601 64601\n",
    expected: { region: "us-east", path: "64701 64601 64601" },
  },
  { name: "to nowhere", text: "8001 Network not found\n", expected: { region: null, path: "" } },
  { name: "of a stranger", text: "\tBGP.as_path: 64999\n", expected: { region: null, path: "64999" } },
])
  test(`readBestRoute() reads a route ${name}`, () => assert.deepEqual(readBestRoute(text), expected));

test("exabgpConfig() leaves no capital word of the template", () => {
  const template = readFileSync(new URL("../../../deploy/exabgp/exabgp.conf", import.meta.url), "utf8");
  const text = exabgpConfig(template, plan, "eu-west", "/guard", "/beat").replaceAll(/^\s*#.*$/gm, "");
  assert.doesNotMatch(text, /\b(?:LOCAL|PEER|LOCAL_AS|PEER_AS|ROUTER_ID)\b/);
  assert.match(text, /run \/guard \/beat;/);
  assert.match(text, /connect \d+;/);
});

test("missingNeeds() names what is not here once, with the way to get it", async () => {
  const missing = await missingNeeds(["root", "root"]);
  assert.equal(missing.length, process.getuid?.() === 0 ? 0 : 1);
});
