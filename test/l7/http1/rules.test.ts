/** Each rule of docs/http1-rules.md is held by a test that bears its number. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";

const RULES = 47;
const root = path.join(import.meta.dirname, "../../..");
const numbers = (from: Iterable<RegExpMatchArray>): Set<number> => new Set([...from].map((match) => Number(match[1])));
const missing = (found: ReadonlySet<number>): number[] =>
  Array.from({ length: RULES }, (_, index) => index + 1).filter((rule) => !found.has(rule));

test("each of the 47 rules has a test that is named after it", () => {
  const files = globSync(["test/l7/**/*.ts", "test/tls/**/*.ts", "test/pool/proxy-protocol/**/*.ts"], { cwd: root });
  const text = files.map((file) => readFileSync(path.join(root, file), "utf8")).join("\n");
  // A test's name, or the first argument of a helper that puts it before the names of its table.
  assert.deepEqual(missing(numbers(text.matchAll(/\(\s*["'`]R(\d+)\b/g))), []);
});

test("each of the 47 rules has a row in docs/http1-rules.md", () => {
  const page = readFileSync(path.join(root, "docs/http1-rules.md"), "utf8");
  assert.deepEqual(missing(numbers(page.matchAll(/^\| R(\d+) \| [^|]/gm))), []);
});

test("the code and the tests that docs/http1-rules.md names are there", () => {
  const page = readFileSync(path.join(root, "docs/http1-rules.md"), "utf8");
  const named = [...page.matchAll(/[a-z0-9/-]+\.test\.ts/g)].map(([file]) => file);
  assert.deepEqual(
    named.filter((file) => globSync([file, `test/l7/${file}`], { cwd: root }).length === 0),
    [],
  );
});
