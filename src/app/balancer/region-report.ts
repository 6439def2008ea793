/**
 * What this balancer reports of its region (`state/reports.ts`), made from the engine's counters and states.
 *
 * Owns:    the last seconds of counters, for rates.
 * Never:   publishes; who asks does.
 *
 * A listener serves while its pool has `minHealthy` backends that are healthy, or of which nobody knows yet: at the start of
 * a process nothing speaks against a backend. Backends that an operator keeps out are not healthy. The region serves while
 * all of its listeners do and nobody drains the node.
 *
 * Units:   per second, averaged over `WINDOW_MS`.
 * @module
 */
import type { BalancerEngine, ListenerStats } from "#app/balancer/engine.ts";
import type { Clock } from "#base/clock.ts";
import type { PoolView } from "#pool/pool-view.ts";
import type { BalancerSnapshot, ListenerSpec } from "#state/balancer.ts";
import type { RegionReport } from "#state/reports.ts";

const WINDOW_MS = 5_000;

type Counters = ListenerStats["counters"];
type Sample = { readonly atMs: number; readonly listeners: ReadonlyMap<string, Counters> };

const isHttp = ({ protocol }: ListenerSpec): boolean => protocol === "http" || protocol === "https";
const admitted = (listener: ListenerSpec, counters: Counters): number =>
  isHttp(listener) ? counters.http_requests - counters.http_shed : counters.accepted - turnedAway(counters);
/** For want of a place or of a backend; not those whom a limit of their own or an access list keeps out. */
const turnedAway = (counters: Counters): number =>
  counters.refused_limit + counters.queue_full + counters.queue_timeout + counters.no_backend;
const shed = (listener: ListenerSpec, counters: Counters): number =>
  isHttp(listener) ? counters.http_shed + counters.refused_limit : turnedAway(counters);

export function createRegionReporter(options: {
  readonly engine: Pick<BalancerEngine, "stats" | "pools" | "snapshot">;
  readonly clock: Clock;
  readonly node: string;
  /** Why this node is not to get clients; undefined: it is. */
  readonly draining: () => string | undefined;
}): { report(): RegionReport | undefined } {
  const { engine, clock, node, draining } = options;
  let samples: readonly Sample[] = [];

  /** @returns the counters of about `WINDOW_MS` ago, and for how long those have been counting since */
  function sample(listeners: readonly ListenerStats[]): { readonly before: Sample; readonly seconds: number } {
    const atMs = clock.monotonicMs();
    const now = { atMs, listeners: new Map(listeners.map(({ name, counters }) => [name, counters])) };
    samples = [...samples.filter((old) => atMs - old.atMs <= WINDOW_MS), now];
    const before = samples[0]!;
    return { before, seconds: (atMs - before.atMs) / 1_000 };
  }

  return {
    report() {
      const snapshot = engine.snapshot();
      if (snapshot === undefined) return undefined;
      const pools = engine.pools();
      const stats = engine.stats().listeners;
      const { before, seconds } = sample(stats);
      const why = new Map(pools.map((pool) => [pool.spec.name, shortage(pool)]));
      const listeners = stats.map(({ name, counters }) => {
        const spec = specOf(snapshot, name);
        const old = before.listeners.get(name);
        const rate = (of: typeof admitted): number =>
          old === undefined || seconds === 0 ? 0 : Math.max(0, of(spec, counters) - of(spec, old)) / seconds;
        const pool = spec.pool === undefined ? undefined : snapshot.pools[spec.pool]!.name;
        return {
          name,
          protocol: spec.protocol,
          admittedRps: rate(admitted),
          shedRps: rate(shed),
          inFlight: isHttp(spec) ? counters.http_active : counters.active,
          isServing: pool === undefined || why.get(pool) === undefined,
        };
      });
      const sum = (of: (listener: (typeof listeners)[number]) => number): number =>
        listeners.reduce((total, listener) => total + of(listener), 0);
      const wanted = snapshot.listeners.flatMap(({ pool }) => (pool === undefined ? [] : [snapshot.pools[pool]!.name]));
      const reasons = [draining(), ...new Set(wanted.map((name) => why.get(name)))].filter(
        (text) => text !== undefined,
      );
      const backends = pools.flatMap((pool) => pool.backends);
      return {
        region: snapshot.region,
        node,
        admittedRps: sum(({ admittedRps }) => admittedRps),
        queued: pools.reduce((total, { queued }) => total + queued, 0),
        shedRps: sum(({ shedRps }) => shedRps),
        inFlight: sum(({ inFlight }) => inFlight),
        capacityRps: snapshot.capacityRps ?? null,
        healthyBackends: backends.filter(({ state }) => state === "active").length,
        backends: backends.length,
        isServing: reasons.length === 0,
        says: reasons.join("; "),
        listeners,
      };
    },
  };
}

const specOf = (snapshot: BalancerSnapshot, name: string): ListenerSpec =>
  snapshot.listeners.find((listener) => listener.name === name)!;

/** @returns why listeners of this pool do not serve; undefined: they do */
function shortage({ spec, backends }: PoolView): string | undefined {
  const usable = backends.filter(({ state }) => state === "active" || state === "unknown" || state === "none").length;
  if (usable >= spec.minHealthy) return undefined;
  return `pool ${spec.name} has ${usable} of ${backends.length} backends, and needs ${spec.minHealthy}`;
}
