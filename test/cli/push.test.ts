/** `rhumb config push|diff|log|rollback|resolve|export --dir` as child processes against a real API with fake views. */
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before } from "node:test";
import type { PushRequest } from "#api/views.ts";
import { createWorld, TOKENS, type World } from "../api/fake-world.ts";
import { rhumb } from "./rhumb.ts";

const GOOD = join(import.meta.dirname, "../config/good");
let world: World;
let env: Record<string, string>;
before(async () => {
  world = createWorld();
  env = { RHUMB_API: await world.api.listen(), RHUMB_TOKEN: TOKENS.admin };
});
after(() => world.api.close());
const run = (...words: string[]) => rhumb(["config", ...words], { env });
const asked = () => world.calls.findLast(({ command }) => command === "proposeConfig")!.input as PushRequest;

test("config push gives all that can be pushed of a folder, and says what cannot", async () => {
  const { code, out, err } = await run("push", "-c", GOOD, "--reason", "first", "--dry-run");
  assert.equal(code, 0, err);
  const { files, partial, reason, isDryRun, overlay } = asked();
  assert.deepEqual(Object.keys(files!).sort(), [
    "geo-data/overrides.yaml",
    "geo-data/regions.yaml",
    "health/web.yaml",
    "zones/example.com.zone",
    "zones/services.yaml",
    "zones/static.inc",
  ]);
  assert.equal(files!["zones/static.inc"], readFileSync(join(GOOD, "zones/static.inc"), "utf8"));
  assert.deepEqual([partial, reason, isDryRun, overlay], [false, "first", true, undefined]);
  assert.match(err, /^health\/app\.yaml stays each node's own: a check that runs a program$/m);
  assert.match(out, /^\+a: 2$/m);
});

test("config push of some files leaves the others, and --drop gives files back to the nodes", async () => {
  const services = join(GOOD, "zones/services.yaml");
  const { code, out, err } = await run(
    "push",
    services,
    "-c",
    join(GOOD, "rhumb.yaml"),
    "--drop",
    "zones/old.zone",
    "--based-on",
    "1.5.ns1",
  );
  assert.equal(code, 0, err);
  const { files, partial, basedOn } = asked();
  assert.deepEqual(files, { "zones/services.yaml": readFileSync(services, "utf8"), "zones/old.zone": null });
  assert.deepEqual([partial, basedOn], [true, "1.5.ns1"]);
  assert.match(out, /Version 1\.6\.ns1 is desired of all nodes/);
  assert.equal((await run("push", join(GOOD, "rhumb.yaml"), "-c", GOOD)).code, 2);
  assert.equal((await run("push", join(GOOD, "zones/none.zone"), "-c", GOOD)).code, 1);
});

test("config log, diff, rollback and resolve say what they did", async () => {
  const log = await run("log");
  assert.match(log.out, /^1\.5\.ns1 {2}.* ago {2}kim {2}serves {2}move www +service www changed: chain$/m);
  assert.match(log.out, /^1\.4\.ns2 .*glass broken: app is gone/m);
  assert.match((await run("diff")).out, /^--- disk\n\+\+\+ 1\.5\.ns1$/m);
  assert.match((await run("diff", "1.4.ns2", "1.5.ns1")).out, /^--- 1\.4\.ns2$/m);
  assert.match((await run("rollback")).out, /Version 1\.7\.ns1 is desired of all nodes/);
  assert.deepEqual(world.calls.at(-1)!.input, { reason: "" });
  await run("rollback", "1.4.ns2", "--break-glass", "app is not needed");
  assert.deepEqual(world.calls.at(-1)!.input, { version: "1.4.ns2", reason: "", breakGlass: "app is not needed" });
  await run("resolve", "--take", "1.5.ns2", "--reason", "theirs");
  assert.deepEqual(world.calls.at(-1)!.input, { take: "1.5.ns2", reason: "theirs" });
  assert.equal((await run("resolve")).code, 2);
});

test("config export --dir writes what was pushed where a folder keeps it, and over nothing else unless forced", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-push-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const fresh = join(folder, "fresh");
  assert.equal((await run("export", "--dir", fresh)).code, 0);
  assert.equal(readFileSync(join(fresh, "zones/services.yaml"), "utf8"), "a: 1\n");
  const own = join(folder, "own");
  cpSync(GOOD, own, { recursive: true });
  const root = join(own, "rhumb.yaml");
  writeFileSync(root, `${readFileSync(root, "utf8")}zones: names/\n`);
  assert.equal((await run("export", "--dir", own)).code, 0);
  assert.ok(existsSync(join(own, "names/services.yaml")));
  writeFileSync(join(own, "names/services.yaml"), "mine: {}\n");
  const refused = await run("export", "--dir", own);
  assert.match(refused.err, /Will not write over .*services\.yaml/);
  assert.equal((await run("export", "--dir", own, "--force")).code, 0);
});
