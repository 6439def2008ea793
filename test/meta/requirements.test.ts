/** docs/requirements.md: every requirement has its row, once, and every file that a row names exists. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/requirements.md"), "utf8");

/** `F1-3,5` stands for F1 F2 F3 F5. */
const WANTED = "F1-19 N1-15 E1-9 A1-8 D1-8 C1-6 G1-16 H1-9 R1-7 P1-9 L1-6 W1-6 T1-5 HA1-6 X1-21 Q1-10";
const STATES = ["met", "partly", "not yet"];

const ids = WANTED.split(" ").flatMap((word) => {
  const [, letters = "", numbers = ""] = /^([A-Z]+)(.*)$/.exec(word)!;
  return numbers.split(",").flatMap((range) => {
    const [from = 0, to = from] = range.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, step) => `${letters}${from + step}`);
  });
});

const rows = page
  .split("\n")
  .filter((line) => /^\| [A-Z]+\d+ \|/.test(line))
  .map((line) => {
    const [id = "", asks = "", state = "", where = "", shows = "", ...rest] = line.slice(2, -2).split(" | ");
    return { id, asks, state, where, shows, rest };
  });
const filesIn = (text: string): string[] =>
  [...text.matchAll(/`((?:src|test|docs|bench|deploy)\/[^`]+)`/g)].map((match) => match[1]!);

test("every requirement has its row, once", () => {
  assert.deepEqual(
    rows.map(({ id }) => id),
    ids,
  );
});

test("a row says what is asked, a state, where, and how it is shown or why it is not there", () => {
  for (const { id, asks, state, where, shows, rest } of rows) {
    assert.ok(STATES.includes(state), `${id} is ${JSON.stringify(state)}`);
    assert.deepEqual(rest, [], `${id} has five cells`);
    assert.ok(asks !== "" && shows !== "" && filesIn(where).length > 0, id);
    // Estimates are shown by arithmetic.
    if (state === "met" && !/^[EQ]/.test(id))
      assert.ok(
        filesIn(shows).some((file) => file.startsWith("test/")),
        id,
      );
  }
});

test("every file that a row names exists", () => {
  const missing = filesIn(page).filter((file) => !existsSync(join(root, file)));
  assert.deepEqual([...new Set(missing)], []);
});
