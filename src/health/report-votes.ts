/**
 * What regions say of themselves, as votes (ruling 13): hysteresis per region, and the brake against a bad check that was
 * pushed everywhere. Pure.
 *
 * - A region serves as long as one of its nodes says so. It is believed that it does not after 2 s, and that it does again
 *   after 5 s, without a word to the contrary.
 * - A report that no longer comes says nothing.
 * - Brake: when over half of the regions turned down by their own word within 60 s while probes pass, no report counts until
 *   for 60 s no more than half of the regions have been down by their word alone.
 *
 * Units:   steady ms.
 * @module
 */
import type { RegionReport } from "#state/reports.ts";

const NO_AFTER_MS = 2_000;
const YES_AFTER_MS = 5_000;
/** As long as a record of a report lives. */
const FORGET_AFTER_MS = 15_000;
const BRAKE_WINDOW_MS = 60_000;
const RELEASE_AFTER_MS = 60_000;

export type RegionWord = {
  readonly isServing: boolean;
  readonly says: string;
  readonly sinceMs: number;
  /** When the region was last heard. */
  readonly heardMs: number;
  readonly nodes: readonly string[];
};

export type ReportVotes = {
  /**
   * @param isFresh false: the report has ended without a newer one
   * @returns whether the region's word is another now, or about to be, or no longer
   */
  take(report: RegionReport, isFresh: boolean, nowMs: number): boolean;
  /**
   * Forgets reports that no longer come, and looks after the brake.
   * @param regions names of all that are configured
   * @param doProbesPass what the vantages alone say of a region
   * @returns whether any word may be another now, or counts otherwise
   */
  tick(regions: readonly string[], doProbesPass: (region: string) => boolean, nowMs: number): boolean;
  /** The region's word, whether it counts or not; undefined: no fresh report. */
  wordOf(region: string): RegionWord | undefined;
  /** The earliest moment at which its word may turn; undefined: nothing points to it. */
  turnsAtMs(region: string, nowMs: number): number | undefined;
  /** Regions that were heard of late. */
  readonly size: number;
  readonly isIgnored: boolean;
  /** Regions that say no while their probes pass, as of the last tick. */
  readonly lonely: readonly string[];
};

type NodeWord = { isServing: boolean; says: string; heardMs: number };
type Entry = {
  readonly nodes: Map<string, NodeWord>;
  /** What is believed. */
  isServing: boolean;
  sinceMs: number;
  /** Since when the nodes say the contrary. */
  contrarySinceMs: number | undefined;
};

export function createReportVotes(): ReportVotes {
  const entries = new Map<string, Entry>();
  let isIgnored = false;
  let calmSinceMs: number | undefined;
  let lonely: readonly string[] = [];

  const isServingNow = (entry: Entry): boolean => [...entry.nodes.values()].some(({ isServing }) => isServing);

  const settle = (entry: Entry, nowMs: number): boolean => {
    const before = entry.contrarySinceMs;
    entry.contrarySinceMs = isServingNow(entry) === entry.isServing ? undefined : (before ?? nowMs);
    const { contrarySinceMs } = entry;
    if (contrarySinceMs === undefined || nowMs - contrarySinceMs < (entry.isServing ? NO_AFTER_MS : YES_AFTER_MS))
      return contrarySinceMs !== before;
    entry.isServing = !entry.isServing;
    entry.sinceMs = nowMs;
    entry.contrarySinceMs = undefined;
    return true;
  };

  /** @returns whether it has begun or ended */
  const brake = (regions: readonly string[], doProbesPass: (region: string) => boolean, nowMs: number): boolean => {
    lonely = regions.filter((region) => entries.get(region)?.isServing === false && doProbesPass(region));
    const isMost = (count: number): boolean => count * 2 > regions.length;
    const recent = lonely.filter((region) => nowMs - entries.get(region)!.sinceMs < BRAKE_WINDOW_MS);
    if (!isIgnored) {
      isIgnored = isMost(recent.length);
      calmSinceMs = undefined;
      return isIgnored;
    }
    calmSinceMs = isMost(lonely.length) ? undefined : (calmSinceMs ?? nowMs);
    isIgnored = calmSinceMs === undefined || nowMs - calmSinceMs < RELEASE_AFTER_MS;
    return !isIgnored;
  };

  return {
    take({ region, node, isServing, says }, isFresh, nowMs) {
      let entry = entries.get(region);
      if (!isFresh) {
        if (entry === undefined || !entry.nodes.delete(node)) return false;
        if (entry.nodes.size > 0) return settle(entry, nowMs);
        entries.delete(region);
        return true;
      }
      const isFirst = entry === undefined;
      if (entry === undefined) {
        entry = { nodes: new Map(), isServing: true, sinceMs: nowMs, contrarySinceMs: undefined };
        entries.set(region, entry);
      }
      entry.nodes.set(node, { isServing, says, heardMs: nowMs });
      return settle(entry, nowMs) || isFirst;
    },
    tick(regions, doProbesPass, nowMs) {
      let isChanged = false;
      for (const [region, entry] of entries) {
        for (const [node, { heardMs }] of entry.nodes) if (nowMs - heardMs > FORGET_AFTER_MS) entry.nodes.delete(node);
        if (entry.nodes.size > 0 && regions.includes(region)) isChanged = settle(entry, nowMs) || isChanged;
        else isChanged = entries.delete(region) || isChanged;
      }
      return brake(regions, doProbesPass, nowMs) || isChanged;
    },
    wordOf(region) {
      const entry = entries.get(region);
      if (entry === undefined) return undefined;
      const words = [...entry.nodes.values()];
      const says = words.find((word) => word.isServing === entry.isServing)?.says ?? "";
      const heardMs = Math.max(...words.map((word) => word.heardMs));
      return { isServing: entry.isServing, says, sinceMs: entry.sinceMs, heardMs, nodes: [...entry.nodes.keys()] };
    },
    turnsAtMs(region, nowMs) {
      const entry = entries.get(region);
      if (entry === undefined || (entry.isServing && entry.contrarySinceMs === undefined)) return undefined;
      return (entry.contrarySinceMs ?? nowMs) + (entry.isServing ? NO_AFTER_MS : YES_AFTER_MS);
    },
    get size() {
      return entries.size;
    },
    get isIgnored() {
      return isIgnored;
    },
    get lonely() {
      return lonely;
    },
  };
}
