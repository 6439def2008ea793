/** What is remembered of a connection's last heads changes nothing: with it and without, the same is read, told and written. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { outboundOf } from "#l7/exchange/outbound.ts";
import { createExchangePlan } from "#l7/exchange/plan.ts";
import { parseRequestHead } from "#l7/http1/request-head.ts";
import { RequestMemo } from "#l7/http1/request-memo.ts";
import { parseResponseHead } from "#l7/http1/response-head.ts";
import { ResponseMemo } from "#l7/http1/response-memo.ts";
import { writeRequestHead, writeResponseHead } from "#l7/http1/write-head.ts";
import type { RequestHead, ResponseHead } from "#l7/message.ts";
import { createRouter } from "#l7/rules/create-router.ts";
import type { HttpSpec } from "#state/http.ts";
import { listenerOf, poolOf } from "../../pool/specs.ts";
import { HTTP_DEFAULTS } from "../http-bed.ts";
import { arrivedOn, MemoryConn } from "./client-bed.ts";
import { LIMITS } from "./codec-bed.ts";

const octetsOf = (text: string): Buffer => Buffer.from(text, "latin1");
/** Few of each, so that the same comes again and again, also of one length with something else in it. */
const FIELDS = [
  "Host: a.example",
  "Host: b.example",
  "Host: a example",
  "User-Agent: one",
  "User-Agent: two",
  "X-Request-ID: mine",
  "X-Forwarded-For: 198.51.100.1",
  "X_Under: 1",
  "Cookie: a=b",
  "X-Tab: a\tb",
  "X-Latin: \xe4",
  "Connection: close",
  "Connection: user-agent",
  "Content-Length: 0",
  "Content-Length: 3",
  "Transfer-Encoding: chunked",
  "Upgrade: websocket\r\nConnection: upgrade",
  "Expect: 100-continue",
  "TE: trailers",
  "Authorization: NTLM x",
  " folded",
  "No colon",
];
const LINES = [
  ...["GET / HTTP/1.1", "GET /a?b=c HTTP/1.1", "POST / HTTP/1.1", "OPTIONS * HTTP/1.1", "HEAD /x HTTP/1.1"],
  ...["GET / HTTP/1.0", "GET http://a.example/ HTTP/1.1", "GET http://c.example/ HTTP/1.1", "CONNECT a:1 HTTP/1.1"],
  ...["GET  / HTTP/1.1", "GET /\x00 HTTP/1.1", "G@T / HTTP/1.1", "GET / HTTP/2.0", "", "\r\nGET / HTTP/1.1"],
  ...[
    "GET /b HTTP/1.1\r\nHost: a.example\r\nUser-Agent: one\r\n\r\nGET /c HTTP/1.1",
    `GET /${"l".repeat(60)} HTTP/1.1`,
  ],
].flatMap((line) => ["\r\n", "\r\n", "\n", "\n\n", "\r\r", ""].map((end) => line + end));
/** What ends a head, and what may follow it at once. */
const ENDS = ["\r\n\r\nabc", "\r\n\r\nGET / HTTP/1.1\r\n", "\r\n", "\r\nab", "\n\n", ""];

/** A connection's peer has few ways to say things, and says most of them again. */
const fewOf = (usual: readonly string[], other: fc.Arbitrary<string>): fc.Arbitrary<() => string> =>
  fc.tuple(fc.array(other, { maxLength: 2 }), fc.infiniteStream(fc.nat(999))).map(
    ([others, dice]) =>
      () =>
        pick([...usual, ...others], dice.next().value ?? 0),
  );
const pick = (texts: readonly string[], roll: number): string => texts[roll % texts.length]!;
const someOf = (fields: readonly string[]): fc.Arbitrary<string> =>
  fc.shuffledSubarray([...fields], { minLength: 1, maxLength: 5 }).map((some) => some.join("\r\n"));
const USUAL = ["Host: a.example\r\nUser-Agent: one", "Host: a.example\r\nX_Under: 1"];

const requestHeads = fc
  .tuple(
    fewOf(["GET / HTTP/1.1\r\n", "GET /a HTTP/1.1\r\n"], fc.constantFrom(...LINES)),
    fewOf(
      USUAL,
      fc.oneof(
        someOf(FIELDS),
        someOf(FIELDS.slice(3)).map((some) => `Host: a.example\r\n${some}`),
      ),
    ),
    fewOf(["\r\n\r\n", "\r\n\r\n"], fc.constantFrom(...ENDS)),
    fc.integer({ min: 4, max: 20 }),
  )
  .map(([line, block, end, count]) => Array.from({ length: count }, () => `${line()}${block()}${end()}`));

const unknown = <Parse extends { readonly kind: string; readonly head?: unknown }>(parse: Parse): unknown =>
  parse.head === undefined ? parse : { ...parse, head: { ...(parse.head as object), known: undefined } };

test("parseRequestHead() reads the same with a memo and without", () => {
  const limits = { ...LIMITS, lineOctets: 90, headOctets: 110 };
  let hits = 0;
  fc.assert(
    fc.property(requestHeads, (heads) => {
      const memo = new RequestMemo();
      for (const head of heads) {
        const octets = octetsOf(head);
        const parse = parseRequestHead(octets, limits, "http", memo);
        if (parse.kind === "request" && parse.head.known !== undefined) hits++;
        assert.deepEqual(unknown(parse), unknown(parseRequestHead(octets, limits, "http")), JSON.stringify(head));
      }
    }),
    { numRuns: 3_000, seed: 1 },
  );
  assert.ok(hits > 1_000, `${hits} heads were known`);
});

const RESPONSE_FIELDS = [
  ...["Server: one", "Server: two", "X-Tab: a\tb", "Content-Length: 0", "Content-Length: 3", "Connection: close"],
  ...[
    "Transfer-Encoding: chunked",
    "Keep-Alive: timeout=5",
    "Upgrade: websocket",
    "Connection: upgrade",
    "Bad Name: x",
  ],
];
const STATUSES = ["404 Not Found", "204 No Content", "304 Not Modified", "103 Early Hints", "101 Switching"];
const responseHeads = fc
  .tuple(
    fewOf(["GET", "GET"], fc.constantFrom("HEAD", "POST")),
    fewOf(["200 OK"], fc.constantFrom(...STATUSES)),
    fewOf(["Server: one\r\nContent-Length: 3"], someOf(RESPONSE_FIELDS)),
    fewOf(["\r\n\r\n", "\r\n\r\nabc"], fc.constantFrom("\r\n\r\nabc\r\n\r\n", "\r\n", "\n\n")),
    fc.integer({ min: 4, max: 20 }),
  )
  .map(([method, status, block, end, count]) =>
    Array.from({ length: count }, () => ({
      method: method(),
      text: `HTTP/1.1 ${status()}\r\n${block()}${end()}`,
    })),
  );

test("parseResponseHead() reads the same with a memo and without, and so does who writes it", () => {
  let hits = 0;
  fc.assert(
    fc.property(responseHeads, (heads) => {
      const memo = new ResponseMemo();
      for (const { method, text } of heads) {
        const octets = octetsOf(text);
        const parse = parseResponseHead(octets, LIMITS, method, memo);
        const fresh = parseResponseHead(octets, LIMITS, method);
        assert.deepEqual(unknown(parse), unknown(fresh), JSON.stringify({ method, text }));
        if (parse.kind !== "response" || fresh.kind !== "response") continue;
        if (parse.head.known !== undefined) hits++;
        const asked = { method, version: "1.1", upgrade: undefined } as const;
        const written = (head: ResponseHead) => writeResponseHead(asked, head, "none", true);
        assert.equal(written(parse.head), written(fresh.head));
        // Rules edit fields in place: what is remembered must not know of that.
        parse.head.fields.push("x-added", "1");
        fresh.head.fields.push("x-added", "1");
        assert.equal(written(parse.head), written(fresh.head));
      }
    }),
    { numRuns: 2_000, seed: 1 },
  );
  assert.ok(hits > 1_000, `${hits} heads were known`);
});

const SPECS: readonly Partial<HttpSpec>[] = [
  {},
  { trusted: ["192.0.2.0/24"] },
  { forwarded: { ...HTTP_DEFAULTS.forwarded, requestId: false } },
  { forwarded: { ...HTTP_DEFAULTS.forwarded, requestId: false }, trusted: ["192.0.2.0/24"] },
  { forwarded: { ...HTTP_DEFAULTS.forwarded, forwarded: true, via: "rhumb", xRealIp: false } },
];
const { upstream } = poolOf([], {});
const UPSTREAMS = [upstream, { ...upstream, host: "other.example" }, { ...upstream, keepsUnderscores: true }];

test("a backend is told the same by what is known and by what was read", () => {
  const arrived = arrivedOn(new MemoryConn());
  const plans = SPECS.map((http) => {
    let ids = 0;
    return createExchangePlan({
      spec: listenerOf({ protocol: "http", http: { ...HTTP_DEFAULTS, ...http } }),
      router: createRouter([], {} as Parameters<typeof createRouter>[1]),
      contexts: undefined,
      newRequestId: () => `id-${Math.floor(ids++ / 2)}`,
      cacheOf: () => undefined,
      compressionOf: () => undefined,
    });
  });
  const route = { rewrite: ({ head }: { head: RequestHead }) => head.target, editRequest() {}, editsRequest: false };
  let told = 0;
  fc.assert(
    fc.property(requestHeads, fc.infiniteStream(fc.nat(99)), (heads, dice) => {
      const memo = new RequestMemo();
      for (const head of heads) {
        const octets = octetsOf(head);
        const [seen, fresh] = [
          parseRequestHead(octets, LIMITS, "http", memo),
          parseRequestHead(octets, LIMITS, "http"),
        ];
        if (seen.kind !== "request" || fresh.kind !== "request") continue;
        const roll = (): number => dice.next().value ?? 0;
        // The configuration changes now and then, and a guard changes what the client said.
        const plan = plans[roll() < 20 ? roll() % plans.length : 0]!;
        const to = UPSTREAMS[roll() < 30 ? roll() % UPSTREAMS.length : 0]!;
        if (roll() < 10) for (const { fields } of [seen.head, fresh.head]) fields.push("x-user", "kim");
        const [by, plainly] = [seen.head, fresh.head].map((read) => {
          const request = plan.view(read, arrived);
          if (request === undefined) return undefined;
          const ref = { spec: poolOf([], { upstream: to }), places: undefined as never };
          return outboundOf(plan, route as never, ref, request, undefined, undefined, false, undefined);
        });
        if (by === undefined || plainly === undefined) continue;
        if (by.told !== undefined) told++;
        assert.deepEqual(by.fields, plainly.fields, JSON.stringify(head));
        assert.equal(writeRequestHead(by, to), writeRequestHead(plainly, to), JSON.stringify(head));
      }
    }),
    { numRuns: 3_000, seed: 1 },
  );
  assert.ok(told > 1_000, `${told} requests were told again`);
});
