/**
 * How a request gets a response from a pool: a place in turn, tries at one backend after another, a second one beside the
 * first where it takes long (hedging), and the time limits of all that.
 *
 * Owns:    everything that is taken on the way: places, waiting in the queue, streams to backends. `stop()` gives back what is
 *          left. The owner is told of one head at most, or of one failure.
 * Rule:    another try only while nothing went to the client, within `PoolSpec.retry`, with a body that is still whole here.
 *          The first head wins; the other try is dropped.
 * Units:   steady ms.
 * @module
 */
import type { Rng } from "#base/rng.ts";
import { Attempt, type AttemptOwner, type AttemptWorld } from "#l7/exchange/attempt.ts";
import { Deadline, type DeadlineOwner, type Deadlines } from "#l7/exchange/deadlines.ts";
import type { RequestBody } from "#l7/exchange/request-body.ts";
import { backoffOf, FAULT_VERDICTS, isIdempotent, isStale, mayRetryFault, mayRetryStatus } from "#l7/exchange/retry.ts";
import type { Fields, ResponseHead } from "#l7/message.ts";
import type { PoolRef } from "#l7/route.ts";
import type { ClientStream, OutboundRequest, UpstreamFault, UpstreamPool } from "#l7/stream.ts";
import { NO_PLACE, type PlaceRequest } from "#pool/place.ts";
import { BACKEND_COUNTER } from "#state/backend-table.ts";
import type { ListenerCounter } from "#state/counters.ts";
import type { RuleSpec } from "#state/http.ts";

/** A backend that says nothing to `Expect: 100-continue` may not know it (RFC 9110 §10.1.1). */
const CONTINUE_MS = 1_000;
const NOBODY: readonly number[] = [];

/** What tries have of their listener. */
export type TriesWorld = AttemptWorld & {
  readonly deadlines: Deadlines;
  readonly rng: Rng;
  /** Of a tunnel with nothing either way. */
  readonly tunnelMs: number;
  upstreams(pool: PoolRef): UpstreamPool;
  waiting(change: number): void;
  count(counter: ListenerCounter): void;
};

export type TriesOwner = {
  onInformational(status: number, fields: Fields): void;
  /** From now on the response comes from this try. */
  onResponse(attempt: Attempt, head: ResponseHead): void;
  onResponseBody(octets: Buffer): void;
  onResponseEnd(trailers: Fields | undefined): void;
  /** The response cannot be completed. */
  onResponseCut(flag: string): void;
  /** The client takes nothing for now: it is not the backend that is slow. */
  isHeldUp(): boolean;
  /** There is no response. Nothing comes after this. */
  onNoResponse(status: number, flag: string): void;
  /** The backend takes octets of a tunnel again. */
  onTunnelRoom(): void;
};

/** What is asked for. */
export type TriesRequest = {
  readonly pool: PoolRef;
  readonly rule: Pick<RuleSpec, "retry" | "timeouts">;
  readonly outbound: OutboundRequest;
  readonly client: ClientStream;
  /** Undefined: there is none. */
  readonly body: RequestBody | undefined;
  /** The client sends its body already. */
  readonly isBodyWanted: boolean;
  /** Key of stickiness, of hash algorithms, and of the backend that the client had. */
  readonly name: string;
  readonly key: number;
  readonly wanted: string | undefined;
};

const QUEUE_COUNTERS: Readonly<Record<number, ListenerCounter>> = {
  [NO_PLACE.queueFull]: "queue_full",
  [NO_PLACE.queueTimeout]: "queue_timeout",
};

export class Tries implements PlaceRequest, AttemptOwner, DeadlineOwner {
  readonly client: string;
  readonly key: number;
  readonly wanted: string | undefined;
  tried: readonly number[] = NOBODY;
  mayRepeat = false;

  /** Requests that were sent. */
  count = 0;
  queueMs = 0;
  connectMs = 0;
  /** The try whose response is used. */
  chosen: Attempt | undefined;

  readonly #owner: TriesOwner;
  readonly #world: TriesWorld;
  readonly #request: TriesRequest;
  readonly #deadline: Deadline = new Deadline(this);
  #attempt: Attempt | undefined;
  #hedge: Attempt | undefined;
  #isBodyWanted: boolean;
  #isHedged: boolean;
  /** Row that is among `tried` because another try was begun beside it; -1: none. */
  #hedged = -1;
  #isOver = false;
  #cancelWait: (() => void) | undefined;
  #startedMs = 0;
  #queuedMs = 0;
  /** Until then the limits of the response do not count: the client was still sending. */
  #quietMs = 0;
  /** When a try that waits is begun; 0: none waits. */
  #resumeMs = 0;
  /** Last octet of the response, or either way in a tunnel. */
  #heardMs = 0;
  /** What the last try failed with. */
  #status = 503;
  #flag = "UH";

  constructor(owner: TriesOwner, world: TriesWorld, request: TriesRequest) {
    this.#owner = owner;
    this.#world = world;
    this.#request = request;
    this.client = request.name;
    this.key = request.key;
    this.wanted = request.wanted;
    this.#isBodyWanted = request.isBodyWanted;
    const { hedgeMs } = request.rule.retry;
    this.#isHedged = hedgeMs === 0 || request.body !== undefined || !isIdempotent(request.outbound.method);
  }

  /** The backend that was asked last. */
  get last(): Attempt | undefined {
    return this.chosen ?? this.#attempt;
  }

  start(nowMs: number): void {
    this.#startedMs = nowMs;
    const { places, spec } = this.#request.pool;
    this.#request.body?.keep(this.#request.rule.retry.bufferOctets);
    if (spec.sticky !== undefined && places.remember(this, () => this.#take(this.#now()))) this.#limit();
    else this.#take(nowMs);
  }

  /** Gives back all that is left. */
  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#world.deadlines.cancel(this.#deadline);
    this.#leaveQueue();
    this.#request.body?.detach();
    this.#attempt?.drop();
    this.#hedge?.drop();
  }

  /** An octet went either way through a tunnel. */
  heard(): void {
    this.#heardMs = this.#world.deadlines.nowMs();
  }

  // ── a place ────────────────────────────────────────────────────────────────────────────────────────────────────

  #take(nowMs: number): void {
    if (this.#isOver) return;
    const row = this.#request.pool.places.take(this, nowMs);
    if (row >= 0) this.#begin(row, nowMs);
    else if (row === NO_PLACE.full) this.#wait(nowMs);
    else this.#giveUp(row);
  }
  #wait(nowMs: number): void {
    this.#queuedMs = nowMs;
    this.#world.waiting(1);
    this.#cancelWait = this.#request.pool.places.wait(this, nowMs, (row) => {
      this.#cancelWait = undefined;
      this.#waited();
      if (row >= 0) this.#begin(row, this.#now());
      else this.#giveUp(row);
    });
    this.#limit();
  }
  #waited(): void {
    this.#world.waiting(-1);
    this.queueMs += this.#now() - this.#queuedMs;
  }
  #leaveQueue(): void {
    if (this.#cancelWait === undefined) return;
    this.#cancelWait();
    this.#cancelWait = undefined;
    this.#waited();
  }
  #giveUp(row: number): void {
    const counter = QUEUE_COUNTERS[row];
    if (counter !== undefined) {
      this.#world.count(counter);
      this.#fail(503, "UO");
    } else {
      this.#world.count(row === NO_PLACE.budget ? "retry_budget" : this.count > 0 ? "connect_failed" : "no_backend");
      this.#fail(this.#status, this.#flag);
    }
  }
  #fail(status: number, flag: string): void {
    this.stop();
    this.#owner.onNoResponse(status, flag);
  }

  // ── tries ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A place was taken. */
  #begin(row: number, nowMs: number): void {
    const { pool } = this.#request;
    const attempt = new Attempt(this, this.#world, pool.places, row, nowMs);
    this.#attempt = attempt;
    if (this.tried.includes(row)) {
      // It has just failed: a moment may help.
      this.#resumeMs = nowMs + backoffOf(this.tried.length, this.#world.rng);
      this.#limit();
    } else this.#open(attempt, false, nowMs);
  }
  #open(attempt: Attempt, isFresh: boolean, nowMs: number): void {
    const { pool, outbound, client } = this.#request;
    this.count++;
    attempt.sinceMs = nowMs;
    attempt.count(BACKEND_COUNTER.requests, 1);
    if (this.count > 1) attempt.count(BACKEND_COUNTER.upstream_retries, 1);
    const backend = pool.places.backend(attempt.row)!;
    const stream = this.#world.upstreams(pool).open(attempt.row, backend, outbound, attempt, {
      isFresh,
      connectTimeoutMs: pool.spec.connectTimeoutMs,
      arrived: client.arrived,
    });
    if (attempt.isOver) return;
    attempt.stream = stream;
    if (attempt.isReady) this.#sendBody(attempt);
    this.#limit();
  }
  #sendBody(attempt: Attempt): void {
    const { body, outbound } = this.#request;
    if (body === undefined) return;
    body.attach(attempt.stream!);
    if (!outbound.expectsContinue) this.#wantBody();
  }
  #wantBody(): void {
    if (this.#isBodyWanted || this.#request.body === undefined) return;
    this.#isBodyWanted = true;
    this.#request.client.wantBody();
  }

  onAttemptReady(attempt: Attempt): void {
    this.connectMs += attempt.connectMs;
    if (attempt.stream === undefined) return; // from within `open`
    this.#sendBody(attempt);
    this.#limit();
  }
  onAttemptContinue(): void {
    this.#wantBody();
  }
  onAttemptInformational(_attempt: Attempt, status: number, fields: Fields): void {
    this.#owner.onInformational(status, fields);
  }
  onAttemptHead(attempt: Attempt, head: ResponseHead): void {
    const { outbound, rule } = this.#request;
    if (mayRetryStatus(head.status, outbound.method, rule.retry) && this.#tryElsewhere(attempt)) return;
    const loser = this.#otherOf(attempt);
    this.#attempt = attempt;
    this.#hedge = undefined;
    this.chosen = attempt;
    this.#heardMs = this.#world.deadlines.nowMs();
    loser?.drop();
    this.#limit();
    this.#owner.onResponse(attempt, head);
  }
  onAttemptBody(_attempt: Attempt, octets: Buffer): void {
    this.#heardMs = this.#world.deadlines.nowMs();
    this.#owner.onResponseBody(octets);
  }
  onAttemptEnd(_attempt: Attempt, trailers: Fields | undefined): void {
    this.#request.body?.detach();
    this.#owner.onResponseEnd(trailers);
  }
  onAttemptRoom(attempt: Attempt): void {
    if (attempt.isTunnel) this.#owner.onTunnelRoom();
    else this.#request.body?.room();
  }
  onAttemptFault(attempt: Attempt, fault: UpstreamFault): void {
    const { outbound, rule, body } = this.#request;
    const isWhole = body === undefined || body.isReplayable;
    body?.detach();
    if (attempt !== this.chosen && !attempt.isSecond && isWhole && isStale(fault, outbound.method)) {
      attempt.revive(this);
      this.#open(attempt, true, this.#now());
      return;
    }
    const { status, flag, charge } = FAULT_VERDICTS[fault.kind];
    if (!attempt.isTunnel) attempt.charge(charge);
    if (attempt === this.chosen) {
      this.#owner.onResponseCut(flag);
      return;
    }
    this.#status = status;
    this.#flag = flag;
    this.#lose(attempt);
    if (this.#attempt !== undefined) return; // the one beside it goes on
    if (isWhole && mayRetryFault(fault, outbound.method, rule.retry)) this.#retry();
    else this.#fail(status, flag);
  }

  #otherOf(attempt: Attempt): Attempt | undefined {
    return attempt === this.#attempt ? this.#hedge : this.#attempt;
  }
  /** It is no longer tried; where there is another one, that is the one. */
  #lose(attempt: Attempt): void {
    this.#attempt = this.#otherOf(attempt);
    this.#hedge = undefined;
    this.#note(attempt.row);
    attempt.drop();
  }
  #note(row: number): void {
    if (this.#hedged === row) this.#hedged = -1;
    else this.tried = [...this.tried, row];
  }

  #retry(): void {
    this.mayRepeat = true;
    this.#world.count("http_retries");
    this.#take(this.#now());
  }
  /** After an answer that asks for it. @returns false: there is nobody else, and the answer is used */
  #tryElsewhere(attempt: Attempt): boolean {
    const { body, pool } = this.#request;
    if (body !== undefined && !body.isReplayable) return false;
    if (this.#otherOf(attempt) !== undefined) {
      this.#lose(attempt);
      return true;
    }
    const before = this.tried;
    this.#note(attempt.row);
    this.mayRepeat = true;
    const nowMs = this.#now();
    const row = pool.places.take(this, nowMs);
    if (row < 0) {
      this.tried = before;
      return false;
    }
    this.#world.count("http_retries");
    body?.detach();
    attempt.drop();
    this.#begin(row, nowMs);
    return true;
  }
  #hedgeNow(nowMs: number): void {
    const { pool } = this.#request;
    const { row } = this.#attempt!;
    this.#isHedged = true;
    const before = this.tried;
    this.tried = [...before, row];
    this.mayRepeat = false;
    const other = pool.places.take(this, nowMs);
    if (other < 0) {
      this.tried = before;
      return;
    }
    this.#hedged = row;
    this.#world.count("http_hedges");
    const attempt = new Attempt(this, this.#world, pool.places, other, nowMs);
    this.#hedge = attempt;
    this.#open(attempt, false, nowMs);
  }

  // ── time ───────────────────────────────────────────────────────────────────────────────────────────────────────

  onDeadline(_deadline: Deadline, nowMs: number): void {
    if (this.#isOver) return;
    if (this.chosen === undefined) this.#watchTries(nowMs);
    else this.#watchResponse(this.chosen, nowMs);
  }
  #watchTries(nowMs: number): void {
    const { body, rule } = this.#request;
    const { totalMs, tryMs } = rule.timeouts;
    // A body that comes, and is taken, has limits of its own.
    if (this.#isBodyWanted && body !== undefined && !body.isOver && !body.isPaused) this.#quietMs = nowMs;
    if (totalMs > 0 && nowMs >= Math.max(this.#startedMs, this.#quietMs) + totalMs) {
      this.#expire();
      return;
    }
    if (this.#resumeMs > 0 && nowMs >= this.#resumeMs) {
      this.#resumeMs = 0;
      this.#open(this.#attempt!, false, nowMs);
      return;
    }
    const [first, second] = [this.#attempt, this.#hedge];
    if (tryMs > 0) {
      if (first?.isReady && nowMs >= Math.max(first.sinceMs, this.#quietMs) + tryMs) this.#timeOut(first);
      if (second?.isReady && !second.isOver && nowMs >= second.sinceMs + tryMs) this.#timeOut(second);
      if (this.#isOver) return;
    }
    const attempt = this.#attempt;
    if (attempt?.isReady) {
      if (nowMs >= attempt.sinceMs + CONTINUE_MS) this.#wantBody();
      if (!this.#isHedged && nowMs >= attempt.sinceMs + rule.retry.hedgeMs) this.#hedgeNow(nowMs);
    }
    this.#limit();
  }
  #timeOut(attempt: Attempt): void {
    const { stream } = attempt;
    attempt.onUpstreamFault(SLOW);
    stream?.cancel();
  }
  #expire(): void {
    for (const attempt of [this.#attempt, this.#hedge]) if (attempt?.isReady) attempt.charge("timeout");
    this.#fail(504, "UT");
  }
  #watchResponse(attempt: Attempt, nowMs: number): void {
    const { idleMs } = this.#request.rule.timeouts;
    const limitMs = attempt.isTunnel ? this.#world.tunnelMs : idleMs;
    if (limitMs === 0) return;
    if (!attempt.isTunnel && this.#owner.isHeldUp()) this.#heardMs = nowMs;
    if (nowMs < this.#heardMs + limitMs) {
      this.#limit();
      return;
    }
    if (!attempt.isTunnel) attempt.charge("timeout");
    this.#owner.onResponseCut("UT");
  }

  /** Sees to it that `onDeadline` comes when the next limit is due. */
  #limit(): void {
    if (this.#isOver) return;
    const dueMs = this.#dueMs();
    if (dueMs === Number.POSITIVE_INFINITY) return;
    if (this.#deadline.bucket < 0 || this.#deadline.dueMs > dueMs) this.#world.deadlines.arm(this.#deadline, dueMs);
  }
  #dueMs(): number {
    const { rule, outbound } = this.#request;
    const { totalMs, tryMs, idleMs } = rule.timeouts;
    const { chosen } = this;
    if (chosen !== undefined) {
      const limitMs = chosen.isTunnel ? this.#world.tunnelMs : idleMs;
      return limitMs === 0 ? Number.POSITIVE_INFINITY : this.#heardMs + limitMs;
    }
    let dueMs = totalMs === 0 ? Number.POSITIVE_INFINITY : Math.max(this.#startedMs, this.#quietMs) + totalMs;
    if (this.#resumeMs > 0) dueMs = Math.min(dueMs, this.#resumeMs);
    const attempt = this.#attempt;
    if (attempt?.isReady) {
      if (tryMs > 0) dueMs = Math.min(dueMs, Math.max(attempt.sinceMs, this.#quietMs) + tryMs);
      if (outbound.expectsContinue && !this.#isBodyWanted) dueMs = Math.min(dueMs, attempt.sinceMs + CONTINUE_MS);
      if (!this.#isHedged) dueMs = Math.min(dueMs, attempt.sinceMs + rule.retry.hedgeMs);
    }
    const hedge = this.#hedge;
    if (hedge?.isReady && tryMs > 0) dueMs = Math.min(dueMs, hedge.sinceMs + tryMs);
    return dueMs;
  }
  #now(): number {
    return this.#world.clock.monotonicMs();
  }
}

const SLOW: UpstreamFault = {
  kind: "timeout",
  isReused: false,
  hasAnswered: false,
  hasSent: true,
  says: "The backend did not answer in time",
};
