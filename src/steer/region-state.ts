/**
 * What the health table says of a service's regions, in the form that filters and answers use.
 *
 * Owns:    reading the table into a fingerprint (plain words), and turning a fingerprint into states. States are a
 *          pure function of the fingerprint: compiled answers stay valid exactly as long as it stays equal.
 * Units:   shares in 4,096ths, load in permille, RTT in ms. RTT and load are rounded here, for serving and explaining
 *          alike, so that a table that trembles does not throw away compiled answers.
 * @module
 */
import {
  emptyTargetState,
  FLAG_HOLD,
  FLAG_STALE,
  healthWordIndex,
  OVERRIDE,
  readTarget,
  VERDICT,
} from "#state/health-table.ts";
import type { BoundService, Candidate } from "#steer/candidate.ts";

/** How good a region is; a lower number is admitted first when nothing better is left (ruling 7). */
export const RANK = { up: 0, returning: 1, drained: 2, stale: 3, down: 4, overriddenDown: 5 } as const;
export type Rank = (typeof RANK)[keyof typeof RANK];

export const FULL_SHARE = 4_096;

export type RegionState = {
  readonly rank: Rank;
  /** Share of its clients that an up region takes, in 4,096ths (not rounded): below all in a ramp or a partial drain. */
  readonly share: number;
  /** What the region counts as for a client outside of its share. */
  readonly rankOutsideShare: Rank;
  /** No change of this region or of one of its addresses is announced. */
  readonly isQuiet: boolean;
  /** The only change that can come is that of a plain verdict, which `dependencies.ts` can play through. */
  readonly isPlainVerdict: boolean;
  readonly loadPermille: number;
  readonly probeRttMs: number;
  /** How far the probe RTT lies above its own baseline, in ms. */
  readonly excessRttMs: number;
  /** For explain. */
  readonly says: string;
  /** Addresses to give when the region is chosen. */
  readonly v4: readonly Uint8Array[];
  readonly v6: readonly Uint8Array[];
};

/** Up, but only for a share of its clients: in a ramp or a partial drain. */
export const isPartial = (state: RegionState): boolean => state.rank === RANK.up && state.share < FULL_SHARE;

const WORDS_PER_REGION = 3;
/** Load counts in steps of 1 %. */
const LOAD_STEP_PERMILLE = 10;
/** RTT counts in steps of a fifth of the default slack of `latency`. */
const RTT_STEP_MS = 2;

export const fingerprintLength = (service: BoundService): number =>
  service.candidates.reduce((sum, { region }) => sum + WORDS_PER_REGION + region.addressTargets.length, 0);

const scratch = emptyTargetState();

/**
 * Reads all that the service's answers depend on into `into` (of `fingerprintLength`), and the second of the earliest
 * announced change of each region, its addresses included, into `flips` (0: quiet). Allocates nothing.
 */
export function readFingerprint(
  service: BoundService,
  table: Uint32Array,
  into: Uint32Array,
  flips: Float64Array,
): void {
  let at = 0;
  for (let index = 0; index < service.candidates.length; index++) {
    const { region } = service.candidates[index]!;
    const state = readTarget(table, region.target, scratch);
    let flip = state.flipAtSeconds;
    const first = at;
    at += WORDS_PER_REGION;
    for (let address = 0; address < region.addressTargets.length; address++) {
      const word = healthWordIndex(region.addressTargets[address]!);
      into[at++] = Atomics.load(table, word);
      const addressFlip = Atomics.load(table, word + 1);
      if (addressFlip !== 0 && (flip === 0 || addressFlip < flip)) flip = addressFlip;
    }
    into[first] = Atomics.load(table, healthWordIndex(region.target));
    const load = service.usesLoad ? Math.floor(state.loadPermille / LOAD_STEP_PERMILLE) : 0;
    into[first + 1] = (load << 1) | (flip === 0 ? 0 : 1);
    into[first + 2] = service.usesLatency
      ? (Math.min(0xffff, Math.round(state.rttMicros / 1_000 / RTT_STEP_MS)) << 16) |
        Math.round(state.excessRttTenthsMs / 10 / RTT_STEP_MS)
      : 0;
    flips[index] = flip;
  }
}

/** @returns one state per candidate, in their order */
export function statesFrom(service: BoundService, fingerprint: Uint32Array): RegionState[] {
  let at = 0;
  return service.candidates.map((candidate) => {
    const word = fingerprint[at]!;
    const second = fingerprint[at + 1]!;
    const third = fingerprint[at + 2]!;
    const addresses = fingerprint.subarray(
      at + WORDS_PER_REGION,
      at + WORDS_PER_REGION + candidate.region.addressTargets.length,
    );
    at += WORDS_PER_REGION + addresses.length;
    const standing = standingOf(word);
    return {
      ...standing,
      isQuiet: (second & 1) === 0,
      loadPermille: (second >>> 1) * LOAD_STEP_PERMILLE,
      probeRttMs: (third >>> 16) * RTT_STEP_MS,
      excessRttMs: (third & 0xffff) * RTT_STEP_MS,
      ...usableAddresses(candidate, addresses, standing.rank >= RANK.stale),
    };
  });
}

type Standing = Pick<RegionState, "rank" | "share" | "rankOutsideShare" | "isPlainVerdict" | "says">;

/**
 * What state word 0 means. An override beats the verdict; `unknown` counts as up (ruling 11) and `held` as the last
 * known state, which was up, or the table would say down.
 */
function standingOf(word: number): Standing {
  const verdict = word & 3;
  const override = (word >>> 5) & 7;
  const isUnknown = verdict === VERDICT.unknown;
  const up = (says: string): Standing => ({
    rank: RANK.up,
    share: FULL_SHARE,
    rankOutsideShare: RANK.up,
    isPlainVerdict: false,
    says,
  });
  if (override === OVERRIDE.down) return { ...up("overridden down"), rank: RANK.overriddenDown, share: 0 };
  if (override === OVERRIDE.up) return up("overridden up");
  if (override === OVERRIDE.ignoreHealth) return up("up (health ignored by override)");

  const isHeld = (word & FLAG_HOLD) !== 0;
  if (isHeld) return { ...up("held for failback"), rank: RANK.returning, share: 0 };
  if (verdict === VERDICT.down) {
    const isStale = (word & FLAG_STALE) !== 0;
    return {
      ...up(isStale ? "down, evidence stale" : "down"),
      rank: isStale ? RANK.stale : RANK.down,
      share: 0,
      isPlainVerdict: override === OVERRIDE.none,
    };
  }
  // A row that nobody has written yet is all zeros; ramp and weight say nothing there.
  const rampPercent = isUnknown ? 100 : Math.min(100, (word >>> 8) & 0xff);
  const isDraining = override === OVERRIDE.drain;
  const weightPercent = isDraining ? Math.min(100, (word >>> 16) & 0xff) : 100;
  const says = isUnknown ? "up (not yet probed)" : verdict === VERDICT.held ? "up (votes disagree, last known)" : "up";
  if (rampPercent === 100 && weightPercent === 100) return { ...up(says), isPlainVerdict: !isDraining };
  const rankOutsideShare = weightPercent < 100 ? RANK.drained : RANK.returning;
  const share = (rampPercent * weightPercent * FULL_SHARE) / 10_000;
  return {
    rank: share === 0 ? rankOutsideShare : RANK.up,
    share,
    rankOutsideShare,
    isPlainVerdict: false,
    says: weightPercent < 100 ? `draining, keeps ${weightPercent} %` : `ramp at ${rampPercent} %`,
  };
}

/**
 * The up addresses of each family. All of them where none is up, or where the region itself is in the answer only
 * because nothing better was left (ruling 8). An address that an operator has taken down is never among them.
 */
function usableAddresses(
  { v4, v6 }: Candidate,
  words: Uint32Array,
  isFailOpen: boolean,
): Pick<RegionState, "v4" | "v6"> {
  const usable = (addresses: readonly Uint8Array[], offset: number): readonly Uint8Array[] => {
    const standings = addresses.map((_, index) => standingOf(words[offset + index] ?? 0));
    const allowed = addresses.filter((_, index) => standings[index]!.rank !== RANK.overriddenDown);
    if (isFailOpen) return allowed;
    const up = addresses.filter((_, index) => standings[index]!.rank === RANK.up);
    return up.length > 0 ? up : allowed;
  };
  return { v4: usable(v4, 0), v6: usable(v6, v4.length) };
}
