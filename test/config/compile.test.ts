/** What compiling does beyond refusing: defaults, stable rows, caches, zones that vanish. */
import assert from "node:assert/strict";
import { appendFileSync, chmodSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { formatProblem } from "#base/problem.ts";
import type { CompileResult } from "#config/compile.ts";
import { createTargetRegistry } from "#config/targets.ts";
import { compileFrom, copyGood, testContext } from "./load-good.ts";

function snapshotOf(result: CompileResult) {
  assert.ok("snapshot" in result, "problems" in result ? result.problems.map(formatProblem).join("\n") : "");
  return result.snapshot;
}
const messagesOf = (result: CompileResult): string[] =>
  ("problems" in result ? result.problems : result.warnings).map((problem) => `${problem.path}: ${problem.says}`);

test("compile() reads TTLs from STEER records where the service gives none", (t) => {
  const { services } = snapshotOf(compileFrom(copyGood(t)));
  assert.deepEqual(
    services.map(({ name, ttlMinSeconds, ttlMaxSeconds }) => [name, ttlMinSeconds, ttlMaxSeconds]),
    [
      ["www", 10, 20],
      ["app", 5, 40],
    ],
  );
});

test("compile() fills a fence without regions with those that lie in it, and numbers the fences", (t) => {
  const { services } = snapshotOf(compileFrom(copyGood(t)));
  const fence = services[1]?.chain.find((filter) => filter.name === "geofence");
  assert.ok(fence?.name === "geofence");
  assert.deepEqual(fence.regions, ["eu-west"]);
  assert.equal(fence.fence, 0);
  assert.equal(fence.onEmpty, "next");
});

test("compile() makes overrides of files that keep their id when others come and go", (t) => {
  const folder = copyGood(t);
  const before = snapshotOf(compileFrom(folder)).health.fileOverrides;
  const file = join(folder, "health/overrides.yaml");
  const first = '- { target: us-east, verb: down, reason: "x", owner: lee, until: 2100-01-01T00:00:00Z }\n';
  writeFileSync(file, first + readFileSync(file, "utf8"));
  const after = snapshotOf(compileFrom(folder)).health.fileOverrides;
  assert.equal(before[0]?.weightPercent, 20);
  assert.deepEqual(
    after.map(({ id, target, origin }) => [id === before[0]?.id, target, origin]),
    [
      [false, "region/us-east", "file"],
      [true, "region/eu-*", "file"],
    ],
  );
});

test("compile() keeps the row of a target through reloads, and gives none of a vanished one away", (t) => {
  const folder = copyGood(t);
  const context = testContext();
  const compileAgain = () => {
    const result = compileFrom(folder, context);
    if ("commitTargets" in result) result.commitTargets();
    return snapshotOf(result);
  };
  const rowsOf = (ids: readonly { id: string; index: number }[]) => new Map(ids.map(({ id, index }) => [id, index]));
  const before = rowsOf(compileAgain().health.targets);
  const regions = join(folder, "geo-data/regions.yaml");
  writeFileSync(regions, readFileSync(regions, "utf8").replace("192.0.2.10, 192.0.2.11", "192.0.2.99, 192.0.2.11"));
  const after = rowsOf(compileAgain().health.targets);
  assert.equal(after.get("region/us-east/192.0.2.11"), before.get("region/us-east/192.0.2.11"));
  assert.equal(after.get("region/us-east/192.0.2.99"), Math.max(...before.values()) + 1);
});

test("compile() of what is never applied uses up no rows", (t) => {
  const folder = copyGood(t);
  const context = testContext();
  compileFrom(folder, context);
  assert.equal(context.targets.count(), 0);
});

test("compile() says when the health table is full", (t) => {
  const result = compileFrom(copyGood(t), { targets: createTargetRegistry(3) });
  assert.ok(messagesOf(result).some((message) => /^us-east: No room for the targets/.test(message)));
});

test("compile() does not read a zone again whose text is the same, also through what it includes", (t) => {
  const folder = copyGood(t);
  const context = testContext();
  const imageOf = () => snapshotOf(compileFrom(folder, context)).dns?.zones[0];
  const before = imageOf();
  assert.equal(imageOf(), before);
  appendFileSync(join(folder, "zones/static.inc"), "more A 192.0.2.81\n");
  const after = imageOf();
  assert.notEqual(after, before);
  assert.equal(after?.recordCount, before!.recordCount + 1);
});

test("compile() keeps a zone whose file vanished as unloadable until it is back", (t) => {
  const folder = copyGood(t);
  const context = testContext();
  const file = join(folder, "zones/example.com.zone");
  const previous = snapshotOf(compileFrom(folder, context));
  renameSync(file, `${file}.away`);
  const without = compileFrom(folder, { ...context, previous });
  assert.ok(messagesOf(without).some((message) => message.includes("The file of zone example.com. is gone")));
  const gone = snapshotOf(without);
  assert.deepEqual(gone.dns?.unloadableZones, [previous.dns?.zones[0]?.apex]);
  assert.equal(snapshotOf(compileFrom(folder, { ...context, previous: gone })).dns?.unloadableZones.length, 1);
  renameSync(`${file}.away`, file);
  assert.deepEqual(snapshotOf(compileFrom(folder, { ...context, previous: gone })).dns?.unloadableZones, []);
});

test("loadConfig() does not follow a link out of the folder of the zones", (t) => {
  const folder = copyGood(t);
  writeFileSync(join(folder, "outside.inc"), "secret A 192.0.2.66\n");
  rmSync(join(folder, "zones/static.inc"));
  symlinkSync("../outside.inc", join(folder, "zones/static.inc"));
  const result = compileFrom(folder);
  assert.ok(messagesOf(result).some((message) => message.includes('Cannot read the included file "static.inc"')));
});

test("loadConfig() refuses a check program that everybody may change", (t) => {
  const folder = copyGood(t);
  chmodSync(join(folder, "health/app.sh"), 0o777);
  assert.deepEqual(messagesOf(compileFrom(folder)), [
    "file: Cannot use the program: app.sh may be changed by everybody",
  ]);
});

test("loadConfig() refuses a check program that is a link out of the folder", (t) => {
  const folder = copyGood(t);
  rmSync(join(folder, "health/app.sh"));
  symlinkSync("/bin/true", join(folder, "health/app.sh"));
  assert.deepEqual(messagesOf(compileFrom(folder)), [
    "file: Cannot use the program: app.sh lies outside of the folder of the checks",
  ]);
});

test("compile() lays the overlay of the API over the files, and names it where it is wrong", (t) => {
  const folder = copyGood(t);
  const overlay = { services: { www: { steer: "latency" }, app: null }, regions: { "us-east": { capacity: "5rps" } } };
  const zone = join(folder, "zones/example.com.zone");
  writeFileSync(zone, readFileSync(zone, "utf8").replace("app  40    STEER app\n", ""));
  const { services, regions } = snapshotOf(compileFrom(folder, { overlay }));
  assert.deepEqual(
    services.map((service) => [service.name, service.chain[1]?.name]),
    [["www", "latency"]],
  );
  assert.equal(regions[0]?.capacityRps, 5);
  const bad = compileFrom(folder, { overlay: { services: { www: { steer: "geoo" } } } });
  assert.ok("problems" in bad);
  assert.match(bad.problems.map(formatProblem).join("\n"), /^\(api\) services:1:1 www\.steer: Must be a preset/m);
});

test("compile() lets secrets that are missing pass only for `rhumb check`", (t) => {
  const folder = copyGood(t);
  const root = join(folder, "rhumb.yaml");
  writeFileSync(root, readFileSync(root, "utf8").replace("env:READ_TOKEN", "env:NOWHERE"));
  assert.ok("problems" in compileFrom(folder));
  const checked = compileFrom(folder, { secrets: "warn" });
  assert.deepEqual(
    snapshotOf(checked).control?.tokens.map(({ name }) => name),
    ["ops"],
  );
});
