/**
 * One try of a request at one backend.
 *
 * Owns:    the place at the backend, which it gives back once, and what the backend is counted by. What comes of a try that
 *          was given up goes nowhere.
 * Units:   steady ms, µs, octets.
 * @module
 */

import type { Clock } from "#base/clock.ts";
import type { Deadlines } from "#l7/exchange/deadlines.ts";
import type { Fields, ResponseHead } from "#l7/message.ts";
import type { UpstreamEvents, UpstreamFault, UpstreamStream } from "#l7/stream.ts";
import type { PlaceFault, Places } from "#pool/place.ts";
import { BACKEND_COUNTER, backendCounter } from "#state/backend-table.ts";
import { noteLatency } from "#state/latency.ts";

/** Interim responses (1xx) of one request: who sends more means to send them for ever. */
const MAX_INTERIM = 32;

/** Whom a try tells; nothing comes after its end or its fault, nor after it was dropped. */
export type AttemptOwner = {
  onAttemptReady(attempt: Attempt): void;
  onAttemptContinue(attempt: Attempt): void;
  onAttemptInformational(attempt: Attempt, status: number, fields: Fields): void;
  onAttemptHead(attempt: Attempt, head: ResponseHead): void;
  onAttemptBody(attempt: Attempt, octets: Buffer): void;
  onAttemptEnd(attempt: Attempt, trailers: Fields | undefined): void;
  onAttemptRoom(attempt: Attempt): void;
  onAttemptFault(attempt: Attempt, fault: UpstreamFault): void;
};

/** What a try has of its worker. */
export type AttemptWorld = {
  readonly clock: Clock;
  /** Of the listener: the time as limits count it, which costs nothing to read. */
  readonly deadlines: Pick<Deadlines, "nowMs">;
  readonly backendCounters: Float64Array;
  readonly latency?: Float64Array | undefined;
};

export class Attempt implements UpstreamEvents {
  readonly row: number;
  readonly places: Places;
  /** Undefined: not opened yet, or over. */
  stream: UpstreamStream | undefined;
  /** The head of its response has come. */
  hasHead = false;
  /** Its connection stands. */
  isReady = false;
  /** Since when it is tried; its connection stands. */
  sinceMs: number;
  /** When the head came. */
  headMs = 0;
  connectMs = 0;
  /** It was begun again on a fresh connection. */
  isSecond = false;
  octetsReceived = 0;
  /** Its backend has switched protocols. */
  isTunnel = false;
  readonly #world: AttemptWorld;
  #owner: AttemptOwner | undefined;
  #holdsPlace = true;
  #interim = 0;

  /** @param row a place there was taken for it, just now */
  constructor(owner: AttemptOwner, world: AttemptWorld, places: Places, row: number, nowMs: number) {
    this.#owner = owner;
    this.#world = world;
    this.places = places;
    this.row = row;
    this.sinceMs = nowMs;
  }

  /** Nothing comes of it any more. */
  get isOver(): boolean {
    return this.#owner === undefined;
  }

  /** @param counter of `BACKEND_COUNTER` */
  count(counter: number, change: number): void {
    this.#world.backendCounters[backendCounter(this.row, counter)]! += change;
  }

  // ── what the backend's end says ────────────────────────────────────────────────────────────────────────────────

  onUpstreamReady(micros: number): void {
    if (this.#owner === undefined) return;
    this.isReady = true;
    if (micros > 0) {
      this.sinceMs = this.#world.clock.monotonicMs();
      this.connectMs = micros / 1_000;
      this.places.connected(this.row, micros, this.sinceMs);
    }
    this.#owner.onAttemptReady(this);
  }
  onUpstreamContinue(): void {
    if (this.#isInterim()) this.#owner?.onAttemptContinue(this);
  }
  onInformational(status: number, fields: Fields): void {
    if (this.#isInterim()) this.#owner?.onAttemptInformational(this, status, fields);
  }
  #isInterim(): boolean {
    if (++this.#interim <= MAX_INTERIM) return true;
    const { stream } = this;
    this.onUpstreamFault(BABBLE);
    stream?.cancel();
    return false;
  }
  onHead(head: ResponseHead): void {
    if (this.#owner === undefined) return;
    const { clock, latency } = this.#world;
    const nowMs = clock.monotonicMs();
    const micros = (nowMs - this.sinceMs) * 1_000;
    this.hasHead = true;
    this.headMs = nowMs;
    this.places.firstOctet(this.row, micros, nowMs);
    this.places.answered(this.row, head.status, nowMs);
    if (latency !== undefined) noteLatency(latency, this.row, micros);
    this.#owner.onAttemptHead(this, head);
  }
  onUpstreamBody(octets: Buffer): void {
    this.octetsReceived += octets.length;
    this.#owner?.onAttemptBody(this, octets);
  }
  onUpstreamEnd(trailers: Fields | undefined): void {
    // The other half of a tunnel may go on.
    const owner = this.isTunnel ? this.#owner : this.#close();
    owner?.onAttemptEnd(this, trailers);
  }
  onUpstreamRoom(): void {
    this.#owner?.onAttemptRoom(this);
  }
  onUpstreamFault(fault: UpstreamFault): void {
    const owner = this.#owner;
    this.#owner = undefined;
    this.stream = undefined;
    owner?.onAttemptFault(this, fault);
  }

  // ── what its exchange says ─────────────────────────────────────────────────────────────────────────────────────

  /** After a fault: it is begun again with the place that it has. */
  revive(owner: AttemptOwner): void {
    this.#owner = owner;
    this.isSecond = true;
    this.isReady = false;
  }
  /** The backend failed. */
  charge(fault: PlaceFault): void {
    this.places.failed(this.row, fault, this.#world.clock.monotonicMs());
  }
  /** Nobody wants it any more: what is under way is ended, and the place given back. */
  drop(): void {
    const { stream } = this;
    this.#close();
    stream?.cancel();
  }

  #close(): AttemptOwner | undefined {
    const owner = this.#owner;
    this.#owner = undefined;
    this.stream = undefined;
    if (this.#holdsPlace) {
      this.#holdsPlace = false;
      if (this.octetsReceived > 0) this.count(BACKEND_COUNTER.octets_from_backend, this.octetsReceived);
      // Others that wait for it may be served before this returns.
      this.places.release(this.row, Math.max(this.sinceMs, this.headMs, this.#world.deadlines.nowMs()));
    }
    return owner;
  }
}

const BABBLE: UpstreamFault = {
  kind: "bad-response",
  isReused: false,
  hasAnswered: true,
  hasSent: true,
  says: `The backend sent more than ${MAX_INTERIM} interim responses`,
};
