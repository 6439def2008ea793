/** Whatever stands in the files, compiling reports problems and does not throw. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { Problem } from "#base/problem.ts";
import { compile } from "#config/compile.ts";
import { exportConfig } from "#config/export.ts";
import type { ConfigFiles } from "#config/files.ts";
import type { Overlay } from "#config/overlay.ts";
import { parseYaml } from "#config/yaml.ts";
import { copyGood, loadFrom, NOW_MS, testContext } from "./load-good.ts";

const SPLICES = [
  "",
  "null",
  "[]",
  "{}",
  "-1",
  "1e400",
  "&a",
  "*a",
  "<<: *a",
  "__proto__:",
  "constructor: {}",
  "\t",
  "\0",
  "é",
  "?",
  "- ",
  ": ",
  "!!binary x",
  "~",
  "'",
  '"',
  "%",
  "@",
  "{ a: { b: { c: [ 1, [ 2 ] ] } } }",
  "5s",
  "9".repeat(400),
];
const PARTS = ["root", "regions", "services", "geoOverrides", "healthOverrides"] as const;

/** A text with one stretch of it replaced. */
const mutate = (text: string, at: number, length: number, splice: string): string => {
  const start = Math.floor(at * text.length);
  return text.slice(0, start) + splice + text.slice(start + length);
};

function compileMutated(files: ConfigFiles, overlay: Overlay = {}): readonly Problem[] {
  const result = compile(files, { ...testContext(), overlay, generation: { epoch: 1, sequence: 1 }, nowMs: NOW_MS });
  return "problems" in result ? result.problems : result.warnings;
}

test("compile() never throws, whatever a mutation makes of the files", (t) => {
  const good = loadFrom(copyGood(t));
  const position = fc.double({ min: 0, max: 1, noNaN: true });
  const mutation = fc.tuple(position, fc.nat(40), fc.oneof(fc.constantFrom(...SPLICES), fc.string({ maxLength: 12 })));
  fc.assert(
    fc.property(
      fc.constantFrom(...PARTS, "check", "zone"),
      fc.array(mutation, { minLength: 1, maxLength: 3 }),
      (part, mutations) => {
        const change = <T extends { readonly text: string }>(file: T): T => ({
          ...file,
          text: mutations.reduce((text, [at, length, splice]) => mutate(text, at, length, splice), file.text),
        });
        const files: ConfigFiles =
          part === "check"
            ? { ...good, checks: good.checks.map(change) }
            : part === "zone"
              ? { ...good, zones: good.zones.map(change) }
              : { ...good, [part]: change(good[part]!) };
        for (const problem of compileMutated(files)) {
          assert.ok(
            problem.line >= 1 && problem.column >= 1 && problem.says !== "" && problem.fix !== "",
            JSON.stringify(problem),
          );
          assert.doesNotMatch(problem.says, /undefined|\[object|something else; is/, JSON.stringify(problem));
        }
      },
    ),
    { seed: 20_260_601, numRuns: 600 },
  );
});

test("compile() never throws, whatever values stand in the files", (t) => {
  const good = loadFrom(copyGood(t));
  const keys = [
    "dns",
    "listen",
    "at",
    "v4",
    "regions",
    "steer",
    "kind",
    "http",
    "geofence",
    "first",
    "ttl",
    "min",
    "us-east",
    "www",
    "notify",
    "balancer",
    "listeners",
    "pools",
    "web",
    "backends",
    "address",
    "srv",
    "check",
    "sni",
    "__proto__",
  ];
  const value = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, 0, -1, 1.5, "x", "5s", "geo", "us-east", "192.0.2.1"),
      fc.array(tie("node"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...keys), tie("node"), { maxKeys: 3 }),
    ),
  })).node;
  fc.assert(
    fc.property(fc.constantFrom(...PARTS, "check"), value, (part, made) => {
      const text = JSON.stringify(made);
      const files: ConfigFiles =
        part === "check"
          ? { ...good, checks: good.checks.map((file) => ({ ...file, text })) }
          : { ...good, [part]: { ...good[part]!, text } };
      for (const problem of compileMutated(files)) assert.ok(problem.says !== "" && problem.fix !== "");
    }),
    { seed: 20_260_602, numRuns: 400 },
  );
});

test("parseYaml() limits aliases, depth and size", () => {
  for (const [name, text] of [
    ["aliases", `a: &a [x]\nb: [${"*a, ".repeat(200)}]\n`],
    ["depth", `${"[".repeat(50_000)}`],
    ["deep maps", `${"{a: ".repeat(20_000)}1${"}".repeat(20_000)}`],
    ["size", `a: ${"x".repeat(17_000_000)}`],
    ["self reference", "a: &a [*a]"],
    ["unknown alias", "a: *b"],
    ["two documents", "a: 1\n---\nb: 2\n"],
    ["unknown tag", "a: !ruby/object:Foo {}"],
  ] as const) {
    const problems: Problem[] = [];
    parseYaml("x.yaml", text, problems);
    assert.ok(problems.length > 0, name);
  }
});

test("parseYaml() finds the place of keys and values", () => {
  const source = parseYaml("x.yaml", "a:\n  - b: 1\n    c: &x { d: 2 }\n  - *x\n", []);
  const at = (path: readonly (string | number)[], want?: "key" | "value") => {
    const { line, column } = source.at(path, want);
    return `${line}:${column}`;
  };
  assert.equal(at(["a", 0, "b"]), "2:8");
  assert.equal(at(["a", 0, "b"], "key"), "2:5");
  assert.equal(at(["a", 0, "c", "d"]), "3:16");
  assert.equal(at(["a", 1, "d"]), "3:16", "through an alias");
  assert.equal(at(["a", 0, "none"]), "2:5", "the nearest place that exists");
  assert.equal(at(["none"]), "1:1");
});

test("compile() and the export never throw, whatever the API says of pools", (t) => {
  const good: ConfigFiles = { ...loadFrom(copyGood(t)), zones: [] };
  const keys = [
    "web",
    "api",
    "new",
    "constructor",
    "backends",
    "10.0.0.1:80",
    "_http._tcp.x",
    "weight",
    "check",
    "hash",
  ];
  const value = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, 0, -1, 1.5, "x", "5s", "none", "10.0.0.1:80", "web.internal:1"),
      fc.array(tie("node"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...keys), tie("node"), { maxKeys: 3 }),
    ),
  })).node;
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: 3 }), (pools) => {
      for (const problem of compileMutated(good, { pools })) assert.ok(problem.says !== "" && problem.fix !== "");
      assert.notEqual(exportConfig(good, { pools }), "");
    }),
    { seed: 20_260_603, numRuns: 300 },
  );
});
