/**
 * What of the records survives a restart of everything: overrides, the desired configuration, the node's own epoch.
 *
 * Owns:    the keys `cluster.…` of the embedded store.
 * Never:   throws: a disk that is full costs what was to be kept, not the node.
 * Units:   ms since the Unix epoch in what is stored: the steady clock ends with the process.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Entry, RecordTable } from "#cluster/records.ts";
import { isSharedKind, readBody, readCopy, readLine, writeCopy } from "#cluster/seal.ts";
import type { Store } from "#cluster/store.ts";
import { compareVersions, type RecordKind, type RecordVersion } from "#state/shared.ts";

const RECORD_PREFIX = "cluster.record.";
const EPOCH_KEY = "cluster.epoch";
const greatestKey = (kind: RecordKind): string => `cluster.greatest.${kind}`;
const SHARED_KINDS: readonly RecordKind[] = ["override", "config"];

type Kept = {
  readonly copy: string;
  readonly atMs: number;
  /** Null: for good. */
  readonly forgetAtMs: number | null;
};

export type Keep = {
  /** Puts what is kept into the table. */
  restore(table: RecordTable): void;
  put(entry: Entry): void;
  remove(entry: Entry): void;
  /** Greater than all that this node has had, also where its store was lost: the Unix second is where it begins. */
  nextEpoch(atLeast: number): number;
};

export function createKeep(options: {
  readonly store: Pick<Store, "get" | "put" | "remove" | "keys">;
  readonly clock: Clock;
  readonly log: Log;
}): Keep {
  const { store, clock, log } = options;
  const toUnix = (steadyMs: number): number | null =>
    Number.isFinite(steadyMs) ? steadyMs - clock.monotonicMs() + clock.nowMs() : null;
  function attempt<Result>(work: () => Result): Result | undefined {
    try {
      return work();
    } catch (error) {
      log.error({ error: String(error) }, "The store does not keep what nodes share");
      return undefined;
    }
  }
  const greatest = new Map<RecordKind, RecordVersion>();
  return {
    restore(table) {
      for (const kind of SHARED_KINDS) {
        const version = attempt(() => store.get(greatestKey(kind)))?.value as RecordVersion | undefined;
        if (!version) continue;
        greatest.set(kind, version);
        table.raise(kind, version);
      }
      for (const key of attempt(() => store.keys(RECORD_PREFIX)) ?? []) {
        const kept = attempt(() => store.get(key))?.value as Kept | undefined;
        const copy = kept && readCopy(kept.copy);
        const line = copy && readLine(copy.text);
        const body = typeof line === "object" ? readBody(line) : undefined;
        if (!kept || !copy || typeof line !== "object" || !body) continue;
        const ageMs = copy.ageMs + Math.max(0, clock.nowMs() - kept.atMs);
        const rememberMs = kept.forgetAtMs === null ? Number.POSITIVE_INFINITY : kept.forgetAtMs - clock.nowMs();
        if (table.accept(line, body, ageMs, rememberMs) === "old") attempt(() => store.remove(key));
      }
    },
    put(entry) {
      const { kind, version } = entry.record;
      if (!isSharedKind(kind)) return;
      const kept: Kept = {
        copy: writeCopy(clock.monotonicMs() - entry.madeAtMs, entry.text),
        atMs: clock.nowMs(),
        forgetAtMs: toUnix(entry.forgetAtMs),
      };
      attempt(() => store.put(RECORD_PREFIX + entry.id, kept));
      const before = greatest.get(kind);
      if (before && compareVersions(version, before) <= 0) return;
      greatest.set(kind, version);
      attempt(() => store.put(greatestKey(kind), version));
    },
    remove(entry) {
      if (isSharedKind(entry.record.kind)) attempt(() => store.remove(RECORD_PREFIX + entry.id));
    },
    nextEpoch(atLeast) {
      const last = attempt(() => store.get(EPOCH_KEY))?.value;
      const epoch = Math.max(typeof last === "number" ? last + 1 : 1, Math.floor(clock.nowMs() / 1_000), atLeast);
      attempt(() => store.put(EPOCH_KEY, epoch));
      return epoch;
    },
  };
}
