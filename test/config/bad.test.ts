/**
 * A corpus of bad configurations: each folder of `bad/` is laid over `good/`, and `expected.txt` has every message.
 * `RHUMB_WRITE_EXPECTED=1` writes them anew: read the difference before it is committed.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { formatProblem } from "#base/problem.ts";
import { compileFrom, copyGood } from "./load-good.ts";

const corpus = join(import.meta.dirname, "bad");

for (const name of readdirSync(corpus).sort()) {
  test(`compile() says all that is wrong with bad/${name}`, (t) => {
    const folder = copyGood(t, join(corpus, name));
    const result = compileFrom(folder);
    assert.ok("problems" in result, "must be refused");
    const text = result.problems.map((problem) => `${formatProblem(problem).replaceAll(`${folder}/`, "")}\n`).join("");
    const expected = join(corpus, name, "expected.txt");
    if (process.env["RHUMB_WRITE_EXPECTED"] === "1") writeFileSync(expected, text);
    assert.equal(text, readFileSync(expected, "utf8"));
  });
}

test("compile() takes the good configuration without a word", (t) => {
  const result = compileFrom(copyGood(t));
  assert.deepEqual("problems" in result ? result.problems : result.warnings, []);
});
