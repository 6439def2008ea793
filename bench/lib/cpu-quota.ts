/**
 * Gives a process a part of a core, through the cpu controller of cgroups (version 1 or 2), where this user may write it.
 * @module
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const PERIOD_MICROS = 10_000;

export type CpuQuota = { set(share: number): void; remove(): void };

/** @returns undefined where there is no such controller to write to */
export function createCpuQuota(pids: readonly number[]): CpuQuota | undefined {
  const isVersion2 = existsSync("/sys/fs/cgroup/cgroup.controllers");
  const folder = join("/sys/fs/cgroup", isVersion2 ? "" : "cpu", `rhumb-bench-${process.pid}`);
  try {
    if (isVersion2 && !readFileSync("/sys/fs/cgroup/cgroup.subtree_control", "utf8").includes("cpu")) return undefined;
    mkdirSync(folder);
    for (const pid of pids) writeFileSync(join(folder, "cgroup.procs"), String(pid));
  } catch {
    return undefined;
  }
  return {
    set(share) {
      const quota = share >= 1 ? -1 : Math.max(1_000, Math.round(share * PERIOD_MICROS));
      if (isVersion2) writeFileSync(join(folder, "cpu.max"), `${quota < 0 ? "max" : quota} ${PERIOD_MICROS}`);
      else {
        writeFileSync(join(folder, "cpu.cfs_period_us"), String(PERIOD_MICROS));
        writeFileSync(join(folder, "cpu.cfs_quota_us"), String(quota));
      }
    },
    /** After the processes have ended. */
    remove() {
      rmdirSync(folder);
    },
  };
}
