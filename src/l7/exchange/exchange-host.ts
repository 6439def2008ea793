/**
 * What exchanges have of the listener that they belong to.
 *
 * Owns:    types alone.
 * @module
 */
import type { HttpCache } from "#l7/cache/cache.ts";
import type { AccessEntry, Subrequest } from "#l7/context.ts";
import type { TriesWorld } from "#l7/exchange/tries.ts";
import type { Reply } from "#l7/message.ts";
import type { SpanRecord } from "#state/spans.ts";

export type ExchangeHost = TriesWorld & {
  /** This listener's counters in this worker's block. */
  readonly slots: Float64Array;
  readonly cache: HttpCache;
  readonly subrequest: Subrequest;
  /** What an ACME authority is told at this path; undefined: it is no question of one. */
  acmeReply(path: string): Reply | undefined;
  /** Connections are to be closed after their next response. */
  isDraining(): boolean;
  unixMs(): number;
  randomHex(digits: number): string;
  /** Something that should not fail has failed. */
  failed(error: unknown): void;
  logAccess(entry: AccessEntry): void;
  span(span: SpanRecord): void;
};
