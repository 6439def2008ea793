/**
 * Regions, checks and overrides → `HealthSnapshot`.
 * @module
 */
import { resolve } from "node:path";
import { hashText } from "#base/hash.ts";
import type { ConfigFiles } from "#config/files.ts";
import type { ParsedConfig } from "#config/parse.ts";
import { type CheckConfig, type FailbackConfig, STANDARD_PORTS } from "#health/config.ts";
import type {
  CheckSpec,
  FailbackSpec,
  HealthSnapshot,
  OverrideSpec,
  RegionSpec,
  SafetyChange,
  SafetyRules,
  TargetSpec,
  TlsCheckOptions,
} from "#state/snapshot.ts";

const failbackOf = (failback: FailbackConfig): FailbackSpec => ({
  mode: failback.mode,
  holdMs: failback.hold,
  ramp: failback.ramp,
  rampStepMs: failback.step,
  rampAfterMs: failback.after,
});
/** Of regions without a check: nothing moves there but by an operator's word. */
const NO_FAILBACK: FailbackSpec = { mode: "auto", holdMs: 0, ramp: [100], rampStepMs: 0, rampAfterMs: 0 };

function tlsOf(check: Extract<CheckConfig, { kind: "tls" | "https" }>, folder: string): TlsCheckOptions {
  return {
    serverName: check.serverName,
    verify: check.verify,
    minDaysLeft: check.minDaysLeft,
    caFile: check.ca === undefined ? undefined : resolve(folder, check.ca),
  };
}

/** The port that a check probes at a region; undefined: it has none, as a script, or needs to be given one. */
export const regionPort = (check: CheckConfig): number | undefined =>
  check.kind === "script" ? undefined : (check.port ?? STANDARD_PORTS[check.kind]);

/** @param port to probe; of scripts, what `{port}` stands for */
export function compileCheck(name: string, check: CheckConfig, port: number, files: ConfigFiles): CheckSpec {
  const base = {
    name,
    intervalMs: check.interval,
    timeoutMs: check.timeout,
    thresholds: check.thresholds,
    downSpanMs: check.downSpan,
    failback: failbackOf(check.failback),
  };
  switch (check.kind) {
    case "tcp":
      return { ...base, kind: "tcp", port };
    case "tls":
      return { ...base, kind: "tls", port, tls: tlsOf(check, files.folder) };
    case "http":
    case "https":
      return {
        ...base,
        kind: check.kind,
        port,
        path: check.path,
        method: check.method,
        headers: check.headers,
        host: check.host,
        status: check.expect.status,
        body: check.expect.body,
        tls: check.kind === "https" ? tlsOf(check, files.folder) : undefined,
      };
    case "dns": {
      const { name: questionName, type: questionType, rcode, answer, overTcp } = check;
      return { ...base, kind: "dns", port, questionName, questionType, rcode, answer, overTcp };
    }
    case "grpc":
      return { ...base, kind: "grpc", port, service: check.service, authority: check.authority };
    case "script": {
      const script = files.scripts.get(check.file);
      const file = script && "path" in script ? script.path : resolve(files.folder, check.file);
      const args = check.args.map((argument) => argument.replaceAll("{port}", port === 0 ? "" : String(port)));
      return { ...base, kind: "script", file, args, user: check.user };
    }
  }
}

/** Votes that decide: the majority of the vantages, 1 when alone. */
function quorumOf(parsed: ParsedConfig): number {
  const { health } = parsed.root;
  const vantages = Math.max(1, Object.keys(health?.vantages ?? {}).length);
  return health === undefined || health.quorum === "auto" ? Math.floor(vantages / 2) + 1 : health.quorum;
}

function overridesOf(parsed: ParsedConfig, createdAtMs: number): OverrideSpec[] {
  return parsed.healthOverrides.map(({ value }) => {
    const target = value.target.includes("/") ? value.target : `region/${value.target}`;
    // Made from the content, so that an entry keeps its id when others come and go above it.
    const key = hashText(`${target} ${value.verb.verb} ${value.reason} ${value.owner} ${value.until}`);
    return {
      id: `file-${key.toString(16).padStart(8, "0")}`,
      target,
      verb: value.verb.verb,
      weightPercent: value.verb.weightPercent,
      reason: value.reason,
      owner: value.owner,
      createdAtMs,
      untilMs: value.until,
      origin: "file",
    };
  });
}

function targetsOf(parsed: ParsedConfig, regions: readonly RegionSpec[]): TargetSpec[] {
  return regions.flatMap((region): TargetSpec[] => {
    const check = region.check === undefined ? undefined : parsed.checks.get(region.check)?.value;
    const addresses = [...region.v4, ...region.v6].map(
      (address, index): TargetSpec => ({
        index: region.addressTargets[index]!,
        id: `region/${region.id}/${address}`,
        kind: "address",
        address,
        check: region.check,
      }),
    );
    const own: TargetSpec = {
      index: region.target,
      id: `region/${region.id}`,
      kind: "region",
      members: region.addressTargets,
      upThreshold: region.upThreshold,
      failback: check ? failbackOf(check.failback) : NO_FAILBACK,
      v4Members: region.addressTargets.slice(0, region.v4.length),
    };
    return [own, ...addresses];
  });
}

function safetyOf({ root }: ParsedConfig): SafetyRules | undefined {
  if (!root.health) return undefined;
  const { assert, gates } = root.health.safety;
  return {
    assert,
    gates: Object.entries(gates).flatMap(([change, needs]) =>
      needs === undefined ? [] : [{ change: change as SafetyChange, needs }],
    ),
  };
}

export function compileHealth(
  parsed: ParsedConfig,
  files: ConfigFiles,
  regions: readonly RegionSpec[],
  vantage: string,
  backends: Pick<HealthSnapshot, "targets" | "checks" | "fileOverrides">,
): HealthSnapshot {
  const checks = [...parsed.checks].flatMap(([name, { value }]) => {
    const port = regionPort(value);
    // A check that says no port, and whose kind has none, is for backends alone.
    return port === undefined && value.kind !== "script" ? [] : [compileCheck(name, value, port ?? 0, files)];
  });
  return {
    targets: [...targetsOf(parsed, regions), ...backends.targets],
    checks: [...checks, ...backends.checks],
    // What operators wrote into the file comes later, and wins.
    fileOverrides: [...backends.fileOverrides, ...overridesOf(parsed, files.healthOverrides?.changedAtMs ?? 0)],
    vantage,
    vantages: Object.keys(parsed.root.health?.vantages ?? {}),
    quorum: quorumOf(parsed),
    references: parsed.root.health?.references ?? [],
    safety: safetyOf(parsed),
  };
}
