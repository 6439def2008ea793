/** Commands that need no running node: init, check, backup, restore, geo. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { rhumb } from "./rhumb.ts";

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), "rhumb-local-"));
  t.after(() => rmSync(made, { recursive: true }));
  return made;
}

test("init writes a configuration that check accepts, and never overwrites", async (t) => {
  const cwd = folder(t);
  const made = await rhumb(["init", "example.com"], { cwd });
  assert.equal(made.code, 0, made.err);
  assert.match(made.out, /wrote .*rhumb\.yaml/);
  assert.equal(statSync(join(cwd, "run/token")).mode & 0o777, 0o600);
  const check = await rhumb(["check", "--secrets"], { cwd });
  assert.equal(check.code, 0, check.err);
  assert.match(check.out, /^rhumb\.yaml: valid; .*1 zone/);
  const again = await rhumb(["init", "example.com"], { cwd });
  assert.equal(again.code, 1);
  assert.equal((await rhumb(["init"], { cwd })).code, 2);
});

test("check prints every problem with file, line and fix, exits 1, and says the same as JSON", async (t) => {
  const cwd = folder(t);
  await rhumb(["init", "example.com"], { cwd });
  const file = join(cwd, "rhumb.yaml");
  writeFileSync(file, `${readFileSync(file, "utf8").replace("version: 1", "version: 9")}\ncolour: red\n`);
  const { code, err } = await rhumb(["check"], { cwd });
  assert.equal(code, 1);
  assert.match(err, /^rhumb\.yaml:\d+:\d+ version: .+ \(.+\)$/m);
  assert.match(err, /^rhumb\.yaml:\d+:\d+ colour: .+ \(.+\)$/m);
  const json = await rhumb(["check", "--json"], { cwd });
  assert.equal(json.code, 1);
  assert.ok(JSON.parse(json.out).problems.length >= 2);
  const missing = await rhumb(["check", "-c", "none.yaml"], { cwd });
  assert.equal(missing.code, 1);
  assert.match(missing.err, /none\.yaml/);
});

test("a backup is put back as it was, over state only by force", async (t) => {
  const cwd = folder(t);
  await rhumb(["init", "example.com"], { cwd });
  const first = await rhumb(["backup", "saved"], { cwd });
  assert.equal(first.code, 0, first.err);
  assert.match(first.out, /Secrets are not part/);
  assert.ok(existsSync(join(cwd, "saved/manifest.json")) && !existsSync(join(cwd, "saved/config/run/token")));
  assert.equal((await rhumb(["backup", "saved"], { cwd })).code, 1, "a backup is never overwritten");
  const refused = await rhumb(["restore", "saved"], { cwd });
  assert.equal(refused.code, 1);
  const restored = await rhumb(["restore", "saved", "--force", "--with-config", "back"], { cwd });
  assert.equal(restored.code, 0, restored.err);
  assert.equal(readFileSync(join(cwd, "back/rhumb.yaml"), "utf8"), readFileSync(join(cwd, "rhumb.yaml"), "utf8"));
});

test("geo lookup takes overrides and regions from a configuration", async (t) => {
  const cwd = folder(t);
  await rhumb(["init", "example.com"], { cwd });
  const { code, out, err } = await rhumb(["geo", "lookup", "198.51.100.7", "-c", "rhumb.yaml", "--json"], { cwd });
  assert.equal(code, 0, err);
  assert.equal(JSON.parse(out).address, "198.51.100.7");
  assert.equal((await rhumb(["geo", "lookup", "198.51.100.7"], { cwd })).code, 2);
});

test("config hash-password makes a line of a password from standard input", async () => {
  const { parsePasswordHash, verifyPassword } = await import("#base/password.ts");
  const { code, out } = await rhumb(["config", "hash-password", "kim"], { input: "tälk to me\n" });
  assert.equal(code, 0);
  const [name, hash] = out.trim().split(/:(.*)/);
  assert.equal(name, "kim");
  const parsed = parsePasswordHash(hash!);
  assert.ok(parsed && (await verifyPassword("tälk to me", parsed)) && !(await verifyPassword("tälk to me\n", parsed)));
  assert.equal((await rhumb(["config", "hash-password", "kim"], { input: "\n" })).code, 2);
  assert.equal((await rhumb(["config", "hash-password", "k:m"], { input: "x" })).code, 2);
});

test("cluster key makes the node's key once, for its user alone, and prints what the others enrol", async (t) => {
  const cwd = folder(t);
  await rhumb(["init", "example.com"], { cwd });
  const first = await rhumb(["cluster", "key"], { cwd });
  assert.equal(first.code, 0, first.err);
  assert.match(first.out, /^\S+: \{ key: "ed25519:[A-Za-z0-9+/]{43}=" \}\n$/);
  assert.equal(statSync(join(cwd, "run/cluster.key")).mode & 0o777, 0o600);
  const { key } = JSON.parse((await rhumb(["cluster", "key", "--json"], { cwd })).out);
  assert.ok(first.out.includes(key), "the same key again");
  writeFileSync(join(cwd, "run/cluster.key"), "no key");
  const damaged = await rhumb(["cluster", "key"], { cwd });
  assert.equal(damaged.code, 1);
  assert.match(damaged.err, /cluster\.key/);
});
