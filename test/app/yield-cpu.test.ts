import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import test from "node:test";

/** Threads of a fresh process, by name, with their niceness: field 19 of proc_pid_stat(5). */
function nicenessAfter(call: string): [name: string, niceness: number][] {
  const script = `
    import { readdirSync, readFileSync } from "node:fs";
    import * as all from "#app/yield-cpu.ts";
    all.${call}();
    const threads = readdirSync("/proc/self/task").map((thread) => {
      const stat = readFileSync("/proc/self/task/" + thread + "/stat", "utf8");
      const end = stat.lastIndexOf(")");
      return [stat.slice(stat.indexOf("(") + 1, end), Number(stat.slice(end + 2).split(" ")[16])];
    });
    console.log(JSON.stringify(threads));`;
  const words = ["--input-type=module", "-e", script];
  return JSON.parse(execFileSync(process.execPath, words, { cwd: import.meta.dirname, encoding: "utf8" }));
}

test("yieldHelpers() lowers V8's threads alone, yieldCpu() its own alone", {
  skip: process.platform !== "linux",
}, () => {
  const helped = nicenessAfter("yieldHelpers");
  const isHelper = ([name]: [string, number]): boolean => name === "node-V8Worker";
  assert.ok(helped.some(isHelper), `${helped}`);
  for (const thread of helped) assert.equal(thread[1] > 0, isHelper(thread), `${thread}`);
  const yielded = nicenessAfter("yieldCpu").filter(([, niceness]) => niceness > 0);
  assert.deepEqual(yielded, [["node-MainThread", 15]]);
});
