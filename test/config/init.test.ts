/** `rhumb init`: what it writes passes `rhumb check`, and it writes over nothing. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { checkConfig } from "#config/check-config.ts";
import { initConfig } from "#config/init.ts";
import { NOW_MS } from "./load-good.ts";

function emptyFolder(t: { after(callback: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-init-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
const init = (folder: string, domain: string, octet = 7) =>
  initConfig({ domain, folder, randomBytes: (octets) => new Uint8Array(octets).fill(octet), nowMs: NOW_MS });

for (const domain of ["example.com", "Example.ORG.", "xn--bcher-kva.example", "a.very.deep.sub.domain.example"]) {
  test(`initConfig() writes a configuration for ${domain} that passes check, secrets and all`, (t) => {
    const folder = emptyFolder(t);
    init(folder, domain);
    const report = checkConfig(join(folder, "rhumb.yaml"), { nowMs: NOW_MS, needsSecrets: true });
    assert.deepEqual([...report.problems, ...report.warnings], []);
    assert.deepEqual(report.summary, { zones: 1, records: 7, services: 1, regions: 2, checks: 1 });
  });
}

test("initConfig() writes a token that nobody else can read", (t) => {
  const folder = emptyFolder(t);
  init(folder, "example.com");
  assert.equal(statSync(join(folder, "run/token")).mode & 0o777, 0o600);
  assert.equal(statSync(join(folder, "run")).mode & 0o777, 0o700);
  assert.equal(readFileSync(join(folder, "run/token"), "utf8").trim().length, 32);
});

test("initConfig() writes over nothing, and then writes nothing at all", (t) => {
  const folder = emptyFolder(t);
  writeFileSync(join(folder, "rhumb.yaml"), "mine");
  assert.throws(() => init(folder, "example.com"), { code: "RHUMB_CONFIG_INIT_OCCUPIED" });
  assert.equal(readFileSync(join(folder, "rhumb.yaml"), "utf8"), "mine");
  assert.throws(() => statSync(join(folder, "zones")), { code: "ENOENT" });
});

for (const domain of ["", "localhost", "../etc", "a..b", "-a.example", "exa mple.com", `${"a".repeat(64)}.example`]) {
  test(`initConfig() refuses ${JSON.stringify(domain)}`, (t) => {
    assert.throws(() => init(emptyFolder(t), domain), { code: "RHUMB_CONFIG_NAME_BAD" });
  });
}
