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

export type TargetView = {
  readonly target: string;
  readonly kind: "region" | "address";
  readonly verdict: "up" | "down" | "unknown";
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
