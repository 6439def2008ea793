import assert from "node:assert/strict";
import test from "node:test";
import { classNumber } from "#dns/wire/classes.ts";
import { rcodeText } from "#dns/wire/rcodes.ts";
import { isMetaType, TYPE, typeNumber, typeText } from "#dns/wire/types.ts";

test("typeNumber() and typeText() agree on all 65,536 types", () => {
  for (let type = 0; type <= 0xffff; type++) assert.equal(typeNumber(typeText(type)), type);
  assert.equal(typeNumber("aaaa"), TYPE.AAAA);
  assert.equal(typeNumber("type28"), TYPE.AAAA);
  assert.equal(typeText(65_280), "TYPE65280");
});

for (const text of ["", "TYPE", "TYPE65536", "TYPE-1", "TYPE01", "TYPE1x", "toString", "__proto__", "STEER"]) {
  test(`typeNumber() does not know ${JSON.stringify(text)}`, () => assert.equal(typeNumber(text), -1));
}

test("classNumber() reads mnemonics and CLASSnnn", () => {
  const texts = ["CLASS0", "IN", "CH", "hs", "CLASS7", "NONE", "ANY", "CLASS65535"];
  assert.deepEqual(texts.map(classNumber), [0, 1, 3, 4, 7, 254, 255, 65_535]);
  assert.equal(classNumber("in"), 1);
  for (const text of ["", "CLASS65536", "CLASS01", "constructor", "IX"]) assert.equal(classNumber(text), -1, text);
});

test("isMetaType() holds for types that never stand in a zone", () => {
  const meta = [0, 41, 128, 249, 250, 251, 252, 253, 254, 255];
  for (const type of meta) assert.ok(isMetaType(type), String(type));
  for (const type of [1, 40, 42, 127, 256, 65_535]) assert.ok(!isMetaType(type), String(type));
});

test("rcodeText() falls back to the number", () => {
  assert.equal(rcodeText(3), "NXDOMAIN");
  assert.equal(rcodeText(12), "RCODE12");
});
