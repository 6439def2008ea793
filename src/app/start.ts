/**
 * `rhumb start`: runs the roles of a configuration until SIGTERM.
 * @module
 */
import { createLog, type LogFormat } from "#app/create-log.ts";
import { type RhumbNode, startNode } from "#app/node.ts";
import { untilSignal } from "#app/signals.ts";
import { StartRefused } from "#app/start-refused.ts";
import { keepHeapTight } from "#base/heap.ts";
import { formatProblem } from "#base/problem.ts";
import { readVersion } from "#cli/version.ts";

export type StartOptions = { readonly config: string; readonly logLevel: string; readonly logFormat: LogFormat };

/** @returns the exit code: 0 after SIGTERM or SIGINT, 1 when the configuration is refused */
export async function start({ config, logLevel, logFormat }: StartOptions): Promise<number> {
  keepHeapTight();
  const log = createLog({ level: logLevel, format: logFormat });
  const version = readVersion();
  let node: RhumbNode | undefined;
  // From the first moment on: an end that is asked for while we start comes when we have started.
  const ended = untilSignal(() => void node?.reload());
  try {
    node = await startNode({ config, version, log });
    if (node.apiUrl) log.info({ url: node.apiUrl }, `Control API on ${node.apiUrl}`);
    const signal = await ended;
    log.info({ signal }, "Draining, then ending");
    await node.close();
    return 0;
  } catch (error) {
    if (!(error instanceof StartRefused)) throw error;
    for (const problem of error.problems) console.error(formatProblem(problem));
    throw error;
  }
}
