/**
 * One request and its response: which rule has it, who may stop it, where it goes, what comes back.
 *
 * Owns:    the order of these steps, and the one way out (`#finish`), through which all that was taken is given back once, and
 *          which writes the one line of the log.
 * Order:   understandable → ours to answer → not too many → rule → body's size → guards → decision → cache → tries
 *          (`tries.ts`) → head edited → compression → client (`response-path.ts`).
 * Hot:     nothing here waits by a promise unless a rule or guard does.
 * Units:   steady ms, octets.
 * @module
 */
import type { CacheFill, CacheHit, CodedVariants } from "#l7/cache/cache.ts";
import { accessEntryOf, type ExchangeFacts, spanOf } from "#l7/exchange/access-entry.ts";
import type { Attempt } from "#l7/exchange/attempt.ts";
import { CacheTurn, type CacheTurnOwner, refresh } from "#l7/exchange/cache-turn.ts";
import type { ExchangeHost } from "#l7/exchange/exchange-host.ts";
import { createMirror, type Mirror } from "#l7/exchange/mirror.ts";
import { keyOf, nameOf, outboundOf } from "#l7/exchange/outbound.ts";
import { classCounter, GRPC_REFUSAL, losesGrpcStatus, ownReply, replyMessage } from "#l7/exchange/own-reply.ts";
import type { ExchangePlan, RouteExtras } from "#l7/exchange/plan.ts";
import { RequestBody } from "#l7/exchange/request-body.ts";
import { ResponsePath, type ResponsePathOwner } from "#l7/exchange/response-path.ts";
import { StickyClient } from "#l7/exchange/sticky-client.ts";
import { Tries, type TriesOwner } from "#l7/exchange/tries.ts";
import { Tunnel } from "#l7/exchange/tunnel.ts";
import { type Trace, traceOf } from "#l7/headers/trace-context.ts";
import type { Fields, Reply, RequestHead, ResponseHead } from "#l7/message.ts";
import type { RequestView } from "#l7/request-view.ts";
import type { PoolRef, Route, Routed } from "#l7/route.ts";
import { setCookies } from "#l7/sticky/set-cookies.ts";
import type { ClientEvents, ClientStream, OutboundRequest } from "#l7/stream.ts";
import { BACKEND_COUNTER } from "#state/backend-table.ts";
import { LISTENER_COUNTER } from "#state/counters.ts";

const NOT_WAITING = -1;

export class Exchange implements ClientEvents, TriesOwner, CacheTurnOwner, ResponsePathOwner {
  readonly #host: ExchangeHost;
  readonly #plan: ExchangePlan;
  readonly #stream: ClientStream;
  readonly #head: RequestHead;
  readonly #startedMs: number;
  #body: RequestBody | undefined;
  #request: RequestView | undefined;
  #route: Route | undefined;
  #extras: RouteExtras | undefined;
  #pool: PoolRef | undefined;
  #tries: Tries | undefined;
  #path: ResponsePath | undefined;
  #turn: CacheTurn | undefined;
  #mirror: Mirror | undefined;
  #trace: Trace | undefined;
  /** A rule wants so much of the body. */
  #collects = NOT_WAITING;
  #isBodyWanted = false;
  #cookies: string[] | undefined;
  #sticky: StickyClient | undefined;
  #tunnel: Tunnel | undefined;
  #isOver = false;
  /** It is later than `#startedMs`. */
  #hasWaited = false;
  #status = 0;
  #flags = "";
  #firstOctetMs = 0;

  constructor(host: ExchangeHost, plan: ExchangePlan, stream: ClientStream, head: RequestHead) {
    this.#host = host;
    this.#plan = plan;
    this.#stream = stream;
    this.#head = head;
    this.#startedMs = host.clock.monotonicMs();
    if (head.bodyOctets !== 0) this.#body = new RequestBody(stream);
  }

  // ── whether it is for us ───────────────────────────────────────────────────────────────────────────────────────

  start(): void {
    this.#begin();
    this.#hasWaited = true;
  }
  #begin(): void {
    const { slots } = this.#host;
    slots[LISTENER_COUNTER.http_requests]! += 1;
    slots[LISTENER_COUNTER.http_active]! += 1;
    const { tracing, maxRequests } = this.#plan.http;
    if (tracing !== undefined) this.#beginTrace(tracing.samplePercent);
    const { arrived } = this.#stream;
    const request = this.#plan.view(this.#head, arrived);
    if (request === undefined) return void this.#refuse(400, "DPE");
    this.#request = request;
    const proof = this.#host.acmeReply(request.path);
    if (proof !== undefined) return void this.#reply(proof, "LR");
    if (this.#plan.isMisdirected(request.host, arrived)) return void this.#refuse(421, "NR");
    if (maxRequests > 0 && slots[LISTENER_COUNTER.http_active]! > maxRequests) {
      this.#host.count("http_shed");
      return void this.#refuse(503, "UO");
    }
    this.#askRouter();
  }
  #beginTrace(samplePercent: number): void {
    const { randomHex, rng } = this.#host;
    this.#trace = traceOf(this.#head.fields, randomHex, rng() * 100 < samplePercent);
  }

  #askRouter(): void {
    const routed = this.#plan.router.route(this.#request!);
    if (routed instanceof Promise) this.#await(routed, this.#routed);
    else this.#routed(routed);
  }
  #routed(routed: Routed): void {
    if (routed === undefined) this.#refuse(404, "NR");
    else if ("body" in routed) this.#collect(routed.body);
    else this.#enter(routed);
  }

  /** A rule looks at the body, up to so many octets. */
  #collect(octets: number): void {
    const { bodyOctets } = this.#head;
    const body = this.#body;
    this.#collects = octets;
    if (body === undefined || bodyOctets > octets || body.octets > octets || body.isOver) this.#bodyKnown();
    else {
      body.keep(octets);
      this.#wantBody();
    }
  }
  #bodyKnown(): void {
    const request = this.#request!;
    const body = this.#body;
    const isShort = body === undefined || (body.isOver && body.octets <= this.#collects);
    this.#collects = NOT_WAITING;
    request.body = isShort ? (body?.whole() ?? Buffer.alloc(0)) : undefined;
    request.isBodyKnown = true;
    this.#askRouter();
  }
  #wantBody(): void {
    if (this.#isBodyWanted) return;
    this.#isBodyWanted = true;
    this.#stream.wantBody();
  }

  // ── whether it may go on ───────────────────────────────────────────────────────────────────────────────────────

  #enter(route: Route): void {
    this.#route = route;
    const most = route.spec.maxBodyOctets;
    if (this.#head.bodyOctets > most || (this.#body?.octets ?? 0) > most) this.#refuse(413, "LR");
    else this.#guard(0);
  }
  #guard(from: number): void {
    const { guards } = this.#route!;
    for (let at = from; at < guards.length; at++) {
      const said = guards[at]!(this.#request!, this.#startedMs);
      if (said === undefined) continue;
      if (said instanceof Promise) this.#await(said, (reply) => (reply ? this.#stop(reply) : this.#guard(at + 1)));
      else this.#stop(said);
      return;
    }
    this.#decide();
  }
  /** A guard's word. */
  #stop(reply: Reply): void {
    this.#reply(reply, reply.status === 429 ? "RL" : "LR");
  }

  #decide(): void {
    const route = this.#route!;
    const decision = route.decide(this.#request!, this.#startedMs);
    if (decision.kind === "reply") {
      const { reply } = decision;
      const fields = [...reply.fields];
      route.editResponse(fields, this.#request!);
      this.#reply({ ...reply, fields }, "LR");
      return;
    }
    this.#pool = decision.pool;
    if (losesGrpcStatus(this.#head, decision.pool.spec.upstream)) return void this.#reply(GRPC_REFUSAL, "LR");
    if (decision.setCookie !== undefined) this.#cookies = [decision.setCookie];
    this.#extras = this.#plan.extrasOf(route);
    const { cache } = this.#extras;
    if (cache === undefined) this.onAsk();
    else {
      this.#turn = new CacheTurn(this, this.#host);
      this.#turn.look(cache, this.#request!, decision.pool.spec.name);
    }
  }

  // ── the cache ──────────────────────────────────────────────────────────────────────────────────────────────────

  onServe(hit: CacheHit): void {
    if (hit.refresh !== undefined) this.#refresh(hit.refresh, this.#outbound(hit.refresh));
    this.#openPath();
    const isBodied = this.#sendHead(hit.head, hit.coded);
    this.#path!.sendAll(isBodied ? hit.body : []);
  }
  onCacheReply(reply: Reply): void {
    this.#reply(reply, "LR");
  }
  /** What is stored is fetched anew, beside this request. */
  #refresh(fill: CacheFill, outbound: OutboundRequest): void {
    const { maxObjectOctets } = this.#route!.spec.cache!;
    refresh(this.#host, this.#pool!, fill, outbound, maxObjectOctets, this.#stream.arrived);
  }

  // ── backends ───────────────────────────────────────────────────────────────────────────────────────────────────

  #outbound(fill: CacheFill | undefined): OutboundRequest {
    return outboundOf(
      this.#plan,
      this.#route!,
      this.#pool!,
      this.#request!,
      fill,
      this.#plan.stickyCookieOf(this.#pool!)?.name,
      this.#isBodyWanted,
      this.#trace,
    );
  }
  onAsk(): void {
    const request = this.#request!;
    const pool = this.#pool!;
    const route = this.#route!;
    const cookie = this.#plan.stickyCookieOf(pool);
    if (cookie !== undefined) this.#sticky = new StickyClient(cookie, request, this.#host.unixMs());
    const outbound = this.#outbound(this.#turn?.fill);
    if (route.mirror !== undefined && route.spec.mirror !== undefined)
      this.#mirror = createMirror(route.mirror, route.spec.mirror, outbound, this.#body, this.#host);
    this.#tries = new Tries(this, this.#host, {
      pool,
      rule: route.spec,
      outbound,
      client: this.#stream,
      body: this.#body,
      isBodyWanted: this.#isBodyWanted,
      name: nameOf(pool.spec, request),
      key: keyOf(pool.spec, request),
      wanted: this.#sticky?.wanted,
    });
    this.#isBodyWanted = true;
    this.#tries.start(this.#hasWaited ? this.#host.clock.monotonicMs() : this.#startedMs);
  }
  onInformational(status: number, fields: Fields): void {
    this.#stream.sendInformational(status, fields);
  }
  onNoResponse(status: number, flag: string): void {
    if (status === 504) this.#host.count("http_timeouts");
    this.#flags = flag;
    if (this.#turn?.failed() !== true) this.#refuse(status, flag);
  }
  onResponse(attempt: Attempt, head: ResponseHead): void {
    this.#firstOctetMs = attempt.headMs - this.#startedMs;
    const cookie = this.#sticky?.cookieFor(attempt.places.backend(attempt.row), this.#host.unixMs());
    if (cookie !== undefined) this.#cookies = [...(this.#cookies ?? []), cookie];
    if (head.status === 101) return void this.#openTunnel(attempt, head);
    if (this.#head.method !== "GET" && this.#head.method !== "HEAD") this.#host.cache.invalidate(this.#head, head);
    this.#openPath();
    const path = this.#path!;
    const answer = this.#turn?.answered(head);
    if (answer?.kind === "serve") return void this.#serveInstead(answer.hit, head);
    path.copy = answer?.writer;
    path.source = attempt;
    this.#sendHead(answer?.head ?? head, undefined);
  }
  /** What is stored goes to the client, once the backend's response, if it has no body, has ended in order. */
  #serveInstead(hit: CacheHit, head: ResponseHead): void {
    if (head.bodyOctets === 0) this.#turn!.instead = hit;
    else {
      this.#tries!.stop();
      this.#turn!.serve(hit);
    }
  }
  onResponseBody(octets: Buffer): void {
    if (this.#tunnel !== undefined) this.#tunnel.fromBackend(octets);
    else if (this.#turn?.instead === undefined) this.#path!.write(octets);
  }
  onResponseEnd(trailers: Fields | undefined): void {
    if (this.#tunnel !== undefined) {
      if (this.#tunnel.endBackend()) this.#finish("");
      this.#stream.sendEnd(undefined);
    } else if (this.#turn?.serveInstead() !== true) this.#path!.finish(trailers);
  }
  onResponseCut(flag: string): void {
    this.#host.count("http_upstream_aborts");
    if (this.#turn?.instead !== undefined) {
      this.#tries!.stop();
      this.#turn.serveInstead();
      return;
    }
    this.#finish(flag);
    this.#stream.abort();
  }
  onTunnelRoom(): void {
    this.#tunnel!.backendRoom();
  }
  isHeldUp(): boolean {
    return this.#path?.isHeldUp ?? false;
  }

  // ── the response ───────────────────────────────────────────────────────────────────────────────────────────────

  #openPath(): void {
    this.#path ??= new ResponsePath(this.#stream, this);
  }
  onSent(trailers: Fields | undefined): void {
    this.#finish("");
    this.#stream.sendEnd(trailers);
  }
  onBroken(): void {
    this.#finish("LR");
    this.#stream.abort();
  }
  /** Edits and sends a head. @param coded of a body from the cache. @returns whether a body goes with it */
  #sendHead(head: ResponseHead, coded: CodedVariants | undefined): boolean {
    const { fields } = head;
    this.#route!.editResponse(fields, this.#request!);
    setCookies(fields, this.#cookies);
    const compression = this.#extras?.compression;
    const choice = compression?.choose(this.#head, head);
    const isBodied = head.bodyOctets !== 0;
    if (choice === undefined) this.#send(head);
    else this.#send(isBodied ? this.#path!.compress(compression!, head, choice, coded) : choice.head);
    return isBodied;
  }
  #send(head: ResponseHead): void {
    this.#status = head.status;
    this.#stream.sendHead(head, this.#host.isDraining());
  }

  #refuse(status: number, flag: string): void {
    this.#reply(ownReply(status, this.#request?.requestId), flag);
  }
  #reply(reply: Reply, flag: string): void {
    const { head, body } = replyMessage(reply, this.#head.method);
    this.#tries?.stop();
    setCookies(head.fields, this.#cookies);
    this.#send(head);
    if (body.length > 0) this.#stream.sendBody(body);
    this.#finish(flag);
    this.#stream.sendEnd(undefined);
  }

  /** The backend has switched protocols: from here on raw octets go both ways. */
  #openTunnel(attempt: Attempt, head: ResponseHead): void {
    this.#host.count("http_tunnels");
    this.#tunnel = new Tunnel(this.#stream, attempt, this.#tries!);
    this.#route!.editResponse(head.fields, this.#request!);
    setCookies(head.fields, this.#cookies);
    this.#status = 101;
    this.#stream.sendHead(head, false);
  }

  // ── what the client says ───────────────────────────────────────────────────────────────────────────────────────

  onBody(octets: Buffer): void {
    if (this.#isOver) return;
    if (this.#tunnel !== undefined) return void this.#tunnel.fromClient(octets);
    const body = this.#body!;
    this.#mirror?.take(octets);
    body.take(octets);
    this.#tries?.last?.count(BACKEND_COUNTER.octets_to_backend, octets.length);
    if (this.#route !== undefined && body.octets > this.#route.spec.maxBodyOctets) this.#cutShort();
    else if (this.#collects !== NOT_WAITING && body.octets > this.#collects) this.#bodyKnown();
  }
  #cutShort(): void {
    if (this.#status === 0) this.#refuse(413, "LR");
    else {
      this.#finish("LR");
      this.#stream.abort();
    }
  }
  onBodyEnd(trailers: Fields | undefined): void {
    if (this.#isOver) return;
    if (this.#tunnel !== undefined) {
      if (this.#tunnel.endClient()) this.#finish("");
      return;
    }
    this.#body!.end(trailers);
    this.#mirror?.end();
    if (this.#collects !== NOT_WAITING) this.#bodyKnown();
  }
  onClientRoom(): void {
    if (this.#tunnel !== undefined) this.#tunnel.clientRoom();
    else this.#path?.clientRoom();
  }
  onClientGone(status: number | undefined): void {
    if (this.#isOver) return;
    this.#host.count("http_client_aborts");
    this.#tries?.last?.count(BACKEND_COUNTER.client_aborts, 1);
    if (this.#status === 0 && status !== undefined) this.#status = status;
    this.#finish(status === undefined || status === 408 ? "DC" : "DPE");
  }

  // ── its end ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Every way out leads through here, before the last call to the client's end: that may begin its next request. */
  #finish(flag: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#flags === "") this.#flags = flag;
    this.#tries?.stop();
    this.#turn?.end();
    this.#path?.cancel();
    this.#mirror?.cancel();
    const { slots } = this.#host;
    slots[LISTENER_COUNTER.http_active]! -= 1;
    slots[LISTENER_COUNTER.octets_from_clients]! += this.#requestOctets();
    slots[LISTENER_COUNTER.octets_to_clients]! += this.#responseOctets();
    const counter = classCounter(this.#status);
    if (counter >= 0) slots[counter]! += 1;
    if (this.#plan.http.accessLog !== undefined || this.#trace?.isSampled) this.#tell();
  }
  #requestOctets(): number {
    return this.#tunnel?.octetsFromClient ?? this.#body?.octets ?? 0;
  }
  #responseOctets(): number {
    return this.#tunnel?.octetsFromBackend ?? this.#path?.octets ?? 0;
  }
  #tell(): void {
    const totalMs = this.#host.clock.monotonicMs() - this.#startedMs;
    const facts: ExchangeFacts = {
      plan: this.#plan,
      arrived: this.#stream.arrived,
      head: this.#head,
      request: this.#request,
      route: this.#route,
      pool: this.#pool,
      tries: this.#tries,
      trace: this.#trace,
      status: this.#status,
      flags: this.#flags,
      cache: this.#turn?.outcome,
      requestOctets: this.#requestOctets(),
      responseOctets: this.#responseOctets(),
      atMs: this.#host.unixMs() - totalMs,
      firstOctetMs: this.#firstOctetMs,
      totalMs,
    };
    if (this.#plan.http.accessLog !== undefined) this.#host.logAccess(accessEntryOf(facts));
    if (this.#trace?.isSampled) this.#host.span(spanOf(facts, this.#trace));
  }

  /** Goes on when a promise is there, unless the client has gone meanwhile. */
  #await<Value>(promise: Promise<Value>, then: (value: Value) => void): void {
    const { waiting, failed } = this.#host;
    waiting(1);
    promise.then(
      (value) => {
        waiting(-1);
        if (!this.#isOver) then.call(this, value);
      },
      (error) => {
        waiting(-1);
        failed(error);
        if (!this.#isOver) this.#refuse(500, "LR");
      },
    );
  }
}
