/** What a new configuration does to answers: which vanish, which change, and which only look as if. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { compareAnswers } from "#config/answer-floor.ts";
import { compile } from "#config/compile.ts";
import { copyGood, loadFrom, NOW_MS, testContext } from "./load-good.ts";

const ZONE = "zones/example.com.zone";
const SERVICES = "zones/services.yaml";
const REGIONS = "geo-data/regions.yaml";
const LINES =
  "alias ALIAS www\ncname CNAME www\n*.wild A 192.0.2.1\nb.wild A 192.0.2.2\nsub NS ns.sub\nns.sub A 192.0.2.3\nd DNAME example.net.\n";

function compare(
  t: { after(callback: () => void): void },
  edits: readonly (readonly [string, string | RegExp, string])[],
) {
  const folder = copyGood(t);
  const context = testContext();
  const compiled = () => {
    const result = compile(loadFrom(folder), { ...context, generation: { epoch: 1, sequence: 1 }, nowMs: NOW_MS });
    assert.ok("snapshot" in result, JSON.stringify(result));
    return result.snapshot;
  };
  const edit = (file: string, from: string | RegExp, to: string): void => {
    const text = readFileSync(join(folder, file), "utf8");
    assert.notEqual(text.replace(from, to), text, `${file}: ${from}`);
    writeFileSync(join(folder, file), text.replace(from, to));
  };
  writeFileSync(join(folder, ZONE), readFileSync(join(folder, ZONE), "utf8") + LINES);
  const before = compiled();
  for (const [file, from, to] of edits) edit(file, from, to);
  return compareAnswers(before, compiled());
}

for (const { name, edits, vanished, changed } of [
  { name: "nothing", edits: [], vanished: [], changed: 0 },
  {
    name: "another TTL and serial",
    edits: [[ZONE, /^\$TTL 300\n@(.*) 1 3600/, "$$TTL 90\n@$1 2 3600"]],
    vanished: [],
    changed: 0,
  },
  {
    name: "a name that goes",
    edits: [
      [ZONE, /^ns2 .*\n/m, ""],
      [ZONE, /^@ +NS +ns2\n/m, ""],
    ],
    vanished: ["ns2.example.com. A"],
    changed: 2,
  },
  { name: "an address that changes", edits: [[ZONE, "192.0.2.54", "192.0.2.55"]], vanished: [], changed: 1 },
  { name: "a name that a wildcard still answers", edits: [[ZONE, /^b\.wild .*\n/m, ""]], vanished: [], changed: 1 },
  {
    name: "the wildcard itself",
    edits: [[ZONE, /^\*\.wild .*\n/m, ""]],
    vanished: ["*.wild.example.com. A"],
    changed: 1,
  },
  {
    name: "a delegation that goes",
    edits: [[ZONE, /^(ns\.)?sub .*\n/gm, ""]],
    vanished: ["sub.example.com. NS", "ns.sub.example.com. A"],
    changed: 2,
  },
  {
    name: "a steered name that goes",
    edits: [[ZONE, /^app .*\n/m, ""]],
    vanished: ["app.example.com. A", "app.example.com. AAAA"],
    changed: 2,
  },
  {
    name: "a steered name that becomes static, in one family",
    edits: [[ZONE, /^app .*\n/m, "app A 192.0.2.9\n"]],
    vanished: ["app.example.com. AAAA"],
    changed: 2,
  },
  {
    name: "a family that no region has any more",
    edits: [[REGIONS, /^ {2}v6:.*\n/gm, ""]],
    vanished: ["app.example.com. AAAA", "www.example.com. AAAA"],
    changed: 4,
  },
  { name: "another policy", edits: [[SERVICES, "steer: geo", "steer: weighted"]], vanished: [], changed: 2 },
] as { name: string; edits: [string, string | RegExp, string][]; vanished: string[]; changed: number }[]) {
  test(`compareAnswers() of ${name}`, (t) => {
    const change = compare(t, edits);
    assert.deepEqual([...change.samples].sort(), vanished.sort());
    assert.deepEqual([change.vanished, change.changed], [vanished.length, changed]);
  });
}
