/**
 * What people are told of a target: the shape behind `rhumb status` and the API, evidence included.
 *
 * Units:   Unix ms and ms; null where nothing is known.
 * @module
 */
import type { OverrideSpec } from "#state/snapshot.ts";

export type OverrideView = Omit<OverrideSpec, "untilMs"> & {
  /** Null: until it is cleared. */
  readonly untilMs: number | null;
  /** Ids of the targets that it matches now. */
  readonly matches: readonly string[];
};

/** One vantage and how it stands with the others. */
export type VantageView = {
  readonly vantage: string;
  readonly isOwn: boolean;
  /** False: it does not trust its own network. */
  readonly isSound: boolean;
  /** ms since it was last heard; null: never. */
  readonly silentMs: number | null;
  /** Why its votes do not count; null: they do. */
  readonly quarantine: string | null;
  /** How many of its votes on addresses of regions are for up, for down, and too old to count. */
  readonly votes: { readonly up: number; readonly down: number; readonly stale: number };
};

/** One vote on an address, with what it rests on. */
export type VoteView = {
  /** A vantage, or `region/eu-west` for the region's own report. */
  readonly voter: string;
  readonly isOwn: boolean;
  readonly isUp: boolean;
  /** Of vantages: up, failing, down, recovering; of regions: serving, not-serving. */
  readonly state: string;
  /** `ignored`: reports do not count now (ruling 13). */
  readonly standing: "counts" | "stale" | "quarantined" | "ignored";
  readonly ageMs: number;
  readonly sinceMs: number;
  /** Empty: it passed. */
  readonly errorClass: string;
  readonly says: string;
  readonly status: number | null;
  readonly phasesMs: {
    readonly connect: number;
    readonly tls: number;
    readonly answer: number;
    readonly total: number;
  };
};

export type TargetView = {
  readonly target: string;
  readonly kind: "region" | "address";
  /** `held`: votes are against it, but not enough of them; it stays up. */
  readonly verdict: "up" | "down" | "held" | "unknown";
  /** What steering acts on: the verdict with override, hold and drain. */
  readonly serving: "up" | "down" | "drain";
  /** Addresses: up, failing, down, recovering; regions: up, down, hold, approval, ramp. */
  readonly state: string;
  readonly sinceMs: number | null;
  readonly nextFlipAtMs: number | null;
  readonly cause: string | null;
  readonly rttMs: number | null;
  readonly excessRttMs: number | null;
  readonly loadPercent: number | null;
  readonly rampPercent: number;
  readonly weightPercent: number;
  readonly isStale: boolean;
  readonly isLowConfidence: boolean;
  /** Votes of all who have one, counted or not; of regions: their own report alone. */
  readonly votes: readonly VoteView[];
  /** Votes that were wanted to decide; null: of regions, and of what nobody votes on. */
  readonly quorum: number | null;
  /** Down by its probes, but kept at its last verdict by the blast budget. */
  readonly isFrozen: boolean;
  readonly awaitsApproval: boolean;
  readonly check: string | null;
  /** Failures that count towards down, and passes in a row. */
  readonly failures: number;
  readonly streak: number;
  readonly lastProbe: {
    readonly atMs: number;
    readonly isPass: boolean;
    readonly durationMs: number;
    /** `none` for a pass; see `probes/probe.ts`. */
    readonly errorClass: string;
    /** Whether a connection stood before it ended. */
    readonly isConnected: boolean;
    readonly says: string;
  } | null;
  readonly override: OverrideView | null;
};

export const roundMs = (micros: number): number | null => (micros === 0 ? null : Math.round(micros) / 1_000);
