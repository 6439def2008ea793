import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { greatCircleKm } from "#geo/distance.ts";

for (const { name, from, to, km } of [
  { name: "a place to itself", from: [50, 8], to: [50, 8], km: 0 },
  { name: "one degree of the equator", from: [0, 0], to: [0, 1], km: 111.195 },
  { name: "pole to pole", from: [90, 0], to: [-90, 0], km: 20_015.115 },
  { name: "antipodes on the equator", from: [0, -90], to: [0, 90], km: 20_015.115 },
  { name: "over the date line", from: [0, 179.5], to: [0, -179.5], km: 111.195 },
  { name: "London to New York", from: [51.5074, -0.1278], to: [40.7128, -74.006], km: 5_570.2 },
] as const) {
  test(`greatCircleKm() of ${name}`, () => {
    assert.ok(Math.abs(greatCircleKm(from[0], from[1], to[0], to[1]) - km) < 0.5, String(km));
  });
}

test("greatCircleKm() says NaN for a place that is not known", () => {
  assert.ok(Number.isNaN(greatCircleKm(Number.NaN, Number.NaN, 1, 2)));
});

test("greatCircleKm() is the same both ways and never farther than half way round", () => {
  const degrees = (limit: number) => fc.double({ min: -limit, max: limit, noNaN: true });
  fc.assert(
    fc.property(degrees(90), degrees(180), degrees(90), degrees(180), (a, b, c, d) => {
      const km = greatCircleKm(a, b, c, d);
      assert.equal(km, greatCircleKm(c, d, a, b));
      assert.ok(km >= 0 && km <= 20_015.2);
    }),
  );
});
