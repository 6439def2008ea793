/** How many compiled answers a worker keeps. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Template } from "#dns/answer/template.ts";
import { remember } from "#dns/answer/templates.ts";
import { createWalker, KEEP } from "#dns/answer/walk.ts";
import { createZoneSet, MAX_TEMPLATES } from "#dns/answer/zone-set.ts";
import { createNameKey, readNameKey } from "#dns/wire/name-key.ts";
import { createFakeSteering, EXAMPLE, nameOf, zoneOf } from "./ask.ts";

test("remember() keeps no more than MAX_TEMPLATES of a zone, and those that came last", () => {
  const steering = createFakeSteering();
  const image = zoneOf(EXAMPLE);
  const zones = createZoneSet([image], [], steering);
  const key = createNameKey();
  const apex = nameOf("example.");
  readNameKey(apex, 0, apex.length, image.seed, key);
  const zone = zones.find(key, 0)!;
  const walker = createWalker(zones, steering);
  const template = {} as Template;
  for (let kept = 0; kept < MAX_TEMPLATES * 2.5; kept++) {
    walker.keep = kept % 2 === 0 ? KEEP.byRrset : KEEP.byCut;
    walker.keepAt = kept;
    remember(walker, zone, template);
    const count = zone.byRrset.size + zone.byCut.size;
    assert.ok(count <= MAX_TEMPLATES, `${count}`);
    assert.ok((kept % 2 === 0 ? zone.byRrset : zone.byCut).has(kept));
  }
});
