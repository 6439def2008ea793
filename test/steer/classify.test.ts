/** Classes: what folds together, what must not, and that the filters cannot tell the members of a class apart. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { Location } from "#geo/location.ts";
import { GEO_MATCH } from "#state/class-facts.ts";
import type { FilterSpec, RegionSpec } from "#state/snapshot.ts";
import { runChain } from "#steer/chain.ts";
import { createClassifier } from "#steer/classify.ts";
import { mapSpecFor } from "#steer/map-spec.ts";
import { located, UNKNOWN } from "./maps.ts";
import {
  bound,
  FIRST,
  fence,
  GEO,
  HEALTHY,
  LATENCY,
  NEAREST,
  REGIONS,
  region,
  rollsOf,
  service,
  world,
} from "./world.ts";

const BERLIN = { continent: "EU", country: "DE", latitude: 52.5, longitude: 13.4 };
const PARIS = { continent: "EU", country: "FR", latitude: 48.9, longitude: 2.4 };
const LIMA = { continent: "SA", country: "PE", latitude: -12, longitude: -77 };

function classifier(chain: readonly FilterSpec[], vantage?: readonly [number, number]) {
  return createClassifier(mapSpecFor(service(chain), REGIONS, vantage)!, REGIONS);
}

for (const { says, chain, a, b, isSame, vantage } of [
  { says: "nearest folds places with the same order", chain: [NEAREST], a: BERLIN, b: PARIS, isSame: true },
  { says: "nearest keeps orders apart", chain: [NEAREST], a: BERLIN, b: LIMA, isSame: false },
  {
    says: "geo folds countries without a region",
    chain: [GEO],
    a: PARIS,
    b: { ...PARIS, country: "BE" },
    isSame: true,
  },
  { says: "geo keeps a country with a region apart", chain: [GEO], a: PARIS, b: BERLIN, isSame: false },
  { says: "geo alone does not look at distance", chain: [GEO], a: PARIS, b: { ...PARIS, latitude: 60 }, isSame: true },
  { says: "fences keep inside and outside apart", chain: [fence(["eu-west"])], a: PARIS, b: LIMA, isSame: false },
  { says: "fences alone do not look at the country", chain: [fence(["eu-west"])], a: PARIS, b: BERLIN, isSame: true },
  { says: "latency folds within 100 km", chain: [LATENCY], a: BERLIN, b: { ...BERLIN, latitude: 52.51 }, isSame: true },
  { says: "latency keeps far places apart", chain: [LATENCY], a: BERLIN, b: PARIS, isSame: false },
  {
    says: "latency keeps the vantage's neighbours apart",
    chain: [LATENCY],
    a: { ...BERLIN, latitude: 43.45 },
    b: { ...BERLIN, latitude: 43.55 },
    isSame: false,
    vantage: [52.49, 13.4] as const,
  },
  {
    says: "an override's order counts",
    chain: [GEO],
    a: { ...PARIS, preferred: ["us-east", "ap-south"], preferredBy: "asn" as const },
    b: { ...PARIS, preferred: ["ap-south", "us-east"], preferredBy: "asn" as const },
    isSame: false,
  },
  {
    says: "override of an unused region changes nothing",
    chain: [GEO],
    a: { ...PARIS, preferred: ["mars"], preferredBy: "asn" as const },
    b: PARIS,
    isSame: true,
  },
]) {
  test(`createClassifier() ${says}`, () => {
    const classify = classifier(chain, vantage);
    assert.equal(classify(located(a)).key === classify(located(b)).key, isSame);
  });
}

test("createClassifier() gives unknown clients facts that say so, fences by network apart", () => {
  const classify = classifier([GEO, NEAREST, fence(["eu-west"])]);
  const { key, facts } = classify(UNKNOWN);
  assert.equal(facts.isKnown, false);
  assert.deepEqual(facts.distanceKm, [-1, -1, -1]);
  const inside = classify({ ...UNKNOWN, insideFenceNetworks: [true] });
  assert.notEqual(inside.key, key);
  assert.deepEqual(inside.facts.insideFence, [true]);
  assert.equal(inside.facts.isKnown, false);
});

test("createClassifier() matches network and AS overrides above country and continent", () => {
  const classify = classifier([GEO]);
  const match = (more: Partial<Location>) => classify(located({ ...BERLIN, ...more })).facts.match;
  // In the order of the map: ap-south, eu-west, us-east.
  assert.deepEqual(match({}), [GEO_MATCH.none, GEO_MATCH.country, GEO_MATCH.none]);
  assert.deepEqual(match({ country: "FR" }), [GEO_MATCH.none, GEO_MATCH.continent, GEO_MATCH.none]);
  assert.deepEqual(match({ preferred: ["ap-south"], preferredBy: "asn" })[0], GEO_MATCH.asn);
  assert.deepEqual(match({ preferred: ["ap-south"], preferredBy: "network" })[0], GEO_MATCH.network);
});

test("mapSpecFor() gives services that tell clients apart in the same way one map, whatever the order of regions", () => {
  const specOf = (members: Record<string, object>, chain: readonly FilterSpec[]) =>
    mapSpecFor(service(chain, { members }), REGIONS, undefined);
  const forth = specOf({ "us-east": {}, "eu-west": {} }, [HEALTHY, GEO, NEAREST, FIRST]);
  const back = specOf({ "eu-west": { weight: 9 }, "us-east": {} }, [GEO, NEAREST]);
  assert.equal(forth?.mapId, back?.mapId);
  assert.notEqual(forth?.mapId, specOf({ "us-east": {}, "eu-west": {} }, [GEO])?.mapId);
  assert.equal(specOf({ "us-east": {} }, [HEALTHY, FIRST]), undefined);
});

test("mapSpecFor() names the vantage only where latency looks at it", () => {
  assert.equal(mapSpecFor(service([NEAREST]), REGIONS, [1, 2])?.vantage, undefined);
  assert.deepEqual(mapSpecFor(service([LATENCY]), REGIONS, [1, 2])?.vantage, [1, 2]);
});

// Clients live around the regions, so that orders are shared by many, and slacks and steps of distance tell them apart.
const places = fc.record({
  continent: fc.constantFrom("EU", "NA"),
  country: fc.constantFrom("DE", "US"),
  latitude: fc.double({ min: 36, max: 56, noNaN: true }),
  longitude: fc.double({ min: -8, max: 22, noNaN: true }),
});
const coordinates = fc.record({
  latitude: fc.double({ min: 40, max: 52, noNaN: true }),
  longitude: fc.double({ min: 0, max: 15, noNaN: true }),
});

test("members of one class get the same order, whichever regions are up (property)", () => {
  let pairs = 0;
  fc.assert(
    fc.property(
      fc.array(coordinates, { minLength: 4, maxLength: 4 }),
      fc.array(places, { minLength: 120, maxLength: 120 }),
      fc.constantFrom<readonly FilterSpec[]>(
        [HEALTHY, GEO, { name: "nearest", bias: { r1: 10 }, slackKm: 250 }],
        [HEALTHY, { name: "nearest", bias: {}, slackKm: 0 }],
        [HEALTHY, LATENCY],
      ),
      fc.nat(15),
      fc.nat(4_095),
      (spots, clients, chain, downSet, main) => {
        const all: RegionSpec[] = spots.map((spot, index) =>
          region(`r${index}`, index * 3, { ...spot, continent: "EU" }),
        );
        const spec = service(chain, { all });
        const classify = createClassifier(mapSpecFor(spec, all, undefined)!, all);
        const of = bound(spec, all);
        const health = Object.fromEntries(
          all.filter((_, index) => (downSet >>> index) & 1).map(({ id }) => [id, { verdict: 2 as const }]),
        );
        const base = world(of, { health, regions: all });
        const orders = new Map<string, string>();
        for (const place of clients) {
          // Each twice, the second time a little off: neighbours share classes.
          for (const off of [0, 0.4]) {
            const { key, facts } = classify(located({ ...place, longitude: place.longitude + off }));
            const order = runChain(of, { ...base, facts }, rollsOf({ main }))
              .kept.map(({ region }) => region.id)
              .join();
            if (orders.has(key)) pairs++;
            assert.equal(order, orders.get(key) ?? order, key);
            orders.set(key, order);
          }
        }
      },
    ),
    { numRuns: 150, seed: 1 },
  );
  assert.ok(pairs > 3_000, `only ${pairs} pairs shared a class`);
});
