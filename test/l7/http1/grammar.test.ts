/** Tables and counts of the grammar against their definitions. */
import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { countControls, findName, isFraming, KNOWN_NAMES, UNKNOWN_NAME } from "#l7/http1/grammar.ts";

test("countControls() counts what is below 0x20, and 0x7f, at every place", () => {
  const rng = createSeededRng(11);
  for (let round = 0; round < 2_000; round++) {
    const octets = new Uint8Array(Math.floor(rng() * 24)).map(() =>
      rng() < 0.5 ? Math.floor(rng() * 256) : [0, 0x1f, 0x20, 0x7e, 0x7f, 0x80, 0x9f, 0xff][Math.floor(rng() * 8)]!,
    );
    const expected = octets.filter((octet) => octet < 0x20 || octet === 0x7f).length;
    assert.equal(countControls(new DataView(octets.buffer), octets.length), expected, octets.join(" "));
  }
});
test("findName() finds every known name in any case, and no other", () => {
  for (const [index, name] of KNOWN_NAMES.entries()) {
    for (const text of [name, name.toUpperCase(), name.replace(/^./, (char) => char.toUpperCase())])
      assert.equal(findName(Buffer.from(`x${text}:`), 1, text.length + 1), index, text);
    for (const text of [`${name}x`, `x${name}`, name.slice(1), name.replace(/.$/, "_")])
      if (text !== "" && !KNOWN_NAMES.includes(text))
        assert.equal(findName(Buffer.from(text), 0, text.length), UNKNOWN_NAME, text);
  }
});
test("isFraming() knows its names, and no other of their lengths", () => {
  assert.deepEqual(KNOWN_NAMES.filter(isFraming), KNOWN_NAMES.slice(0, 11));
  for (const name of ["", "ab", "most", "accept", "x".repeat(17), "x".repeat(34), "x".repeat(42)])
    assert.equal(isFraming(name), false);
});
