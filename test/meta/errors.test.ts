/** Every error code is documented, used, and says what to do. */
import assert from "node:assert/strict";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { ERRORS } from "#base/errors.ts";

const root = join(import.meta.dirname, "../..");

const PAGE = join(root, "docs/errors.md");
const renderPage = (): string =>
  `${[
    "# Errors",
    "Every error of the command line, the log and the API has a code, a sentence, and a fix. `%` stands for what it is about. Problems of configuration and zone files have no code: they name file, line, column, value and fix. This page is made from `src/base/errors.ts`.",
    ...Object.entries(ERRORS)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([code, { says, fix }]) => `## ${code}\n\n${says}.\n\n**What to do:** ${fix}.`),
  ].join("\n\n")}\n`;

test("docs/errors.md documents every error code (RHUMB_WRITE_DOCS=1 writes it)", () => {
  if (process.env["RHUMB_WRITE_DOCS"]) writeFileSync(PAGE, renderPage());
  assert.equal(readFileSync(PAGE, "utf8"), renderPage());
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
