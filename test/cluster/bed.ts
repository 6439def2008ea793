/** Nodes for tests: keys, a store in memory, and an engine with what it was told and what it told. */
import type { Clock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createSeededRng } from "#base/rng.ts";
import { createConnect } from "#cluster/connect.ts";
import { type Cluster, type Connect, createCluster } from "#cluster/engine.ts";
import { createIdentity, type Identity } from "#cluster/identity.ts";
import type { Store } from "#cluster/store.ts";
import type { ClusterSnapshot, RedisSpec } from "#state/cluster.ts";
import type { RhumbEvent } from "#state/events.ts";
import type { Heartbeat, OverrideShare } from "#state/shared.ts";

export type TestStore = Pick<Store, "get" | "put" | "remove" | "keys">;

/** A store that forgets with the test. */
export function createMemoryStore(): TestStore {
  const values = new Map<string, string>();
  return {
    get(key) {
      const text = values.get(key);
      return text === undefined ? undefined : { value: JSON.parse(text), version: 1, changedAtMs: 0 };
    },
    put(key, value) {
      values.set(key, JSON.stringify(value));
      return 1;
    },
    remove: (key) => void values.delete(key),
    keys: (prefix) => [...values.keys()].filter((key) => key.startsWith(prefix)).sort(),
  };
}

export const heartbeatOf = (clock: Clock, startedAtMs = 0): Heartbeat => ({
  version: "1.0.0",
  startedAtMs,
  clockMs: clock.nowMs(),
  roles: ["dns"],
  serves: { epoch: 1, sequence: 1 },
  desired: null,
  region: null,
  url: null,
});

export const overrideOf = (reason: string): OverrideShare => ({
  spec: {
    id: "o1",
    target: "region/eu-west",
    verb: "drain",
    weightPercent: 0,
    reason,
    owner: "kim",
    createdAtMs: 1,
    untilMs: 2,
    origin: "api",
  },
});
export const reasonOf = (share: OverrideShare | undefined): string | undefined => share?.spec?.reason;

export const NODES = ["ns1", "ns2", "ns3"] as const;
export const IDENTITIES: Readonly<Record<string, Identity>> = Object.fromEntries(
  [...NODES, "stranger"].map((name) => [name, createIdentity()]),
);
export const enrolled = (names: readonly string[] = NODES) =>
  names.map((name) => ({ name, key: IDENTITIES[name]!.publicKey }));

export const snapshotWith = (more: Partial<ClusterSnapshot> = {}): ClusterSnapshot => ({
  redis: undefined,
  nodes: enrolled(),
  peers: [],
  maxSkewMs: 1_000,
  ...more,
});

export type TestNode = Cluster & { readonly events: RhumbEvent[]; readonly store: TestStore };

export function startNode(
  node: string,
  options: {
    readonly clock: Clock;
    readonly snapshot?: ClusterSnapshot | undefined;
    readonly store?: TestStore;
    readonly identity?: Identity;
    readonly connect?: Connect;
    readonly isAway?: boolean;
    /** How far the clock that it tells others is off. */
    readonly skewMs?: number;
  },
): TestNode {
  const { clock, store = createMemoryStore(), identity = IDENTITIES[node]!, skewMs = 0 } = options;
  const events: RhumbEvent[] = [];
  const rng = createSeededRng(7);
  const cluster = createCluster({
    node,
    identity,
    store,
    clock,
    log: silentLog,
    emit: (event) => void events.push(event),
    heartbeat: () => {
      const heartbeat = heartbeatOf(clock);
      return { ...heartbeat, clockMs: heartbeat.clockMs + skewMs };
    },
    isAway: options.isAway ?? false,
    connect: options.connect ?? createConnect({ clock, rng, log: silentLog }),
  });
  cluster.apply(options.snapshot ?? snapshotWith());
  return Object.assign(cluster, { events, store });
}

export const redisAt = (port: number, more: Partial<RedisSpec> = {}): RedisSpec => ({
  mode: "single",
  hosts: [{ host: "127.0.0.1", port }],
  name: undefined,
  user: undefined,
  password: undefined,
  sentinelUser: undefined,
  sentinelPassword: undefined,
  database: 0,
  tls: undefined,
  ...more,
});

/** Resolves once `isSo`, looked at with each turn of a short timer. Rejects when that takes so long that it never will. */
export async function until(isSo: () => boolean): Promise<void> {
  const givenUpAtMs = performance.now() + 120_000;
  while (!isSo()) {
    if (performance.now() > givenUpAtMs) throw new Error(`Never came: ${isSo}`);
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, 5);
    await promise;
  }
}
