/**
 * Drills never overlap on one machine: they would measure each other. A file names the process that runs one.
 * @module
 */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RhumbError } from "#base/errors.ts";

export const LOCK_FILE = join(tmpdir(), "rhumb-drill.lock");

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process: there, and not ours to signal.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function holderOf(file: string): number | undefined {
  try {
    const pid = Number(readFileSync(file, "utf8").trim());
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @returns what gives it free
 * @throws RhumbError RHUMB_DRILL_BUSY which names the process that has it
 */
export function takeLock(file = LOCK_FILE): () => void {
  for (let tries = 0; ; tries++) {
    try {
      const descriptor = openSync(file, "wx", 0o644);
      writeSync(descriptor, `${process.pid}\n`);
      closeSync(descriptor);
      return () => rmSync(file, { force: true });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
      const holder = holderOf(file);
      if ((holder !== undefined && isAlive(holder)) || tries > 0)
        throw new RhumbError("RHUMB_DRILL_BUSY", `process ${holder ?? "unknown"}, by ${file}`);
      // Its process has died without a word.
      rmSync(file, { force: true });
    }
  }
}
