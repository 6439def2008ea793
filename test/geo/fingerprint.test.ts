import assert from "node:assert/strict";
import test from "node:test";
import { findLoss, takeFingerprint } from "#geo/fingerprint.ts";
import { network, place, placesOf } from "./maker.ts";

/** `count` networks of /16 below 10.0.0.0/8, alternating between two cities so that they do not fold. */
const world = (count: number, country = "DE", bits = 16) =>
  takeFingerprint(
    placesOf(
      Array.from({ length: count }, (_, index) =>
        network(`10.${index}.0.0/${bits}`, place(country, "EU", index % 2, 0)),
      ),
    ),
  );

for (const { name, next, says } of [
  { name: "the same", next: world(100), says: undefined },
  { name: "a little less", next: world(81), says: undefined },
  { name: "more", next: world(200), says: undefined },
  { name: "a quarter less", next: world(75), says: /75 networks, 25 % fewer than the 100/ },
  {
    name: "as many networks with less in them",
    next: world(100, "DE", 17),
    says: /no longer knows 50 % of the IPv4 space/,
  },
  { name: "all in another country", next: world(100, "FR"), says: /moves 100 % of the IPv4 space/ },
]) {
  test(`findLoss() of ${name}`, () => {
    const loss = findLoss(world(100), next);
    if (says) assert.match(loss ?? "", says);
    else assert.equal(loss, undefined);
  });
}

test("takeFingerprint() names the country with most addresses of a block", () => {
  const { known, country } = takeFingerprint(
    placesOf([
      network("10.0.0.0/17", place("DE")),
      network("10.0.128.0/18", place("FR")),
      network("11.0.0.0/8", place("US")),
    ]),
  );
  const code = (text: string) => (text.charCodeAt(0) << 8) | text.charCodeAt(1);
  assert.deepEqual([known[0x0a00], country[0x0a00]], [192, code("DE")]);
  assert.deepEqual([known[0x0bff], country[0x0bff]], [255, code("US")]);
  assert.deepEqual([known[0x0c00], country[0x0c00]], [0, 0]);
});
