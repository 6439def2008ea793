/**
 * A small proxy around the cache, over node:http: what an exchange does with it, as plainly as it can be said. And requests,
 * rules and heads for tests that need no sockets.
 */
import {
  Agent,
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  request as send,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { CacheAnswer, CacheFill, CacheHit, CacheLookup, CacheRoute, HttpCache } from "#l7/cache/cache.ts";
import type { SubrequestResult } from "#l7/context.ts";
import { type Fields, type RequestHead, type ResponseHead, removeField, UNKNOWN_LENGTH } from "#l7/message.ts";
import type { HttpRequest } from "#l7/request.ts";
import type { CacheSpec, RuleSpec } from "#state/http.ts";

export const SPEC: CacheSpec = {
  store: "default",
  maxOctets: 16 * 1024 * 1024,
  maxObjectOctets: 1024 * 1024,
  defaultTtlMs: 0,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  addsStatus: true,
};

export function rule(cache: Partial<CacheSpec> = {}, more: Partial<RuleSpec> = {}): RuleSpec {
  return {
    name: "all",
    match: {
      hosts: [],
      paths: [],
      methods: [],
      headers: [],
      cookies: [],
      query: [],
      sources: [],
      claims: [],
      jwt: undefined,
      body: undefined,
    },
    guards: {
      access: [],
      waf: undefined,
      rateLimits: [],
      basicAuth: undefined,
      jwt: undefined,
      forwardAuth: undefined,
    },
    action: { kind: "pool", pool: 0 },
    rewrite: undefined,
    requestHeaders: [],
    responseHeaders: [],
    mirror: undefined,
    timeouts: { totalMs: 0, tryMs: 0, idleMs: 0 },
    retry: { on: [], isNonIdempotentToo: false, bufferOctets: 0, hedgeMs: 0 },
    compression: undefined,
    cache: { ...SPEC, ...cache },
    maxBodyOctets: 1024 * 1024,
    ...more,
  };
}

export function head(fields: Fields = [], more: Partial<RequestHead> = {}): RequestHead {
  return {
    version: "1.1",
    method: "GET",
    target: "/",
    scheme: "http",
    authority: "www.example",
    fields,
    bodyOctets: 0,
    expectsContinue: false,
    upgrade: undefined,
    takesTrailers: false,
    ...more,
  };
}

export const request = (from: RequestHead): HttpRequest => ({
  head: from,
  isBodyKnown: true,
  claims: undefined as never,
  arrived: undefined as never,
  client: "192.0.2.1",
  requestId: "r",
  host: from.authority,
  path: from.target,
  query: "",
  queryOf: () => undefined,
  cookieOf: () => undefined,
  claimOf: () => undefined,
  body: undefined,
  captures: [],
});

export const response = (status: number, fields: Fields, bodyOctets = 0): ResponseHead => ({
  status,
  fields,
  bodyOctets,
  declaredOctets: undefined,
});

export const textOf = (body: readonly Uint8Array[]): string => Buffer.concat(body).toString("latin1");

// ── over sockets ─────────────────────────────────────────────────────────────────────────────────────────────────

export type Proxy = { readonly url: string; close(): Promise<void> };

/** Of one connection; the codec of listeners takes them out, here it is done by hand. */
const HOP = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "content-length",
  "host",
];

function fieldsOf(raw: readonly string[]): Fields {
  const fields: Fields = [];
  for (let at = 0; at < raw.length; at += 2) fields.push(raw[at]!.toLowerCase(), raw[at + 1]!);
  const listed: string[] = [];
  for (let at = 0; at < fields.length; at += 2)
    if (fields[at] === "connection")
      listed.push(...fields[at + 1]!.split(",").map((name) => name.trim().toLowerCase()));
  for (const name of [...HOP, ...listed]) removeField(fields, name);
  return fields;
}

export async function startProxy(cache: HttpCache, route: CacheRoute, origin: string): Promise<Proxy> {
  const agent = new Agent({ keepAlive: true });
  const server = createServer(
    (incoming, outgoing) => new Exchange(cache, route, new URL(origin), agent, incoming, outgoing),
  );
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return { url: urlOf(server), close: () => closeServer(server, agent) };
}

export const urlOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

export async function closeServer(server: Server, agent?: Agent): Promise<void> {
  agent?.destroy();
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
}

class Exchange {
  readonly #cache: HttpCache;
  readonly #origin: URL;
  readonly #agent: Agent;
  readonly #in: IncomingMessage;
  readonly #out: ServerResponse;
  readonly #head: RequestHead;

  constructor(
    cache: HttpCache,
    route: CacheRoute,
    origin: URL,
    agent: Agent,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
  ) {
    this.#cache = cache;
    this.#origin = origin;
    this.#agent = agent;
    this.#in = incoming;
    this.#out = outgoing;
    const hasBody =
      incoming.headers["content-length"] !== undefined || incoming.headers["transfer-encoding"] !== undefined;
    this.#head = head(fieldsOf(incoming.rawHeaders), {
      method: incoming.method!,
      target: incoming.url!,
      authority: incoming.headers.host ?? "",
      bodyOctets: hasBody ? UNKNOWN_LENGTH : 0,
    });
    this.onCached(route.lookup(request(this.#head), "pool", this));
  }

  onCached(lookup: CacheLookup): void {
    switch (lookup.kind) {
      case "serve":
        this.#serve(lookup.hit);
        return;
      case "reply":
        this.#out.writeHead(lookup.reply.status, lookup.reply.fields).end(lookup.reply.body);
        return;
      case "wait":
        this.#out.once("close", () => lookup.leave());
        return;
      case "pass":
        this.#fetch(undefined);
        return;
      case "fetch":
        this.#fetch(lookup.fill);
        return;
    }
  }

  #serve(hit: CacheHit): void {
    this.#writeHead(hit.head);
    for (const piece of hit.body) this.#out.write(piece);
    this.#out.end();
    if (hit.refresh !== undefined) this.#refresh(hit.refresh);
  }

  #writeHead(from: ResponseHead): void {
    const fields = from.fields.slice();
    const octets = from.declaredOctets ?? from.bodyOctets;
    if (octets >= 0 && from.status !== 304 && from.status !== 204) fields.push("content-length", String(octets));
    this.#out.sendDate = false;
    this.#out.writeHead(from.status, fields);
  }

  #ask(method: string, fields: Fields) {
    const { hostname, port } = this.#origin;
    return send({
      agent: this.#agent,
      hostname,
      port,
      method,
      path: this.#head.target,
      headers: ["host", this.#head.authority, ...fields],
    });
  }

  #fetch(fill: CacheFill | undefined): void {
    const fields = this.#head.fields.slice();
    fill?.editRequest(fields);
    if (this.#head.bodyOctets !== 0) fields.push("transfer-encoding", "chunked");
    const upstream = this.#ask(fill?.method ?? this.#head.method, fields);
    let answer: CacheAnswer | undefined;
    upstream.on("response", (message) => {
      const from = headOf(message, this.#head.method);
      this.#cache.invalidate(this.#head, from);
      answer = fill?.answered(from) ?? { kind: "send", head: from, writer: undefined };
      if (answer.kind === "serve") {
        message.resume();
        this.#serve(answer.hit);
        return;
      }
      const { writer } = answer;
      this.#writeHead(answer.head);
      this.#out.flushHeaders();
      message.on("data", (octets: Buffer) => {
        writer?.write(octets);
        if (!this.#out.write(octets)) message.pause();
      });
      this.#out.on("drain", () => message.resume());
      message.on("end", () => {
        writer?.end();
        this.#out.end();
      });
      message.on("error", () => {
        writer?.cancel();
        this.#out.destroy();
      });
    });
    upstream.on("error", () => {
      if (answer !== undefined) return;
      const hit = fill?.failed();
      if (hit !== undefined) this.#serve(hit);
      else if (!this.#out.headersSent) this.#out.writeHead(502).end();
    });
    this.#out.once("close", () => {
      if (this.#out.writableFinished) return;
      if (answer === undefined) fill?.abandon();
      else if (answer.kind === "send") answer.writer?.cancel();
      upstream.destroy();
    });
    this.#in.pipe(upstream);
  }

  #refresh(fill: CacheFill): void {
    const fields = this.#head.fields.slice();
    fill.editRequest(fields);
    const upstream = this.#ask(fill.method, fields);
    upstream.on("response", async (message) => {
      const pieces: Buffer[] = [];
      for await (const piece of message) pieces.push(piece);
      fill.settle({ ...headOf(message, "GET"), body: Buffer.concat(pieces) } as SubrequestResult);
    });
    upstream.on("error", () => fill.settle({ fault: "unreachable" }));
    upstream.end();
  }
}

function headOf(message: IncomingMessage, method: string): ResponseHead {
  const status = message.statusCode!;
  const length = message.headers["content-length"];
  const hasBody = method !== "HEAD" && status !== 304 && status !== 204;
  const declared = length === undefined ? undefined : Number(length);
  return {
    status,
    fields: fieldsOf(message.rawHeaders),
    bodyOctets: hasBody ? (declared ?? UNKNOWN_LENGTH) : 0,
    declaredOctets: hasBody ? undefined : declared,
  };
}
