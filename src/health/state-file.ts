/**
 * What survives a restart: verdicts, RTTs and failback phases, in one JSON file.
 *
 * A restart must not forget that a region is down, nor cut its hold short. What is older than 10 minutes says nothing any
 * more and is left out. Counts of failures and passes are not kept: evidence counts from the restart on.
 *
 * A file that cannot be read or understood is set aside under `<file>.corrupt` and told; it never stops the start. Writes go
 * to a temporary file that is flushed and renamed, so that a crash leaves the old or the new state, never half of one.
 *
 * Units:   Unix ms in the file, because the steady clock starts anew with each boot.
 * @module
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import type { FailbackPhase } from "#health/failback.ts";

const RESTORE_MAX_AGE_MS = 600_000;
const VERSION = 1;

export type StoredMonitor = {
  readonly isUp: boolean;
  readonly sinceMs: number;
  readonly resultAtMs: number;
  readonly rttMicros: number;
  readonly baselineMicros: number;
  readonly lows: readonly number[];
};
export type StoredRegion = {
  readonly phase: FailbackPhase;
  readonly sinceMs: number;
  readonly downSinceMs: number;
  readonly outageMs: number;
  readonly holdMs: number;
  readonly penalty: number;
  readonly penaltyAtMs: number;
  readonly step: number;
};
export type StoredState = {
  readonly savedAtMs: number;
  readonly monitors: Readonly<Record<string, StoredMonitor>>;
  readonly regions: Readonly<Record<string, StoredRegion>>;
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const areNumbers = (object: Record<string, unknown>, keys: readonly string[]): boolean =>
  keys.every((key) => Number.isFinite(object[key]));

const PHASES: readonly string[] = ["up", "down", "hold", "approval", "ramp"] satisfies FailbackPhase[];
const isMonitor = (value: unknown): value is StoredMonitor =>
  isObject(value) &&
  typeof value["isUp"] === "boolean" &&
  areNumbers(value, ["sinceMs", "resultAtMs", "rttMicros", "baselineMicros"]) &&
  Array.isArray(value["lows"]) &&
  value["lows"].length <= 24 &&
  value["lows"].every(Number.isFinite);
const isRegion = (value: unknown): value is StoredRegion =>
  isObject(value) &&
  PHASES.includes(value["phase"] as string) &&
  areNumbers(value, ["sinceMs", "downSinceMs", "outageMs", "holdMs", "penalty", "penaltyAtMs", "step"]);

/** @throws SyntaxError or Error when the text is no state of ours */
export function parseState(text: string): StoredState {
  const value: unknown = JSON.parse(text);
  if (!isObject(value) || value["version"] !== VERSION || !Number.isFinite(value["savedAtMs"])) {
    throw new Error(`not a health state of version ${VERSION}`);
  }
  const { monitors, regions, savedAtMs } = value;
  if (!isObject(monitors) || !Object.values(monitors).every(isMonitor)) throw new Error("a target's state is broken");
  if (!isObject(regions) || !Object.values(regions).every(isRegion)) throw new Error("a region's state is broken");
  return { savedAtMs: savedAtMs as number, monitors, regions } as StoredState;
}

const formatState = (state: StoredState): string => JSON.stringify({ version: VERSION, ...state });

export type Restored =
  | { readonly kind: "none" }
  | { readonly kind: "old"; readonly ageMs: number }
  | { readonly kind: "corrupt"; readonly says: string; readonly keptAs: string }
  | { readonly kind: "state"; readonly state: StoredState };

/** Reads the file once, at start; never throws. A file from the future (its clock was wrong) is as good as none. */
export function restoreState(file: string, nowMs: number): Restored {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { kind: "none" };
    return { kind: "corrupt", says: (error as Error).message, keptAs: file };
  }
  try {
    const state = parseState(text);
    const ageMs = nowMs - state.savedAtMs;
    return ageMs > RESTORE_MAX_AGE_MS || ageMs < -1_000 ? { kind: "old", ageMs } : { kind: "state", state };
  } catch (error) {
    const keptAs = `${file}.corrupt`;
    try {
      renameSync(file, keptAs);
    } catch {
      return { kind: "corrupt", says: (error as Error).message, keptAs: file };
    }
    return { kind: "corrupt", says: (error as Error).message, keptAs };
  }
}

/**
 * While running: does not hold up the event loop.
 * @param isWanted asked last of all: a newer state may have been saved meanwhile, and must not be replaced by this one
 */
export async function saveState(file: string, state: StoredState, isWanted = () => true): Promise<void> {
  const temporary = `${file}.new`;
  const handle = await open(temporary, "w", 0o600);
  try {
    await handle.writeFile(formatState(state));
    await handle.sync();
  } finally {
    await handle.close();
  }
  // Between the question and the rename nothing else may run.
  if (isWanted()) renameSync(temporary, file);
  else rmSync(temporary, { force: true });
}

/** At the end, when nothing may be awaited any more. A name of its own: an unfinished `saveState` may hold the other. */
export function saveStateNow(file: string, state: StoredState): void {
  const temporary = `${file}.last`;
  const handle = openSync(temporary, "w", 0o600);
  try {
    writeSync(handle, formatState(state));
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, file);
}
