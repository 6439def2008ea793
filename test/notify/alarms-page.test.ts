import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { EVENT_KINDS } from "#state/events.ts";

test("docs/alarms.md says of every kind of event what it means", () => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/alarms.md"), "utf8");
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  for (const kind of EVENT_KINDS) {
    assert.equal(rows.filter((row) => row.split("|")[1]!.includes(`\`${kind}\``)).length, 1, kind);
  }
  const named = rows.flatMap((row) => [...row.split("|")[1]!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!));
  assert.deepEqual(named.sort(), [...EVENT_KINDS].sort());
});
