/** Whatever a sample is turned into: an import ends, does not throw, and what it makes passes the check. */
import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng, type Rng } from "#base/rng.ts";
import { IMPORT_FORMATS } from "#config/import/formats.ts";
import type { Imported } from "#config/import/settle.ts";
import type { Sources } from "#config/import/sources.ts";
import { assertAccepted, SAMPLES, sourcesOf } from "./load-sample.ts";

const SPLICES = [
  "",
  " ",
  "\n",
  "{",
  "}",
  "[",
  "]",
  '"',
  "'",
  "\\",
  ";",
  "#",
  "=>",
  "=",
  "$",
  "\0",
  "\uFFFD",
  "é",
  "-1",
  "0",
  "1e999",
  "99999999999999999999",
  "__proto__",
  "constructor",
  "toString",
  "null",
  "none",
  "*",
  "*:*",
  "::",
  "0.0.0.0/0",
  "if",
  "{ ",
  "!",
  "%[x]",
  "include *;",
  "$include{x}",
  "a".repeat(300),
  "{".repeat(2_000),
  "1h1h1h",
  '{"a":',
  "default",
  "localhost:1",
];
const RUNS = 150;

function mutate(text: string, rng: Rng): string {
  const below = (limit: number): number => Math.floor(rng() * limit);
  let out = text;
  for (let count = 1 + below(4); count > 0; count--) {
    const at = below(out.length + 1);
    const kind = below(4);
    if (kind === 0) out = out.slice(0, at) + out.slice(at + below(30));
    else if (kind === 1) {
      // A line of another place.
      const lines = out.split("\n");
      lines.splice(below(lines.length), below(2), lines[below(lines.length)]!);
      out = lines.join("\n");
    } else if (kind === 2) {
      const words = [...out.matchAll(/[^\s;{}]+/g)];
      const word = words[below(words.length)];
      if (word)
        out = out.slice(0, word.index) + SPLICES[below(SPLICES.length)]! + out.slice(word.index + word[0].length);
    } else out = out.slice(0, at) + SPLICES[below(SPLICES.length)]! + out.slice(at + below(6));
  }
  return out;
}

/** The same for JSON, of which other mutations leave nothing to read: values take the places of others. */
function mutateJson(text: string, rng: Rng): string {
  const below = (limit: number): number => Math.floor(rng() * limit);
  let out = text;
  for (let count = 1 + below(4); count > 0; count--) {
    const values = [...out.matchAll(/"(?:[^"\\]|\\.)*"(?!\s*:)|(?<=: )\d+/g)];
    const [value, other] = [values[below(values.length)], values[below(values.length)]];
    if (!value || !other) return out;
    const others = [JSON.stringify(SPLICES[below(SPLICES.length)]), other[0], "null", "[]", "{}", "-1", "1e99", "true"];
    out = out.slice(0, value.index) + others[below(others.length)] + out.slice(value.index + value[0].length);
  }
  return out;
}

function assertSane(imported: Imported, text: string): void {
  for (const { says, fix, line, file } of imported.notes) {
    assert.ok(says !== "" && fix !== "" && file !== "" && line >= 1, JSON.stringify({ says, fix, line }));
    assert.doesNotMatch(says, /undefined|\[object|NaN/, text.slice(0, 4_000));
  }
  if (imported.files.length > 0) assertAccepted(imported);
}

for (const [index, sample] of SAMPLES.entries()) {
  test(`import of ${sample.file} survives ${RUNS} mutations`, () => {
    const rng = createSeededRng(20_261_121 + index);
    const sources = sourcesOf(sample);
    const change = <T extends { readonly text: string }>(one: T): T => ({
      ...one,
      text: (sample.file.endsWith(".json") && rng() < 0.8 ? mutateJson : mutate)(one.text, rng),
    });
    for (let run = 0; run < RUNS; run++) {
      const mutated: Sources = {
        ...change(sources),
        extra: sources.extra?.map((one) => (rng() < 0.3 ? change(one) : one)) ?? [],
      };
      assertSane(IMPORT_FORMATS[sample.format](mutated), mutated.text);
    }
  });
}

for (const format of Object.keys(IMPORT_FORMATS) as (keyof typeof IMPORT_FORMATS)[]) {
  test(`import of nonsense as ${format} makes no files`, () => {
    for (const text of [
      "",
      "\0",
      "\n\n\n",
      "{".repeat(100_000),
      "[".repeat(100_000),
      '"',
      "\\",
      "}".repeat(1_000),
      "a".repeat(200_000),
      "include x;\n".repeat(100),
    ]) {
      const imported = IMPORT_FORMATS[format]({
        file: "nonsense",
        text,
        open: () => [{ file: "x", text: "include x;" }],
      });
      assert.deepEqual(imported.files, []);
      assertSane(imported, text);
    }
  });
}
