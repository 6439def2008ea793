/** Seeded: whatever comes, the codecs agree with themselves, however it is cut, and when it is written and read again. */
import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng, type Rng } from "#base/rng.ts";
import { isFraming, isProtected } from "#l7/http1/grammar.ts";
import { chunkHead, writeLastChunk } from "#l7/http1/write-body.ts";
import { responseFraming, writeRequestHead, writeResponseHead } from "#l7/http1/write-head.ts";
import type { RequestHead, ResponseHead } from "#l7/message.ts";
import { type Message, type Reading, readRequests, readResponses } from "./codec-bed.ts";

const SEEDS = Array.from({ length: 8 }, (_, index) => index + 1);
const ROUNDS = 400;
const pick = <Item>(rng: Rng, items: readonly Item[]): Item => items[Math.floor(rng() * items.length)]!;

const REQUESTS = [
  "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
  "POST /a?b=c HTTP/1.1\r\nHost: a.example:80\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello",
  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
  "GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\nConnection: close, x-a\r\nX-A: b\r\n\r\n",
  "PUT / HTTP/1.0\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx",
  "GET /ws HTTP/1.1\r\nHost: [::1]:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nCookie: a=b\r\n\r\n",
];
const RESPONSES = [
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
  "HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n",
  "HTTP/1.0 200 OK\r\n\r\nto the end",
  "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
];
/** What smuggling is made of. */
const TRICKS = [
  ...'\r\n|\n|\r|\0| |\t|\x0b|\x0c|:|,|;|=|"|\\|_|\x7f|\x85|\xa0|\r\n |\r\n\r\n|0\r\n\r\n|0'.split("|"),
  ...[
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
  ],
  ...[
    "Host: b\r\n",
    "Connection: content-length\r\n",
    "chunked",
    ", chunked",
    "+",
    "-",
    "0x",
    "ffffffff",
    "HTTP/1.0",
    "HEAD",
  ],
  ...["Expect: 100-continue\r\n", "Trailer: x\r\n", "TE: trailers\r\n", "Keep-Alive: timeout=5\r\n"],
];

function mutated(rng: Rng, corpus: readonly string[]): string {
  let text = pick(rng, corpus) + (rng() < 0.3 ? pick(rng, corpus) : "");
  for (let count = Math.floor(rng() * 4); count > 0; count--) {
    const at = Math.floor(rng() * (text.length + 1));
    const taken = rng() < 0.5 ? 0 : Math.floor(rng() * 6);
    const put = rng() < 0.7 ? pick(rng, TRICKS) : String.fromCharCode(Math.floor(rng() * 256));
    text = text.slice(0, at) + put + text.slice(at + taken);
  }
  return text;
}

/** Of bodies: whole, without framing and without how it was cut. */
const meaning = <Head>({ messages }: Reading<Head>) =>
  messages.filter((message) => message.isComplete).map(({ head, body, trailers }) => ({ head, body, trailers }));

function written(head: string, message: Message<RequestHead | ResponseHead>, isChunked: boolean): string {
  if (!isChunked) return head + message.body;
  const chunk = message.body === "" ? "" : `${chunkHead(message.body.length) + message.body}\r\n`;
  return head + chunk + writeLastChunk(message.trailers);
}

for (const seed of SEEDS) {
  test(`requests, seed ${seed}: one reading, however they are cut`, () => {
    const rng = createSeededRng(seed);
    for (let round = 0; round < ROUNDS; round++) {
      const input = mutated(rng, REQUESTS);
      const whole = readRequests(input);
      assert.deepEqual(readRequests(input, { piece: 1 }), whole, JSON.stringify(input));
      const pieces = Array.from({ length: 5 }, () => 1 + Math.floor(rng() * 20));
      assert.deepEqual(readRequests(input, { piece: pieces }), whole, JSON.stringify(input));
    }
  });

  test(`responses, seed ${seed}: one reading, however they are cut`, () => {
    const rng = createSeededRng(seed);
    for (let round = 0; round < ROUNDS; round++) {
      const input = mutated(rng, RESPONSES);
      const method = rng() < 0.2 ? "HEAD" : "GET";
      const whole = readResponses(input, method);
      assert.deepEqual(readResponses(input, method, { piece: 1 }), whole, JSON.stringify(input));
    }
  });

  test(`requests, seed ${seed}: what is taken is the same message when it is written and read again`, () => {
    const rng = createSeededRng(seed);
    const options = { host: undefined, keepsUnderscores: true, passesTrailers: true };
    for (let round = 0; round < ROUNDS; round++) {
      const input = mutated(rng, REQUESTS);
      for (const message of readRequests(input).messages) {
        if (!message.isComplete || message.head.authority === "") continue;
        const head = writeRequestHead(message.head, options);
        assert.ok(head !== undefined, JSON.stringify(input));
        const again = readRequests(written(head, message, message.head.bodyOctets < 0));
        // It goes on as HTTP/1.1, and fields that read as framing to some are left out.
        const fields = message.head.fields.slice();
        const takesTrailers = message.head.takesTrailers && message.head.upgrade === undefined;
        const expected = { ...message.head, version: "1.1", fields: withoutFramingLikes(fields), takesTrailers };
        assert.deepEqual(
          meaning(again),
          [{ head: expected, body: message.body, trailers: message.trailers }],
          JSON.stringify(input),
        );
        assert.equal(again.fault, undefined);
      }
    }
  });

  test(`responses, seed ${seed}: what is taken is the same message when it is written and read again`, () => {
    const rng = createSeededRng(seed);
    const asked = { method: "GET", version: "1.1", upgrade: undefined } as const;
    for (let round = 0; round < ROUNDS; round++) {
      const input = mutated(rng, RESPONSES);
      for (const message of readResponses(input).messages) {
        if (!message.isComplete || message.head.status < 200) continue;
        const framing = responseFraming(asked, message.head);
        const head = writeResponseHead(asked, message.head, framing, true);
        const [again] = meaning(readResponses(written(head, message, framing === "chunked")));
        assert.equal(again?.head.status, message.head.status, JSON.stringify(input));
        assert.deepEqual(again?.head.fields, message.head.fields);
        assert.equal(again?.body, message.body);
        assert.deepEqual(again?.trailers, message.trailers);
      }
    }
  });

  test(`octets of chance, seed ${seed}: nothing throws`, () => {
    const rng = createSeededRng(seed);
    for (let round = 0; round < ROUNDS; round++) {
      const octets = Buffer.from(Array.from({ length: Math.floor(rng() * 80) }, () => Math.floor(rng() * 256)));
      readRequests(octets, { piece: 7 });
      readResponses(octets, "GET", { piece: 7 });
    }
  });
}

/** What a backend that takes `_` for `-` would take for framing, or for what we say of the client. */
function withoutFramingLikes(fields: readonly string[]): string[] {
  const isLike = (name: string): boolean => {
    const taken = name.replaceAll("_", "-");
    return name.includes("_") && (isFraming(taken) || isProtected(taken));
  };
  return fields.filter((_, at) => !isLike(fields[at - (at % 2)]!));
}
