/**
 * The heartbeat that the guard in the sidecar reads (deploy/exabgp/rhumb-guard): a line naming all that it has to withdraw
 * when no more come.
 * @module
 */
import { type Pipes, pipeFault, type WritePipe } from "#bgp/pipes.ts";

/** Silence after which the guard withdraws. */
export const GUARD_LIMIT_MS = 1_000;

export const heartbeatLine = (prefixes: readonly string[]): string => `${["rhumb", "1", ...prefixes].join(" ")}\n`;

export type Heartbeat = {
  /** Never throws, never waits. @returns why nobody reads it; undefined: the guard took it */
  beat(prefixes: readonly string[]): string | undefined;
  close(): void;
};

export function createHeartbeat(path: string, pipes: Pipes): Heartbeat {
  let pipe: WritePipe | undefined;
  const close = (): void => {
    pipe?.close();
    pipe = undefined;
  };
  return {
    beat(prefixes) {
      try {
        pipe ??= pipes.openWrite(path);
        // Shorter than PIPE_BUF (config.ts says how many prefixes there may be): taken whole, or not at all (pipe(7)).
        const taken = pipe.write(Buffer.from(heartbeatLine(prefixes)));
        return taken > 0 ? undefined : `${path}: it is full, the guard does not read`;
      } catch (error) {
        close();
        return pipeFault(path, error);
      }
    },
    close,
  };
}
