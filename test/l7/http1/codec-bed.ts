/** Reads whole connections with the codecs, cut into pieces as a test likes, and tells what was understood. */
import assert from "node:assert/strict";
import { createBodyReader } from "#l7/http1/body-reader.ts";
import type { BodySink, HeadFault, RequestParse, ResponseParse } from "#l7/http1/parse.ts";
import { parseRequestHead } from "#l7/http1/request-head.ts";
import { parseResponseHead } from "#l7/http1/response-head.ts";
import type { Fields, RequestHead, ResponseHead } from "#l7/message.ts";

export const LIMITS = { lineOctets: 16_384, headOctets: 32_768, fields: 100 };
export type Limits = typeof LIMITS;

export type Message<Head> = {
  readonly head: Head;
  readonly framing: string;
  body: string;
  isComplete: boolean;
  trailers: Fields | undefined;
};
export type Reading<Head = RequestHead | ResponseHead> = {
  readonly messages: Message<Head>[];
  fault: { status: number; rule: string } | undefined;
  /** No further message is read: it ended with its connection, or switched to another protocol. */
  isClosed: boolean;
  /** What came after that. */
  rest: string;
  /** A head that has begun, and has not ended. */
  isAmidHead: boolean;
};

class Reader<Head extends RequestHead | ResponseHead> {
  readonly reading: Reading<Head> = { messages: [], fault: undefined, isClosed: false, rest: "", isAmidHead: false };
  private readonly parse: (octets: Buffer) => RequestParse | ResponseParse;
  private readonly body;
  private readonly maxBodyOctets: number;
  private readonly sink: BodySink;
  private held: Buffer = Buffer.alloc(0);
  private persists = true;

  constructor(parse: (octets: Buffer) => RequestParse | ResponseParse, limits: Limits, maxBodyOctets: number) {
    this.parse = parse;
    this.body = createBodyReader(limits);
    this.maxBodyOctets = maxBodyOctets;
    this.sink = {
      onBody: (octets) => {
        this.last.body += octets.toString("latin1");
      },
      onBodyEnd: (trailers) => {
        this.last.isComplete = true;
        this.last.trailers = trailers;
      },
    };
  }
  private get last(): Message<Head> {
    return this.reading.messages.at(-1)!;
  }
  private fail(fault: HeadFault): void {
    this.reading.fault = { status: fault.status, rule: fault.rule };
  }

  feed(octets: Buffer): void {
    this.held = Buffer.concat([this.held, octets]);
    this.reading.isAmidHead = false;
    while (!this.reading.fault && this.held.length > 0) {
      if (this.reading.isClosed) {
        this.reading.rest += this.held.toString("latin1");
        this.held = Buffer.alloc(0);
        return;
      }
      if (!this.body.isOver) {
        const done = this.body.feed(this.held, this.sink);
        if (typeof done !== "number") {
          this.fail(done);
          return;
        }
        this.held = this.held.subarray(done);
        if (this.body.isOver && !this.persists) this.reading.isClosed = true;
        continue;
      }
      const parsed = this.parse(this.held);
      if (parsed.kind === "more") {
        this.reading.isAmidHead = true;
        return;
      }
      if (parsed.kind === "bad") {
        this.fail(parsed);
        return;
      }
      this.held = this.held.subarray(parsed.length);
      const isTunnel = parsed.kind === "response" && parsed.head.status === 101;
      const { framing } = parsed;
      this.persists = parsed.persists;
      this.body.begin(framing, this.maxBodyOctets);
      this.reading.messages.push({
        head: parsed.head as Head,
        framing: framing.kind,
        body: "",
        isComplete: this.body.isOver,
        trailers: undefined,
      });
      this.reading.isClosed = isTunnel || (this.body.isOver && !this.persists);
    }
  }
  end(): void {
    if (this.reading.fault || this.reading.isClosed || this.body.isOver) return;
    const fault = this.body.end(this.sink);
    if (fault) this.fail(fault);
  }
}

type Options = {
  /** The connection goes on. */
  readonly isOpen?: boolean;
  readonly limits?: Limits;
  readonly maxBodyOctets?: number;
  readonly piece?: number | readonly number[];
};
function read<Head extends RequestHead | ResponseHead>(
  input: string | Buffer,
  parse: (octets: Buffer) => RequestParse | ResponseParse,
  { limits = LIMITS, maxBodyOctets = Number.MAX_SAFE_INTEGER, piece, isOpen = false }: Options,
): Reading<Head> {
  const octets = typeof input === "string" ? Buffer.from(input, "latin1") : input;
  const reader = new Reader<Head>(parse, limits, maxBodyOctets);
  let count = 0;
  for (let at = 0; at < octets.length; ) {
    const size =
      piece === undefined ? octets.length : typeof piece === "number" ? piece : piece[count++ % piece.length]!;
    reader.feed(octets.subarray(at, at + size));
    at += size;
  }
  if (!isOpen) reader.end();
  return reader.reading;
}

/** What we understand of what a client sends. */
export const readRequests = (input: string | Buffer, options: Options = {}): Reading<RequestHead> =>
  read(input, (octets) => parseRequestHead(octets, options.limits ?? LIMITS, "http"), options);
/** What we understand of what a backend sends, to requests with this method. */
export const readResponses = (input: string | Buffer, method = "GET", options: Options = {}): Reading<ResponseHead> =>
  read(input, (octets) => parseResponseHead(octets, options.limits ?? LIMITS, method), options);

/** The same, whole and octet by octet: both must agree. */
export function judgeRequests(input: string | Buffer, options: Options = {}): Reading<RequestHead> {
  const whole = readRequests(input, options);
  assert.deepEqual(readRequests(input, { ...options, piece: 1 }), whole, "octet by octet it is another request");
  return whole;
}
export function judgeResponses(input: string | Buffer, method = "GET", options: Options = {}): Reading<ResponseHead> {
  const whole = readResponses(input, method, options);
  assert.deepEqual(
    readResponses(input, method, { ...options, piece: 1 }),
    whole,
    "octet by octet it is another response",
  );
  return whole;
}

/** A request with these lines of fields, and Host. */
export const withFields = (...lines: readonly string[]): string =>
  `${["POST / HTTP/1.1", "Host: a.example", ...lines].join("\r\n")}\r\n\r\n`;
export const chunked = (body: string): string => withFields("Transfer-Encoding: chunked") + body;

export function assertRefused(reading: Reading, rule: string, status: number): void {
  assert.deepEqual(reading.fault, { status, rule });
}
/** All is understood, and nothing is left over. */
export function assertTaken(reading: Reading, count = 1): void {
  assert.equal(reading.fault, undefined);
  assert.equal(reading.messages.length, count);
  assert.equal(
    reading.messages.every((message) => message.isComplete),
    true,
  );
}
