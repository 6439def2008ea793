/**
 * The table of records: of each (kind, key) the newest that was ever seen, for as long as an older one may still be about.
 *
 * Owns:    which of two is the newer, when one ends by this node's steady clock, how long its version is remembered after,
 *          and how much there may be. Pure: time comes in.
 * Never:   verifies (that was done before), sends, or looks into a body.
 *
 * A record that has ended is kept as a grave: who comes back with an older one after days is told that it is gone. The grave
 * lives for as long as whatever was buried in it could have lived, and for a while after.
 * Units:   ms of the steady clock in `…AtMs`, octets.
 * @module
 */
import { compareStamps, idOf, isSharedKind, type Line, type Stamp, stampOf } from "#cluster/seal.ts";
import {
  compareVersions,
  RECORD_KINDS,
  type RecordKind,
  type RecordVersion,
  type SharedRecord,
} from "#state/shared.ts";

type Limit = { readonly octets: number; readonly records: number };
/** Octets of one line, and lines of one kind. What is beyond is refused. */
export const RECORD_LIMITS: Readonly<Record<RecordKind, Limit>> = {
  heartbeat: { octets: 32_768, records: 256 }, // a name and a clock of each other node
  votes: { octets: 4_194_304, records: 256 }, // ten thousand endpoints of 400 octets
  report: { octets: 65_536, records: 1_024 },
  override: { octets: 16_384, records: 4_096 },
  config: { octets: 8_388_608, records: 64 },
  latency: { octets: 2_097_152, records: 256 },
  anycast: { octets: 65_536, records: 1_024 },
  evacuation: { octets: 65_536, records: 1_024 },
};
/** Of all together, in characters: what holds memory. */
const MAX_CHARACTERS = 134_217_728;

/** The greatest that a line can hold. */
const MAX_SEQUENCE = 999_999_999_999_999;
const DAY_MS = 86_400_000;
/** For how long a version is remembered after its record has ended. */
const graveMs = (kind: RecordKind): number => (isSharedKind(kind) ? DAY_MS : 60_000);

export type Entry = {
  readonly id: string;
  readonly record: SharedRecord;
  readonly stamp: Stamp;
  /** The line, as its node signed it. */
  readonly text: string;
  /** When it was made, as far as its age on arrival said. */
  readonly madeAtMs: number;
  readonly endsAtMs: number;
  readonly forgetAtMs: number;
  /** It has ended, and that was told. */
  isGrave: boolean;
};

export type RecordTable = {
  find(id: string): Entry | undefined;
  /** All of a kind, graves too. */
  entries(kind: RecordKind): IterableIterator<Entry>;
  /** @returns those that live, in the order of their keys */
  live(kind: RecordKind): SharedRecord[];
  /**
   * Keeps a record if it is the newest.
   *
   * @param ageMs how old it is already. What has ended makes a grave at once; what would be forgotten by now is `old`
   * @param rememberMs its version is remembered for so long at least
   * @returns `known`: this very one is kept already; `full`: there is no place for it
   */
  accept(line: Line, body: object, ageMs: number, rememberMs?: number): "new" | "known" | "old" | "full";
  /** The version that follows all of a kind that were ever seen here. @param isNewEpoch also all that nodes go on to count from those */
  nextVersion(kind: RecordKind, isNewEpoch?: boolean): Omit<RecordVersion, "node">;
  /** The version that a record of this kind had at least, by what an earlier process knew. */
  raise(kind: RecordKind, version: RecordVersion): void;
  /** Ends and forgets what is due. */
  sweep(): { readonly ended: readonly Entry[]; readonly forgotten: readonly Entry[] };
};

export function createRecordTable(steadyMs: () => number): RecordTable {
  const kinds = new Map<RecordKind, Map<string, Entry>>(RECORD_KINDS.map((kind) => [kind, new Map()]));
  const greatest = new Map<RecordKind, RecordVersion>();
  let characters = 0;
  let nextSweepAtMs = Number.POSITIVE_INFINITY;

  const of = (kind: RecordKind): Map<string, Entry> => kinds.get(kind)!;
  function find(id: string): Entry | undefined {
    return kinds.get(id.slice(0, id.indexOf(" ")) as RecordKind)?.get(id);
  }
  function drop(kind: RecordKind, entry: Entry): void {
    of(kind).delete(entry.id);
    characters -= entry.text.length;
  }
  /** Makes room by forgetting the grave that would be forgotten first. @returns whether there is room */
  function hasRoom(kind: RecordKind, more: number, isNew: boolean): boolean {
    if (characters + more > MAX_CHARACTERS) return false;
    if (!isNew || of(kind).size < RECORD_LIMITS[kind].records) return true;
    let oldest: Entry | undefined;
    for (const entry of of(kind).values())
      if (entry.isGrave && (!oldest || entry.endsAtMs < oldest.endsAtMs)) oldest = entry;
    if (!oldest) return false;
    drop(kind, oldest);
    return true;
  }

  function raise(kind: RecordKind, version: RecordVersion): void {
    const most = greatest.get(kind);
    if (!most || compareVersions(version, most) > 0) greatest.set(kind, version);
  }

  return {
    find,
    entries: (kind) => of(kind).values(),
    live(kind) {
      const nowMs = steadyMs();
      return [...of(kind).values()]
        .filter((entry) => !entry.isGrave && entry.endsAtMs > nowMs)
        .map(({ record }) => record)
        .sort((a, b) => (a.key < b.key ? -1 : 1));
    },
    accept(line, body, ageMs, rememberMs = 0) {
      const { kind, key, version, atMs, ttlMs, text } = line;
      const id = idOf(kind, key);
      const stamp = stampOf(line);
      const before = of(kind).get(id);
      const order = before ? compareStamps(stamp, before.stamp) : 1;
      if (order <= 0) return order === 0 ? "known" : "old";
      const nowMs = steadyMs();
      const isForGood = ttlMs >= Number.MAX_SAFE_INTEGER;
      const endsAtMs = isForGood ? Number.POSITIVE_INFINITY : nowMs + ttlMs - ageMs;
      // It remembers for as long as what it replaces: an older one may come back as late as that would have.
      const forgetAtMs = Math.max(endsAtMs + graveMs(kind), before?.forgetAtMs ?? 0, nowMs + rememberMs);
      if (forgetAtMs <= nowMs) return "old";
      if (!hasRoom(kind, text.length - (before?.text.length ?? 0), before === undefined)) return "full";
      if (before) drop(kind, before);
      of(kind).set(id, {
        id,
        record: { kind, key, version, atMs, ttlMs, body: body as SharedRecord["body"] },
        stamp,
        text,
        madeAtMs: nowMs - ageMs,
        endsAtMs,
        forgetAtMs,
        isGrave: endsAtMs <= nowMs,
      });
      characters += text.length;
      nextSweepAtMs = Math.min(nextSweepAtMs, endsAtMs <= nowMs ? forgetAtMs : endsAtMs);
      raise(kind, version);
      return "new";
    },
    raise,
    nextVersion(kind, isNewEpoch = false) {
      const { epoch, sequence } = greatest.get(kind) ?? { epoch: 1, sequence: 0 };
      return sequence < MAX_SEQUENCE && !isNewEpoch
        ? { epoch, sequence: sequence + 1 }
        : { epoch: epoch + 1, sequence: 1 };
    },
    sweep() {
      const nowMs = steadyMs();
      const ended: Entry[] = [];
      const forgotten: Entry[] = [];
      if (nowMs < nextSweepAtMs) return { ended, forgotten };
      nextSweepAtMs = Number.POSITIVE_INFINITY;
      for (const [kind, entries] of kinds) {
        for (const entry of entries.values()) {
          if (!entry.isGrave && entry.endsAtMs <= nowMs) {
            entry.isGrave = true;
            ended.push(entry);
          }
          if (entry.forgetAtMs <= nowMs) {
            drop(kind, entry);
            forgotten.push(entry);
          } else nextSweepAtMs = Math.min(nextSweepAtMs, entry.isGrave ? entry.forgetAtMs : entry.endsAtMs);
        }
      }
      return { ended, forgotten };
    },
  };
}

/** What others are offered: what lives, and the graves of what any node may change. */
export const isOffered = ({ isGrave, record: { kind } }: Entry): boolean => !isGrave || isSharedKind(kind);
