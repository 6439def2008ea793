/**
 * A thread that builds steps back: answering goes first where cores are few.
 * @module
 */
import { readlinkSync } from "node:fs";
import { setPriority } from "node:os";

/** Of 19: the lowest. A thread with it gets a small share of a core that others want, and all of one that nobody does. */
const NICENESS = 15;

/** Lowers the priority of the thread that calls it. Linux gives threads their own; elsewhere nothing happens. */
export function yieldCpu(): void {
  try {
    // "1234/task/1240": the last number is the thread's
    setPriority(Number(readlinkSync("/proc/thread-self").split("/").at(-1)), NICENESS);
  } catch {
    // It builds at the priority that it has.
  }
}
