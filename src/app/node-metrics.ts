/**
 * Where the metrics of a node come from. Translates; decides nothing.
 * @module
 */

import type { Anycast } from "#app/anycast/create-anycast.ts";
import type { BalancerEngine } from "#app/balancer/engine.ts";
import { balancerMetrics } from "#app/balancer/metrics.ts";
import type { TlsKeeper } from "#app/balancer/tls-keeper.ts";
import type { DnsEngine } from "#app/dns-engine.ts";
import type { MapDoor } from "#app/map-door.ts";
import type { QueryLog } from "#app/query-log.ts";
import type { Spreading } from "#app/spreading.ts";
import type { SteeringShares } from "#app/steering-shares.ts";
import type { Clock } from "#base/clock.ts";
import type { PostgresSourceStatus } from "#cluster/postgres/source.ts";
import { formatName } from "#dns/wire/name.ts";
import type { Health } from "#health/engine.ts";
import type { LoadControl } from "#health/load-control.ts";
import { createMetrics, type Metrics } from "#metrics/create-metrics.ts";
import type { RumStats } from "#rum/create-rum.ts";
import { DNS_COUNTERS } from "#state/counters.ts";
import type { Shared } from "#state/shared.ts";
import type { Snapshot } from "#state/snapshot.ts";

export function createNodeMetrics(parts: {
  readonly clock: Clock;
  readonly version: string;
  readonly snapshot: () => Snapshot | undefined;
  readonly healthTable: Uint32Array;
  readonly health: Health;
  readonly dns: DnsEngine;
  readonly maps: MapDoor;
  readonly balancer: BalancerEngine;
  readonly tlsKeeper: TlsKeeper;
  readonly load: LoadControl;
  readonly cluster: Shared;
  readonly anycast: Anycast;
  readonly learning: () => {
    readonly table: PostgresSourceStatus | null;
    readonly rum: RumStats;
    /** Whose connections were timed. */
    readonly networks: number;
  };
  readonly spreading: Spreading;
  readonly steeringShares: SteeringShares;
  readonly queryLog: QueryLog;
}): Metrics {
  const { clock, version, snapshot, healthTable, health, dns, maps, balancer, tlsKeeper } = parts;
  const { steeringShares, queryLog, load, spreading, cluster, anycast, learning } = parts;
  return createMetrics({
    clock,
    sources: {
      dnsSlots() {
        const { counters } = dns.stats();
        return [Float64Array.from(DNS_COUNTERS, (name) => counters[name])];
      },
      dnsWorkers: () => countKinds(dns.stats().workers),
      steered: () => steeringShares.totals(),
      querySamples: () => queryLog.counts(),
      zones: () =>
        (snapshot()?.dns?.zones ?? []).map(({ apex, serial, recordCount }) => ({
          apex: formatName(apex),
          serial,
          records: recordCount,
        })),
      health: () => ({ table: healthTable, targets: snapshot()?.health.targets ?? [] }),
      healthStats: () => health.stats(),
      overrides: () => health.listOverrides(),
      load: () => ({ ...load.view(), spread: spreading.view() }),
      cluster: () => ({
        status: cluster.status(),
        peers: cluster.peers(),
        evacuations: cluster.records("evacuation").map(({ body }) => body),
      }),
      anycast: () => ({ view: anycast.view(), refusals: anycast.stats().refusals }),
      learning() {
        const { table, rum, networks } = learning();
        const { beacons, voices, listens } = rum;
        const connectionNetworks = snapshot()?.balancer ? networks : null;
        return { table, beacons, voices, hasBeacons: listens !== null, connectionNetworks };
      },
      generation: () => snapshot()?.generation ?? { epoch: 0, sequence: 0 },
      maps: () => maps.maps(),
      engine: () => dns.stats().engine,
      xdp: () => dns.stats().xdp,
      balancer: () => balancerMetrics(balancer, tlsKeeper, clock),
      build: () => ({ version }),
    },
  });
}

function countKinds(workers: readonly { readonly kind: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of workers) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
