/** HPACK: the RFC's examples, blocks that cannot be read, what a block may stand for, and what repeated responses cost. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { createSeededRng } from "#base/rng.ts";
import { HpackDecoder } from "#l7/http2/hpack/decoder.ts";
import { HpackEncoder } from "#l7/http2/hpack/encoder.ts";
import { HeaderList } from "#l7/http2/hpack/header-list.ts";
import { decodeHuffman, encodeHuffman, huffmanLength } from "#l7/http2/hpack/huffman.ts";
import { OctetWriter } from "#l7/http2/octet-writer.ts";
import { SERIES } from "./rfc7541-examples.ts";

const octetsOf = (hex: string): Buffer => Buffer.from(hex.replace(/\s/g, ""), "hex");

/** @returns undefined: it cannot be read */
function decode(decoder: HpackDecoder, block: Buffer, maxOctets = 1e6, maxFields = 1e3): HeaderList | undefined {
  const list = new HeaderList();
  list.begin(maxOctets, maxFields);
  return decoder.decode(block, 0, block.length, list) ? list : undefined;
}

for (const { name, limit, examples } of SERIES)
  test(`RFC 7541 ${name}`, () => {
    const decoder = new HpackDecoder(limit);
    for (const { block, fields, tableOctets } of examples) {
      assert.deepEqual(decode(decoder, octetsOf(block))?.raw, fields);
      assert.equal(decoder.tableOctets, tableOctets);
    }
  });

test("RFC 7541 C.1 integers: 10 and 1337 with a prefix of five bits, 42 with all that there is", () => {
  const decoder = new HpackDecoder(1_337);
  for (const size of ["2a", "3f9a0a"]) assert.ok(decode(decoder, octetsOf(size)));
  assert.equal(decode(decoder, octetsOf("3f9b0a")), undefined, "1338 is above the limit");
  assert.equal(decode(decoder, Buffer.concat([octetsOf("042a"), Buffer.alloc(42, "x")]))?.raw[1]?.length, 42);
});

for (const [what, hex] of [
  ["index 0", "80"],
  ["an index beyond the table", "be"],
  ["a name beyond the table", "7f00"],
  ["an integer that does not end", "ff8080808080808080808080"],
  ["an integer that is cut off", "ff"],
  ["a name that is cut off", "400a6375"],
  ["a value that is missing", "0001 61"],
  ["a table beyond the limit", "3fe2 1f"],
  ["a change of the table amid a block", "82 20"],
  ["Huffman padding of eight bits", "0001 6181 ff"],
  ["Huffman padding that is not ones", "0001 6181 00"],
  ["Huffman text with EOS", "0001 6184 ffff ffff"],
] as const)
  test(`HpackDecoder cannot read ${what}`, () => {
    assert.equal(decode(new HpackDecoder(), octetsOf(hex)), undefined);
  });

test("HpackDecoder takes an entry larger than the table for an order to empty it", () => {
  const decoder = new HpackDecoder(64);
  assert.ok(decode(decoder, octetsOf("40 01 61 01 62")));
  assert.equal(decoder.tableOctets, 34);
  assert.ok(decode(decoder, Buffer.concat([octetsOf("40 01 61 40"), Buffer.alloc(64, "b")])));
  assert.equal(decoder.tableOctets, 0);
  assert.equal(decode(decoder, octetsOf("be")), undefined);
});

test("a small block that stands for very much is decoded, and not kept (HPACK bomb)", () => {
  const decoder = new HpackDecoder();
  const long = Buffer.concat([octetsOf("40 01 61 7f a1 1e"), Buffer.alloc(4_000, "b")]);
  assert.ok(decode(decoder, long));
  const list = decode(decoder, Buffer.alloc(16_000, 0xbe), 32_768)!;
  assert.equal(list.isTooLong, true);
  assert.ok(list.raw.length <= 16, `${list.raw.length} texts`);
  assert.equal(list.octets, 16_000 * (4_001 + 32));
});
test("HeaderList keeps as many fields as are allowed", () => {
  const list = decode(new HpackDecoder(), Buffer.alloc(20, 0x82), 1e6, 10)!;
  assert.deepEqual([list.isTooMany, list.isTooLong, list.raw.length], [true, false, 20]);
});

test("Huffman: every octet comes back, alone and beside others", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (octets) => {
      const text = Buffer.from(octets).toString("latin1");
      const length = huffmanLength(text);
      const out = Buffer.alloc(length + 1);
      assert.equal(encodeHuffman(text, out, 0), length);
      assert.equal(decodeHuffman(out, 0, length), text);
    }),
  );
});

/** One block of our encoder. */
function encode(encoder: HpackEncoder, status: number, fields: readonly string[], length?: number): Buffer {
  const to = new OctetWriter();
  encoder.begin(to);
  encoder.status(to, status);
  for (let at = 0; at < fields.length; at += 2) encoder.field(to, fields[at]!, fields[at + 1]!);
  if (length !== undefined) encoder.contentLength(to, length);
  return Buffer.from(to.octets.subarray(0, to.at));
}

const VALUES = fc.constantFrom(
  "a",
  "text/html",
  "x".repeat(40),
  "y".repeat(900),
  "",
  "\xe9\xff",
  "gzip",
  "Sat, 01 Jan 2000 00:00:00 GMT",
);
const NAMES = fc.constantFrom("server", "content-type", "set-cookie", "x-request-id", "x-one", "x-two", "date", "vary");
test("what HpackEncoder writes is what a decoder reads, whatever tables the peer allows", () => {
  const message = fc.record({
    status: fc.constantFrom(200, 204, 302, 404, 503),
    fields: fc.array(fc.tuple(NAMES, VALUES), { maxLength: 12 }),
    limit: fc.option(fc.constantFrom(0, 40, 100, 300, 4_096, 65_536), { freq: 4 }),
  });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 30 }), (messages) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder();
      for (const { status, fields, limit } of messages) {
        if (limit !== null) encoder.limit(limit);
        const block = encode(encoder, status, fields.flat(), 7);
        assert.deepEqual(decode(decoder, block)?.raw, [
          ...[":status", String(status), ...fields.flat()],
          ...["content-length", "7"],
        ]);
        if (limit !== null) assert.ok(decoder.tableOctets <= limit);
      }
    }),
  );
});
test("HpackEncoder tells of a table that shrank and grew again (RFC 7541 §4.2)", () => {
  const encoder = new HpackEncoder();
  for (let count = 0; count < 3; count++) encode(encoder, 200, ["server", "x"]);
  encoder.limit(0);
  encoder.limit(100);
  assert.equal(encode(encoder, 200, []).toString("hex"), "203f4588");
});
test("HpackEncoder: a response that comes again and again costs an octet a field", () => {
  const encoder = new HpackEncoder();
  const fields = ["server", "nginx", "content-type", "text/plain", "x-frame-options", "DENY"];
  encode(encoder, 200, fields);
  encode(encoder, 200, fields);
  assert.equal(encode(encoder, 200, fields).length, 4);
});
test("HpackEncoder: what changes each time does not push out what stays", () => {
  const encoder = new HpackEncoder();
  const rng = createSeededRng(7);
  const id = (): string => String(rng());
  for (let count = 0; count < 500; count++)
    encode(encoder, 200, ["server", "nginx", "x-request-id", id(), "etag", id()]);
  assert.equal(encode(encoder, 200, ["server", "nginx"]).length, 2);
});
test("HpackEncoder: a cookie is never indexed (RFC 7541 §7.1.3)", () => {
  const encoder = new HpackEncoder();
  for (let count = 0; count < 3; count++) assert.equal(encode(encoder, 200, ["set-cookie", "a=1"])[1]! & 0xf0, 0x10);
});
test("HpackEncoder: names without end take no memory without end", () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  for (let count = 0; count < 1_000; count++) {
    const fields = [`x-${count}`, "1"];
    assert.deepEqual(decode(decoder, encode(encoder, 200, fields))?.raw.slice(2), fields);
  }
});
test("R43: HpackEncoder leaves out what would cut the message, or speaks of framing", () => {
  const bad = [
    "x-bad",
    "a\r\nb: 1",
    "x-nul",
    "\0",
    "connection",
    "close",
    "X-Case",
    "1",
    ":path",
    "/",
    "",
    "1",
    "x-wide",
    "€",
  ];
  const block = encode(new HpackEncoder(), 200, [...bad, "x-good", "1"]);
  assert.deepEqual(decode(new HpackDecoder(), block)?.raw, [":status", "200", "x-good", "1"]);
});

test("HpackDecoder on garbage: it never throws, and never holds more than its table", () => {
  const rng = createSeededRng(20_130_715);
  const decoder = new HpackDecoder(300);
  const list = new HeaderList();
  for (let round = 0; round < 20_000; round++) {
    const block = Buffer.from(Array.from({ length: Math.floor(rng() * 40) }, () => Math.floor(rng() * 256)));
    list.begin(4_096, 50);
    decoder.decode(block, 0, block.length, list);
    assert.ok(decoder.tableOctets <= 300 && list.raw.length <= 100);
  }
});
