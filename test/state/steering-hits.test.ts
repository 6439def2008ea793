/** What workers count of steering: totals outlive everything, classes only what they are numbers of. */
import assert from "node:assert/strict";
import test from "node:test";
import { hashText } from "#base/hash.ts";
import type { ClientMap } from "#state/client-map.ts";
import type { RegionSpec, ServiceSpec } from "#state/snapshot.ts";
import {
  createHitWriter,
  createSteeringHits,
  type HitNumbering,
  NO_REGION,
  numberingOf,
  readClasses,
  readTotals,
} from "#state/steering-hits.ts";

const world = (services: string[], regions: string[], generation = 1): HitNumbering => ({
  services: services.map((name) => ({ name, hash: hashText(name), mapId: "m" }) as ServiceSpec),
  regions: regions.map((id) => ({ id, hash: hashText(id) }) as RegionSpec),
  maps: [{ mapId: "m", generation } as ClientMap],
});

function totals(block: SharedArrayBuffer, names: string[]): Record<string, number> {
  const nameOf = new Map([[0, "none"], ...names.map((name) => [hashText(name), name] as const)]);
  const found: Record<string, number> = {};
  readTotals(block, (service, region, answers) => {
    const key = `${nameOf.get(service)} ${nameOf.get(region)}`;
    assert.ok(!(key in found), `${key} stands there once`);
    found[key] = answers;
  });
  return found;
}

function classes(block: SharedArrayBuffer, numbering: HitNumbering): string[] | undefined {
  const found: string[] = [];
  const sinceMs = readClasses(block, numberingOf(numbering), (...row) => found.push(row.join(" ")));
  return sinceMs === undefined ? undefined : found.sort();
}

test("each answer counts for its service and region, and for its class", () => {
  const block = createSteeringHits();
  const before = world(["www", "app"], ["us", "eu"]);
  const count = createHitWriter(block)(before, 1_000);
  for (let time = 0; time < 3; time++) count(0, 7, 1);
  count(0, 8, 0);
  count(1, 7, 1);
  count(1, 0, NO_REGION);
  const names = ["www", "app", "us", "eu"];
  assert.deepEqual(totals(block, names), { "www eu": 3, "www us": 1, "app eu": 1, "app none": 1 });
  assert.deepEqual(classes(block, before), ["0 7 1 3", "0 8 0 1", "1 0 -1 1", "1 7 1 1"]);
  assert.equal(
    readClasses(block, numberingOf(before), () => {}),
    1_000,
  );
});

test("a reload that moves numbers keeps the totals and begins the classes anew; one that does not keeps both", () => {
  const block = createSteeringHits();
  const writer = createHitWriter(block);
  const first = world(["www", "app"], ["us", "eu"]);
  writer(first, 1)(0, 7, 1);
  writer(world(["www", "app"], ["us", "eu"]), 2)(0, 7, 1);
  assert.deepEqual(classes(block, first), ["0 7 1 2"]);

  const second = world(["app", "www"], ["eu", "us", "ap"]);
  const count = writer(second, 3);
  count(1, 7, 0);
  count(1, 7, 2);
  assert.deepEqual(totals(block, ["www", "app", "us", "eu", "ap"]), { "www eu": 3, "www ap": 1 });
  assert.equal(classes(block, first), undefined, "its numbers mean something else now");
  assert.deepEqual(classes(block, second), ["1 7 0 1", "1 7 2 1"]);

  const newMap = world(["app", "www"], ["eu", "us", "ap"], 2);
  writer(newMap, 4);
  assert.deepEqual(classes(block, newMap), []);
});

test("a thread that replaces another goes on with its totals and its classes", () => {
  const block = createSteeringHits();
  const same = world(["www"], ["us"]);
  createHitWriter(block)(same, 1)(0, 1, 0);
  createHitWriter(block)(same, 2)(0, 1, 0);
  assert.deepEqual(totals(block, ["www", "us"]), { "www us": 2 });
  assert.deepEqual(classes(block, same), ["0 1 0 2"]);
});

test("more classes than there is room for are left out, and the totals still have every answer", () => {
  const block = createSteeringHits();
  const same = world(["www"], ["us", "eu"]);
  const count = createHitWriter(block)(same, 1);
  const all = 120_000;
  for (let number = 0; number < all; number++) count(0, number >>> 1, number & 1);
  const { "www us": us, "www eu": eu } = totals(block, ["www", "us", "eu"]);
  assert.deepEqual([us, eu], [all / 2, all / 2]);
  const rows = classes(block, same)!;
  assert.ok(rows.length > 40_000 && rows.length < all, `${rows.length} rows`);
  assert.ok(rows.every((row) => row.startsWith("0 ") && row.endsWith(" 1")));
});

test("numberingOf() tells apart what moves numbers, and nothing else", () => {
  const base = world(["a", "b"], ["x", "y"]);
  const other = { ...base, maps: [...base.maps, { mapId: "unused", generation: 4 } as ClientMap] };
  assert.equal(numberingOf(other), numberingOf(base));
  for (const moved of [
    world(["b", "a"], ["x", "y"]),
    world(["a", "b"], ["y", "x"]),
    world(["a", "b"], ["x"]),
    world(["a", "b"], ["x", "y"], 2),
  ])
    assert.notEqual(numberingOf(moved), numberingOf(base));
});
