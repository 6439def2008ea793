/** Diffs for people: hunks that `patch` takes, long texts, and no secret in them. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { diffText, diffTexts, maskLine } from "#config/text-diff.ts";

/** What `patch` makes of a diff: by its own reading of hunks. */
function patched(before: string, diff: string): string {
  const lines = before === "" ? [] : before.replace(/\n$/, "").split("\n");
  const out: string[] = [];
  let at = 0;
  for (const line of diff.split("\n").slice(2, -1)) {
    const hunk = /^@@ -(\d+),(\d+) \+\d+,\d+ @@$/.exec(line);
    if (hunk) {
      const start = Number(hunk[2]) === 0 ? Number(hunk[1]) : Number(hunk[1]) - 1;
      while (at < start) out.push(lines[at++]!);
    } else if (line[0] === "+") out.push(line.slice(1));
    else {
      assert.equal(line.slice(1), lines[at], "context and removals stand where the hunk says");
      if (line[0] === " ") out.push(lines[at]!);
      at++;
    }
  }
  return [...out, ...lines.slice(at)].map((line) => `${line}\n`).join("");
}

test("diffText() makes one text of the other", () => {
  const text = fc
    .array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 40 })
    .map((lines) => lines.map((line) => `${line}\n`).join(""));
  fc.assert(
    fc.property(text, text, (before, after) => {
      const diff = diffText("zones/a.zone", before, after);
      if (before === after) assert.equal(diff, "");
      else assert.equal(patched(before, diff), after);
    }),
    { seed: 3 },
  );
});

test("diffText() shows three lines around a change, and where it is", () => {
  const lines = Array.from({ length: 12 }, (_, n) => `line ${n + 1}`);
  const after = lines.map((line) => (line === "line 6" ? "six" : line));
  assert.equal(
    diffText("a", `${lines.join("\n")}\n`, `${after.join("\n")}\n`),
    "--- a/a\n+++ b/a\n@@ -3,7 +3,7 @@\n line 3\n line 4\n line 5\n-line 6\n+six\n line 7\n line 8\n line 9\n",
  );
});

test("diffText() of a file that comes or goes names /dev/null; what is too different is replaced whole", () => {
  assert.equal(diffText("a", undefined, "x\n"), "--- /dev/null\n+++ b/a\n@@ -0,0 +1,1 @@\n+x\n");
  assert.equal(diffText("a", "x\n", undefined), "--- a/a\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-x\n");
  const [before, after] = ["x", "y"].map((letter) => `${letter}\n`.repeat(3_000));
  assert.equal(patched(before!, diffText("a", before, after)), after);
});

test("diffTexts() cuts what is too long, and says so", () => {
  const long = { a: "x\n".repeat(50_000), b: "y\n" };
  assert.match(diffTexts({}, { a: long.b, b: long.a }), /^\+y\n… the rest is left out/m);
});

for (const [line, masked] of [
  [
    '  headers: { Authorization: "Bearer abc", Accept: text/html }',
    "  headers: { Authorization: ***, Accept: text/html }",
  ],
  ["    X-Api-Key: abcdef", "    X-Api-Key: ***"],
  ["  Cookie: 'session=1'", "  Cookie: ***"],
  ["www 30 STEER www", "www 30 STEER www"],
] as const) {
  test(`maskLine() of ${line.trim()}`, () => assert.equal(maskLine(line), masked));
}
