/**
 * One exchange between two nodes: each tells the other what it has newer. Pure but for the table.
 *
 * Never:   trusts the other's word for anything but its own signature.
 * Units:   octets.
 * @module
 */
import { createHash } from "node:crypto";
import type { Entry, RecordTable } from "#cluster/records.ts";
import { writeCopy } from "#cluster/seal.ts";
import { compareDigest, digestOf, type TransportHost } from "#cluster/transport.ts";
import type { RecordExchange, RecordExchangeAnswer } from "#state/exchange.ts";
import { RECORD_KINDS, type RecordKind } from "#state/shared.ts";

/** Kinds that change every few seconds are compared stamp by stamp, the others by one sum first. */
export const LIVE_KINDS: readonly RecordKind[] = ["heartbeat", "votes", "report"];
export const LASTING_KINDS: readonly RecordKind[] = RECORD_KINDS.filter((kind) => !LIVE_KINDS.includes(kind));
/** Copies in one message: the first always goes, others while they fit. The rest goes with the next. */
const MAX_BATCH_OCTETS = 1_048_576;
const MAX_WANTED = 1_000;

/** The same for the same records, in whatever order they came. */
export function sumOf(table: RecordTable, kind: RecordKind): string {
  const lines = [...digestOf(table, [kind])].map(([id, stamp]) => `${id} ${stamp}\n`).sort();
  return createHash("sha256").update(lines.join("")).digest("base64url").slice(0, 16);
}

/** @returns copies of the first entries that fit into one message, and how many they are */
export function batchOf(entries: readonly Entry[], nowMs: number): string[] {
  const copies: string[] = [];
  let octets = 0;
  for (const { text, madeAtMs } of entries) {
    octets += text.length;
    if (copies.length > 0 && octets > MAX_BATCH_OCTETS) break;
    copies.push(writeCopy(nowMs - madeAtMs, text));
  }
  return copies;
}

/** What a node that asks says, beside what it has to tell. */
export function compareWith(table: RecordTable, kinds: readonly RecordKind[]) {
  return {
    kinds,
    digest: Object.fromEntries(digestOf(table, kinds)),
    sums: Object.fromEntries(
      LASTING_KINDS.filter((kind) => !kinds.includes(kind)).map((kind) => [kind, sumOf(table, kind)]),
    ),
  };
}

export function answerExchange(
  { table, take, takeSignal }: TransportHost,
  request: RecordExchange,
  nowMs: number,
): RecordExchangeAnswer {
  for (const copy of request.copies) take(copy);
  for (const signal of request.signals) takeSignal(signal);
  const kinds = RECORD_KINDS.filter((kind) => request.kinds.includes(kind));
  const { offer, want } = compareDigest(table, kinds, new Map(Object.entries(request.digest)));
  return {
    copies: batchOf(offer, nowMs),
    want: want.slice(0, MAX_WANTED),
    unequal: LASTING_KINDS.filter(
      (kind) => request.sums[kind] !== undefined && request.sums[kind] !== sumOf(table, kind),
    ),
  };
}
