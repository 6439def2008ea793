/** The files of the demo world, as they are committed. */
import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { compile } from "#config/compile.ts";
import { loadConfig } from "#config/load.ts";
import { NOW_MS, testContext } from "./load-good.ts";

const configPath = join(import.meta.dirname, "../../rhumb.yaml");

function compileDemo() {
  const loaded = loadConfig(configPath);
  // `npm start` writes the token, and makes the database where it is missing.
  const secrets = new Map([["file:run/token", { value: "token-of-the-demo-world" }]]);
  const files = { ...loaded, secrets, missingDatabases: [] };
  const result = compile(files, { ...testContext(), generation: { epoch: 1, sequence: 7 }, nowMs: NOW_MS });
  assert.deepEqual("problems" in result ? result.problems : result.warnings, []);
  assert.ok("snapshot" in result);
  return result;
}

test("compile() turns the demo world into a snapshot without a word", () => {
  const { snapshot, summary } = compileDemo();
  assert.deepEqual(snapshot.generation, { epoch: 1, sequence: 7 });
  assert.equal(summary.services, 5);
  assert.equal(summary.regions, 3);
  assert.deepEqual(
    snapshot.dns?.listen.map(({ address, port }) => `${address} ${port}`),
    ["127.0.0.1 5300", "::1 5300"],
  );
  assert.deepEqual(
    snapshot.regions.map((region) => [region.id, ...region.v4, region.check]),
    [
      ["us-east", "127.0.11.1", "region-http"],
      ["eu-west", "127.0.12.1", "region-http"],
      ["ap-south", "127.0.13.1", "region-http"],
    ],
  );
  assert.deepEqual(snapshot.dns?.zones[0]?.services.toSorted(), ["all", "api", "app", "canary", "www"]);
});

test("compile() fills in what the demo world leaves to defaults", () => {
  const { snapshot } = compileDemo();
  const byName = new Map(snapshot.services.map((service) => [service.name, service]));
  assert.deepEqual(
    byName.get("www")?.chain.map((filter) => filter.name),
    ["healthy", "geo", "nearest", "first"],
  );
  assert.deepEqual(
    byName.get("app")?.regions.map(({ priority }) => priority),
    [1, 2, 3],
  );
  assert.deepEqual(
    byName.get("canary")?.regions.map(({ weight }) => weight),
    [90, 10],
  );
  assert.equal(byName.get("app")?.mapId, undefined);
  assert.ok(snapshot.geo.maps.some((map) => map.mapId === byName.get("www")?.mapId));
  assert.equal(snapshot.health.quorum, 1);
});

test("compile() gives every target a row of its own, and members to regions", () => {
  const { snapshot } = compileDemo();
  const rows = snapshot.health.targets.map((target) => target.index);
  assert.equal(new Set(rows).size, rows.length);
  for (const region of snapshot.regions) {
    const target = snapshot.health.targets.find((entry) => entry.id === `region/${region.id}`);
    assert.ok(target?.kind === "region");
    assert.equal(target.index, region.target);
    assert.deepEqual(target.members, region.addressTargets);
  }
});
