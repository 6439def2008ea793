import assert from "node:assert/strict";
import test from "node:test";
import { cookieValues } from "#l7/sticky/own-cookie.ts";
import { setCookies } from "#l7/sticky/set-cookies.ts";

const found: readonly (readonly [fields: string[], values: string[]])[] = [
  [["cookie", "a=1; rhumb=x; b=2"], ["x"]],
  [
    ["cookie", "rhumb=x;rhumb = y ", "accept", "rhumb=no", "cookie", "rhumb=z"],
    ["x", "y", "z"],
  ],
  [["cookie", "rhumbs=x; a=rhumb=1; rhumb"], []],
  [["accept", "*/*"], []],
];
for (const [fields, values] of found)
  test(`cookieValues() of ${fields.join(" ")}`, () => assert.deepEqual(cookieValues(fields, "rhumb"), values));

const kept: readonly (readonly [cacheControl: string | undefined, isAdded: boolean])[] = [
  [undefined, true],
  ["public, max-age=60", true],
  ['private="x-name", max-age=60', true],
  ["max-age=60, Private", false],
  ["no-store", false],
];
for (const [cacheControl, isAdded] of kept)
  test(`setCookies() keeps shared caches from a response with Cache-Control ${cacheControl}`, () => {
    const fields = cacheControl === undefined ? [] : ["cache-control", cacheControl];
    const before = fields.slice();
    setCookies(fields, ["a=1", "b=2"]);
    const privately = isAdded ? ["cache-control", "private"] : [];
    assert.deepEqual(fields, [...before, "set-cookie", "a=1", "set-cookie", "b=2", ...privately]);
  });

test("setCookies() leaves a response without cookies as it is", () => {
  const fields = ["cache-control", "public"];
  setCookies(fields, undefined);
  assert.deepEqual(fields, ["cache-control", "public"]);
});
