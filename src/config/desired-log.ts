/**
 * The desired configurations that came by, as this node keeps them: to go back to one, to compare two, and to know after a
 * restart what was accepted.
 *
 * Owns:    the keys `config.desired` and `config.text.SHA256` of the store. A text that several versions have is kept once.
 * Never:   throws: what cannot be written is told once, and goes on in memory.
 * Bounds:  `KEPT_VERSIONS`, oldest first; the accepted one and those of a conflict stay.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import { type Desired, type DesiredState, versionText } from "#config/desired.ts";
import { textDigest } from "#config/pushed.ts";
import type { Emit } from "#state/events.ts";
import { compareVersions } from "#state/shared.ts";

export const KEPT_VERSIONS = 50;
const LOG_KEY = "config.desired";
const TEXT_PREFIX = "config.text.";

/** What became of a version here. */
export type Outcome = { readonly isApplied: boolean; readonly says: string; readonly changes: readonly string[] };
export type LoggedVersion = {
  readonly desired: Desired;
  /** Undefined: not tried, or not yet. */
  readonly outcome: Outcome | undefined;
};

/** What the log needs of the store. */
export type LogStore = {
  get(key: string): { readonly value: unknown } | undefined;
  put(key: string, value: unknown): unknown;
  remove(key: string): void;
  keys(prefix: string): string[];
};

export type DesiredLog = {
  /** What was accepted when the process last ran. */
  state(): DesiredState;
  /** Newest first. */
  list(): readonly LoggedVersion[];
  find(version: string): LoggedVersion | undefined;
  /** Keeps the state, and what is new in it. */
  save(state: DesiredState): void;
  settle(desired: Desired, outcome: Outcome): void;
};

/** As it is stored: digests in the place of texts. */
type StoredVersion = Omit<Desired, "files"> & {
  readonly files: Readonly<Record<string, string>>;
  readonly outcome: Outcome | null;
};
type Stored = {
  readonly accepted: string | null;
  readonly forks: readonly string[];
  readonly versions: readonly StoredVersion[];
};

export function createDesiredLog(options: {
  readonly store: LogStore;
  readonly clock: Clock;
  readonly emit: Emit;
}): DesiredLog {
  const { store, clock, emit } = options;
  const known = new Map<string, LoggedVersion>();
  let accepted: string | null = null;
  let forks: readonly string[] = [];
  let hasFault = false;

  const read = (): void => {
    const stored = store.get(LOG_KEY)?.value as Stored | undefined;
    for (const { outcome, ...version } of stored?.versions ?? []) {
      const texts = Object.entries(version.files).map(([name, digest]) => {
        return [name, store.get(TEXT_PREFIX + digest)?.value] as const;
      });
      // A text that is missing makes the version useless; it is not mended by guessing.
      if (texts.some(([, text]) => typeof text !== "string")) continue;
      const desired: Desired = { ...version, files: Object.fromEntries(texts) as Record<string, string> };
      known.set(versionText(desired.version), { desired, outcome: outcome ?? undefined });
    }
    accepted = stored?.accepted ?? null;
    forks = stored?.forks ?? [];
  };
  read();

  const ordered = (): LoggedVersion[] =>
    [...known.values()].sort((a, b) => compareVersions(b.desired.version, a.desired.version));

  const trim = (): void => {
    const held = new Set([accepted, ...forks]);
    for (const { desired } of ordered().slice(KEPT_VERSIONS)) {
      const version = versionText(desired.version);
      if (!held.has(version)) known.delete(version);
    }
  };

  /** Texts first, then what refers to them, then what nobody refers to any more: a crash in between loses nothing. */
  const write = (): void => {
    const told = { kind: "store.fault", atMs: clock.nowMs(), subject: "desired configuration" } as const;
    try {
      const kept = new Set(store.keys(TEXT_PREFIX));
      const used = new Set<string>();
      const versions = ordered().map(({ desired, outcome }): StoredVersion => {
        const files = Object.entries(desired.files).map(([name, text]) => {
          const digest = textDigest(text);
          const key = TEXT_PREFIX + digest;
          if (!kept.has(key) && !used.has(key)) store.put(key, text);
          used.add(key);
          return [name, digest] as const;
        });
        return { ...desired, files: Object.fromEntries(files), outcome: outcome ?? null };
      });
      store.put(LOG_KEY, { accepted, forks, versions } satisfies Stored);
      for (const key of kept) if (!used.has(key)) store.remove(key);
      if (hasFault) emit({ ...told, severity: "resolved", says: "Desired configurations are kept again" });
      hasFault = false;
    } catch (error) {
      const says = `Cannot keep the desired configuration: ${(error as Error).message}. It serves, and comes back from other nodes after a restart`;
      if (!hasFault) emit({ ...told, severity: "alarm", says });
      hasFault = true;
    }
  };

  return {
    state() {
      const found = forks.flatMap((version) => {
        const desired = known.get(version)?.desired;
        return desired ? [[version, desired] as const] : [];
      });
      return { accepted: known.get(accepted ?? "")?.desired, forks: new Map(found) };
    },
    list: ordered,
    find: (version) => known.get(version),
    save(state) {
      accepted = state.accepted ? versionText(state.accepted.version) : null;
      forks = [...state.forks.keys()];
      for (const desired of [state.accepted, ...state.forks.values()]) {
        if (!desired) continue;
        const version = versionText(desired.version);
        known.set(version, { desired, outcome: known.get(version)?.outcome });
      }
      trim();
      write();
    },
    settle(desired, outcome) {
      known.set(versionText(desired.version), { desired, outcome });
      write();
    },
  };
}
