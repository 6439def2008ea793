/** Rule R38 of docs/http1-rules.md; `codec.test.ts` has the whole of the PROXY protocol. */
import assert from "node:assert/strict";
import test from "node:test";
import { parseProxyHeader } from "#pool/proxy-protocol/codec.ts";

const V2 = Buffer.from("0d0a0d0a000d0a515549540a2111", "hex");
for (const [name, octets] of [
  ["a version 1 line of more than 107 octets", `PROXY TCP4 ${"1".repeat(100)}\r\n`],
  ["a line that ends in LF", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n"],
  ["another protocol", "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n"],
  ["a request in its place", "GET / HTTP/1.1\r\n"],
  ["a version 2 header shorter than its family", Buffer.concat([V2, Buffer.from("0004", "hex"), Buffer.alloc(4)])],
  [
    "a TLV longer than the header",
    Buffer.concat([V2, Buffer.from("000f", "hex"), Buffer.alloc(12), Buffer.from("02ffff", "hex")]),
  ],
] as const)
  test(`R38: refuses ${name}`, () => {
    assert.equal(parseProxyHeader(typeof octets === "string" ? Buffer.from(octets) : octets).kind, "bad");
  });
