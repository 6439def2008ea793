/** Rules R1 to R17 of docs/http1-rules.md, at requests: start line and fields. Names in capitals are Http11Probe's. */
import assert from "node:assert/strict";
import test from "node:test";
import { assertRefused, assertTaken, judgeRequests, LIMITS, withFields } from "./codec-bed.ts";

const HOST = "Host: a.example\r\n";
type Refusal = readonly [name: string, input: string, status?: number, rule?: string];

function refuses(rule: string, cases: readonly Refusal[]): void {
  for (const [name, input, status = 400, other = rule] of cases)
    test(`${rule}: refuses ${name}`, () => {
      const reading = judgeRequests(input);
      assertRefused(reading, other, status);
      assert.equal(reading.messages.length, 0);
    });
}
function takes(rule: string, cases: readonly (readonly [name: string, input: string, count?: number])[]): void {
  for (const [name, input, count] of cases)
    test(`${rule}: takes ${name}`, () => assertTaken(judgeRequests(input), count));
}
const fieldsOf = (input: string) => judgeRequests(input).messages[0]!.head.fields;

refuses("R1", [
  ["RFC9112-2.2-BARE-LF-REQUEST-LINE", `GET / HTTP/1.1\n${HOST}\r\n`],
  ["RFC9112-2.2-BARE-LF-HEADER", "GET / HTTP/1.1\r\nHost: a.example\nX: y\r\n\r\n"],
  ["bare LF alone, CVE-2025-22871's kind", "GET / HTTP/1.1\nHost: a.example\n\n"],
  ["RFC9112-3-CR-ONLY-LINE-ENDING", "GET / HTTP/1.1\rHost: a.example\r\r"],
  ["SMUG-BARE-CR-HEADER-VALUE", withFields("X: a\rTransfer-Encoding: chunked")],
  ["CVE-2023-30589: CR alone between fields", withFields("X: a\r\rContent-Length: 5")],
  ["HTTP Garden S13: CR before a name", withFields("\rContent-Length: 5")],
  ["LF CR", `GET / HTTP/1.1\r\n${HOST}\n\r\n\r`],
  ["CR at the end of the head", `GET / HTTP/1.1\r\n${HOST}\rX`],
]);

takes("R2", [
  ["COMP-LEADING-CRLF", `\r\nGET / HTTP/1.1\r\n${HOST}\r\n`],
  ["four of them", `${"\r\n".repeat(4)}GET / HTTP/1.1\r\n${HOST}\r\n`],
  ["one between two requests", `GET / HTTP/1.1\r\n${HOST}\r\n\r\nGET / HTTP/1.1\r\n${HOST}\r\n`, 2],
]);
refuses("R2", [
  ["five empty lines", `${"\r\n".repeat(5)}GET / HTTP/1.1\r\n${HOST}\r\n`],
  ["empty lines without end", "\r\n".repeat(100)],
  ["a bare LF before the request", `\nGET / HTTP/1.1\r\n${HOST}\r\n`, 400, "R1"],
]);
test("R2: MAL-EMPTY-REQUEST: waits where nothing has come", () => {
  assert.deepEqual(judgeRequests(""), { messages: [], fault: undefined, isClosed: false, rest: "", isAmidHead: false });
});

refuses("R3", [
  ["COMP-WHITESPACE-BEFORE-HEADERS", `GET / HTTP/1.1\r\n X: y\r\n${HOST}\r\n`],
  ["CVE-2024-27982: space before Content-Length", `POST / HTTP/1.1\r\n Content-Length: 5\r\n${HOST}\r\nhello`],
  ["a tab", `GET / HTTP/1.1\r\n\tX: y\r\n${HOST}\r\n`],
  ["a line of blanks", `GET / HTTP/1.1\r\n  \r\n${HOST}\r\n`],
]);

refuses("R4", [
  ["RFC9112-3-MULTI-SP-REQUEST-LINE", `GET  / HTTP/1.1\r\n${HOST}\r\n`],
  ["two spaces before the version", `GET /  HTTP/1.1\r\n${HOST}\r\n`],
  ["COMP-REQUEST-LINE-TAB", `GET\t/ HTTP/1.1\r\n${HOST}\r\n`],
  ["COMP-VERSION-WHITESPACE", `GET / HTTP/1.1 \r\n${HOST}\r\n`],
  ["space before the method", ` GET / HTTP/1.1\r\n${HOST}\r\n`],
  ["a method alone", `GET\r\n${HOST}\r\n`],
  ["a method and a space", `GET \r\n${HOST}\r\n`],
  ["a method that is no token", `GE@T / HTTP/1.1\r\n${HOST}\r\n`],
  ["a method of other octets", `G\xc9T / HTTP/1.1\r\n${HOST}\r\n`],
  ["MAL-LONG-METHOD", `${"A".repeat(33)} / HTTP/1.1\r\n${HOST}\r\n`, 501],
  ["a TLS ClientHello, at its first octet", "\x16\x03\x01"],
  ["MAL-BINARY-GARBAGE", "\x00\xff\xfe\r\n\r\n"],
]);
takes("R4", [["any method that is a token", `X-2!~ / HTTP/1.1\r\n${HOST}\r\n`]]);

refuses("R5", [
  ["COMP-HTTP12-VERSION", `GET / HTTP/1.2\r\n${HOST}\r\n`, 505],
  ["RFC9112-2.3-INVALID-VERSION", `GET / HTTP/9.9\r\n${HOST}\r\n`, 505],
  ["HTTP/2.0", `GET / HTTP/2.0\r\n${HOST}\r\n`, 505],
  ["COMP-VERSION-CASE", `GET / http/1.1\r\n${HOST}\r\n`],
  ["COMP-VERSION-LEADING-ZEROS", `GET / HTTP/01.1\r\n${HOST}\r\n`],
  ["HTTP/1.32", `GET / HTTP/1.32\r\n${HOST}\r\n`],
  ["COMP-VERSION-MISSING-MINOR", `GET / HTTP/1\r\n${HOST}\r\n`],
  ["RFC9112-2.3-HTTP09-REQUEST, at its line's end", "GET /\r\n"],
  ["another protocol", `GET / HTCPCP/1.0\r\n${HOST}\r\n`],
  ["a version with more after it", `GET / HTTP/1.1x\r\n${HOST}\r\n`],
]);

refuses("R6", [
  ["COMP-SPACE-IN-TARGET, CVE-2013-4547", `GET /a b HTTP/1.1\r\n${HOST}\r\n`, 400, "R5"],
  ["RFC9112-3.2-FRAGMENT-IN-TARGET", `GET /a#b HTTP/1.1\r\n${HOST}\r\n`],
  ["MAL-NUL-IN-URL", `GET /a\0b HTTP/1.1\r\n${HOST}\r\n`],
  ["MAL-NON-ASCII-URL", `GET /caf\xe9 HTTP/1.1\r\n${HOST}\r\n`],
  ["MAL-URL-BACKSLASH", `GET /a\\b HTTP/1.1\r\n${HOST}\r\n`],
  ["MAL-CHARS: quote", `GET /" HTTP/1.1\r\n${HOST}\r\n`],
  ...['"', "<", ">", "^", "`", "{", "|", "}", "\x7f", "\x1f", "\t"].map(
    (char): Refusal => [`${JSON.stringify(char)} in a target`, `GET /a${char}b HTTP/1.1\r\n${HOST}\r\n`],
  ),
  ["COMP-ASTERISK-WITH-GET", `GET * HTTP/1.1\r\n${HOST}\r\n`],
  ["a path that does not begin with a slash", `GET a/b HTTP/1.1\r\n${HOST}\r\n`],
  ["authority form with GET", `GET a.example:80 HTTP/1.1\r\n${HOST}\r\n`],
  ["another scheme in absolute form", `GET ftp://a.example/ HTTP/1.1\r\n${HOST}\r\n`],
  ["the scheme of another listener", `GET https://a.example/ HTTP/1.1\r\n${HOST}\r\n`, 421],
  ["userinfo in absolute form", `GET http://user@a.example/ HTTP/1.1\r\n${HOST}\r\n`],
  ["an empty authority", `GET http:/// HTTP/1.1\r\n${HOST}\r\n`],
  ["a query alone", `GET ?a HTTP/1.1\r\n${HOST}\r\n`],
]);
for (const [name, line, target] of [
  ["origin form as it is", "GET /a/%7eb?c=d&e=%20 HTTP/1.1", "/a/%7eb?c=d&e=%20"],
  ["absolute form as origin form", "GET http://a.example/x?y HTTP/1.1", "/x?y"],
  ["absolute form without a path", "GET http://a.example HTTP/1.1", "/"],
  ["absolute form with a query alone", "GET http://a.example?y HTTP/1.1", "/?y"],
  ["COMP-OPTIONS-STAR", "OPTIONS * HTTP/1.1", "*"],
  ["absolute form of OPTIONS *", "OPTIONS http://a.example HTTP/1.1", "*"],
] as const)
  test(`R6: takes ${name}`, () => {
    const reading = judgeRequests(`${line}\r\n${HOST}\r\n`);
    assertTaken(reading);
    assert.equal(reading.messages[0]!.head.target, target);
  });

const small = { lineOctets: 40, headOctets: 100, fields: 3 };
for (const [name, input, status, rule] of [
  ["MAL-LONG-URL: a line of one octet too many", `GET /${"a".repeat(27)} HTTP/1.1\r\n${HOST}\r\n`, 414, "R7"],
  ["a line that does not end", `GET /${"a".repeat(100)}`, 414, "R7"],
  ["MAL-LONG-HEADER-VALUE", `GET / HTTP/1.1\r\n${HOST}X: ${"y".repeat(100)}\r\n\r\n`, 431, "R7"],
  ["a field that does not end", `GET / HTTP/1.1\r\n${HOST}X: ${"y".repeat(200)}`, 431, "R7"],
  ["a head of one octet too many", `GET / HTTP/1.1\r\n${HOST}X: ${"y".repeat(61)}\r\n\r\n`, 431, "R7"],
] as const)
  test(`R7: refuses ${name} with ${status}`, () => {
    assertRefused(judgeRequests(input, { limits: small }), rule, status);
  });
test("R7: takes a line and a head of just so many octets", () => {
  assertTaken(judgeRequests(`GET /${"a".repeat(26)} HTTP/1.1\r\n${HOST}\r\n`, { limits: small }));
  const head = `GET / HTTP/1.1\r\n${HOST}`;
  assertTaken(judgeRequests(`${head}X: ${"y".repeat(100 - head.length - 7)}\r\n\r\n`, { limits: small }));
});

for (const input of ["GET", "GET / HT", "GET / HTTP/1.1\r", "GET / HTTP/1.1\r\nHost: a.example\r\n", "\r", "\r\n\r\nG"])
  test(`R8: MAL-INCOMPLETE-REQUEST: waits for more after ${JSON.stringify(input)}`, () => {
    const { messages, fault, isAmidHead } = judgeRequests(input);
    assert.deepEqual({ messages, fault, isAmidHead }, { messages: [], fault: undefined, isAmidHead: true });
  });

refuses("R9", [
  ["RFC9110-5.6.2-SP-BEFORE-COLON", withFields("X : y")],
  ["NORM-SP-BEFORE-COLON-CL, CVE-2021-22959", withFields("Content-Length : 5")],
  ["SMUG-TE-SP-BEFORE-COLON", withFields("Transfer-Encoding : chunked")],
  ["NORM-TAB-BEFORE-COLON", withFields("Content-Length\t: 5")],
  ["a name with a space in it", withFields("Content Length: 5")],
  ["a name of other octets", withFields("X\xe9: y")],
  ["a name with NUL", withFields("X\0: y")],
  ["a name in quotes", withFields('"X": y')],
  ["SMUG-TE-LEADING-VTAB in a name", withFields("\x0bTransfer-Encoding: chunked")],
]);

refuses("R10", [
  ["RFC9112-5-EMPTY-HEADER-NAME, CVE-2023-25725", withFields(": x", "Content-Length: 5")],
  ["RFC9112-5-HEADER-NO-COLON", withFields("Content-Length")],
  ["a colon alone", withFields(":")],
]);

refuses("R11", [
  ["MAL-NUL-IN-HEADER-VALUE", withFields("X: a\0b")],
  ["MAL-CONTROL-CHARS-HEADER", withFields("X: a\x01b")],
  ["SMUG-TE-VTAB", withFields("Transfer-Encoding:\x0bchunked")],
  ["SMUG-TE-FORMFEED", withFields("Transfer-Encoding:\x0cchunked")],
  ["SMUG-TE-NULL", withFields("Transfer-Encoding: chunked\0")],
  ["DEL", withFields("X: a\x7f")],
  ["HTTP Garden S2: 0x85 is no white space", withFields("Content-Length: 5\x85"), 400, "R18"],
  ["HTTP Garden S19: 0xa0 is no white space", withFields("Transfer-Encoding:\xa0chunked"), 400, "R21"],
]);
test("R11: takes obs-text and tabs as they are, and strips space and tab alone", () => {
  assert.deepEqual(fieldsOf(withFields("X: \t a\tb\xe9 \xa0 \t", "Y:", "Z:  ")), [
    "x",
    "a\tb\xe9 \xa0",
    "y",
    "",
    "z",
    "",
  ]);
});

refuses("R12", [
  ["RFC9112-5.1-OBS-FOLD", withFields("X: a", " b")],
  ["SMUG-TE-OBS-FOLD", withFields("Transfer-Encoding:", "\tchunked"), 400, "R21"],
  ["SMUG-TE-OBS-FOLD after a value", withFields("Transfer-Encoding: chunked", "\t, identity")],
  [
    "SMUG-OPTIONS-TE-OBS-FOLD, CVE-2025-32094",
    `OPTIONS / HTTP/1.1\r\n${HOST}Expect:\r\n 100-continue\r\nContent-Length: 5\r\n\r\nhello`,
  ],
  ["a line of blanks after fields", withFields("X: a", " ", "Content-Length: 5")],
]);

const many = (count: number): string => withFields(...Array.from({ length: count - 1 }, (_, index) => `X-${index}: y`));
takes("R13", [["as many fields as the limit", many(LIMITS.fields)]]);
refuses("R13", [
  ["MAL-MANY-HEADERS", many(LIMITS.fields + 1), 431],
  ["RFC9110-5.4-DUPLICATE-HOST", withFields("Host: b.example")],
  ["COMP-DUPLICATE-HOST-SAME", withFields("hOST: a.example")],
]);

test("R14: MAL-LONG-HEADER-NAME, CVE-2021-40346: a long name is one name", () => {
  const name = `content-length0${"a".repeat(255)}`;
  assert.deepEqual(fieldsOf(withFields(`${name}: b`, "Content-Length: 0")), [name, "b"]);
  assert.deepEqual(fieldsOf(withFields(`${"X".repeat(30_000)}: b`)), ["x".repeat(30_000), "b"]);
});

for (const name of [
  ..."Content-Length Transfer-Encoding Host Connection Expect Trailer Authorization Cookie Set-Cookie".split(" "),
  ..."X-Forwarded-For X-Forwarded-Anything Forwarded X-Real-IP Cache-Control Content-Type If-Match".split(" "),
  ..."Via Traceparent X-Request-ID Sec-WebSocket-Key".split(" "),
])
  refuses("R15", [
    [`Connection: ${name}`, withFields(`Connection: close, ${name}`)],
    [`Connection: ${name.toLowerCase()} before the field`, withFields(`Connection: ${name.toLowerCase()}`, "X: y")],
  ]);
refuses("R15", [["options that are no tokens", withFields("Connection: a b")]]);
test("R15: takes out what Connection nominates, before and after it, and fields of one connection", () => {
  const lines = ["X-Hop: 1", "Connection: X-Hop, , close,x-other", "X-OTHER: 2", "X-Kept: 3", "Keep-Alive: timeout=5"];
  const more = ["Proxy-Connection: keep-alive", "TE: gzip", "Trailer: X-T", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"];
  assert.deepEqual(fieldsOf(withFields(...lines, ...more)), ["x-kept", "3"]);
});
test("R15: takes connections in lists over several fields", () => {
  const reading = judgeRequests(withFields("Connection: X-A", "Connection: Close", "X-A: 1", "X-B: 2"));
  assert.deepEqual(reading.messages[0]!.head.fields, ["x-b", "2"]);
  assert.equal(reading.isClosed, true);
});

test("R16: NORM-UNDERSCORE-CL, NORM-UNDERSCORE-TE, SMUG-TRANSFER_ENCODING: no framing is read from them", () => {
  const reading = judgeRequests(
    withFields("Content_Length: 5", "Transfer_Encoding: chunked", "transfer-Encoding-x: chunked"),
  );
  assertTaken(reading);
  assert.equal(reading.messages[0]!.framing, "none");
  assert.deepEqual(reading.messages[0]!.head.fields.slice(0, 2), ["content_length", "5"]);
});
test("R16: names are compared without case", () => {
  assert.equal(judgeRequests(`${withFields("cONTENT-lENGTH: 5")}hello`).messages[0]!.body, "hello");
});

const hosted = (host: string): string => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
refuses("R17", [
  ["RFC9112-7.1-MISSING-HOST", "GET / HTTP/1.1\r\n\r\n"],
  ["COMP-HOST-EMPTY-VALUE", hosted("")],
  ["COMP-HOST-WITH-USERINFO", hosted("user@a.example")],
  ["COMP-HOST-WITH-PATH", hosted("a.example/path")],
  ["COMP-HOST-WITH-SPACE", hosted("a.example b")],
  ["SMUG-MULTIPLE-HOST-COMMA", hosted("a.example, b.example")],
  ["a port that is no number", hosted("a.example:8o")],
  ["a port out of range", hosted("a.example:65536")],
  ["a port of many digits", hosted("a.example:000080")],
  ["a colon without a port", hosted("a.example:")],
  ["two ports", hosted("a.example:80:81")],
  ["a port alone", hosted(":80")],
  ["an open bracket", hosted("[::1")],
  ["an IPv6 address without brackets", hosted("::1")],
  ["what is no address in brackets", hosted("[a.example]")],
  ["text after brackets", hosted("[::1]x")],
  ["an escape", hosted("a%2eexample")],
  ["a query", hosted("a.example?b")],
  ["SMUG-ABSOLUTE-URI-HOST-MISMATCH", `GET http://b.example/ HTTP/1.1\r\n${HOST}\r\n`],
  ["another port in absolute form", `GET http://a.example:81/ HTTP/1.1\r\n${HOST}\r\n`],
]);
for (const host of ["a.example", "A.Example.", "a.example:8080", "192.0.2.1:80", "[2001:db8::1]", "[::1]:443", "x_y~z"])
  test(`R17: takes Host: ${host}`, () => {
    const reading = judgeRequests(hosted(host));
    assertTaken(reading);
    assert.equal(reading.messages[0]!.head.authority, host);
  });
test("R17: takes HTTP/1.0 without Host, and Host in another case than the target has", () => {
  const old = judgeRequests("GET / HTTP/1.0\r\n\r\n");
  assertTaken(old);
  assert.equal(old.messages[0]!.head.authority, "");
  assertTaken(judgeRequests(`GET http://A.EXAMPLE/ HTTP/1.1\r\n${HOST}\r\n`));
});
