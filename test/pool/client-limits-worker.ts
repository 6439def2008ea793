/** A thread that opens and closes connections as fast as it can; see client-limits.test.ts. */
import { parentPort, workerData } from "node:worker_threads";
import { createSeededRng } from "#base/rng.ts";
import { createClientLimits } from "#pool/client-limits.ts";
import type { ListenerLimits } from "#state/balancer.ts";

export type HammerData = {
  readonly shared: SharedArrayBuffer;
  readonly limits: ListenerLimits;
  readonly seed: number;
  readonly rounds: number;
  readonly clients: readonly string[];
  readonly releases: boolean;
  /** Word 0 is where threads wait for each other, then the connections of each client, then those of all. */
  readonly active: Int32Array;
};
export type HammerReport = {
  readonly outcomes: Record<string, number>;
  readonly mostOfClient: number;
  readonly mostOfAll: number;
};

const { shared, limits, seed, rounds, clients, active, releases } = workerData as HammerData;
const rng = createSeededRng(seed);
const table = createClientLimits(shared, { offsetMs: 0 });
const outcomes: Record<string, number> = {};
let mostOfClient = 0;
let mostOfAll = 0;
const held: number[] = [];
const all = 1 + clients.length;
function close(): void {
  const [client] = held.splice(Math.floor(rng() * held.length), 1);
  Atomics.sub(active, 1 + client!, 1);
  Atomics.sub(active, all, 1);
  table.release(0, limits, clients[client!]!);
}

parentPort!.postMessage("ready");
Atomics.wait(active, 0, 0);
for (let round = 0; round < rounds; round++) {
  if (releases && held.length > 0 && rng() < 0.5) {
    close();
    continue;
  }
  const client = Math.floor(rng() * clients.length);
  const outcome = table.admit(0, limits, clients[client]!, 1_000);
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  if (outcome !== "admitted") continue;
  held.push(client);
  mostOfClient = Math.max(mostOfClient, Atomics.add(active, 1 + client, 1) + 1);
  mostOfAll = Math.max(mostOfAll, Atomics.add(active, all, 1) + 1);
}
while (releases && held.length > 0) close();
parentPort!.postMessage({ outcomes, mostOfClient, mostOfAll } satisfies HammerReport);
