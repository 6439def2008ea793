/** The look of the command line. */
import assert from "node:assert/strict";
import test from "node:test";
import { formatSpan, plain, table, usesColour } from "#cli/output.ts";

for (const { name, isTTY, env, expected } of [
  { name: "on a terminal", isTTY: true, env: {}, expected: true },
  { name: "not in a pipe", isTTY: false, env: {}, expected: false },
  { name: "not with NO_COLOR", isTTY: true, env: { NO_COLOR: "1", FORCE_COLOR: "1" }, expected: false },
  { name: "with an empty NO_COLOR", isTTY: true, env: { NO_COLOR: "" }, expected: true },
  { name: "not on a dumb terminal", isTTY: true, env: { TERM: "dumb" }, expected: false },
  { name: "in a pipe when forced", isTTY: false, env: { FORCE_COLOR: "1" }, expected: true },
] as { name: string; isTTY: boolean; env: Record<string, string>; expected: boolean }[]) {
  test(`usesColour() is ${expected} ${name}`, () => assert.equal(usesColour({ isTTY }, env), expected));
}

for (const [ms, text] of [
  [0, "0s"],
  [59_400, "59s"],
  [60_000, "1m"],
  [200_000, "3m 20s"],
  [3_600_000, "1h"],
  [18_120_000, "5h 2m"],
  [1_051_200_000, "12d 4h"],
  [-5, "0s"],
] as const) {
  test(`formatSpan() writes ${ms} ms as ${text}`, () => assert.equal(formatSpan(ms), text));
}

test("table() aligns columns and leaves no blanks at the ends", () => {
  assert.equal(
    table(
      ["A", "LONGER"],
      [
        ["x", "1"],
        ["wide cell", ""],
      ],
    ),
    "A          LONGER\nx          1\nwide cell",
  );
});

test("plain() shows control characters and keeps letters of all scripts", () => {
  assert.equal(plain("a\x1b[2Jb\x07\u009bc é 東\n"), "a\\x1b[2Jb\\x07\\x9bc é 東\n");
});
