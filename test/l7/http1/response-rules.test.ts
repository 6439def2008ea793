/** Rules of docs/http1-rules.md at responses: R32, R34, and those of lines, fields and framing. */
import assert from "node:assert/strict";
import test from "node:test";
import { assertRefused, assertTaken, judgeResponses, LIMITS } from "./codec-bed.ts";

const answer = (...lines: readonly string[]): string => `${["HTTP/1.1 200 OK", ...lines].join("\r\n")}\r\n\r\n`;

for (const [rule, name, input] of [
  ["R1", "bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"],
  ["R1", "CR alone after the status line", "HTTP/1.1 200 OK\rContent-Length: 0\r\n\r\n"],
  ["R1", "CR alone in a value", answer("Foo: 1\rBar: 2")],
  ["R2", "an empty line before it", `\r\n${answer("Content-Length: 0")}`],
  ["R3", "white space after the status line", "HTTP/1.1 200 OK\r\n Host: foo\r\n\r\n"],
  ["R5", "HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n"],
  ["R5", "another protocol", "ICY 200 OK\r\n\r\n"],
  ["R5", "a tab after the version", "HTTP/1.1\t200 OK\r\n\r\n"],
  ["R9", "white space before a colon", answer("Content-Length : 5")],
  ["R10", "an empty name", answer(": x")],
  ["R10", "a line without colon", answer("Content-Length")],
  ["R11", "NUL in a value", answer("X: \0")],
  ["R12", "a folded field", answer("X: y", " z")],
  ["R13", "too many fields", answer(...Array.from({ length: LIMITS.fields + 1 }, () => "X: y"))],
  ["R15", "Connection: Content-Length", answer("Connection: Content-Length", "Content-Length: 5")],
  ["R15", "Connection: Set-Cookie", answer("Connection: Set-Cookie")],
  ["R18", "a bad length", answer("Content-Length: +5")],
  ["R19", "two lengths", answer("Content-Length: 5", "Content-Length: 5")],
  ["R20", "both framings", answer("Content-Length: 5", "Transfer-Encoding: chunked")],
  ["R21", "another coding", answer("Transfer-Encoding: gzip")],
  ["R21", "another coding before chunked", answer("Transfer-Encoding: gzip, chunked")],
  ["R21", "chunks of HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
  ["R32", "a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
  ["R32", "a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"],
  ["R32", "two spaces before the status", "HTTP/1.1  200 OK\r\n\r\n"],
  ["R32", "status 099", "HTTP/1.1 099 OK\r\n\r\n"],
  ["R32", "status 600", "HTTP/1.1 600 OK\r\n\r\n"],
  ["R32", "NUL in the reason", "HTTP/1.1 200 O\0K\r\n\r\n"],
  ["R32", "an interim response with a body", "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello"],
  ["R32", "an interim response with chunks", "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n"],
  ["R34", "101 that does not say to what", "HTTP/1.1 101 Switching Protocols\r\n\r\n"],
  ["R34", "101 without Connection: upgrade", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"],
] as const)
  test(`${rule}: a response is refused for ${name}`, () => {
    const reading = judgeResponses(input);
    assertRefused(reading, rule, 502);
    assert.equal(reading.messages.length, 0);
  });
test("R7: a response is refused for a long status line and a long head", () => {
  assertRefused(judgeResponses(`HTTP/1.1 200 ${"x".repeat(LIMITS.lineOctets)}\r\n\r\n`), "R7", 502);
  assertRefused(judgeResponses(answer(`X: ${"y".repeat(LIMITS.headOctets)}`)), "R7", 502);
  assertRefused(judgeResponses(`HTTP/1.1 200 OK\r\nX: ${"y".repeat(LIMITS.headOctets)}`), "R7", 502);
});

const NEXT = answer("Content-Length: 0");
for (const [name, input, method, declared] of [
  ["HEAD with Content-Length", answer("Content-Length: 500"), "HEAD", 500],
  ["HEAD with chunks", answer("Transfer-Encoding: chunked"), "HEAD", undefined],
  ["HEAD without any", answer(), "HEAD", undefined],
  ["304 with Content-Length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", "GET", 10],
  ["304 with chunks", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", undefined],
  ["204", "HTTP/1.1 204 No Content\r\n\r\n", "GET", undefined],
  ["100", "HTTP/1.1 100 Continue\r\n\r\n", "POST", undefined],
  ["103 with Content-Length: 0", "HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n", "GET", 0],
] as const)
  test(`R32: ${name} has no body`, () => {
    const reading = judgeResponses(input + NEXT, method);
    assert.equal(reading.fault, undefined);
    assert.equal(reading.messages.length, 2);
    assert.equal(reading.messages[0]!.head.bodyOctets, 0);
    assert.equal(reading.messages[0]!.head.declaredOctets, declared);
  });
for (const field of ["Content-Length: 5", "Transfer-Encoding: chunked"])
  test(`R32: after 204 with ${field} nothing on its connection is believed`, () => {
    const reading = judgeResponses(`HTTP/1.1 204 No Content\r\n${field}\r\n\r\n0\r\n\r\n`);
    assertTaken(reading);
    assert.equal(reading.isClosed, true);
  });

test("R33: octets after a complete response are told apart from it", () => {
  const reading = judgeResponses(`${answer("Connection: close", "Content-Length: 5")}hello${NEXT}`);
  assertTaken(reading);
  assert.equal(reading.messages[0]!.body, "hello");
  assert.equal(reading.rest, NEXT);
});

test("R34: after 101 octets are the other protocol's", () => {
  const reading = judgeResponses("HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n\x81\x05hello");
  assertTaken(reading);
  assert.equal(reading.isClosed, true);
  assert.equal(reading.rest, "\x81\x05hello");
});

for (const [name, input, framing, isClosed] of [
  ["a length", `${answer("Content-Length: 5")}hello`, "length", false],
  ["a length, and close", `${answer("Content-Length: 5", "Connection: close")}hello`, "length", true],
  ["chunks", `${answer("Transfer-Encoding: chunked")}5\r\nhello\r\n0\r\n\r\n`, "chunked", false],
  ["the end of the connection", `${answer()}hello`, "close", false],
  [
    "the end, of HTTP/1.0 that says keep-alive",
    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello",
    "close",
    false,
  ],
  ["a length, of HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "length", true],
  [
    "a length, of HTTP/1.0 that says keep-alive",
    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
    "length",
    false,
  ],
] as const)
  test(`R31: a response's body ends by ${name}`, () => {
    const reading = judgeResponses(input);
    assertTaken(reading);
    assert.equal(reading.messages[0]!.framing, framing);
    assert.equal(reading.messages[0]!.body, "hello");
    assert.equal(reading.isClosed, isClosed);
  });
for (const line of ["HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.1 200 Ori\xebntatie \t", "HTTP/1.1 200  OK"])
  test(`R32: takes ${JSON.stringify(line)}`, () => {
    assertTaken(judgeResponses(`${line}\r\nContent-Length: 0\r\n\r\n`));
  });
