/**
 * The single writer of the health table.
 *
 * Owns:    a copy of the words as they should be; the table gets what differs, in one go per tick, and then the epoch.
 * Never:   decides. It only leaves out what readers need not hear of.
 *
 * Readers look at the table again when the epoch moves, so it moves for what matters:
 * - the state word, always;
 * - a flip time that is new, gone, earlier than before, or about to pass. A later one waits: the published time is then too
 *   early, which only makes TTLs shorter. Else each probe of a target that is down would move the epoch;
 * - an RTT that moved by more than 1 ms or a tenth, an excess that moved by more than 1 ms.
 *
 * The second of the last write moves on each second also when nothing happens: a reader can tell a quiet writer from a dead
 * one.
 * @module
 */
import { RhumbError } from "#base/errors.ts";
import {
  HEALTH_COUNT_WORD,
  HEALTH_EPOCH_WORD,
  HEALTH_HEADER_WORDS,
  HEALTH_WORDS_PER_TARGET,
  HEALTH_WRITTEN_WORD,
  healthWordIndex,
  packLoadWord,
  packStateWord,
  type TargetState,
} from "#state/health-table.ts";

/** A flip time this near is replaced by the later true one. */
const FLIP_RENEW_SECONDS = 2;

export type Publisher = {
  /** Notes what target `target` should say. @returns whether any of its words will change */
  stage(target: number, state: Readonly<TargetState>, nowMs: number): boolean;
  /** Writes what was noted. @returns the targets whose words changed */
  flush(nowMs: number): readonly number[];
  /** Number of targets in use. @throws RHUMB_HEALTH_TABLE_FULL */
  resize(count: number): void;
  beat(nowMs: number): void;
};

const isRttMoved = (before: number, after: number): boolean =>
  before === 0 ? after !== 0 : Math.abs(after - before) > Math.max(1_000, before / 10);

export function createPublisher(table: Uint32Array): Publisher {
  const capacity = Math.floor((table.length - HEALTH_HEADER_WORDS) / HEALTH_WORDS_PER_TARGET);
  const wanted = new Uint32Array(table);
  const dirty = new Set<number>();

  const beat = (nowMs: number): void => {
    Atomics.store(table, HEALTH_WRITTEN_WORD, Math.floor(nowMs / 1_000));
  };

  return {
    beat,
    resize(count) {
      if (count > capacity) throw new RhumbError("RHUMB_HEALTH_TABLE_FULL", `${count} targets`);
      Atomics.store(table, HEALTH_COUNT_WORD, count);
    },
    stage(target, state, nowMs) {
      const at = healthWordIndex(target);
      const word = packStateWord(state);
      const isStateChanged = wanted[at] !== word;
      let isChanged = isStateChanged;
      if (isStateChanged) {
        wanted[at] = word;
        dirty.add(target);
      }
      const flip = state.flipAtSeconds;
      const oldFlip = wanted[at + 1]!;
      const isPassing = oldFlip <= Math.floor(nowMs / 1_000) + FLIP_RENEW_SECONDS;
      if (flip !== oldFlip && (isStateChanged || oldFlip === 0 || flip < oldFlip || isPassing)) {
        wanted[at + 1] = flip;
        dirty.add(target);
        isChanged = true;
      }
      if (isRttMoved(wanted[at + 2]!, state.rttMicros)) {
        wanted[at + 2] = state.rttMicros;
        dirty.add(target);
        isChanged = true;
      }
      const oldLoad = wanted[at + 3]!;
      const isExcessMoved = Math.abs((oldLoad >>> 16) - state.excessRttTenthsMs) > 10;
      if ((oldLoad & 0xffff) !== state.loadPermille || isExcessMoved) {
        wanted[at + 3] = packLoadWord(state.loadPermille, state.excessRttTenthsMs);
        dirty.add(target);
        isChanged = true;
      }
      return isChanged;
    },
    flush(nowMs) {
      if (dirty.size === 0) return [];
      const changed = [...dirty];
      dirty.clear();
      for (const target of changed) {
        const at = healthWordIndex(target);
        for (let word = at; word < at + HEALTH_WORDS_PER_TARGET; word++) Atomics.store(table, word, wanted[word]!);
      }
      beat(nowMs);
      Atomics.add(table, HEALTH_EPOCH_WORD, 1);
      return changed;
    },
  };
}
