/**
 * Ends of an exchange without sockets, which fail the test when they are used against the contract of `src/l7/stream.ts`, and
 * a place where everything that is taken is counted.
 */
import assert from "node:assert/strict";
import type { ManualClock } from "#base/clock.ts";
import type { Fields, RequestHead, ResponseHead } from "#l7/message.ts";
import type { BodyFilter, FilterSink } from "#l7/route.ts";
import type {
  ClientEvents,
  ClientStream,
  OutboundRequest,
  UpstreamEvents,
  UpstreamPool,
  UpstreamStream,
} from "#l7/stream.ts";
import type { Arrived } from "#net/arrival.ts";
import { NO_PLACE, type PlaceRequest, type Places } from "#pool/place.ts";
import type { PoolSpec } from "#state/balancer.ts";
import { backendAt } from "../../pool/specs.ts";

const ADDRESS = { address: "192.0.2.7", port: 1 };
export const ARRIVED = { source: ADDRESS, destination: ADDRESS, tls: undefined } as Arrived;

export class FakeClient implements ClientStream {
  readonly arrived = ARRIVED;
  readonly events!: ClientEvents;
  heads: ResponseHead[] = [];
  octets = 0;
  state: "open" | "ended" | "aborted" | "gone" = "open";
  isBodyWanted = false;
  isPaused = false;
  isFull = false;
  isTunnel = false;
  /** Of a tunnel: the client's half is over; ours is. */
  hasEnded = false;
  isFinished = false;

  sendInformational(status: number): void {
    this.#isLive("sendInformational");
    assert.ok(status < 200 && this.heads.length === 0, "an informational response after the final one");
  }
  wantBody(): void {
    this.#isLive("wantBody");
    assert.ok(!this.isBodyWanted, "wantBody() twice");
    this.isBodyWanted = true;
  }
  pauseBody(): void {
    this.#isLive("pauseBody");
    this.isPaused = true;
  }
  resumeBody(): void {
    this.#isLive("resumeBody");
    this.isPaused = false;
  }
  sendHead(head: ResponseHead): void {
    this.#isLive("sendHead");
    assert.equal(this.heads.length, 0, "a second head");
    this.heads.push(head);
    this.isTunnel = head.status === 101;
  }
  sendBody(octets: Uint8Array): boolean {
    this.#isLive("sendBody");
    assert.equal(this.heads.length, 1, "a body before its head");
    this.octets += octets.length;
    return !this.isFull;
  }
  sendEnd(): void {
    this.#isLive("sendEnd");
    assert.equal(this.heads.length, 1, "an end before the head");
    if (!this.isTunnel || this.hasEnded) this.state = "ended";
    this.isFinished = true;
  }
  abort(): void {
    this.#isLive("abort");
    this.state = "aborted";
  }
  #isLive(call: string): void {
    assert.equal(this.state, "open", `${call}() of a client's end that is over`);
  }
}

export class FakeUpstream implements UpstreamStream {
  readonly events: UpstreamEvents;
  readonly request: OutboundRequest;
  /** `ended`: the backend's half of a tunnel; we may go on. */
  state: "connecting" | "sent" | "answering" | "tunnel" | "ended" | "over" | "cancelled" = "connecting";
  octets = 0;
  isPaused = false;
  isFull = false;
  isRequestOver: boolean;
  /** Our half of a tunnel is over. */
  isFinished = false;

  constructor(request: OutboundRequest, events: UpstreamEvents) {
    this.request = request;
    this.events = events;
    this.isRequestOver = request.bodyOctets === 0;
  }
  get isLive(): boolean {
    return this.state !== "over" && this.state !== "cancelled";
  }
  sendBody(octets: Uint8Array): boolean {
    assert.ok(this.isLive && this.state !== "connecting", `a body to an upstream that is ${this.state}`);
    this.octets += octets.length;
    return !this.isFull;
  }
  sendEnd(_trailers: Fields | undefined): void {
    assert.ok(this.isLive && this.state !== "connecting", `the end of a body to an upstream that is ${this.state}`);
    this.isRequestOver = true;
    if (this.state === "tunnel") this.isFinished = true;
    if (this.state === "ended") this.state = "over";
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  cancel(): void {
    assert.notEqual(this.state, "cancelled", "cancel() twice");
    this.state = "cancelled";
  }
}

/** Hands on what comes; ends, or breaks, when it is told to. */
export class FakeFilter implements BodyFilter {
  readonly sink: FilterSink;
  isLive = true;
  isEnding = false;

  constructor(sink: FilterSink) {
    this.sink = sink;
  }
  write(octets: Uint8Array): boolean {
    assert.ok(this.isLive && !this.isEnding, "a body to a filter that is over");
    return this.sink.body(octets);
  }
  end(): void {
    this.isEnding = true;
  }
  room(): void {
    this.sink.room();
  }
  cancel(): void {
    assert.ok(this.isLive, "cancel() of a filter that is over");
    this.isLive = false;
  }
}

export type FakePool = UpstreamPool & { readonly opened: FakeUpstream[] };
/** @param isIdle whether a connection stands already, asked for each request */
export function createFakePool(isIdle: () => boolean): FakePool {
  const opened: FakeUpstream[] = [];
  return {
    opened,
    open(_row, _backend, request, events) {
      const stream = new FakeUpstream(request, events);
      opened.push(stream);
      if (isIdle()) {
        stream.state = "sent";
        events.onUpstreamReady(0);
      }
      return stream;
    },
    leave: () => undefined,
    stop: () => undefined,
    idle: () => 0,
    tick: () => undefined,
    close: () => undefined,
  };
}

export type FakePlaces = Places & {
  /** Places taken and not given back, by row. */
  readonly taken: Map<number, number>;
  readonly waiting: Set<(row: number) => void>;
};
/** @param answer what `take` says: a row, or one of `NO_PLACE` */
export function createFakePlaces(
  spec: PoolSpec,
  clock: ManualClock,
  answer: (request: PlaceRequest) => number,
): FakePlaces {
  const taken = new Map<number, number>();
  const waiting = new Set<(row: number) => void>();
  const change = (row: number, by: number): void => {
    const now = (taken.get(row) ?? 0) + by;
    assert.ok(now >= 0, `a place at ${row} given back twice`);
    taken.set(row, now);
  };
  const grant = (row: number): number => {
    if (row >= 0) change(row, 1);
    return row;
  };
  const isHeld = (row: number): void =>
    assert.ok((taken.get(row) ?? 0) > 0, `a word about ${row}, where no place is held`);
  return {
    spec,
    taken,
    waiting,
    apply: () => undefined,
    take: (request) => (request.tried.length >= spec.retry.attempts ? NO_PLACE.none : grant(answer(request))),
    wait(_request, _nowMs, done) {
      const waiter = (row: number): void => {
        assert.ok(waiting.delete(waiter), "a wait that was over");
        done(grant(row));
      };
      waiting.add(waiter);
      return () => assert.ok(waiting.delete(waiter), "a wait given up twice");
    },
    remember: () => false,
    backend: (row) => backendAt(row),
    connected: isHeld,
    firstOctet: isHeld,
    answered: isHeld,
    failed: isHeld,
    release: (row) => change(row, -1),
    tick: () => clock.monotonicMs(),
    queued: () => waiting.size,
    close: () => undefined,
  };
}

export const requestHead = (changes: Partial<RequestHead> = {}): RequestHead => ({
  version: "1.1",
  method: "GET",
  target: "/",
  scheme: "http",
  authority: "www.example",
  fields: [],
  bodyOctets: 0,
  expectsContinue: false,
  upgrade: undefined,
  takesTrailers: false,
  ...changes,
});
