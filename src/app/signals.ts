/**
 * Runs until somebody asks the process to end: SIGTERM and SIGINT drain, SIGHUP reloads, SIGUSR2 replaces. A second
 * SIGINT or SIGTERM while draining ends at once.
 * @module
 */

/**
 * @param onReload SIGHUP
 * @param onReplace SIGUSR2: start the program anew in our place
 * @returns the name of the signal that asked for the end
 */
export function untilSignal(onReload: () => void, onReplace?: () => void): Promise<string> {
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
  if (onReplace) process.on("SIGUSR2", onReplace);
  return promise;
}
