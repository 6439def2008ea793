/**
 * What workers have counted of one backend since somebody last looked: the input of outlier detection.
 *
 * Owns:    the sums at the last look.
 * @module
 */
import type { OutlierSample } from "#pool/outlier.ts";
import { sumCounter } from "#pool/pool-view.ts";
import { BACKEND_COUNTER, BACKEND_WORD, backendWord } from "#state/backend-table.ts";

/** Responses that say that a backend is well. */
const WELL_ANSWERED = [
  BACKEND_COUNTER.responses_1xx,
  BACKEND_COUNTER.responses_2xx,
  BACKEND_COUNTER.responses_3xx,
  BACKEND_COUNTER.responses_4xx,
];

export class BackendSample {
  readonly #row: number;
  readonly #table: Int32Array;
  #successes = 0;
  #failures = 0;
  #wellAnswered = 0;
  #badlyAnswered = 0;
  #inARow: OutlierSample["inARow"] = { fiveXx: 0, gateway: 0, local: 0 };

  /** @param table the backend table */
  constructor(row: number, table: Int32Array) {
    this.#row = row;
    this.#table = table;
  }

  /** @returns undefined where nothing happened since the last look */
  look(blocks: readonly Float64Array[]): OutlierSample | undefined {
    const sum = (counter: number): number => sumCounter(blocks, this.#row, counter);
    const successes = sum(BACKEND_COUNTER.successes);
    const failures = sum(BACKEND_COUNTER.failures);
    const badlyAnswered = sum(BACKEND_COUNTER.responses_5xx);
    const wellAnswered = WELL_ANSWERED.reduce((all, counter) => all + sum(counter), 0);
    const inARow = {
      fiveXx: this.#wordOf(BACKEND_WORD.fiveXxInARow),
      gateway: this.#wordOf(BACKEND_WORD.gatewayInARow),
      local: this.#wordOf(BACKEND_WORD.failuresInARow),
    };
    const was = this.#inARow;
    const isQuiet =
      successes === this.#successes &&
      failures === this.#failures &&
      wellAnswered === this.#wellAnswered &&
      badlyAnswered === this.#badlyAnswered &&
      inARow.fiveXx === was.fiveXx &&
      inARow.gateway === was.gateway &&
      inARow.local === was.local;
    if (isQuiet) return undefined;
    // Sums fall when the block of a worker is gone.
    const since = (now: number, before: number): number => Math.max(0, now - before);
    const sample = {
      inARow,
      responses: {
        successes: since(wellAnswered, this.#wellAnswered),
        failures: since(badlyAnswered, this.#badlyAnswered),
      },
      local: { successes: since(successes, this.#successes), failures: since(failures, this.#failures) },
    };
    this.#successes = successes;
    this.#failures = failures;
    this.#wellAnswered = wellAnswered;
    this.#badlyAnswered = badlyAnswered;
    this.#inARow = inARow;
    return sample;
  }

  #wordOf(word: number): number {
    return Atomics.load(this.#table, backendWord(this.#row, word));
  }
}
