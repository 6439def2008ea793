/**
 * Whole samples of other products: what becomes of each stands beside it as `NAME.golden`.
 * After a change that is meant: RHUMB_WRITE_GOLDEN=1 node --test test/config/import/samples.test.ts, and read the diff.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { IMPORT_FORMATS } from "#config/import/formats.ts";
import { assertAccepted, goldenNames, goldenText, SAMPLES, samplesFolder, sourcesOf } from "./load-sample.ts";

const nameOf = (file: string): string => `${file.replaceAll("/", "-")}.golden`;

for (const sample of SAMPLES) {
  test(`import of ${sample.file} says what it said before, and passes the check`, () => {
    const imported = IMPORT_FORMATS[sample.format](sourcesOf(sample));
    const golden = join(samplesFolder, nameOf(sample.file));
    if (process.env["RHUMB_WRITE_GOLDEN"] === "1") writeFileSync(golden, goldenText(imported));
    assertAccepted(imported);
    assert.equal(goldenText(imported), readFileSync(golden, "utf8"));
  });
}

test("every golden file belongs to a sample, every format has one", () => {
  assert.deepEqual(goldenNames().sort(), SAMPLES.map(({ file }) => nameOf(file)).sort());
  assert.deepEqual(Object.keys(IMPORT_FORMATS).sort(), [...new Set(SAMPLES.map(({ format }) => format))].sort());
});
