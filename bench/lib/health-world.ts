/**
 * The targets of the health benchmark: loopback addresses, a hundred to a region, one in a hundred of them failing.
 * @module
 */
import type { CheckSpec, HealthSnapshot, TargetSpec } from "#state/snapshot.ts";

const PER_REGION = 100;
const FAILING_LAST_OCTET = 7;

export const addressOf = (index: number): string => `127.20.${Math.floor(index / PER_REGION)}.${index % PER_REGION}`;
export const isFailing = (address: string): boolean => address.endsWith(`.${FAILING_LAST_OCTET}`);

export const INTERVAL_MS = 10_000;
/** Of `votes`: the default of a check. */
const VOTED_INTERVAL_MS = 5_000;
export const VANTAGES = ["bench", "second", "third"];
const FAILBACK = {
  mode: "auto",
  holdMs: "auto",
  ramp: [10, 25, 50, 100],
  rampStepMs: 30_000,
  rampAfterMs: 30_000,
} as const;

/** @param kind what to probe with; `node-http` and `votes` are HTTP checks as well */
export function checkFor(kind: string, port: number): CheckSpec {
  const base = {
    name: "bench",
    port,
    intervalMs: kind === "votes" ? VOTED_INTERVAL_MS : INTERVAL_MS,
    timeoutMs: 2_000,
    thresholds: { down: 3, up: 5, ok: 5 },
    downSpanMs: 2_000,
    failback: FAILBACK,
  };
  if (kind === "tcp") return { ...base, kind };
  if (kind === "tls") {
    return { ...base, kind, tls: { serverName: "bench.example", verify: false, minDaysLeft: 7, caFile: undefined } };
  }
  return {
    ...base,
    kind: "http",
    path: "/healthz",
    method: "GET",
    headers: {},
    host: "www.bench.example",
    status: [[200, 299]],
    body: undefined,
    tls: undefined,
  };
}

/** @param vantages all that vote; empty: the node is alone */
export function snapshotFor(check: CheckSpec, count: number, vantages: readonly string[] = []): HealthSnapshot {
  const targets: TargetSpec[] = [];
  for (let first = 0; first < count; first += PER_REGION) {
    const index = targets.length;
    const size = Math.min(PER_REGION, count - first);
    const members = Array.from({ length: size }, (_, at) => index + 1 + at);
    const id = `region/r${first / PER_REGION}`;
    targets.push({ index, id, kind: "region", members, v4Members: members, upThreshold: 0.5, failback: FAILBACK });
    for (const [at, member] of members.entries()) {
      const address = addressOf(first + at);
      targets.push({ index: member, id: `${id}/${address}`, kind: "address", address, check: check.name });
    }
  }
  const quorum = Math.max(1, Math.floor(vantages.length / 2) + 1);
  return { targets, checks: [check], fileOverrides: [], vantage: "bench", vantages, quorum, references: [] };
}
