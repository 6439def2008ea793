/**
 * The relays as the stage sees them: they run in a process of their own.
 * @module
 */
import { join } from "node:path";
import { RhumbError } from "#base/errors.ts";
import type { LinkSpec, LinkState } from "#drill/stage/link.ts";
import type { Processes } from "#drill/stage/processes.ts";
import type { FromRelay, ToRelay } from "#drill/stage/relay-process.ts";

export type RelayClient = {
  /** @throws RhumbError where an address cannot be had */
  open(links: readonly LinkSpec[]): Promise<void>;
  change(ids: readonly string[], change: Partial<LinkState>): Promise<void>;
  /** From now on connections of this process go by its own ways. */
  owns(name: string, pid: number): Promise<void>;
  /** Ways that are not as they were opened. @returns their ids */
  changed(): readonly string[];
};

type Order = ToRelay extends infer One ? (One extends ToRelay ? Omit<One, "number"> : never) : never;

export async function startRelay(processes: Processes, folder: string): Promise<RelayClient> {
  const waiting = new Map<number, { resolve(): void; reject(error: Error): void }>();
  const opened = new Map<string, LinkState>();
  const now = new Map<string, LinkState>();
  let last = 0;
  const words = [process.execPath, join(import.meta.dirname, "relay-process.ts")] as const;
  await processes.start({ name: "relay", words: [...words], cwd: folder, hears: true });
  processes.onMessage("relay", (message) => {
    const { number, failed } = message as FromRelay;
    const one = waiting.get(number);
    waiting.delete(number);
    if (failed === undefined) one?.resolve();
    else one?.reject(new RhumbError("RHUMB_DRILL_STAGE", `the relays: ${failed}`));
  });
  function tell(order: Order): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    last += 1;
    waiting.set(last, { resolve, reject });
    processes.send("relay", { ...order, number: last });
    return promise;
  }
  return {
    async open(links) {
      for (const { id, state } of links) {
        opened.set(id, state);
        now.set(id, state);
      }
      await tell({ kind: "open", links });
    },
    async change(ids, change) {
      for (const id of ids) now.set(id, { ...now.get(id)!, ...change });
      await tell({ kind: "change", ids, change });
    },
    owns: (name, pid) => tell({ kind: "owns", name, pid }),
    changed: () =>
      [...now].flatMap(([id, state]) => {
        const { to: _, ...was } = opened.get(id)!;
        return Object.entries(was).every(([key, value]) => state[key as keyof LinkState] === value) ? [] : [id];
      }),
  };
}
