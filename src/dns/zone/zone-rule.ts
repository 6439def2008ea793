/**
 * The shape of a rule between the records of a zone.
 * @module
 */
import type { Position } from "#base/problem.ts";
import type { ZoneIndex } from "#dns/zone/zone-index.ts";

export type Report = {
  /** The zone is refused. */
  error(at: Position, says: string, fix: string): void;
  /** The zone is served all the same. */
  warning(at: Position, says: string, fix: string): void;
};

export type ZoneRule = (index: ZoneIndex, report: Report) => void;
