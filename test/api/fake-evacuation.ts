/** Evacuations as the routes see them: one that waits, and commands that are written down. */
import type { Commands, EvacuationView } from "#api/views.ts";
import { RhumbError } from "#base/errors.ts";

export const EVACUATION: EvacuationView = {
  region: "eu-west",
  direction: "leave",
  step: "tail",
  weight: 0,
  isStopped: false,
  reason: "kernel upgrade",
  owner: "kim",
  leader: "ns1",
  startedAtMs: 1_800_000_000_000,
  stepAtMs: 1_800_000_060_000,
  orders: 1,
  terms: {
    weights: [50, 0],
    ramp: [10, 25, 50, 100],
    weightWaitMs: 30_000,
    tailShare: 0.01,
    tailTimeoutMs: 300_000,
    drainTimeoutMs: 120_000,
    withdraws: false,
    isForced: false,
  },
  startRps: 100,
  zeroAtMs: 1_800_000_030_000,
  curve: [{ afterSeconds: 30, share: 0.4 }],
  history: [{ atMs: 1_800_000_000_000, step: "weight", says: "kim evacuates eu-west: kernel upgrade" }],
  says: "12 % of its requests are left",
  nowRps: 12,
  inFlight: 3,
};

type Call = { command: string; input: unknown; actor?: unknown };
type EvacuationCommands = Pick<Commands, "evacuate" | "returnRegion" | "stopEvacuation" | "resumeEvacuation">;

export function createFakeEvacuations(calls: Call[]): EvacuationCommands {
  const noted =
    (command: string) =>
    (...given: readonly unknown[]): EvacuationView => {
      calls.push({ command, input: given.slice(0, -1), actor: given.at(-1) });
      if (given[0] === "us-east") throw new RhumbError("RHUMB_EVACUATION_NONE", "us-east");
      return EVACUATION;
    };
  return {
    evacuate: noted("evacuate"),
    returnRegion: noted("returnRegion"),
    stopEvacuation: noted("stopEvacuation"),
    resumeEvacuation: noted("resumeEvacuation"),
  };
}
