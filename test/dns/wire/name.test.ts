import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { FAULT } from "#dns/wire/fault.ts";
import {
  compareNames,
  formatName,
  isSubdomain,
  isWildcard,
  labelCount,
  lowerName,
  MAX_NAME_OCTETS,
  nameEquals,
  parentName,
  parseName,
  readName,
  skipName,
} from "#dns/wire/name.ts";

const name = (text: string): Uint8Array => {
  const wire = parseName(text);
  assert.ok(typeof wire !== "number", `${text} gives fault ${wire}`);
  return wire;
};
const hex = (wire: Uint8Array | number): string | number => (typeof wire === "number" ? wire : wire.toHex());

const anyName = fc
  .array(fc.uint8Array({ minLength: 1, maxLength: 63 }), { maxLength: 12 })
  .map((labels) => Uint8Array.from([...labels.flatMap((label) => [label.length, ...label]), 0]))
  .filter((wire) => wire.length <= MAX_NAME_OCTETS);

for (const { text, origin, expected } of [
  { text: ".", expected: "00" },
  { text: "a.", expected: "016100" },
  { text: "a", expected: "016100" },
  { text: "WwW", origin: "Ex.", expected: "0357775702457800" },
  { text: "@", origin: "ex.", expected: "02657800" },
  { text: "\\@", origin: "ex.", expected: "014002657800" },
  { text: "a\\.b.", expected: "03612e6200" },
  { text: "\\000\\255.", expected: "0200ff00" },
  { text: "a\\\\.", expected: "02615c00" },
  { text: "č.", expected: "02c48d00" },
  { text: "😀.", expected: "04f09f988000" },
  { text: "*", origin: "ex.", expected: "012a02657800" },
  { text: "", expected: FAULT.emptyName },
  { text: "..", expected: FAULT.emptyLabel },
  { text: ".a", expected: FAULT.emptyLabel },
  { text: "a..b", expected: FAULT.emptyLabel },
  { text: "a\\", expected: FAULT.badEscape },
  { text: "\\25", expected: FAULT.badEscape },
  { text: "\\256", expected: FAULT.badEscape },
  { text: "\\2x6", expected: FAULT.badEscape },
  { text: "x".repeat(64), expected: FAULT.labelTooLong },
  { text: "č".repeat(32), expected: FAULT.labelTooLong },
  { text: `${"x".repeat(63)}.`.repeat(4), expected: FAULT.nameTooLong },
]) {
  test(`parseName() reads ${JSON.stringify(text.slice(0, 20))} below ${origin ?? "the root"}`, () => {
    assert.equal(hex(parseName(text, origin === undefined ? undefined : name(origin))), expected);
  });
}

test("parseName() takes names of 253, 254 and 255 octets and refuses 256", () => {
  const prefix = `${"x".repeat(63)}.`.repeat(3); // 192 octets
  for (const octets of [253, 254, 255]) assert.equal(name(`${prefix}${"y".repeat(octets - 194)}.`).length, octets);
  assert.equal(parseName(`${prefix}${"y".repeat(62)}.`), FAULT.nameTooLong);
  const origin = name(prefix);
  for (const octets of [253, 254, 255])
    assert.equal(hex(parseName("y".repeat(octets - 194), origin)).toString().length, octets * 2);
  assert.equal(parseName("y".repeat(62), origin), FAULT.nameTooLong);
});

test("formatName() gives text that parseName() reads back, for any octets", () => {
  fc.assert(
    fc.property(anyName, (wire) => {
      assert.equal(hex(parseName(formatName(wire))), hex(wire));
    }),
  );
});

test("parseName() never throws, and what it takes is well-formed", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: fc.constantFrom(..."a.\\019@é") })),
      (text) => {
        const wire = parseName(text);
        if (typeof wire === "number") assert.ok(wire < 0);
        else assert.equal(skipName(wire, 0), wire.length);
      },
    ),
  );
});

test("formatName() escapes what means something in a master file", () => {
  assert.equal(formatName(name('a\\"\\$\\(\\)\\.\\;\\@\\\\ b')), 'a\\"\\$\\(\\)\\.\\;\\@\\\\\\032b.');
  assert.equal(formatName(Uint8Array.of(3, 1, 0x7f, 0xff, 0)), "\\001\\127\\255.");
  assert.equal(formatName(new Uint8Array(1)), ".");
});

test("nameEquals() ignores the case of ASCII letters only", () => {
  assert.ok(nameEquals(name("WWW.Example."), name("www.eXAMPLE.")));
  assert.ok(!nameEquals(name("\\224."), name("\\192.")), "octets beyond ASCII are compared as they are");
  assert.ok(!nameEquals(name("@."), name("`.")), "neighbours of the letters have no case");
});

for (const { child, apex, expected } of [
  { child: "www.ex.", apex: "EX.", expected: true },
  { child: "ex.", apex: "ex.", expected: true },
  { child: "ex.", apex: ".", expected: true },
  { child: "wex.", apex: "ex.", expected: false },
  { child: "ex.", apex: "www.ex.", expected: false },
  { child: "a\\002ex.", apex: "ex.", expected: false }, // the same octets as "ex." at the end, but inside a label
]) {
  test(`isSubdomain() says ${expected} for ${child} below ${apex}`, () => {
    assert.equal(isSubdomain(name(child), name(apex)), expected);
  });
}

test("compareNames() orders as RFC 4034 §6.1", () => {
  const ordered = [
    "example.",
    "a.example.",
    "yljkjljk.a.example.",
    "Z.a.example.",
    "zABC.a.EXAMPLE.",
    "z.example.",
    "\\001.z.example.",
    "*.z.example.",
    "\\200.z.example.",
  ];
  for (let seed = 1; seed < 8; seed++) {
    const shuffled = ordered.toSorted((left, right) => ((left.length * seed) % 7) - ((right.length * seed) % 7));
    assert.deepEqual(
      shuffled.toSorted((left, right) => compareNames(name(left), name(right))),
      ordered,
    );
  }
  assert.equal(compareNames(name("A.b."), name("a.B.")), 0);
});

test("labelCount(), parentName(), isWildcard() and lowerName() look at labels", () => {
  assert.equal(labelCount(name(".")), 0);
  assert.equal(labelCount(name("*.a\\.b.c.")), 3);
  assert.equal(formatName(parentName(name("a\\.b.c."))), "c.");
  assert.equal(formatName(parentName(name("."))), ".");
  assert.ok(isWildcard(name("*.ex.")));
  assert.ok(!isWildcard(name("*a.ex.")) && !isWildcard(name("a.*.ex.")));
  assert.equal(formatName(lowerName(name("AbC.Ex."))), "abc.ex.");
});

for (const { says, message, at, next, wire } of [
  { says: "a plain name", message: "0161026578 00", at: 0, next: 6, wire: "016102657800" },
  { says: "a pointer backwards", message: "02657800 0161c000", at: 4, next: 8, wire: "016102657800" },
  { says: "a pointer at itself", message: "c000", at: 0, next: 2, wire: FAULT.badPointer },
  { says: "a pointer forwards", message: "c00200", at: 0, next: 2, wire: FAULT.badPointer },
  { says: "a pointer into the name itself", message: "0161c000", at: 0, next: 4, wire: FAULT.badPointer },
  { says: "half a pointer", message: "00c0", at: 1, next: FAULT.truncated, wire: FAULT.truncated },
  { says: "a reserved label type", message: "4161", at: 0, next: FAULT.badLabel, wire: FAULT.badLabel },
  { says: "a cut label", message: "0361", at: 0, next: FAULT.truncated, wire: FAULT.truncated },
  { says: "no root label", message: "0161", at: 0, next: FAULT.truncated, wire: FAULT.truncated },
  { says: "no octet at all", message: "", at: 0, next: FAULT.truncated, wire: FAULT.truncated },
]) {
  test(`skipName() and readName() meet ${says}`, () => {
    const octets = Uint8Array.fromHex(message.replaceAll(" ", ""));
    const into = new Uint8Array(MAX_NAME_OCTETS);
    const read = readName(octets, at, into);
    assert.equal(skipName(octets, at), next);
    assert.equal(read < 0 ? read : into.subarray(0, read).toHex(), wire);
  });
}

test("readName() stops after 16 pointers and at 255 octets", () => {
  const chain = new Uint8Array(40);
  for (let hop = 1; hop < 18; hop++) chain.set([0xc0, hop === 1 ? 0 : (hop - 1) * 2], hop * 2);
  const into = new Uint8Array(MAX_NAME_OCTETS);
  assert.equal(readName(chain, 32, into), 1);
  assert.equal(readName(chain, 34, into), FAULT.tooManyPointers);
  const label = [63, ...new Uint8Array(63)];
  assert.equal(readName(Uint8Array.from([...label, ...label, ...label, 61, ...new Uint8Array(61), 0]), 0, into), 255);
  const long = Uint8Array.from([...label, ...label, ...label, 62, ...new Uint8Array(62), 0]);
  assert.equal(readName(long, 0, into), FAULT.nameTooLong);
  assert.equal(skipName(long, 0), FAULT.nameTooLong);
});
