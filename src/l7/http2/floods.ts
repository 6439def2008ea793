/**
 * How much of what costs us more than the client one connection may do: resets of streams by either side (CVE-2023-44487
 * rapid reset, CVE-2025-8671 MadeYouReset: who makes us reset pays as well), settings, pings,
 * frames that say nothing.
 *
 * Owns:    counts of the second that runs, and of the connection. What one block of fields may be is limited in
 *          `frame-reader.ts`.
 * Units:   steady ms.
 * @module
 */
import type { Http2Spec } from "#state/http.ts";

/** PING, PRIORITY and unknown frames a second: a client that measures its path sends one per round trip. */
const CONTROL_PER_SECOND = 100;
/** DATA frames without octets that do not end a stream, over the life of a connection (CVE-2019-9518). */
const EMPTY_FRAMES = 100;
const SECOND_MS = 1000;

export class FloodGuard {
  readonly #spec: Http2Spec;
  #sinceMs = 0;
  #resets = 0;
  #controls = 0;
  #settings = 0;
  #empty = 0;

  constructor(spec: Http2Spec) {
    this.#spec = spec;
  }

  /** A stream was reset before it was over. @returns false: that is too many */
  reset(nowMs: number): boolean {
    this.#turn(nowMs);
    return ++this.#resets <= this.#spec.resetsPerSecond;
  }
  control(nowMs: number): boolean {
    this.#turn(nowMs);
    return ++this.#controls <= CONTROL_PER_SECOND;
  }
  empty(): boolean {
    return ++this.#empty <= EMPTY_FRAMES;
  }
  settings(): boolean {
    return ++this.#settings <= this.#spec.settingsPerConnection;
  }

  #turn(nowMs: number): void {
    if (nowMs - this.#sinceMs < SECOND_MS) return;
    this.#sinceMs = nowMs;
    this.#resets = 0;
    this.#controls = 0;
  }
}
