/** File sizes: a long file is usually two rooms in one. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

const root = join(import.meta.dirname, "../..");
const LIMIT_LINES = 500;
/** Files over the limit, each with the reason why it stays whole. */
const REASONS: Record<string, string> = {};

const linesOf = (file: string): number => readFileSync(join(root, file), "utf8").split("\n").length;

test(`no file of src/ is longer than ${LIMIT_LINES} lines without a written reason`, () => {
  const long = globSync("src/**/*.ts", { cwd: root }).filter((file) => linesOf(file) > LIMIT_LINES && !REASONS[file]);
  assert.deepEqual(long, []);
});

test("reasons name files that are still that long", () => {
  assert.deepEqual(
    Object.keys(REASONS).filter((file) => linesOf(file) <= LIMIT_LINES),
    [],
  );
});

test("every module of src/ says what it owns", () => {
  const silent = globSync("src/**/*.ts", { cwd: root }).filter(
    (file) => !readFileSync(join(root, file), "utf8").trimStart().startsWith("/**"),
  );
  assert.deepEqual(silent, []);
});

test("the project speaks of itself alone", () => {
  const foreign = /\/work\/|farm-(?:bench|studio)|registry\.npmjs\.org|\bhelper session/i;
  const text = globSync(["src/**/*.ts", "test/**/*.ts", "bench/**/*.ts", "docs/**/*.md", "*.md", "*.yaml"], {
    cwd: root,
  });
  const found = text.filter(
    (file) => !file.endsWith("meta/files.test.ts") && foreign.test(readFileSync(join(root, file), "utf8")),
  );
  assert.deepEqual(found, []);
});
