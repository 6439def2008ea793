/** Every error code is documented, used, and says what to do. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { ERRORS } from "#base/errors.ts";

const root = join(import.meta.dirname, "../..");

test("docs/errors.md documents every error code, and no other", () => {
  const page = readFileSync(join(root, "docs/errors.md"), "utf8");
  const documented = [...page.matchAll(/^## (RHUMB_[A-Z0-9_]+)$/gm)].map((match) => match[1]!);
  assert.deepEqual(documented.sort(), Object.keys(ERRORS).sort());
});

test("every error code is thrown or reported somewhere", () => {
  const text = globSync("src/**/*.ts", { cwd: root })
    .filter((file) => !file.endsWith("base/errors.ts"))
    .map((file) => readFileSync(join(root, file), "utf8"))
    .join("\n");
  assert.deepEqual(
    Object.keys(ERRORS).filter((code) => !text.includes(code)),
    [],
  );
});

test("every sentence names its subject and ends without a full stop, every fix says something", () => {
  for (const [code, { says, fix }] of Object.entries(ERRORS)) {
    assert.match(says, /%/, code);
    assert.doesNotMatch(says, /\.$/, code);
    assert.ok(fix.length > 10, code);
  }
});
