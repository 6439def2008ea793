/**
 * What an evacuation's next step depends on, gathered from records, heartbeats and health. Translates; decides nothing.
 *
 * Units:   requests per second.
 * @module
 */
import type { Health } from "#health/engine.ts";
import type { AdvertiserFact, EvacuationFacts, NodeFact } from "#health/evacuation/machine.ts";
import { compareVersions, type EvacuationAck, type Shared, type SharedRecord } from "#state/shared.ts";
import type { Snapshot } from "#state/snapshot.ts";

/** Probes come a little more often than their interval says: its jitter only shortens it. */
const PROBE_MARGIN = 1.25;

export type FactSources = {
  readonly node: string;
  readonly shared: Pick<Shared, "peers" | "records">;
  readonly health: Pick<Health, "view" | "vantages">;
  readonly snapshot: () => Snapshot | undefined;
  /** What this node itself has applied. */
  readonly acks: () => readonly EvacuationAck[];
};
type Node = {
  readonly node: string;
  readonly isAlive: boolean;
  readonly acks: readonly EvacuationAck[];
  readonly isDns: boolean;
  readonly region: string | null;
  /** Nothing was ever heard of it: it may be that it has a part in this. */
  readonly isUnknown: boolean;
};

function nodesOf({ node, shared, snapshot, acks }: FactSources): Node[] {
  const now = snapshot();
  const own: Node = {
    node,
    isAlive: true,
    acks: acks(),
    isDns: now?.dns !== undefined,
    region: now?.balancer?.region ?? null,
    isUnknown: false,
  };
  const others = shared.peers().map(
    ({ node: name, isAlive, heartbeat }): Node => ({
      node: name,
      isAlive,
      acks: heartbeat?.evacuations ?? [],
      isDns: heartbeat?.roles.includes("dns") ?? false,
      region: heartbeat?.region ?? null,
      isUnknown: heartbeat === null,
    }),
  );
  return [own, ...others];
}

export function collectFacts(
  sources: FactSources,
  { key: region, version }: SharedRecord<"evacuation">,
): EvacuationFacts {
  const nodes = nodesOf(sources);
  const ackOf = ({ acks }: Node): EvacuationAck | undefined =>
    acks.find((ack) => ack.region === region && compareVersions(ack.version, version) === 0);
  const factOf = (node: Node): NodeFact => ({
    node: node.node,
    isAlive: node.isAlive,
    hasApplied: ackOf(node) !== undefined,
  });
  const advertisers = sources.shared.records("anycast").flatMap(({ key, body }): AdvertiserFact[] => {
    const node = nodes.find((one) => one.node === key);
    if (body.region !== region || node === undefined || body.prefixes.length === 0) return [];
    const isAnnouncing = body.prefixes.some(({ phase }) => phase === "advertised" || phase === "draining");
    const refusal = body.prefixes.find(({ refused }) => refused !== undefined)?.refused ?? "";
    return [{ ...factOf(node), isAnnouncing, refusal }];
  });
  const unknown = nodes.filter(({ isUnknown }) => isUnknown).map(factOf);
  return {
    dns: [...nodes.filter(({ isDns }) => isDns).map(factOf), ...unknown],
    balancers: [...nodes.filter((node) => node.region === region).map(factOf), ...unknown],
    advertisers: [...advertisers, ...unknown.map((node) => ({ ...node, isAnnouncing: false, refusal: "" }))],
    ...measureRegion(sources, region),
    isHealthy: isHealthy(sources, region),
  };
}

/** What the region's balancers report, without the probes of our own vantages. */
export function measureRegion(sources: FactSources, region: string): Pick<EvacuationFacts, "nowRps" | "inFlight"> {
  const reports = sources.shared.records("report").filter(({ body }) => body.region === region);
  if (reports.length === 0) return { nowRps: null, inFlight: null };
  const admitted = reports.reduce((sum, { body }) => sum + body.admittedRps, 0);
  return {
    nowRps: Math.max(0, admitted - probeRps(sources, region)),
    inFlight: reports.reduce((sum, { body }) => sum + body.inFlight, 0),
  };
}

function probeRps({ snapshot, health }: FactSources, region: string): number {
  const now = snapshot();
  const targets = now?.health.targets ?? [];
  const row = targets.find(({ kind, id }) => kind === "region" && id === `region/${region}`);
  const members = row?.kind === "region" ? row.members : [];
  const perSecond = targets.map((target) => {
    if (target.kind !== "address" || !members.includes(target.index)) return 0;
    const check = now?.health.checks.find(({ name }) => name === target.check);
    return check === undefined ? 0 : 1_000 / check.intervalMs;
  });
  return PROBE_MARGIN * health.vantages().length * perSecond.reduce((sum, one) => sum + one, 0);
}

function isHealthy({ health }: FactSources, region: string): boolean {
  const row = health.view().find(({ target }) => target === `region/${region}`);
  return row !== undefined && row.verdict !== "down" && !["down", "hold", "approval"].includes(row.state);
}
