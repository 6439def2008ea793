/**
 * Brings scripts into the kernel: one `nft -f -` at a time, the newest wins, the same script not twice.
 *
 * Owns:    what is known to be in the kernel. nft applies all or nothing, so after a failure the former ruleset serves on.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import { removalScript } from "./ruleset.ts";
import { faultOf, type Run } from "./run.ts";

export type Applier = {
  /**
   * Resolves when the script, or one that came after it, is in the kernel.
   * @throws RhumbError where the kernel does not take it
   */
  apply(script: string): Promise<void>;
  /** Looks whether the tables are still there, and brings them back. @returns whether they were gone */
  verify(): Promise<boolean>;
  /** Removes the tables, if any script was applied. */
  remove(): Promise<void>;
  stats(): { readonly applied: number; readonly failed: number; readonly lastMs: number };
};

/** Between the beginnings of two applies. */
const MIN_INTERVAL_MS = 100;

export function createApplier({ run, clock, table }: { run: Run; clock: Clock; table: string }): Applier {
  let inKernel: string | undefined;
  let waiting: { readonly script: string; readonly done: PromiseWithResolvers<void> } | undefined;
  let working: Promise<void> | undefined;
  let lastStartMs = Number.NEGATIVE_INFINITY;
  const counts = { applied: 0, failed: 0, lastMs: 0 };

  async function load(script: string): Promise<void> {
    lastStartMs = clock.monotonicMs();
    const ran = await run("nft", ["-f", "-"], script);
    counts.lastMs = clock.monotonicMs() - lastStartMs;
    if (ran.code !== 0) throw faultOf("nft", ran);
    counts.applied++;
    inKernel = script;
  }

  async function work(): Promise<void> {
    while (waiting) {
      const delayMs = lastStartMs + MIN_INTERVAL_MS - clock.monotonicMs();
      if (delayMs > 0) await new Promise<void>((resume) => clock.after(delayMs, resume));
      const { script, done } = waiting!;
      waiting = undefined;
      try {
        if (script !== inKernel) await load(script);
        done.resolve();
      } catch (fault) {
        counts.failed++;
        done.reject(fault);
      }
    }
    working = undefined;
  }

  const apply: Applier["apply"] = (script) => {
    // Who waits for a script that is overtaken waits for the newer one.
    const done = waiting?.done ?? Promise.withResolvers<void>();
    waiting = { script, done };
    working ??= work();
    return done.promise;
  };

  return {
    apply,
    async verify() {
      if (inKernel === undefined || working) return false;
      const expected = tablesOf(inKernel, table);
      const { code, out } = await run("nft", ["list", "tables"]);
      if (code !== 0 || working) return false;
      const there = new Set(out.split("\n"));
      if (expected.every((line) => there.has(line))) return false;
      const script = inKernel;
      inKernel = undefined;
      await apply(script);
      return true;
    },
    async remove() {
      if (inKernel !== undefined || working) await apply(removalScript(table));
    },
    stats: () => ({ ...counts }),
  };
}

/** What `nft list tables` says of the tables that a script leaves behind. */
const tablesOf = (script: string, table: string): string[] =>
  ["inet", "netdev"].map((family) => `table ${family} ${table}`).filter((line) => script.includes(`${line} {`));
