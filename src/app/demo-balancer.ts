/**
 * The balancer of a demo region: a whole rhumb node that plays the balancer role, in a process of its own.
 *
 * Run as a child: `node demo-balancer.ts CONFIG LOG`; says "ready" to its parent once it serves.
 * Never:   outlives its parent.
 * @module
 */
import { createWriteStream } from "node:fs";
import { flushCompileCache } from "node:module";
import { createLog } from "#app/create-log.ts";
import { startNode } from "#app/node.ts";
import { StartRefused } from "#app/start-refused.ts";
import { yieldHelpers } from "#app/yield-cpu.ts";
import { keepHeapTight } from "#base/heap.ts";
import { formatProblem } from "#base/problem.ts";
import { readVersion } from "#cli/version.ts";

const [config, logFile] = process.argv.slice(2);
if (config === undefined || logFile === undefined) {
  console.error("usage: demo-balancer.ts CONFIG LOG");
  process.exit(2);
}
process.on("disconnect", () => process.exit(0));
process.on("SIGINT", () => {}); // Ctrl-C reaches the whole group; the parent decides when we end

keepHeapTight();
yieldHelpers();
const stream = createWriteStream(logFile, { flags: "a", mode: 0o600 });
try {
  await startNode({ config, version: readVersion(), log: createLog({ level: "info", format: "json", stream }) });
  flushCompileCache(); // we are killed, not ended: now or never
  process.send?.("ready");
} catch (error) {
  const says = error instanceof StartRefused ? error.problems.map(formatProblem).join("\n") : String(error);
  process.send?.({ failed: says });
  process.exit(1);
}
