/**
 * Runs until somebody asks the process to end: SIGTERM and SIGINT drain, SIGHUP reloads. A second SIGINT or SIGTERM
 * while draining ends at once.
 * @module
 */

/** @returns the name of the signal that asked for the end */
export function untilSignal(onReload: () => void): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let isEnding = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (isEnding) process.exit(1);
      isEnding = true;
      resolve(signal);
    });
  }
  process.on("SIGHUP", onReload);
  return promise;
}
