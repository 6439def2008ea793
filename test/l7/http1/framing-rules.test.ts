/** Rules R18 to R31 of docs/http1-rules.md, at requests: where a body ends, and what the next message is. */
import assert from "node:assert/strict";
import test from "node:test";
import { assertRefused, assertTaken, chunked, judgeRequests, LIMITS, withFields } from "./codec-bed.ts";

const HOST = "Host: a.example\r\n";
const NEXT = `GET /next HTTP/1.1\r\n${HOST}\r\n`;
const CHUNKED_LINE = "Transfer-Encoding: chunked";

function refusesFields(
  rule: string,
  status: number,
  cases: readonly (readonly [name: string, lines: string[]])[],
): void {
  for (const [name, lines] of cases)
    test(`${rule}: refuses ${name}`, () => {
      const reading = judgeRequests(`${withFields(...lines)}0\r\n\r\n${NEXT}`);
      assertRefused(reading, rule, status);
      assert.equal(reading.messages.length, 0, "nothing of it, and nothing after it, is read as a request");
    });
}

refusesFields("R18", 400, [
  ...[
    "+5", // RFC9112-6.1-CL-PLUS-SIGN
    "-5", // RFC9112-6.1-CL-NEGATIVE
    "5_0", // CVE-2023-47627
    "0x5", // SMUG-CL-HEX-PREFIX
    "5 5", // SMUG-CL-INTERNAL-SPACE
    "5e0",
    "5.0",
    "", // MAL-CL-EMPTY, CVE-2023-40225
    "abc", // RFC9112-6.1-CL-NON-NUMERIC
    "9007199254740992", // 2^53
    "99999999999999999999", // MAL-CL-OVERFLOW
    "00", // SMUG-CL-DOUBLE-ZERO
    "005", // SMUG-CL-LEADING-ZEROS
    "5;",
    "5, 5", // SMUG-CL-COMMA-SAME: a list is no number
    "5,6", // SMUG-CL-COMMA-DIFFERENT
    ",5",
    "\xb2", // superscript two
  ].map((value): [string, string[]] => [`Content-Length: ${JSON.stringify(value)}`, [`Content-Length: ${value}`]]),
]);
for (const value of ["5", "  5\t"])
  test(`R18: takes Content-Length: ${JSON.stringify(value)}`, () => {
    const reading = judgeRequests(`${withFields(`Content-Length:${value}`)}hello${NEXT}`);
    assertTaken(reading, 2);
    assert.equal(reading.messages[0]!.body, "hello");
  });
test("R18: takes 2^53 - 1", () => {
  const { messages } = judgeRequests(withFields("Content-Length: 9007199254740991"));
  assert.equal(messages[0]!.head.bodyOctets, Number.MAX_SAFE_INTEGER);
});

refusesFields("R19", 400, [
  ["SMUG-DUPLICATE-CL", ["Content-Length: 5", "Content-Length: 6"]],
  ["the same twice", ["Content-Length: 5", "Content-Length: 5"]],
  ["one of them written otherwise", ["Content-Length: 0", "X: y", "cONTENT-lENGTH: 0"]],
]);

refusesFields("R20", 400, [
  ["SMUG-CL-TE-BOTH", ["Content-Length: 6", CHUNKED_LINE]],
  ["SMUG-TECL", [CHUNKED_LINE, "Content-Length: 6"]],
  ["SMUG-CLTE-KEEPALIVE", ["Connection: keep-alive", "Content-Length: 4", CHUNKED_LINE]],
  ["Content-Length: 0 beside it", ["Content-Length: 0", CHUNKED_LINE]],
]);

refusesFields("R21", 400, [
  ...[
    "chunked, chunked", // SMUG-TE-DOUBLE-CHUNKED
    "chunked, gzip",
    "chunked, identity", // SMUG-TE-NOT-FINAL-CHUNKED
    ",chunked", // SMUG-TE-LEADING-COMMA
    "chunked,", // SMUG-TE-TRAILING-COMMA
    "chunked;a=b", // SMUG-TE-CHUNKED-WITH-PARAMS
    '"chunked"',
    "chunked chunked",
    "", // SMUG-TE-EMPTY-VALUE
    "chun ked",
  ].map((value): [string, string[]] => [
    `Transfer-Encoding: ${JSON.stringify(value)}`,
    [`Transfer-Encoding: ${value}`],
  ]),
  ["SMUG-TE-DUPLICATE-HEADERS", [CHUNKED_LINE, CHUNKED_LINE]],
  ["a second one that is empty", [CHUNKED_LINE, "Transfer-Encoding:"]],
]);
refusesFields("R21", 501, [
  ...["gzip", "identity", "xchunked", "chunkedx", "gzip, chunked", "deflate , gzip,\tchunked"].map(
    (value): [string, string[]] => [`COMP-UNKNOWN-TE-501: ${value}`, [`Transfer-Encoding: ${value}`]],
  ),
  ["SMUG-TE-IDENTITY with Content-Length", ["Transfer-Encoding: identity", "Content-Length: 5"]],
  ["CVE-2026-2835: identity, then chunked", ["Transfer-Encoding: identity", CHUNKED_LINE]],
]);
test("R21: refuses SMUG-TE-HTTP10", () => {
  assertRefused(judgeRequests(`POST / HTTP/1.0\r\n${HOST}${CHUNKED_LINE}\r\n\r\n0\r\n\r\n`), "R21", 400);
});
for (const value of ["chunked", "Chunked", "CHUNKED \t"])
  test(`R21: takes Transfer-Encoding: ${JSON.stringify(value)}`, () => {
    const reading = judgeRequests(`${withFields(`Transfer-Encoding: ${value}`)}5\r\nhello\r\n0\r\n\r\n${NEXT}`);
    assertTaken(reading, 2);
    assert.equal(reading.messages[0]!.body, "hello");
  });

function refusesBody(rule: string, cases: readonly (readonly [name: string, body: string, status?: number])[]): void {
  for (const [name, body, status = 400] of cases)
    test(`${rule}: refuses ${name}`, () => {
      const reading = judgeRequests(chunked(body) + NEXT);
      assertRefused(reading, rule, status);
      assert.equal(reading.messages.length, 1, "nothing after it is read as a request");
      assert.equal(reading.messages[0]!.isComplete, false);
    });
}

refusesBody("R22", [
  ["SMUG-CHUNK-NEGATIVE", "-5\r\nhello\r\n0\r\n\r\n"],
  ["SMUG-CHUNK-SIZE-PLUS", "+5\r\nhello\r\n0\r\n\r\n"],
  ["SMUG-CHUNK-HEX-PREFIX", "0x5\r\nhello\r\n0\r\n\r\n"],
  ["SMUG-CHUNK-UNDERSCORE", "1_0\r\n0123456789abcdef\r\n0\r\n\r\n"],
  ["SMUG-CHUNK-LEADING-SP", " 5\r\nhello\r\n0\r\n\r\n"],
  ["SMUG-CHUNK-SIZE-TRAILING-SP", "5 \r\nhello\r\n0\r\n\r\n"],
  ["a tab before the line's end", "5\t\r\nhello\r\n0\r\n\r\n"],
  ["space before an extension", "5 ;a\r\nhello\r\n0\r\n\r\n"],
  ["MAL-CHUNK-SIZE-OVERFLOW", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"],
  ["2^53", "20000000000000\r\n"],
  ["17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n"],
  ["an empty size", "\r\nhello\r\n0\r\n\r\n"],
  ["a letter that is no digit", "g\r\nhello\r\n0\r\n\r\n"],
  ["SMUG-CHUNK-BARE-LF: LF after a size, CVE-2025-22871", "5\nhello\r\n0\r\n\r\n"],
]);
test("R22: takes digits of either case, with zeros before them", () => {
  const { messages } = judgeRequests(`${chunked(`0A\r\n0123456789\r\n00b\r\n0123456789a\r\n000\r\n\r\n`)}${NEXT}`);
  assert.equal(messages[0]!.body, "01234567890123456789a");
  assert.equal(messages.length, 2);
});
refusesBody("R1", [
  ["CR alone after a chunk size", "5\rXhello\r\n0\r\n\r\n"],
  ["SMUG-CHUNK-LF-TRAILER", "0\r\nX: y\n\r\n"],
  ["bare LF at the end of a chunked body", "0\r\n\n"],
  ["CR alone in trailers", "0\r\nX: y\rZ: 1\r\n\r\n"],
]);

refusesBody("R23", [
  ["SMUG-CHUNK-BARE-SEMICOLON", "5;\r\nhello\r\n0\r\n\r\n"],
  ["SMUG-CHUNK-EXT-LF, CVE-2025-55315", "5;a\nhello\r\n0\r\n\r\n"],
  ["SMUG-CHUNK-EXT-CTRL", "5;a=\x01\r\nhello\r\n0\r\n\r\n"],
  ["a line's end in quotes, GHSA-fghv-69vj-qj49", '5;a="\r\n"\r\nhello\r\n0\r\n\r\n'],
  ["NUL in quotes", '5;a="\0"\r\nhello\r\n0\r\n\r\n'],
  ["quotes that do not end", '5;a="b\r\nhello\r\n0\r\n\r\n'],
  ["text after quotes", '5;a="b"c\r\nhello\r\n0\r\n\r\n'],
  ["spaces around the sign", "5;a = b\r\nhello\r\n0\r\n\r\n"],
  ["no value after the sign", "5;a=\r\nhello\r\n0\r\n\r\n"],
  ["257 octets of extension", `5;${"a".repeat(257)}\r\nhello\r\n0\r\n\r\n`],
  ["MAL-CHUNK-EXT-64K", `5;${"a".repeat(65_536)}\r\nhello\r\n0\r\n\r\n`],
  ["CVE-2023-39326: long extensions of tiny chunks", `${`1;${"a".repeat(250)}\r\nx\r\n`.repeat(80)}0\r\n\r\n`],
]);
test("R23: takes extensions of any form, and passes nothing of them on", () => {
  const body = '5;a;b=c;d="e;\\" f"\r\nhello\r\n1;x\r\n!\r\n0;end=1\r\n\r\n';
  const reading = judgeRequests(chunked(body) + NEXT);
  assertTaken(reading, 2);
  assert.equal(reading.messages[0]!.body, "hello!");
});

refusesBody("R24", [
  ["SMUG-CHUNK-MISSING-TRAILING-CRLF", "5\r\nhello0\r\n\r\n"],
  ["SMUG-CHUNK-SPILL: data longer than its size", "5\r\nhello!!\r\n0\r\n\r\n"],
  ["bare LF after data", "5\r\nhello\n0\r\n\r\n"],
  ["another octet in the place of CR", "5\r\nhelloX\n0\r\n\r\n"],
  ["CR alone after data", "5\r\nhello\r0\r\n\r\n"],
  ["CR LF turned round", "5\r\nhello\n\r0\r\n\r\n"],
]);
test("R24: a body that its connection cuts short is not complete", () => {
  for (const input of [
    chunked("5\r\nhel"),
    chunked("5\r\nhello\r\n0\r\n"),
    `${withFields("Content-Length: 9")}hello`,
  ]) {
    const reading = judgeRequests(input);
    assertRefused(reading, "R24", 400);
    assert.equal(reading.messages[0]!.isComplete, false);
  }
});
for (const [name, input] of [
  ["a length", `${withFields("Content-Length: 6")}hello!`],
  ["a chunk", chunked("6\r\nhello!\r\n0\r\n\r\n")],
  ["chunks", chunked("3\r\nhel\r\n3\r\nlo!\r\n0\r\n\r\n")],
] as const)
  test(`R24: refuses a body longer than its limit with 413, by ${name}`, () => {
    assertRefused(judgeRequests(input, { maxBodyOctets: 5 }), "R24", 413);
    assertTaken(judgeRequests(input, { maxBodyOctets: 6 }));
  });

test("R25: SMUG-TRAILER-*: drops trailers about framing, routing and who may, keeps others", () => {
  const dropped = [
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Host: b.example",
    "Authorization: Basic eA==",
  ].concat(
    [
      "Cookie: a=b",
      "Set-Cookie: a=b",
      "Content-Type: text/plain",
      "Connection: close",
      "X-Forwarded-For: ::1",
      "TE: trailers",
    ],
    [
      "Expect: 100-continue",
      "Cache-Control: no-store",
      "X_Y: z",
      "Trailer: a",
      "Upgrade: websocket",
      "Range: bytes=0-",
    ],
  );
  const { messages } = judgeRequests(chunked(`0\r\n${dropped.join("\r\n")}\r\nX-Sum: 5\r\n\r\n`) + NEXT);
  assert.deepEqual(messages[0]!.trailers, ["x-sum", "5"]);
  assert.equal(messages.length, 2);
});
test("R25: trailers that are all dropped are none", () => {
  assert.equal(judgeRequests(chunked("0\r\nHost: b\r\n\r\n")).messages[0]!.trailers, undefined);
});
for (const [name, section, rule, status] of [
  ["a trailer without a colon", "X\r\n\r\n", "R10", 400],
  ["a trailer with NUL", "X: \0\r\n\r\n", "R11", 400],
  ["a folded trailer", "X: y\r\n z\r\n\r\n", "R12", 400],
  ["too many trailers", `${"X: y\r\n".repeat(LIMITS.fields + 1)}\r\n`, "R13", 431],
  ["too long trailers", `X: ${"y".repeat(LIMITS.headOctets)}\r\n\r\n`, "R7", 431],
  ["trailers without end", `X: ${"y".repeat(LIMITS.headOctets)}`, "R7", 431],
] as const)
  test(`R25: refuses ${name}`, () => assertRefused(judgeRequests(chunked(`0\r\n${section}`)), rule, status));

test("R27: SMUG-GET-CL-*: a body belongs to any method that has one", () => {
  for (const method of ["GET", "HEAD", "OPTIONS", "DELETE", "TRACE"]) {
    const reading = judgeRequests(
      `${method} / HTTP/1.1\r\n${HOST}Content-Length: ${NEXT.length}\r\n\r\n${NEXT}${NEXT}`,
    );
    assertTaken(reading, 2);
    assert.equal(reading.messages[0]!.body, NEXT);
  }
});

test("R28: SMUG-PIPELINE-SAFE: requests in a row are read one by one", () => {
  const post = `${withFields("Content-Length: 5")}hello`;
  const reading = judgeRequests(NEXT + post + chunked("0\r\n\r\n") + NEXT);
  assertTaken(reading, 4);
  assert.deepEqual(
    reading.messages.map((message) => message.body),
    ["", "hello", "", ""],
  );
});
for (const [name, first] of [
  ["Connection: close", withFields("Connection: close")],
  ["close beside keep-alive", withFields("Connection: keep-alive, close")],
  ["HTTP/1.0", "GET / HTTP/1.0\r\n\r\n"],
  ["close and a body", `${withFields("Connection: close", "Content-Length: 5")}hello`],
] as const)
  test(`R28: what follows ${name} is no request`, () => {
    const reading = judgeRequests(first + NEXT);
    assertTaken(reading, 1);
    assert.equal(reading.isClosed, true);
    assert.equal(reading.rest, NEXT);
  });
test("R28: what follows a message that is refused is no request", () => {
  const reading = judgeRequests(`${withFields("Content-Length: x")}${NEXT}`);
  assert.equal(reading.messages.length, 0);
});

refusesFields("R29", 417, [
  ["COMP-EXPECT-UNKNOWN", ["Expect: 200-ok", "Content-Length: 5"]],
  ["two expectations", ["Expect: 100-continue", "Expect: 100-continue", "Content-Length: 5"]],
  ["SMUG-EXPECT-100-CL-DESYNC: an expectation with more", ["Expect: y 100-continue", "Content-Length: 5"]],
]);
for (const [name, input, expected] of [
  ["an expectation with a body", withFields("Expect: 100-Continue", "Content-Length: 5"), true],
  ["an expectation with chunks", withFields("Expect: 100-continue", CHUNKED_LINE), true],
  ["none where there is no body", withFields("Expect: 100-continue"), false],
  ["COMP-NO-1XX-HTTP10", `POST / HTTP/1.0\r\n${HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n`, false],
] as const)
  test(`R29: reads ${name}`, () => assert.equal(judgeRequests(input).messages[0]!.head.expectsContinue, expected));

const upgrading = (...lines: string[]): string => `GET / HTTP/1.1\r\n${HOST}${lines.join("\r\n")}\r\n\r\n`;
for (const [name, input, upgrade] of [
  ["websocket", upgrading("Connection: keep-alive, Upgrade", "Upgrade: WebSocket"), "websocket"],
  ["websocket of a list", upgrading("Connection: Upgrade", "Upgrade: h2c, websocket"), "websocket"],
  ["COMP-UPGRADE-MISSING-CONN", upgrading("Upgrade: websocket"), undefined],
  ["COMP-UPGRADE-UNKNOWN", upgrading("Connection: upgrade", "Upgrade: foo/2"), undefined],
  [
    "CVE-2026-88008: h2c",
    upgrading("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
    undefined,
  ],
  ["COMP-UPGRADE-POST", withFields("Connection: upgrade", "Upgrade: websocket"), undefined],
  ["COMP-UPGRADE-HTTP10", `GET / HTTP/1.0\r\n${HOST}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`, undefined],
] as const)
  test(`R30: ${name}: ${upgrade ?? "nothing"} is asked of the backend`, () => {
    const { head } = judgeRequests(input).messages[0]!;
    assert.equal(head.upgrade, upgrade);
    assert.deepEqual(head.fields, []);
  });
for (const [name, input] of [
  ["Content-Length, CVE-2026-58055", upgrading("Connection: upgrade", "Upgrade: websocket", "Content-Length: 5")],
  ["chunks", upgrading("Connection: upgrade", "Upgrade: websocket", CHUNKED_LINE)],
] as const)
  test(`R30: refuses an upgrade with ${name}`, () => assertRefused(judgeRequests(input), "R30", 400));
for (const target of ["a.example:443", "/", "http://a.example/", "*"])
  test(`R30: refuses CONNECT ${target}`, () => {
    assertRefused(judgeRequests(`CONNECT ${target} HTTP/1.1\r\n${HOST}\r\n`), "R30", 501);
  });

for (const [name, input, isClosed] of [
  ["COMP-HTTP10-DEFAULT-CLOSE", `GET / HTTP/1.0\r\n${HOST}\r\n`, true],
  ["COMP-HTTP10-KEEPALIVE", `GET / HTTP/1.0\r\n${HOST}Connection: Keep-Alive\r\n\r\n`, false],
  ["HTTP/1.1", `GET / HTTP/1.1\r\n${HOST}\r\n`, false],
] as const)
  test(`R31: ${name}: the connection ${isClosed ? "ends" : "goes on"}`, () => {
    assert.equal(judgeRequests(input).isClosed, isClosed);
  });
test("R31: a request's body never lasts to the end of its connection", () => {
  const reading = judgeRequests(`POST / HTTP/1.0\r\n${HOST}Connection: keep-alive\r\n\r\nhello`);
  assert.equal(reading.messages[0]!.framing, "none");
  assert.equal(reading.messages[0]!.body, "");
});
