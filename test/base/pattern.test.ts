/** Patterns: they find what RegExp finds, refuse what cannot be linear, and hostile text does not slow them. */
import assert from "node:assert/strict";
import test from "node:test";
import { compilePattern, patternFault } from "#base/pattern.ts";
import { createSeededRng } from "#base/rng.ts";

const PIECES = ["a", "b", ".", "[ab]", "[^a]", "(a|b)", "(ab)", "(?:a|ab)", "\\w", "\\d", "\\b", "^", "$", "|", "c"];
const REPEATS = ["", "", "", "*", "+", "?", "*?", "+?", "{2}", "{1,3}", "{0,2}?"];

test("compilePattern() finds what RegExp finds, groups included, in patterns drawn at random", () => {
  const rng = createSeededRng(7);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(rng() * list.length)]!;
  let compared = 0;
  for (let round = 0; round < 4_000; round++) {
    let source = rng() < 0.1 ? "(?i)" : "";
    for (let piece = 0; piece < 1 + rng() * 5; piece++) {
      const atom = pick(PIECES);
      source += atom + (/^(\^|\$|\||\\b)$/.test(atom) ? "" : pick(REPEATS));
    }
    const isInsensitive = source.startsWith("(?i)");
    const pattern = compilePattern(source);
    const judge = new RegExp(isInsensitive ? source.slice(4) : source, isInsensitive ? "i" : "");
    for (let probe = 0; probe < 8; probe++) {
      const text = Array.from({ length: Math.floor(rng() * 8) }, () => pick(["a", "b", "c", "1", " ", "A"])).join("");
      const expected = judge.exec(text);
      assert.equal(pattern.test(text), expected !== null, `${source} on ${JSON.stringify(text)}`);
      const found = pattern.exec(text);
      const where = expected && [expected.index, expected.index + expected[0].length];
      assert.deepEqual(found ? [found.start, found.end] : null, where, `${source} on ${JSON.stringify(text)}`);
      // Groups inside of a repetition differ by design: JavaScript forgets them at each round, others keep the last.
      if (found && expected && !/\)[*+?{]/.test(source))
        assert.deepEqual(
          [...found.groups],
          [...expected].map((group) => group ?? ""),
          `${source} on ${text}`,
        );
      compared += 1;
    }
  }
  assert.equal(compared, 32_000);
});

for (const source of [
  "^(a+)+$",
  "^(a|a)*$",
  "^(a|aa)+$",
  "(x+x+)+y",
  "^(.*)*$b",
  "a*a*a*a*a*a*b",
  "(.*a){25}",
  "^([a-z]+[0-9]*)*!$",
]) {
  test(`${source} is linear`, () => {
    const pattern = compilePattern(source);
    for (const letter of ["a", "x"]) {
      // A matcher that goes back would not come back from here.
      pattern.test(`${letter.repeat(20_000)}!`);
      pattern.exec(`${letter.repeat(2_000)}!`);
    }
  });
}

for (const [source, says] of [
  ["(a", "a `(` is not closed"],
  ["a)", "a `)` closes nothing"],
  ["[a", "a `[` is not closed"],
  ["[b-a]", "a range in `[…]` counts backwards"],
  ["*a", "a `*` repeats nothing"],
  ["a**", "a repetition is repeated"],
  ["^*", "an assertion is repeated"],
  ["(a)\\1", "a reference back cannot be matched in linear time"],
  ["(?=a)", "`(?` other than `(?:` and a leading `(?i)` cannot be matched in linear time"],
  ["(?<!a)", "`(?` other than `(?:` and a leading `(?i)` cannot be matched in linear time"],
  ["a{3,2}", "{3,2} counts backwards"],
  ["a{999}", "{999} repeats too often"],
  ["(?:(?:a{99}){99}){99}", "it is too large"],
  ["a\\", "it ends in a backslash"],
  ["\\q", "\\q is not known"],
  ["\\x1", "\\x has no two hexadecimal digits"],
  [`${"(".repeat(80)}${")".repeat(80)}`, "groups lie too deep in each other"],
  ["a".repeat(1_025), "it has 1025 characters"],
] as const)
  test(`${source.slice(0, 30)} is refused: ${says}`, () => assert.equal(patternFault(source)?.says, says));

for (const [source, prefix] of [
  ["^/api/v[0-9]", "/api/v"],
  ["^/a\\.b", "/a.b"],
  ["^/ab*", "/a"],
  ["/api", ""],
  ["^/a|^/b", ""],
  ["(?i)^/a", "/"],
  ["^(/a)", ""],
] as const)
  test(`${source} begins with ${JSON.stringify(prefix)}`, () => assert.equal(compilePattern(source).prefix, prefix));
