/** `rhumb import`: printed, written, refused; what is written passes `rhumb check`. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { rhumb } from "./rhumb.ts";

const samples = join(import.meta.dirname, "../config/import/samples");

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), "rhumb-import-"));
  t.after(() => rmSync(made, { recursive: true }));
  return made;
}

const HAPROXY = `frontend web
  bind 127.0.0.1:8080
  option httplog
  default_backend web
backend web
  balance leastconn
  server a 127.0.0.2:80 check
`;

test("import prints files on standard output, and notes with their count on standard error", async () => {
  const { code, out, err } = await rhumb(["import", "haproxy", "-"], { input: HAPROXY });
  assert.equal(code, 0, err);
  assert.match(out, /^# ── rhumb\.yaml\n/);
  assert.match(out, /algorithm: weighted_least_connections/);
  assert.deepEqual(err.trimEnd().split("\n"), [
    "standard input:3: option httplog: rhumb writes a log of its own (Read it from standard output, and `/metrics`)",
    "0 zones, 0 records, 0 services, 0 regions, 0 checks, 1 listener, 1 pool, 1 backend; 1 left out, 0 changed in meaning",
  ]);
});

test("import --json says the same for machines", async () => {
  const { code, out } = await rhumb(["import", "haproxy", "-", "--json"], { input: HAPROXY });
  const { files, notes, summary } = JSON.parse(out);
  assert.equal(code, 0);
  assert.deepEqual(
    files.map(({ path }: { path: string }) => path),
    ["rhumb.yaml"],
  );
  assert.equal(summary.balancer.backends, 1);
  assert.deepEqual(Object.keys(notes[0]).sort(), ["directive", "file", "fix", "kind", "line", "says"]);
});

test("import exits 1 where nothing could be read, 2 where it is used wrongly", async (t) => {
  const nonsense = await rhumb(["import", "nginx", "-"], { input: "}}}" });
  assert.equal(nonsense.code, 1);
  assert.equal(nonsense.out, "");
  assert.match(nonsense.err, /nothing that rhumb could use was found/);
  const missing = await rhumb(["import", "nginx", join(folder(t), "none.conf")]);
  assert.equal(missing.code, 1);
  assert.match(missing.err, /Cannot read/);
  assert.equal((await rhumb(["import", "apache", "x"])).code, 2);
  assert.equal((await rhumb(["import", "nginx"])).code, 2);
});

test("import --out writes what `rhumb check` accepts, and overwrites by --force alone", async (t) => {
  const cwd = folder(t);
  const words = [
    "import",
    "gdnsd",
    join(samples, "gdnsd/config"),
    "--zones",
    join(samples, "gdnsd/zones"),
    "--out",
    "made",
  ];
  const first = await rhumb(words, { cwd });
  assert.equal(first.code, 0, first.err);
  assert.match(first.out, /^wrote rhumb\.yaml$/m);
  const check = await rhumb(["check", "-c", "made/rhumb.yaml"], { cwd });
  assert.equal(check.code, 0, check.err);
  assert.match(check.out, /1 zone, .*13 regions/);
  writeFileSync(join(cwd, "made/rhumb.yaml"), "mine\n");
  const refused = await rhumb(words, { cwd });
  assert.equal(refused.code, 1);
  assert.match(refused.err, /made\/rhumb\.yaml/);
  assert.equal(readFileSync(join(cwd, "made/rhumb.yaml"), "utf8"), "mine\n");
  assert.equal((await rhumb([...words, "--force"], { cwd })).code, 0);
  assert.match(readFileSync(join(cwd, "made/rhumb.yaml"), "utf8"), /^version: 1$/m);
});

test("import follows includes within the folder of the file, and not out of it", async (t) => {
  const cwd = folder(t);
  writeFileSync(join(cwd, "secret.conf"), "upstream secret { server 10.0.0.9:80; }");
  const { code, out, err } = await rhumb(["import", "nginx", join(samples, "nginx/nginx.conf"), "--json"], { cwd });
  assert.equal(code, 0, err);
  assert.match(out, /certs\/api\.pem/, "of conf.d/api.conf");
  const made = join(cwd, "conf");
  await rhumb(["import", "haproxy", "-", "--out", made], { input: HAPROXY });
  writeFileSync(join(made, "nginx.conf"), "http { include ../secret.conf; upstream a { server 10.0.0.1:80; } }");
  const outside = await rhumb(["import", "nginx", join(made, "nginx.conf")]);
  assert.doesNotMatch(outside.out, /secret|10\.0\.0\.9/);
  assert.match(outside.err, /nginx\.conf:1: include: There is nothing to include/);
  assert.ok(existsSync(join(made, "rhumb.yaml")));
});
