/**
 * Sees to it that nothing of a stage outlives its runner, however that ends: it reads orders, one JSON a line, and when its
 * input ends it kills every process that it was told of, with all that those started, and runs what was left to it.
 * @module
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

export type KeeperOrder =
  | { readonly kind: "keep"; readonly pid: number }
  | { readonly kind: "forget"; readonly pid: number }
  /** A command for the end, such as one that removes a namespace. */
  | { readonly kind: "atEnd"; readonly command: readonly [string, ...string[]] };

const pids = new Set<number>();
const commands: (readonly [string, ...string[]])[] = [];

/** Linux alone tells; elsewhere process groups have to do. */
function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
const withDescendants = (pid: number): number[] => [pid, ...childrenOf(pid).flatMap(withDescendants)];

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {}); // meant for the runner
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as KeeperOrder;
  if (order.kind === "keep") pids.add(order.pid);
  else if (order.kind === "forget") pids.delete(order.pid);
  else if (order.kind === "atEnd") commands.push(order.command);
}
for (const pid of [...pids].flatMap(withDescendants)) {
  // Each leads a group of its own; one that has none is killed alone.
  for (const whom of [-pid, pid]) {
    try {
      process.kill(whom, "SIGKILL");
    } catch {}
  }
}
for (const [program, ...words] of commands) spawnSync(program, words, { stdio: "ignore" });
