/** R40: the path that rules match, and what is refused because it has no one meaning. */
import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { normalisePath } from "#l7/path.ts";

for (const [target, path] of [
  ["/", "/"],
  ["*", "*"],
  ["/a/b?c=/../d//e", "/a/b"],
  ["/a/", "/a/"],
  ["/%61%2D", "/a-"],
  ["/caf%C3%A9", "/café"],
  ["/a%20b", "/a b"],
  ["//a///b//", "/a/b/"],
  ["/a/./b", "/a/b"],
  ["/a/../b", "/b"],
  ["/a/b/..", "/a/"],
  ["/a/.", "/a/"],
  ["/a/%2e%2E/b", "/b"],
  ["/a/.%2e/b", "/b"],
  ["/a%2fb", "/a/b"],
  ["/a%5Cb", "/a/b"],
  ["/a;x=1/b;y", "/a/b"],
  ["/a%3bx", "/a;x"],
  ["/a%252fb", "/a%2fb"],
  ["/a%252e%252e/b", "/a%2e%2e/b"],
  ["/.a/..b/c..", "/.a/..b/c.."],
  ["/;x", "/"],
] as const)
  test(`R40: rules match ${path} for ${target}`, () => assert.equal(normalisePath(target), path));

for (const [name, target] of [
  ["an encoded NUL", "/a%00b"],
  ["an encoded CR LF", "/a%0d%0aX:%20y"],
  ["an encoded tab", "/a%09"],
  ["an encoded DEL", "/%7f"],
  ["a bad escape", "/a%zzb"],
  ["an escape that breaks off", "/a%2"],
  ["a percent sign at the end", "/a%"],
  ["what is no UTF-8", "/%ff"],
  ["an overlong slash", "/..%c0%af"],
  ["a way above the root", "/.."],
  ["a way above the root and back", "/a/../../b"],
  ["dot segments with an encoded slash, CVE-2025-66490", "/a/..%2fb"],
  ["dot segments within encoded slashes", "/a%2f..%2fb"],
  ["dot segments with a backslash", "/a/..%5cb"],
  ["dot segments with parameters", "/a/..;x/b"],
  ["encoded dot segments with parameters", "/a/%2e%2e;/b"],
] as const)
  test(`R40: refuses ${name}`, () => assert.equal(normalisePath(target), undefined));

test("R40: a path that was made is made no further, and holds no dot segment", () => {
  const rng = createSeededRng(40);
  const parts = ["/", "//", "a", "b", ".", "..", ";x", "%2f", "%5c", "%2e", "%25", "%41", "%c3%a9", "%"];
  for (let round = 0; round < 5_000; round++) {
    let target = "/";
    for (let count = rng() * 8; count > 0; count--) target += parts[Math.floor(rng() * parts.length)]!;
    const path = normalisePath(target);
    if (path === undefined) continue;
    assert.match(path, /^\//);
    assert.doesNotMatch(path, /\/\/|\/\.{1,2}(\/|$)/, target);
    if (!/[%;]/.test(path)) assert.equal(normalisePath(path), path, target);
  }
});
