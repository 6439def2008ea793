/** Test helper: a balancer's configuration that stands in the test, and what becomes of it. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { formatProblem } from "#base/problem.ts";
import { type CompileOptions, type CompileResult, compile } from "#config/compile.ts";
import type { ConfigFiles, ResolvedName } from "#config/files.ts";
import type { BalancerSnapshot, PoolSpec } from "#state/balancer.ts";
import type { Snapshot } from "#state/snapshot.ts";
import { loadFrom, NOW_MS, testContext } from "./load-good.ts";

type Harness = { after(callback: () => void): void };

/** A folder with a rhumb.yaml that has this section `balancer`, and other files by their paths. */
export function writeBalancer(t: Harness, balancer: string, files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-balancer-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const root = `version: 1\nnode: lb1\nbalancer:\n${balancer.replace(/^/gm, "  ")}\n`;
  for (const [path, text] of Object.entries({ "rhumb.yaml": root, ...files })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

export type Names = Readonly<Record<string, readonly ResolvedName[]>>;
export function compileFiles(
  files: ConfigFiles,
  options: Partial<CompileOptions> & { names?: Names } = {},
): CompileResult {
  const { names, ...rest } = options;
  return compile(names ? { ...files, names: new Map(Object.entries(names)) } : files, {
    ...testContext(),
    generation: { epoch: 1, sequence: 1 },
    nowMs: NOW_MS,
    ...rest,
  });
}
export const compileFolder = (folder: string, options?: Parameters<typeof compileFiles>[1]): CompileResult =>
  compileFiles(loadFrom(folder), options);

export function snapshotOf(result: CompileResult): Snapshot & { balancer: BalancerSnapshot } {
  assert.ok("snapshot" in result, "problems" in result ? result.problems.map(formatProblem).join("\n") : "");
  const { balancer } = result.snapshot;
  assert.ok(balancer);
  return { ...result.snapshot, balancer };
}
export const problemsOf = (result: CompileResult): string[] =>
  ("problems" in result ? result.problems : result.warnings).map(formatProblem);

export function poolOf(snapshot: Snapshot & { balancer: BalancerSnapshot }, name: string): PoolSpec {
  const pool = snapshot.balancer.pools.find((one) => one.name === name);
  assert.ok(pool, `there is no pool ${name}`);
  return pool;
}
