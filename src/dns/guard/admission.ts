/**
 * Admission under floods: which queries a worker lets in when more arrive than it can answer.
 *
 * Left alone, the kernel drops what does not fit into the socket's queue, whoever it is from: at ten times the rate that
 * a worker can answer, nine in ten legitimate queries are lost. Here queries are told apart by two questions that a
 * flood cannot answer well at the same time: is the source network one that has been asking for a while, and is the name
 * one that exists and is asked for? That makes four classes. Each gets what it wants while it wants little, and the
 * large ones share what is left (max-min fairness), so a class that is flooded pays for itself: spoofed sources, which
 * are unknown, and random names, which do not exist, are thinned, and known resolvers asking for known names are not.
 *
 * Owns:    what is familiar, and the plan: a share for each class. The kernel carries it out
 *          (`admission-program.ts`), for a query that was read has cost us most of what it costs.
 * Never:   acts while the worker keeps up: then everybody is let in. Learns nothing while it acts.
 * Limits:  a flood from the addresses of known resolvers for known names is in the class of those resolvers.
 * @module
 */
import { createFamiliar } from "#dns/guard/familiar.ts";
import type { Client } from "#state/respond.ts";

/** Keys of each kind that fit into a filter program, with room to spare (4,096 instructions). */
const MAX_KEYS = 512;
const TABLE_SLOTS = 8_192;
/** Share of what a worker can answer that is let in during a flood: the rest is room for bursts and for being wrong. */
const BUDGET_SHARE = 0.6;
/** A queue that is fuller than this at the moment when it is looked at is one that the worker does not keep up with. */
const FULL_QUEUE_SHARE = 0.5;
const QUIET_ADJUSTMENTS = 20;
/** A share that moves by less than this factor is left alone, so that the kernel is not given a new program for it. */
const SHARE_CHANGE = 1.25;
const MAX_RISE = 1.5;
/** Every class keeps a trickle: it is how we learn how much of it there is. */
const MIN_SHARE = 1 / 4_096;

export const CLASSES = 4;
export const KNOWN_SOURCE = 1;
export const KNOWN_NAME = 2;

/** Octets of the question that make a name's key: a length, and the next eleven. */
export const NAME_KEY_OCTETS = 12;
const QUESTION_AT = 12;
export const KEY_FACTOR = 0x9e3779b1;
/** Folds the case of letters; other octets may meet, which only makes a name familiar that is not. */
export const CASE_BITS = 0x20202020;

const word = (octets: Uint8Array, at: number): number =>
  (octets[at]! << 24) | (octets[at + 1]! << 16) | (octets[at + 2]! << 8) | octets[at + 3]!;

/** A /24, or a hash of a /48. `admission-program.ts` computes the same in the kernel. */
export const sourceKey = (client: Client): number =>
  client.isIpv6
    ? (Math.imul(word(client.address, 0), KEY_FACTOR) ^ (word(client.address, 4) >>> 16)) >>> 0
    : word(client.address, 0) >>> 8;

const NO_NAME = -1;
/** Key of the name in the question, or `NO_NAME` where the message is too short to have one that is worth telling apart. */
export function nameKey(message: Uint8Array, length: number): number {
  if (length < QUESTION_AT + NAME_KEY_OCTETS) return NO_NAME;
  const first = Math.imul(word(message, QUESTION_AT) | CASE_BITS, KEY_FACTOR);
  const second = Math.imul(first ^ (word(message, QUESTION_AT + 4) | CASE_BITS), KEY_FACTOR);
  return (second ^ (word(message, QUESTION_AT + 8) | CASE_BITS)) >>> 0;
}

export type AdmissionPlan = {
  /** Share that is let in by class (bits `KNOWN_SOURCE`, `KNOWN_NAME`), 0 to 1. */
  readonly shares: Float64Array;
  /** Ascending. */
  readonly sources: Uint32Array;
  readonly names: Uint32Array;
};

/** What happened to a worker's socket since it was looked at last. */
export type Pressure = {
  /** Datagrams that the kernel dropped, by the plan or for want of room. */
  readonly dropped: number;
  /** How full the receive queue is now, 0 to 1. */
  readonly queueShare: number;
  /** Part of the time that the worker was not waiting, 0 to 1. */
  readonly busyShare: number;
};

export type Admission = {
  /** Notes one datagram that was read, with its response (`responseLength` 0: none). */
  note(client: Client, request: Uint8Array, length: number, response: Uint8Array, responseLength: number): void;
  /**
   * Called about ten times a second.
   * @returns a new plan to put in force; `open` to let everybody in again; undefined to leave things as they are
   */
  adjust(pressure: Pressure, nowMs: number): AdmissionPlan | "open" | undefined;
  isActing(): boolean;
};

/** Divides `budget` so that nobody gets more than it wants and whoever wants more than an equal share gets no less. */
export function fairShares(wanted: Float64Array, budget: number, into: Float64Array): void {
  const order = [...wanted.keys()].sort((a, b) => wanted[a]! - wanted[b]!);
  let left = budget;
  for (const [position, index] of order.entries()) {
    const given = Math.min(wanted[index]!, left / (order.length - position));
    left -= given;
    into[index] = wanted[index]! > 0 ? Math.max(MIN_SHARE, given / wanted[index]!) : 1;
  }
}

export function createAdmission(options: { seed: number }): Admission {
  const sources = createFamiliar(TABLE_SLOTS, options.seed);
  const names = createFamiliar(TABLE_SLOTS, ~options.seed);
  const received = new Int32Array(CLASSES);
  const wanted = new Float64Array(CLASSES);
  const shares = new Float64Array(CLASSES).fill(1);
  const sample = new Float64Array(CLASSES);
  const next = new Float64Array(CLASSES);
  /** What the worker can answer per ms; 0: not known yet. */
  let capacityPerMs = 0;
  let lastMs = Number.NaN;
  let nowSeconds = 0;
  let quiet = 0;
  let isActing = false;
  /** What the plan in force knows, as int32. It has room for less than the tables, and the counts must be of its classes. */
  let planSources: ReadonlySet<number> = new Set();
  let planNames: ReadonlySet<number> = new Set();
  let bestSources: Uint32Array = new Uint32Array(0);
  let bestNames: Uint32Array = new Uint32Array(0);

  function note(
    client: Client,
    request: Uint8Array,
    length: number,
    response: Uint8Array,
    responseLength: number,
  ): void {
    const source = sourceKey(client) | 0;
    const name = nameKey(request, length) | 0;
    let isKnownSource: boolean;
    let isKnownName: boolean;
    if (isActing) {
      isKnownSource = planSources.has(source);
      isKnownName = planNames.has(name);
    } else if (responseLength >= QUESTION_AT && (response[3]! & 15) === 0 && (response[6]! | response[7]!) !== 0) {
      // Learns from what got a positive answer: RCODE NOERROR and something in the answer section.
      isKnownSource = sources.see(source, nowSeconds);
      isKnownName = name !== NO_NAME && names.see(name, nowSeconds);
    } else {
      isKnownSource = sources.has(source);
      isKnownName = name !== NO_NAME && names.has(name);
    }
    received[(isKnownSource ? KNOWN_SOURCE : 0) | (isKnownName ? KNOWN_NAME : 0)]! += 1;
  }

  /** Works out what each class wanted and what the worker can answer, from what happened since the last call. */
  function estimate({ dropped, queueShare, busyShare }: Pressure, elapsedMs: number): void {
    let read = 0;
    let open = 0; // wanted by classes that are let in whole
    let thinned = 0;
    for (let index = 0; index < CLASSES; index++) {
      read += received[index]!;
      // Half a query more than came, or a class that is thinned to a trickle would seem to have gone in quiet moments.
      sample[index] = shares[index]! < 1 ? (received[index]! + 0.5) / shares[index]! : received[index]!;
      if (shares[index]! < 1) thinned += sample[index]!;
      else open += sample[index]!;
    }
    const isOverloaded = queueShare > FULL_QUEUE_SHARE;
    // How many arrived is known exactly. While the queue has room only what is thinned was dropped.
    const arrived = read + dropped;
    const factor = isOverloaded || thinned === 0 ? arrived / Math.max(1, open + thinned) : (arrived - open) / thinned;
    for (let index = 0; index < CLASSES; index++) {
      const isScaled = isOverloaded || thinned === 0 || shares[index]! < 1;
      const now = sample[index]! * (isScaled ? Math.max(0, factor) : 1);
      wanted[index] = isActing ? (wanted[index]! + now) / 2 : now;
    }
    if (read > 0 && (isOverloaded || busyShare > 0.3)) {
      const seen = read / elapsedMs / (isOverloaded ? 1 : busyShare);
      capacityPerMs = capacityPerMs === 0 ? seen : capacityPerMs * 0.8 + seen * 0.2;
    }
    received.fill(0);
    if (isOverloaded && dropped > 0) isActing = true;
  }

  return {
    note,
    isActing: () => isActing,
    adjust(pressure, nowMs) {
      const elapsedMs = nowMs - lastMs;
      lastMs = nowMs;
      nowSeconds = Math.floor(nowMs / 1_000);
      if (!(elapsedMs > 0)) return undefined;
      const wasActing = isActing;
      estimate(pressure, elapsedMs);
      if (!isActing) return undefined;
      const budget = capacityPerMs * elapsedMs * BUDGET_SHARE * (1 - Math.min(1, pressure.queueShare) / 2);
      const wantedInAll = wanted.reduce((total, each) => total + each, 0);
      quiet = wantedInAll <= budget ? quiet + 1 : 0;
      if (quiet >= QUIET_ADJUSTMENTS) {
        isActing = false;
        quiet = 0;
        shares.fill(1);
        return "open";
      }
      fairShares(wanted, budget, next);
      const hasMoved = next.some((share, index) => {
        const factor = share / shares[index]!;
        return factor > SHARE_CHANGE || factor < 1 / SHARE_CHANGE;
      });
      if (wasActing && !hasMoved) return undefined;
      // Down at once, up in steps: a class is not let in again at full for one quiet tenth of a second.
      for (let index = 0; index < CLASSES; index++) shares[index] = Math.min(next[index]!, shares[index]! * MAX_RISE);
      if (!wasActing) {
        // Nothing is learned while a plan is in force, so what it knows stays the same from the first to the last.
        bestSources = sources.best(MAX_KEYS, nowSeconds);
        bestNames = names.best(MAX_KEYS, nowSeconds);
        planSources = new Set(new Int32Array(bestSources.buffer));
        planNames = new Set(new Int32Array(bestNames.buffer));
      }
      return { shares: shares.slice(), sources: bestSources, names: bestNames };
    },
  };
}
