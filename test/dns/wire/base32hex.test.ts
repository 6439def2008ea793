import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { formatBase32hex, parseBase32hex } from "#dns/wire/base32hex.ts";

// RFC 4648 §10, padding removed
for (const [text, expected] of Object.entries({
  f: "co",
  fo: "cpng",
  foo: "cpnmu",
  foob: "cpnmuog",
  fooba: "cpnmuoj1",
  foobar: "cpnmuoj1e8",
})) {
  test(`formatBase32hex() writes ${text} as ${expected}`, () => {
    assert.equal(formatBase32hex(new TextEncoder().encode(text)), expected);
  });
}

test("parseBase32hex() reads back any octets, in any case", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (octets) => {
      assert.deepEqual(parseBase32hex(formatBase32hex(octets).toUpperCase()), octets);
    }),
  );
});

for (const text of ["w", "c", "cp=", "cpn", "cv", "cpnmuo"]) {
  test(`parseBase32hex() refuses ${text}`, () => assert.equal(parseBase32hex(text), undefined));
}
