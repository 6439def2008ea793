/**
 * How much of what costs us more than the client one connection may do: resets of streams by either side (CVE-2023-44487
 * rapid reset, CVE-2025-8671 MadeYouReset: who makes us reset pays as well), settings, pings.
 *
 * Owns:    counts of the second that runs, and of the connection. What nghttp2 counts by itself (empty frames, CONTINUATION,
 *          frames that break rules) is limited in `options.ts`.
 * Units:   steady ms.
 * @module
 */
import type { Http2Spec } from "#state/http.ts";

/** PING and PRIORITY frames a second: a client that measures its path sends one per round trip. */
const CONTROL_PER_SECOND = 100;
const SECOND_MS = 1000;

export class FloodGuard {
  readonly #spec: Http2Spec;
  #sinceMs = 0;
  #resets = 0;
  #controls = 0;
  #settings = 0;

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
