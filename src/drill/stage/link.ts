/**
 * A way from one place to another, as packets meet it: what a relay does with what it carries.
 * @module
 */
import type { Endpoint } from "#drill/stage.ts";

export type LinkState = {
  /** From one end to the other; there and back takes twice that. */
  readonly delayMs: number;
  /** What comes back takes so much longer: an answer that is slow. */
  readonly answerDelayMs: number;
  /** Share of packets that are lost. A datagram is gone; a piece of a stream comes after a repetition. */
  readonly loss: number;
  /**
   * `open`. `cut`: a black hole; connections stand, new ones get no answer, datagrams vanish. `refusing`: as when nobody
   * listens there; connections are reset.
   */
  readonly passage: "open" | "cut" | "refusing";
  /** Where it leads; null: nowhere, as `refusing`. Another one resets its connections: a network does no less. */
  readonly to: Endpoint | null;
};

export type LinkSpec = {
  readonly id: string;
  readonly protocols: readonly ("tcp" | "udp")[];
  readonly listen: Endpoint;
  /** Connections of this process alone; links of several processes may then listen at one place (`owner.ts`). */
  readonly owner?: string;
  readonly state: LinkState;
};

/** A time-out of repetition (RFC 6298 §2.4 says 1 s at least; systems take 200 ms). */
export const REPEAT_MS = 200;
