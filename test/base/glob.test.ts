import assert from "node:assert/strict";
import test from "node:test";
import { createNameMatcher } from "#base/glob.ts";

for (const { glob, like, unlike } of [
  { glob: "www.demo.example", like: ["www.demo.example.", "WWW.Demo.example."], unlike: ["a.www.demo.example."] },
  { glob: "www.demo.example.", like: ["www.demo.example."], unlike: ["www.demo.example.org."] },
  {
    glob: "*.demo.example",
    like: ["a.demo.example.", "a.b.demo.example."],
    unlike: ["demo.example.", "ademo.example."],
  },
  { glob: "*", like: [".", "a."], unlike: [] },
  { glob: ".", like: ["."], unlike: ["a."] },
  { glob: "a*b*c", like: ["abc.", "aXbXbXc."], unlike: ["ab.", "abcd.", "acb."] },
  { glob: "a.b", like: ["a.b."], unlike: ["axb."] },
]) {
  test(`createNameMatcher() ${glob}`, () => {
    const isLike = createNameMatcher(glob);
    assert.deepEqual(like.filter(isLike), like);
    assert.deepEqual(unlike.filter(isLike), []);
  });
}

test("createNameMatcher() is quick with any glob", () => {
  const isLike = createNameMatcher(`${"*a".repeat(500)}b`);
  assert.equal(isLike("a".repeat(255)), false);
  assert.equal(createNameMatcher(`${"*a".repeat(100)}*`)("a".repeat(255)), true);
});
