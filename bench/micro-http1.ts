/**
 * HTTP/1.1 heads: what reading and writing one costs, in ns.
 *
 * `node bench/micro-http1.ts`: a request with ten fields and a response with ten, each read and written, best of rounds.
 */
import { parseRequestHead } from "#l7/http1/request-head.ts";
import { parseResponseHead } from "#l7/http1/response-head.ts";
import { responseFraming, writeRequestHead, writeResponseHead } from "#l7/http1/write-head.ts";

const LIMITS = { lineOctets: 16_384, headOctets: 32_768, fields: 100 };
const REQUEST = Buffer.from(
  `GET /api/v1/users/42?expand=orders HTTP/1.1\r
Host: www.example.com\r
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r
Accept-Language: en-US,en;q=0.5\r
Accept-Encoding: gzip, deflate, br, zstd\r
Connection: keep-alive\r
Cookie: session=4b825dc642cb6eb9a060e54bf8d69288; theme=dark\r
Upgrade-Insecure-Requests: 1\r
X-Custom-Thing: some value\r
Priority: u=0, i\r
\r
`,
  "latin1",
);
const RESPONSE = Buffer.from(
  `HTTP/1.1 200 OK\r
Date: Sat, 21 Nov 2026 21:00:00 GMT\r
Server: backend\r
Content-Type: application/json; charset=utf-8\r
Content-Length: 1024\r
Cache-Control: private, max-age=0\r
ETag: "33a64df551425fcc55e4d42a148795d9f25f89d4"\r
Vary: Accept-Encoding\r
X-Request-ID: 01931f6e-7c5a-7b3e-9a4d-0c8f1e2d3b4a\r
Strict-Transport-Security: max-age=63072000\r
Connection: keep-alive\r
\r
`,
  "latin1",
);
const OPTIONS = { host: undefined, keepsUnderscores: false, passesTrailers: false };

const readRequest = parseRequestHead(REQUEST, LIMITS, "http");
const readResponse = parseResponseHead(RESPONSE, LIMITS, "GET");
if (readRequest.kind !== "request" || readResponse.kind !== "response") throw new Error("the samples are not read");
const { head: request } = readRequest;
const { head: response } = readResponse;
const out = Buffer.alloc(4_096);

const CASES: Record<string, () => unknown> = {
  "read request": () => parseRequestHead(REQUEST, LIMITS, "http"),
  "write request": () => out.write(writeRequestHead(request, OPTIONS)!, 0, "latin1"),
  "read response": () => parseResponseHead(RESPONSE, LIMITS, "GET"),
  "write response": () =>
    out.write(writeResponseHead(request, response, responseFraming(request, response), true), 0, "latin1"),
};

const ROUND = 50_000;
for (const [name, run] of Object.entries(CASES)) {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 12; round++) {
    const from = process.hrtime.bigint();
    for (let count = 0; count < ROUND; count++) run();
    best = Math.min(best, Number(process.hrtime.bigint() - from) / ROUND);
  }
  console.log(`${name.padEnd(16)} ${best.toFixed(0).padStart(6)} ns`);
}
