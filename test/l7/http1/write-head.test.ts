/** What goes out: framing of our own (R26), no field of framing or with a line's end in it (R43), underscores (R16). */
import assert from "node:assert/strict";
import test from "node:test";
import { chunkHead, LAST_CHUNK, writeLastChunk } from "#l7/http1/write-body.ts";
import {
  responseFraming,
  writeInformational,
  writeReply,
  writeRequestHead,
  writeResponseHead,
} from "#l7/http1/write-head.ts";
import type { Fields, RequestHead, ResponseHead } from "#l7/message.ts";
import { judgeRequests, judgeResponses } from "./codec-bed.ts";

const REQUEST: RequestHead = {
  version: "1.1",
  method: "GET",
  target: "/a?b",
  scheme: "http",
  authority: "a.example",
  fields: ["accept", "*/*"],
  bodyOctets: 0,
  expectsContinue: false,
  upgrade: undefined,
  takesTrailers: false,
};
const OPTIONS = { host: undefined, keepsUnderscores: false, passesTrailers: true };
const RESPONSE: ResponseHead = { status: 200, fields: ["a", "b"], bodyOctets: 5, declaredOctets: undefined };

for (const [name, change, options, lines] of [
  ["without a body", {}, {}, []],
  ["POST without a body", { method: "POST" }, {}, ["content-length: 0"]],
  ["with a length", { method: "POST", bodyOctets: 5 }, {}, ["content-length: 5"]],
  ["of unknown length", { method: "POST", bodyOctets: -1 }, {}, ["transfer-encoding: chunked"]],
  ["GET of unknown length", { bodyOctets: -1 }, {}, ["transfer-encoding: chunked"]],
  ["that waits for 100", { bodyOctets: 5, expectsContinue: true }, {}, ["content-length: 5", "expect: 100-continue"]],
  ["that takes trailers", { takesTrailers: true }, {}, ["connection: te", "te: trailers"]],
  ["that takes trailers which are not passed on", { takesTrailers: true }, { passesTrailers: false }, []],
  ["to upgrade", { upgrade: "websocket" }, {}, ["connection: upgrade", "upgrade: websocket"]],
] as const)
  test(`R26: writes a request ${name}`, () => {
    const text = writeRequestHead({ ...REQUEST, ...change }, { ...OPTIONS, ...options })!;
    const method = "method" in change ? change.method : "GET";
    const first = `${method} /a?b HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\n`;
    assert.equal(text, `${first}${lines.map((line) => `${line}\r\n`).join("")}\r\n`);
  });
test("R26: Host is the pool's where it has one; HTTP/1.0 goes on as HTTP/1.1", () => {
  const text = writeRequestHead({ ...REQUEST, version: "1.0", authority: "" }, { ...OPTIONS, host: "b.example:80" })!;
  assert.ok(text.startsWith("GET /a?b HTTP/1.1\r\nhost: b.example:80\r\n"));
});
const FRAMING_FIELDS: Fields = [
  ...[
    "content-length",
    "5",
    "transfer-encoding",
    "chunked",
    "host",
    "b",
    "connection",
    "x",
    "te",
    "gzip",
    "expect",
    "y",
  ],
  ...["upgrade", "h2c", "trailer", "z", "keep-alive", "1", "proxy-connection", "a", "http2-settings", "b", "x", "kept"],
];
test("R26: fields of framing are never written, whoever put them among the fields", () => {
  const request = writeRequestHead({ ...REQUEST, fields: FRAMING_FIELDS }, OPTIONS)!;
  assert.equal(request, "GET /a?b HTTP/1.1\r\nhost: a.example\r\nx: kept\r\n\r\n");
  const response = writeResponseHead(REQUEST, { ...RESPONSE, fields: FRAMING_FIELDS }, "length", true);
  assert.equal(response, "HTTP/1.1 200 OK\r\nx: kept\r\ncontent-length: 5\r\n\r\n");
});

for (const [name, request, head, persists, framing, lines] of [
  ["with a length", {}, {}, true, "length", ["content-length: 5"]],
  ["without a body", {}, { bodyOctets: 0 }, true, "none", ["content-length: 0"]],
  ["of unknown length", {}, { bodyOctets: -1 }, true, "chunked", ["transfer-encoding: chunked"]],
  ["of unknown length to HTTP/1.0", { version: "1.0" }, { bodyOctets: -1 }, false, "close", ["connection: close"]],
  ["to HTTP/1.0 that goes on", { version: "1.0" }, {}, true, "length", ["content-length: 5", "connection: keep-alive"]],
  ["that is the last", {}, {}, false, "length", ["content-length: 5", "connection: close"]],
  ["to HEAD", { method: "HEAD" }, { bodyOctets: 0, declaredOctets: 500 }, true, "none", ["content-length: 500"]],
  ["to HEAD, of our own", { method: "HEAD" }, {}, true, "none", ["content-length: 5"]],
  ["to HEAD, of unknown length", { method: "HEAD" }, { bodyOctets: -1 }, true, "none", []],
  ["204", {}, { status: 204, bodyOctets: 0 }, true, "none", []],
  ["304", {}, { status: 304, bodyOctets: 0, declaredOctets: 9 }, true, "none", ["content-length: 9"]],
  [
    "101",
    { upgrade: "websocket" },
    { status: 101, bodyOctets: 0 },
    true,
    "none",
    ["connection: upgrade", "upgrade: websocket"],
  ],
] as const)
  test(`R26: writes a response ${name}`, () => {
    const asked = { ...REQUEST, ...request };
    const answer = { ...RESPONSE, ...head };
    assert.equal(responseFraming(asked, answer), framing);
    const text = writeResponseHead(asked, answer, framing, persists);
    assert.equal(text.slice(text.indexOf("\r\n") + 2), `a: b\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`);
  });

test("R26: chunks are ours", () => {
  assert.equal(chunkHead(255), "ff\r\n");
  assert.equal(writeLastChunk(undefined), LAST_CHUNK);
  assert.equal(writeLastChunk(["x-sum", "5"]), "0\r\nx-sum: 5\r\n\r\n");
});
test("R25: trailers that may not be are not written", () => {
  assert.equal(
    writeLastChunk(["host", "b", "content-length", "5", "set-cookie", "a=b", "x-a", "1"]),
    "0\r\nx-a: 1\r\n\r\n",
  );
});

test("R16: fields with an underscore go along where the pool keeps them, but never those that read as framing", () => {
  const likes = ["content_length", "5", "transfer_encoding", "chunked", "x_forwarded_for", "::1", "x_real_ip", "::1"];
  const fields = ["x_a", "1", ...likes, "x-b", "2"];
  const start = "GET /a?b HTTP/1.1\r\nhost: a.example\r\n";
  assert.equal(writeRequestHead({ ...REQUEST, fields }, OPTIONS), `${start}x-b: 2\r\n\r\n`);
  assert.equal(
    writeRequestHead({ ...REQUEST, fields }, { ...OPTIONS, keepsUnderscores: true }),
    `${start}x_a: 1\r\nx-b: 2\r\n\r\n`,
  );
});

const BAD = ["a\r\nx: evil", "a\nx: evil", "a\rx: evil", "a\0", "a\x7f", "a\x01", "\u010a", "a\u560d\u560ax: evil"];
for (const value of BAD)
  test(`R43: ${JSON.stringify(value)} is written nowhere`, () => {
    const fields = ["x-a", "1", "x-bad", value, "x-b", "2"];
    assert.equal(
      writeRequestHead({ ...REQUEST, fields }, OPTIONS),
      "GET /a?b HTTP/1.1\r\nhost: a.example\r\nx-a: 1\r\nx-b: 2\r\n\r\n",
    );
    assert.equal(
      writeResponseHead(REQUEST, { ...RESPONSE, fields }, "length", true),
      "HTTP/1.1 200 OK\r\nx-a: 1\r\nx-b: 2\r\ncontent-length: 5\r\n\r\n",
    );
    assert.equal(writeInformational(103, fields), "HTTP/1.1 103 Early Hints\r\nx-a: 1\r\nx-b: 2\r\n\r\n");
    assert.equal(writeLastChunk(fields), "0\r\nx-a: 1\r\nx-b: 2\r\n\r\n");
    assert.equal(writeRequestHead({ ...REQUEST, target: `/${value}` }, OPTIONS), undefined);
    assert.equal(writeRequestHead({ ...REQUEST, method: value }, OPTIONS), undefined);
    assert.equal(writeRequestHead(REQUEST, { ...OPTIONS, host: value }), undefined);
    assert.equal(writeRequestHead({ ...REQUEST, fields: [value, "1"] }, OPTIONS)!.includes("evil"), false);
  });
test("R43: a target with a space is not written, nor one that hides among bad fields", () => {
  assert.equal(writeRequestHead({ ...REQUEST, target: "/ HTTP/1.1" }, OPTIONS), undefined);
  assert.equal(writeRequestHead({ ...REQUEST, target: "/ x", fields: ["a", "\n"] }, OPTIONS), undefined);
});
test("R43: tabs and obs-text pass", () => {
  const text = writeRequestHead({ ...REQUEST, fields: ["x", "a\tb\xe9"] }, OPTIONS)!;
  assert.deepEqual(judgeRequests(text).messages[0]!.head.fields, ["x", "a\tb\xe9"]);
});

test("a reply of our own is whole, for HEAD without its body", () => {
  const reply = { status: 503, fields: ["content-type", "text/plain"], body: "nö" };
  const [message] = judgeResponses(writeReply(REQUEST, reply, false)).messages;
  assert.equal(message!.head.status, 503);
  assert.equal(Buffer.from(message!.body, "latin1").toString(), "nö");
  const head = judgeResponses(writeReply({ ...REQUEST, method: "HEAD" }, reply, false), "HEAD").messages[0]!;
  assert.equal(head.head.declaredOctets, 3);
  assert.equal(head.body, "");
});
