/**
 * `rhumb check`: the path of a reload, up to the point where something would be applied.
 * @module
 */
import { randomBytes } from "node:crypto";
import type { Problem } from "#base/problem.ts";
import { countText } from "#base/units.ts";
import { type CompileResult, compile, createCompileContext, type Summary } from "#config/compile.ts";
import { type LoadOptions, loadConfig } from "#config/load.ts";

export type CheckReport = {
  /** Errors: with one of these, `rhumb start` refuses, and a reload changes nothing. */
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  readonly summary: Summary;
};
export type CheckOptions = LoadOptions & {
  readonly nowMs: number;
  /** Secrets that this machine lacks are errors; otherwise warnings, as in CI. */
  readonly needsSecrets?: boolean;
};

const compileOnce = (configPath: string, options: CheckOptions): CompileResult =>
  compile(loadConfig(configPath, options), {
    ...createCompileContext(randomBytes, 1),
    generation: { epoch: 0, sequence: 0 },
    nowMs: options.nowMs,
    secrets: options.needsSecrets === true ? "require" : "warn",
  });

/** @throws RhumbError RHUMB_CONFIG_UNREADABLE when rhumb.yaml itself cannot be read */
export function checkConfig(configPath: string, options: CheckOptions): CheckReport {
  const result = compileOnce(configPath, options);
  const all = "problems" in result ? result.problems : result.warnings;
  return {
    problems: all.filter((problem) => problem.severity === "error"),
    warnings: all.filter((problem) => problem.severity === "warning"),
    summary: result.summary,
  };
}

/** `1 zone, 7 records, 2 services, 3 regions, 1 check`; of a balancer also `2 listeners, 1 pool, 4 backends` */
export const summaryText = ({ zones, records, services, regions, checks, balancer }: Summary): string =>
  [
    countText(zones, "zone"),
    countText(records, "record"),
    countText(services, "service"),
    countText(regions, "region"),
    countText(checks, "check"),
    ...(balancer
      ? [
          countText(balancer.listeners, "listener"),
          countText(balancer.pools, "pool"),
          countText(balancer.backends, "backend"),
        ]
      : []),
  ].join(", ");
