/**
 * What a node is started with, and the parts that views and commands are made from.
 * @module
 */
import type { EventRing } from "#api/event-ring.ts";
import type { BalancerViews, Commands } from "#api/views.ts";
import type { Anycast } from "#app/anycast/create-anycast.ts";
import type { BalancerEngine } from "#app/balancer/engine.ts";
import type { DnsEngine } from "#app/dns-engine.ts";
import type { Evacuations } from "#app/evacuation/create-evacuations.ts";
import type { GeoLoader } from "#app/geo-loader.ts";
import type { Predecessor } from "#app/handover.ts";
import type { LatencyMemory } from "#app/latency-memory.ts";
import type { MapDoor } from "#app/map-door.ts";
import type { NodeDrain } from "#app/node-drain.ts";
import type { QueryLog } from "#app/query-log.ts";
import type { QueryRate } from "#app/query-rate.ts";
import type { Spreading } from "#app/spreading.ts";
import type { SteeringShares } from "#app/steering-shares.ts";
import type { Log } from "#base/log.ts";
import type { Cluster } from "#cluster/engine.ts";
import type { Store } from "#cluster/store.ts";
import type { DesiredStore } from "#config/create-desired.ts";
import type { ConfigFiles } from "#config/files.ts";
import type { ConfigDoor } from "#config/propose.ts";
import type { Pushed } from "#config/pushed.ts";
import type { Health } from "#health/engine.ts";
import type { LoadControl } from "#health/load-control.ts";
import type { Metrics } from "#metrics/create-metrics.ts";
import type { Notifier } from "#notify/create-notifier.ts";
import type { Rum } from "#rum/create-rum.ts";
import type { RhumbEvent } from "#state/events.ts";
import type { Snapshot } from "#state/snapshot.ts";

export type NodeOptions = {
  /** Path of rhumb.yaml. */
  readonly config: string;
  readonly version: string;
  readonly log: Log;
  /** The demo world moves ports and addresses of what was compiled; everybody else leaves it alone. */
  readonly rework?: (snapshot: Snapshot) => Snapshot;
  /** Reads the files; the demo world adds the token of its own run folder. Default: as `config` says. */
  readonly load?: (pushed?: Pushed) => ConfigFiles;
  /** Absolute. Default: as the configuration says. */
  readonly stateFolder?: string | undefined;
  /** Who is asked for host names of backends, `address:port`. Default: the system's name servers. */
  readonly nameServers?: readonly string[];
  readonly demo?: Commands["demo"];
  /** The process in whose place this one was started. */
  readonly predecessor?: Predecessor | undefined;
  readonly onEvent?: (event: RhumbEvent) => void;
};

/** What views and commands are made from. */
export type NodeParts = {
  readonly options: NodeOptions;
  readonly startedAtMs: number;
  readonly door: ConfigDoor;
  readonly health: Health;
  readonly healthTable: Uint32Array;
  readonly geo: GeoLoader;
  readonly latency: LatencyMemory;
  readonly maps: MapDoor;
  readonly dns: DnsEngine;
  readonly balancer: BalancerEngine;
  /** Undefined without the role. */
  readonly balancerViews: BalancerViews | undefined;
  /** `createNameResolver().learn` */
  readonly learnName: (name: string) => Promise<boolean>;
  readonly notifier: Notifier;
  readonly metrics: Metrics;
  readonly events: EventRing;
  readonly store: Store;
  readonly queryRate: QueryRate;
  readonly queryLog: QueryLog;
  readonly steeringShares: SteeringShares;
  readonly lastReload: () => { atMs: number; isOk: boolean; says: string } | null;
  readonly isReady: () => boolean;
  readonly drain: NodeDrain;
  readonly desired: DesiredStore;
  readonly cluster: Cluster;
  readonly load: LoadControl;
  readonly evacuations: Evacuations;
  readonly anycast: Anycast;
  readonly spreading: Spreading;
  readonly rum: Pick<Rum, "stats" | "rows">;
};
