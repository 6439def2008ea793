/**
 * Backend table: what all threads of a balancer must know of a backend at each pick.
 *
 * Owns:    the layout of the shared words, and of each worker's block of counters. Row = the backend's row in the health table.
 * Writer:  state and weight: `pool/keeper.ts` alone. Connections, queue and failures in a row: all workers, by Atomics.
 *          A counter block has its worker as single writer.
 * Units:   weight in thousandths (slow start makes fractions); connections and datagram sessions as they are.
 * @module
 */
import { indexOfNames } from "#state/counters.ts";

/** Words before the first row. 0: epoch, moves on after each published change of states or weights. */
const BACKEND_HEADER_WORDS = 8;
export const BACKEND_EPOCH_WORD = 0;
const BACKEND_WORDS = 8;

/** Words of a row. */
export const BACKEND_WORD = {
  /** `BACKEND_STATE`, and the flags below. */
  state: 0,
  /** Effective weight in thousandths: configured weight × slow start × what an override `drain=20` leaves. */
  weightMilli: 1,
  /** Connections (UDP: sessions) now, over all workers. */
  active: 2,
  /** Connections that wait for a place at this backend's pool are counted at its first backend's row. */
  queued: 3,
  /** Failed connects and resets in a row, over all workers; 0 after each success. */
  failuresInARow: 4,
  /** Counts places that became free while somebody waited; who waits sleeps on it (`Atomics.waitAsync`). */
  freed: 5,
  /** Responses in a row with status 500 and above, over all workers; 0 after each other one. */
  fiveXxInARow: 6,
  /** As above, of 502, 503 and 504; responses that never came count as connections that failed. */
  gatewayInARow: 7,
} as const;

/**
 * `unknown`: not yet probed, a last resort (ruling 11). `drain`: no new clients but those it has. `maint`: nobody, an
 * operator's word. `ejected`: passes its checks, but failed real traffic. `none`: the row is no backend.
 */
export const BACKEND_STATE = { none: 0, active: 1, unknown: 2, drain: 3, maint: 4, down: 5, ejected: 6 } as const;
export type BackendState = (typeof BACKEND_STATE)[keyof typeof BACKEND_STATE];
export const BACKEND_STATE_NAMES = ["none", "active", "unknown", "drain", "maint", "down", "ejected"] as const;

/** Low bits of the state word. */
const BACKEND_STATE_MASK = 7;

/** What a worker counts of each backend; one block of `rows × BACKEND_COUNTERS.length` Float64 per worker. */
export const BACKEND_COUNTERS = [
  /** Share of this worker in the word `active`: what is taken back when the worker dies. */
  "active",
  "connections",
  "connect_refused",
  "connect_timeout",
  "connect_error",
  "resets",
  "retries_away",
  "octets_to_backend",
  "octets_from_backend",
  "datagrams_to_backend",
  "datagrams_from_backend",
  "connect_micros",
  "successes",
  "failures",
  /** Of HTTP: requests that were sent, and their responses. */
  "requests",
  "responses_1xx",
  "responses_2xx",
  "responses_3xx",
  "responses_4xx",
  "responses_5xx",
  "gateway_failures",
  /** Requests whose client left before its response was complete. */
  "client_aborts",
  /** Requests that had been tried before, here or elsewhere. */
  "upstream_retries",
  /** Share of this worker in the word `queued`: what is taken back when the worker dies. */
  "queued",
] as const;
export type BackendCounter = (typeof BACKEND_COUNTERS)[number];
export const BACKEND_COUNTER = indexOfNames(BACKEND_COUNTERS);

export function createBackendTable(rows: number): Int32Array {
  const words = BACKEND_HEADER_WORDS + rows * BACKEND_WORDS;
  return new Int32Array(new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT));
}
export const createBackendCounters = (rows: number): Float64Array =>
  new Float64Array(new SharedArrayBuffer(rows * BACKEND_COUNTERS.length * Float64Array.BYTES_PER_ELEMENT));

/** Index of a word of a row. */
export const backendWord = (row: number, word: number): number => BACKEND_HEADER_WORDS + row * BACKEND_WORDS + word;
export const backendCounter = (row: number, counter: number): number => row * BACKEND_COUNTERS.length + counter;

export const backendState = (table: Int32Array, row: number): BackendState =>
  (Atomics.load(table, backendWord(row, BACKEND_WORD.state)) & BACKEND_STATE_MASK) as BackendState;
