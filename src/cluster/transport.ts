/**
 * What moves records between nodes, and what it may ask of the engine. One contract for Redis and for HTTP.
 *
 * A transport is told of each record that is new here, and compares, once a second, all stamps with what the others have: so
 * whatever gets lost on the way is mended within seconds, and nothing else has to be reliable.
 * @module
 */
import { type Entry, isOffered, type RecordTable } from "#cluster/records.ts";
import { compareStamps, isStamp, type Stamp } from "#cluster/seal.ts";
import type { RecordKind } from "#state/shared.ts";

export const ROUND_MS = 1_000;

export type Transport = {
  /** A record has changed here: to be sent soon, at most once per round and record beyond the first. */
  changed(entry: Entry): void;
  /** A signed line that is not kept. */
  signal(text: string): void;
  isConnected(): boolean;
  /** For people: through what, and what is wrong with it. */
  says(): string;
  octets(): { readonly sent: number; readonly received: number };
  close(): void;
};

/** What the engine gives to a transport. */
export type TransportHost = {
  readonly table: RecordTable;
  /** Takes what came: judged, verified, kept, told. @returns what became of it */
  take(copy: string): TakenAs;
  takeSignal(text: string): void;
};
/** Refused: `unsigned`, `unknownNode`, `damaged`, `old`, `full`. */
export type TakenAs = "new" | "known" | "old" | "unsigned" | "unknownNode" | "damaged" | "full";

/** By id, what somebody has. */
export type Digest = ReadonlyMap<string, Stamp>;

export function digestOf(table: RecordTable, kinds: readonly RecordKind[]): Map<string, Stamp> {
  const digest = new Map<string, Stamp>();
  for (const kind of kinds)
    for (const entry of table.entries(kind)) if (isOffered(entry)) digest.set(entry.id, entry.stamp);
  return digest;
}

/**
 * Compares what we have with what somebody else has.
 *
 * @param theirs values that are no stamps count as nothing
 * @returns entries of ours that they lack or have older, and ids of which they have newer ones
 */
export function compareDigest(
  table: RecordTable,
  kinds: readonly RecordKind[],
  theirs: Digest,
): { readonly offer: Entry[]; readonly want: string[] } {
  const offer: Entry[] = [];
  const want: string[] = [];
  for (const kind of kinds) {
    for (const entry of table.entries(kind)) {
      const their = theirs.get(entry.id);
      if (isOffered(entry) && (!isStamp(their) || compareStamps(entry.stamp, their) > 0)) offer.push(entry);
    }
  }
  for (const [id, stamp] of theirs) {
    if (!isStamp(stamp) || !kinds.includes(id.slice(0, id.indexOf(" ")) as RecordKind)) continue;
    const own = table.find(id);
    if (!own || compareStamps(own.stamp, stamp) < 0) want.push(id);
  }
  return { offer, want };
}
