import assert from "node:assert/strict";
import test from "node:test";
import { parseTtl } from "#dns/wire/ttl.ts";

for (const { text, expected } of [
  { text: "0", expected: 0 },
  { text: "300", expected: 300 },
  { text: "1h30m", expected: 5_400 },
  { text: "1W2D3H4M5S", expected: 788_645 },
  { text: "1h2", expected: 3_602 },
  { text: "4294967295", expected: 4_294_967_295 },
  { text: "4294967296", expected: -2 },
  { text: "9".repeat(400), expected: -2 },
  { text: "99999w", expected: -2 },
  { text: "", expected: -1 },
  { text: "h", expected: -1 },
  { text: "1hh", expected: -1 },
  { text: "1y", expected: -1 },
  { text: "-1", expected: -1 },
  { text: "1.5h", expected: -1 },
  { text: "1 h", expected: -1 },
]) {
  test(`parseTtl() reads ${JSON.stringify(text.slice(0, 20))} as ${expected}`, () =>
    assert.equal(parseTtl(text), expected));
}
