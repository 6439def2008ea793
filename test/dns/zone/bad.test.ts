import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { parseName } from "#dns/wire/name.ts";
import { checkZone } from "#dns/zone/check.ts";
import { parseZone } from "#dns/zone/parse.ts";

// Each file of bad/ ends in comments that list all that is to be said about it, in order.
const FOLDER = join(import.meta.dirname, "bad");
const APEX = parseName("example.net.") as Uint8Array;

for (const file of readdirSync(FOLDER)) {
  test(`parseZone() and checkZone() say what is wrong with ${file}`, () => {
    const text = readFileSync(join(FOLDER, file), "utf8");
    const expected = text.split("\n").flatMap((line) => (line.startsWith(";! ") ? [line.slice(3)] : []));
    assert.ok(expected.length > 0, "the file lists no problem");
    const { records, problems } = parseZone(text, { file, origin: APEX });
    const all = [...problems, ...checkZone(records, APEX, file)];
    assert.deepEqual(
      all.map(({ line, column, severity, says }) => `${line}:${column} ${severity}: ${says}`),
      expected,
    );
    for (const problem of all) assert.ok(problem.fix.length > 5 && problem.file === file && problem.path === "");
  });
}
