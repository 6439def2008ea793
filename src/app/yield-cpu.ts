/**
 * Threads that step back where cores are few: answering and relaying go first.
 * @module
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setPriority } from "node:os";

/** Of 19: the lowest. A thread with it gets a small share of a core that others want, and all of one that nobody does. */
const NICENESS = 15;
/** They must get on, or the serving threads do their work in the end: a tenth of a core that others want. */
const HELPER_NICENESS = 10;
/** As Node names the threads that collect garbage and compile for all others. */
const HELPER = "node-V8Worker";
const TASKS = "/proc/self/task";

/** Lowers the priority of the thread that calls it. Linux gives threads their own; elsewhere nothing happens. */
export function yieldCpu(): void {
  try {
    // "1234/task/1240": the last number is the thread's
    setPriority(Number(readlinkSync("/proc/thread-self").split("/").at(-1)), NICENESS);
  } catch {
    // It builds at the priority that it has.
  }
}

/**
 * Lowers the priority of V8's helper threads. Once awake they had a core for 2.3 ms at a time, eight times a second, while a
 * relay on the same core waited: more than one request in a hundred. Call it once; where Node names them otherwise, or
 * there is no Linux, nothing happens.
 */
export function yieldHelpers(): void {
  try {
    for (const thread of readdirSync(TASKS))
      if (readFileSync(`${TASKS}/${thread}/comm`, "utf8").trim() === HELPER)
        setPriority(Number(thread), HELPER_NICENESS);
  } catch {
    // They help at the priority that they have.
  }
}
