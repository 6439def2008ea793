/** Reports as files: what is written comes back, and what is no report says why. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { RhumbError } from "#base/errors.ts";
import { readReport, writeReport } from "#drill/report/write-report.ts";
import { sampleReport } from "./sample-report.ts";

function folderFor(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-report-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

for (const outcome of ["passed", "failed", "aborted", "broken"] as const)
  test(`readReport() reads what writeReport() wrote of a drill that ${outcome}`, (context) => {
    const report = sampleReport({ outcome });
    const { json, html } = writeReport(report, join(folderFor(context), "new", "folder"));
    assert.deepEqual(readReport(json), report);
    assert.match(readFileSync(html, "utf8"), /^<!doctype html>/);
  });

test("readReport() leaves out what a later release has added", (context) => {
  const report = sampleReport({ seconds: 3 });
  const file = join(folderFor(context), "report.json");
  writeFileSync(file, JSON.stringify({ ...report, mood: "good" }));
  assert.deepEqual(readReport(file), report);
});

const sample = sampleReport({ seconds: 2 });
for (const { name, text, says } of [
  { name: "no JSON", text: "{", says: /report\.json: .*JSON/ },
  { name: "another version", text: JSON.stringify({ ...sample, version: 2 }), says: /version: / },
  { name: "another thing", text: "[]", says: /all of it: / },
  {
    name: "hundreds of problems",
    text: JSON.stringify({ ...sample, seconds: Array.from({ length: 300 }, () => 0) }),
    says: /seconds\.0: .*seconds\.2: .*and 297 more/,
  },
  {
    name: "a wrong measure",
    text: JSON.stringify({ ...sample, measures: [{ ...sample.measures[0], measure: "luck" }] }),
    says: /measures\.0\.measure: /,
  },
])
  test(`readReport() says where a file is wrong that has ${name}`, (context) => {
    const file = join(folderFor(context), "report.json");
    writeFileSync(file, text);
    assert.throws(
      () => readReport(file),
      (error) => error instanceof RhumbError && error.code === "RHUMB_DRILL_REPORT" && says.test(error.message),
    );
  });

test("readReport() says which file is not there", () => {
  assert.throws(() => readReport("/nowhere/report.json"), /RHUMB_DRILL_REPORT|\/nowhere\/report\.json: ENOENT/);
});
