/**
 * Regions, checks and overrides → `HealthSnapshot`.
 * @module
 */
import { resolve } from "node:path";
import { hashText } from "#base/hash.ts";
import type { ConfigFiles } from "#config/files.ts";
import type { ParsedConfig } from "#config/parse.ts";
import type { CheckConfig, FailbackConfig } from "#health/config.ts";
import type {
  CheckSpec,
  FailbackSpec,
  HealthSnapshot,
  OverrideSpec,
  RegionSpec,
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

function checkOf(name: string, check: CheckConfig, files: ConfigFiles): CheckSpec {
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
      return { ...base, kind: "tcp", port: check.port };
    case "tls":
      return { ...base, kind: "tls", port: check.port, tls: tlsOf(check, files.folder) };
    case "http":
    case "https":
      return {
        ...base,
        kind: check.kind,
        port: check.port,
        path: check.path,
        method: check.method,
        headers: check.headers,
        host: check.host,
        status: check.expect.status,
        body: check.expect.body,
        tls: check.kind === "https" ? tlsOf(check, files.folder) : undefined,
      };
    case "dns": {
      const { port, name: questionName, type: questionType, rcode, answer, overTcp } = check;
      return { ...base, kind: "dns", port, questionName, questionType, rcode, answer, overTcp };
    }
    case "grpc":
      return { ...base, kind: "grpc", port: check.port, service: check.service, authority: check.authority };
    case "script": {
      const script = files.scripts.get(check.file);
      const file = script && "path" in script ? script.path : resolve(files.folder, check.file);
      return { ...base, kind: "script", file, args: check.args, user: check.user };
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

export function compileHealth(
  parsed: ParsedConfig,
  files: ConfigFiles,
  regions: readonly RegionSpec[],
  vantage: string,
): HealthSnapshot {
  return {
    targets: targetsOf(parsed, regions),
    checks: [...parsed.checks].map(([name, { value }]) => checkOf(name, value, files)),
    fileOverrides: overridesOf(parsed, files.healthOverrides?.changedAtMs ?? 0),
    vantage,
    quorum: quorumOf(parsed),
  };
}
