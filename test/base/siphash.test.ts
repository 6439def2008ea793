import assert from "node:assert/strict";
import test from "node:test";
import { sipHash24, sipKey } from "#base/siphash.ts";

/** vectors_sip64 of the authors' reference implementation: key 00…0f, message 00 01 02 … of length 0, 1, 2, … */
const VECTORS = [
  "310e0edd47db6f72",
  "fd67dc93c539f874",
  "5a4fa9d909806c0d",
  "2d7efbd796666785",
  "b7877127e09427cf",
  "8da699cd64557618",
  "cee3fe586e46c9cb",
  "37d1018bf50002ab",
  "6224939a79f5f593",
  "b0e4a90bdf82009e",
  "f3b9dd94c5bb5d7a",
  "a7ad6b22462fb3f4",
  "fbe50e86bc8f1e75",
  "903d84c02756ea14",
  "eef27a8e90ca23f7",
  "e545be4961ca29a1",
];

const key = sipKey(Uint8Array.from({ length: 16 }, (_, index) => index));
for (const [length, expected] of VECTORS.entries()) {
  test(`sipHash24() agrees with the reference for ${length} octets`, () => {
    const out = new Uint8Array(10).fill(0xee);
    sipHash24(
      key,
      Uint8Array.from({ length: length + 3 }, (_, index) => index),
      length,
      out,
      1,
    );
    assert.equal(Buffer.from(out).toString("hex"), `ee${expected}ee`);
  });
}
