/** The committed settings page and JSON schemas are what the schemas say. `RHUMB_WRITE_DOCS=1` writes them. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { renderSchemas, renderSettings } from "#config/docs.ts";

const docs = join(import.meta.dirname, "../../docs");
const again = "run RHUMB_WRITE_DOCS=1 npm test -- config/docs";

if (process.env["RHUMB_WRITE_DOCS"] === "1") {
  mkdirSync(join(docs, "schema"), { recursive: true });
  writeFileSync(join(docs, "settings.md"), renderSettings());
  for (const [file, text] of renderSchemas()) writeFileSync(join(docs, "schema", file), text);
}

test("docs/settings.md is current", () => {
  assert.ok(
    readFileSync(join(docs, "settings.md"), "utf8") === renderSettings(),
    `docs/settings.md is stale: ${again}`,
  );
});

test("docs/schema is current, and has no other files", () => {
  const schemas = renderSchemas();
  assert.deepEqual(readdirSync(join(docs, "schema")).sort(), [...schemas.keys()].sort());
  for (const [file, text] of schemas)
    assert.ok(readFileSync(join(docs, "schema", file), "utf8") === text, `docs/schema/${file} is stale: ${again}`);
});

test("renderSettings() says something of every key", () => {
  const rows = renderSettings()
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  assert.ok(rows.length > 100);
  const silent = rows.filter((row) => row.replaceAll("\\|", "").split("|").at(-2)!.trim() === "");
  assert.deepEqual(silent, []);
});

test("renderSchemas() leaves no word of ours in the JSON schemas", () => {
  for (const text of renderSchemas().values()) assert.doesNotMatch(text, /"(expects|reload|unit|range)":/);
});
