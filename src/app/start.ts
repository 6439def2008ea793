/**
 * `rhumb start`: runs the roles of a configuration until SIGTERM.
 * @module
 */
import { createLog, type LogFormat } from "#app/create-log.ts";
import { findPredecessor } from "#app/handover.ts";
import { type RhumbNode, startNode } from "#app/node.ts";
import { untilSignal } from "#app/signals.ts";
import { StartRefused } from "#app/start-refused.ts";
import { yieldHelpers } from "#app/yield-cpu.ts";
import { keepHeapTight } from "#base/heap.ts";
import { formatProblem } from "#base/problem.ts";
import { readVersion } from "#cli/version.ts";

export type StartOptions = { readonly config: string; readonly logLevel: string; readonly logFormat: LogFormat };

/** @returns the exit code: 0 after SIGTERM or SIGINT, 1 when the configuration is refused */
export async function start({ config, logLevel, logFormat }: StartOptions): Promise<number> {
  keepHeapTight();
  yieldHelpers();
  const log = createLog({ level: logLevel, format: logFormat });
  // Somebody forgot one of two endings. What serves is in other threads and in order: it must not end for that.
  process.on("unhandledRejection", (error) =>
    log.error({ error }, "A failure that nobody took care of: the node goes on; please report it"),
  );
  const version = readVersion();
  let node: RhumbNode | undefined;
  // From the first moment on: an end that is asked for while we start comes when we have started.
  const { promise: replaced, resolve: beReplaced } = Promise.withResolvers<string>();
  const replace = async (): Promise<void> => {
    if (await node?.handOver()) beReplaced("SIGUSR2");
  };
  const ended = Promise.race([
    untilSignal(
      () => void node?.reload(),
      () => void replace(),
    ),
    replaced,
  ]);
  try {
    node = await startNode({ config, version, log, predecessor: findPredecessor() });
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
