import assert from "node:assert/strict";
import test from "node:test";
import { createResponseReader, formatRequest } from "#health/probes/http.ts";
import type { HttpCheck } from "#state/snapshot.ts";
import { httpCheck } from "../bed.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const chunked = (...parts: string[]): string =>
  `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join("")}0\r\n\r\n`;

const CASES: { name: string; over?: object; answer: string; expected: string }[] = [
  { name: "accepts a status in range", answer: OK, expected: "none" },
  { name: "refuses a status out of range", answer: "HTTP/1.1 503 No\r\n\r\n", expected: "status" },
  {
    name: "takes a redirect for a status, not for an invitation",
    answer: "HTTP/1.1 302 F\r\nLocation: /\r\n\r\n",
    expected: "status",
  },
  {
    name: "accepts a listed redirect",
    over: {
      status: [
        [200, 200],
        [301, 302],
      ],
    },
    answer: "HTTP/1.1 302 F\r\n\r\n",
    expected: "none",
  },
  { name: "accepts HTTP/1.0 and an empty reason", answer: "HTTP/1.0 200\r\n\r\n", expected: "none" },
  { name: "steps over interim responses", answer: `HTTP/1.1 103 Early\r\nLink: x\r\n\r\n${OK}`, expected: "none" },
  { name: "refuses what is not HTTP", answer: "SSH-2.0-OpenSSH_9.2\r\n", expected: "protocol" },
  { name: "refuses HTTP/2", answer: "HTTP/2 200\r\n\r\n", expected: "protocol" },
  { name: "refuses an endless head", answer: `HTTP/1.1 200 OK\r\nX: ${"x".repeat(20_000)}`, expected: "protocol" },
  { name: "refuses half a head", answer: "HTTP/1.1 200 OK\r\nX", expected: "protocol" },
  { name: "says when nothing came", answer: "", expected: "reset" },
  { name: "finds the expected text", over: { body: "ell" }, answer: OK, expected: "none" },
  { name: "misses the expected text", over: { body: "bye" }, answer: OK, expected: "body" },
  { name: "does not look beyond Content-Length", over: { body: "bye" }, answer: `${OK}bye`, expected: "body" },
  {
    name: "finds text that chunks cut in two",
    over: { body: "hello" },
    answer: chunked("hel", "lo"),
    expected: "none",
  },
  { name: "misses text in chunked framing", over: { body: "\r\n" }, answer: chunked("hel", "lo"), expected: "body" },
  {
    name: "refuses broken chunks",
    over: { body: "x" },
    answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    expected: "protocol",
  },
  {
    name: "finds text in a body that ends with the connection",
    over: { body: "bye" },
    answer: "HTTP/1.1 200 OK\r\n\r\nsay bye",
    expected: "none",
  },
  {
    name: "finds text of more than one octet a letter",
    over: { body: "grüß" },
    answer: `HTTP/1.1 200 OK\r\n\r\n${Buffer.from("grüß dich").toString("latin1")}`,
    expected: "none",
  },
  {
    name: "finds text at the end of 64 KiB",
    over: { body: "END" },
    answer: `HTTP/1.1 200 OK\r\n\r\n${"x".repeat(65_533)}END`,
    expected: "none",
  },
  {
    name: "does not look beyond 64 KiB",
    over: { body: "END" },
    answer: `HTTP/1.1 200 OK\r\n\r\n${"x".repeat(65_534)}END`,
    expected: "body",
  },
  { name: "expects no body of HEAD", over: { method: "HEAD", body: "hello" }, answer: OK, expected: "body" },
];
for (const { name, over, answer, expected } of CASES) {
  for (const size of [Number.POSITIVE_INFINITY, 7, 1]) {
    if (size < 7 && answer.length > 1_000) continue;
    test(`createResponseReader() ${name} (in pieces of ${size})`, () => {
      const reader = createResponseReader(httpCheck(over) as HttpCheck);
      const octets = Buffer.from(answer, "latin1");
      // One buffer, written over for each piece, as the exchange does it.
      const buffer = Buffer.alloc(Math.min(size, octets.length));
      let opinion = undefined as ReturnType<typeof reader.read>;
      for (let at = 0; at < octets.length && opinion === undefined; at += buffer.length) {
        const length = octets.copy(buffer, 0, at, at + buffer.length);
        opinion = reader.read(buffer.subarray(0, length));
      }
      assert.equal((opinion ?? reader.end()).errorClass, expected);
    });
  }
}

test("formatRequest() names host and port, and lets no header in that breaks the framing", () => {
  const check = httpCheck({
    port: 8080,
    path: "/h\r\nX: 1",
    headers: { "User-Agent": "me", "X-A": "b\r\nX-B: c", Connection: "keep-alive" },
  });
  const text = formatRequest(check as HttpCheck, "2001:db8::1");
  assert.deepEqual(text.split("\r\n"), [
    "GET /h X: 1 HTTP/1.1",
    "Host: [2001:db8::1]:8080",
    "User-Agent: me",
    "X-A: b X-B: c",
    "Accept: */*",
    "Connection: close",
    "",
    "",
  ]);
  assert.match(
    formatRequest(httpCheck({ host: "www.example" }) as HttpCheck, "192.0.2.1"),
    /\r\nHost: www\.example\r\n/,
  );
  assert.match(formatRequest(httpCheck() as HttpCheck, "192.0.2.1"), /\r\nHost: 192\.0\.2\.1\r\n/);
});
