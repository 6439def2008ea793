/**
 * This node among the others: the engine that moves records, and what joins it to health, load and the configuration.
 *
 * Owns:    the heartbeat's words. Never: a rule of what is shared; those stand in `cluster/`, `health/` and `config/`.
 * @module
 */
import { type Anycast, createAnycast } from "#app/anycast/create-anycast.ts";
import type { BalancerEngine } from "#app/balancer/engine.ts";
import { createRegionReporter } from "#app/balancer/region-report.ts";
import { joinReports } from "#app/cluster/reports.ts";
import { joinVotes } from "#app/cluster/votes.ts";
import { createEvacuations, type Evacuations } from "#app/evacuation/create-evacuations.ts";
import type { NodeDrain } from "#app/node-drain.ts";
import type { SteeringShares } from "#app/steering-shares.ts";
import type { Clock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Rng } from "#base/rng.ts";
import { createConnect } from "#cluster/connect.ts";
import { type Cluster, createCluster } from "#cluster/engine.ts";
import { createIdentity, type Identity, openIdentity } from "#cluster/identity.ts";
import type { Store } from "#cluster/store.ts";
import type { Health } from "#health/engine.ts";
import { createLoadControl, type LoadControl } from "#health/load-control.ts";
import type { Emit } from "#state/events.ts";
import type { Heartbeat } from "#state/shared.ts";
import type { Snapshot } from "#state/snapshot.ts";
import type { SpreadView } from "#steer/spread/planner.ts";

export type NodeCluster = {
  readonly cluster: Cluster;
  readonly anycast: Anycast;
  /** What views, commands and metrics are made from. */
  readonly parts: {
    readonly cluster: Cluster;
    readonly load: LoadControl;
    readonly anycast: Anycast;
    readonly evacuations: Evacuations;
  };
  readonly load: LoadControl;
  /** The configuration that serves from now on. */
  apply(snapshot: Snapshot): void;
  close(): void;
};

export function createNodeCluster(options: {
  readonly node: string;
  readonly version: string;
  readonly startedAtMs: number;
  readonly stateFolder: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly emit: Emit;
  readonly health: Health;
  readonly balancer: BalancerEngine;
  readonly drain: NodeDrain;
  readonly steeringShares: SteeringShares;
  readonly snapshot: () => Snapshot | undefined;
  /** What became of the desired configuration here. */
  readonly desired: () => Heartbeat["desired"];
  readonly spread: () => SpreadView;
  /** Where others reach this node's control API. */
  readonly url: () => string | undefined;
  /** Another process is this node until `cluster.join()`. */
  readonly isAway: boolean;
}): NodeCluster {
  const { node, version, startedAtMs, stateFolder, store, clock, rng, log, emit, health, balancer, drain } = options;
  const cluster = createCluster({
    node,
    identity: openOrMake(stateFolder, clock, emit),
    store,
    log,
    emit,
    clock,
    isAway: options.isAway,
    connect: createConnect({ clock, rng, log }),
    heartbeat() {
      const snapshot = options.snapshot();
      return {
        version,
        startedAtMs,
        clockMs: clock.nowMs(),
        roles: [...(snapshot?.dns ? ["dns" as const] : []), ...(snapshot?.balancer ? ["balancer" as const] : [])],
        serves: snapshot?.generation ?? null,
        desired: options.desired(),
        region: snapshot?.balancer?.region ?? null,
        url: options.url() ?? null,
        evacuations: evacuations.acks(),
      };
    },
  });
  const load = createLoadControl({
    clock,
    emit,
    setLoad: health.setLoad,
    answers() {
      const byRegion = new Map<string, number>();
      for (const { region, answers } of options.steeringShares.totals())
        byRegion.set(region, (byRegion.get(region) ?? 0) + answers);
      return byRegion;
    },
  });
  const { report } = createRegionReporter({
    engine: balancer,
    clock,
    node,
    draining() {
      const { isDraining, owner, reason } = drain.view();
      return isDraining ? `${owner} drains this node${reason === null ? "" : `: ${reason}`}` : undefined;
    },
  });
  const votes = joinVotes({ shared: cluster, health, node, clock, log });
  const reports = joinReports({ shared: cluster, health, load, report, clock });
  const anycast = createAnycast({ node, clock, emit, shared: cluster, balancer });
  const evacuations = createEvacuations({
    node,
    clock,
    log,
    emit,
    shared: cluster,
    health,
    load,
    spread: options.spread,
    setLeaving: balancer.setLeaving,
  });
  return {
    cluster,
    load,
    anycast,
    parts: { cluster, load, anycast, evacuations },
    apply(snapshot) {
      load.apply(snapshot.regions, snapshot.services);
      cluster.apply(snapshot.cluster);
      votes.apply(snapshot.health);
      anycast.apply(snapshot);
      evacuations.apply(snapshot);
    },
    close() {
      evacuations.close();
      votes.close();
      reports.close();
      load.close();
      cluster.close();
    },
  };
}

/** A key that cannot be used must not keep DNS from starting: others then refuse what this node says, and it is told. */
function openOrMake(stateFolder: string, clock: Clock, emit: Emit): Identity {
  try {
    return openIdentity(stateFolder);
  } catch (error) {
    if (!(error instanceof RhumbError)) throw error;
    const says = `${error.message}: other nodes refuse what this one tells them. ${error.fix}`;
    emit({ kind: "store.fault", atMs: clock.nowMs(), severity: "alarm", subject: "cluster key", says });
    return createIdentity();
  }
}
