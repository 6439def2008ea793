import assert from "node:assert/strict";
import test from "node:test";
import { wouldEmpty } from "#app/would-empty.ts";
import type { Snapshot } from "#state/snapshot.ts";

/** Services by name: their regions (0, 1, …) and their fallback. */
const world = (services: Record<string, { regions: number[]; fallback?: string }>): Snapshot =>
  ({
    regions: [0, 1, 2].map((target) => ({ target })),
    services: Object.entries(services).map(([name, { regions, fallback }]) => ({
      name,
      regions: regions.map((region) => ({ region })),
      fallback,
    })),
  }) as unknown as Snapshot;

for (const { says, services, out, outNow = [], expected } of [
  { says: "nobody while a region is left", services: { www: { regions: [0, 1] } }, out: [0], expected: undefined },
  {
    says: "the service that loses its last region",
    services: { www: { regions: [0, 1] } },
    out: [0, 1],
    expected: "www",
  },
  { says: "the one of several", services: { a: { regions: [0, 1] }, b: { regions: [1] } }, out: [1], expected: "b" },
  {
    says: "nobody whose fallback has a region",
    services: { a: { regions: [0], fallback: "b" }, b: { regions: [1] } },
    out: [0],
    expected: undefined,
  },
  {
    says: "who shares all regions with the fallback",
    services: { a: { regions: [0], fallback: "b" }, b: { regions: [0, 0] } },
    out: [0],
    expected: "a",
  },
  {
    says: "nobody who has nothing to lose",
    services: { www: { regions: [0, 1] } },
    out: [0, 1],
    outNow: [0, 1],
    expected: undefined,
  },
  {
    says: "nobody in a circle that keeps a region",
    services: { a: { regions: [0], fallback: "b" }, b: { regions: [1], fallback: "a" } },
    out: [0],
    expected: undefined,
  },
] as {
  says: string;
  services: Record<string, { regions: number[]; fallback?: string }>;
  out: number[];
  outNow?: number[];
  expected: string | undefined;
}[]) {
  test(`wouldEmpty() names ${says}`, () => {
    const named = wouldEmpty(
      world(services),
      (target) => out.includes(target),
      (target) => outNow.includes(target),
    );
    assert.equal(named, expected);
  });
}
