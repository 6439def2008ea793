/**
 * The access log of one worker: which requests are written, and lines in batches to whoever owns the file.
 *
 * Owns:    the batch. Errors (500 and more) are always written, others as `samplePercent` says.
 * Never:   opens a file (`app/balancer/access-files.ts` does, in the main thread).
 * @module
 */
import type { AccessEntry } from "#l7/context.ts";
import { accessLine } from "#l7/log/access-line.ts";
import type { AccessLogSpec } from "#state/http.ts";

/** A batch goes out when it is this long, else at the next tick. */
const BATCH_OCTETS = 32_768;

export type AccessLog = {
  write(spec: AccessLogSpec, entry: AccessEntry): void;
  /** Hands out what waits. */
  tick(): void;
};

/**
 * @param send takes lines for a file
 * @param rng uniform in [0, 1)
 */
export function createAccessLog(options: {
  readonly send: (path: string, lines: string) => void;
  readonly rng: () => number;
}): AccessLog {
  const { send, rng } = options;
  const waiting = new Map<string, string>();

  function flush(path: string): void {
    const lines = waiting.get(path)!;
    waiting.delete(path);
    send(path, lines);
  }
  return {
    write({ path, samplePercent }, entry) {
      if (entry.status < 500 && samplePercent < 100 && rng() * 100 >= samplePercent) return;
      const lines = (waiting.get(path) ?? "") + accessLine(entry);
      waiting.set(path, lines);
      if (lines.length >= BATCH_OCTETS) flush(path);
    },
    tick() {
      for (const path of waiting.keys()) flush(path);
    },
  };
}
