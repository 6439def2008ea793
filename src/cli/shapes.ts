/**
 * What the command line reads of the API's answers: the parts that it shows. `--json` hands on everything.
 * @module
 */
import type { XdpStats } from "#state/xdp.ts";

export type Override = {
  readonly id: string;
  readonly target: string;
  readonly verb: string;
  readonly weightPercent: number;
  readonly reason: string;
  readonly owner: string;
  /** Null: until it is cleared. */
  readonly untilMs: number | null;
  readonly origin: string;
  readonly matches: readonly string[];
};
export type TargetHealth = {
  readonly target: string;
  readonly verdict: string;
  readonly serving: string;
  readonly sinceMs: number | null;
  readonly nextFlipAtMs: number | null;
  readonly cause: string | null;
  readonly rttMs: number | null;
  readonly rampPercent: number;
  readonly isStale: boolean;
  readonly isLowConfidence: boolean;
  readonly awaitsApproval: boolean;
  readonly override: Override | null;
};
export type Vantage = {
  readonly vantage: string;
  readonly isOwn: boolean;
  readonly isSound: boolean;
  readonly silentMs: number | null;
  readonly quarantine: string | null;
  readonly votes: { readonly up: number; readonly down: number; readonly stale: number };
};
export type Vote = {
  readonly voter: string;
  readonly isUp: boolean;
  readonly state: string;
  readonly standing: string;
  readonly ageMs: number;
  readonly says: string;
};
export type Region = { readonly id: string; readonly sharePercent: number | null; readonly health: TargetHealth };
export type Service = {
  readonly name: string;
  readonly names: readonly string[];
  readonly regions: readonly { readonly id: string; readonly sharePercent: number | null }[];
};
export type ServiceClasses = {
  readonly service: string;
  readonly answers: number;
  readonly classes: readonly {
    readonly label: string;
    readonly answers: number;
    readonly sharePercent: number;
    readonly regions: readonly { readonly id: string; readonly answers: number }[];
  }[];
};
export type QueryLine = {
  readonly id: string;
  readonly atMs: number;
  readonly name: string | null;
  readonly type: string | null;
  readonly rcode: string;
  readonly flags: readonly string[];
  readonly transport: string;
  readonly client: string;
  readonly ecs: { readonly network: string; readonly scopeBits: number } | null;
  readonly addresses: readonly string[];
  readonly regions: readonly string[];
  readonly octets: number;
};
export type QueryList = { readonly every: number | null; readonly queries: readonly QueryLine[] };
export type Status = {
  readonly node: string;
  readonly version: string;
  readonly generation: string;
  readonly uptimeSeconds: number;
  readonly engine: { readonly name: string; readonly why: string; readonly xdp: XdpStats | null } | null;
  readonly listen: readonly { readonly address: string; readonly port: number; readonly transport: string }[];
  readonly workers: readonly unknown[];
  readonly balancer: {
    readonly region: string;
    readonly engine: {
      readonly name: string;
      readonly why: string;
      readonly tls: { readonly name: string; readonly why: string };
    } | null;
    readonly workers: number;
    readonly listeners: readonly {
      readonly name: string;
      readonly protocol: string;
      readonly address: string;
      readonly port: number;
      readonly active: number;
    }[];
    readonly pools: readonly {
      readonly name: string;
      readonly algorithm: string;
      readonly healthy: number;
      readonly backends: number;
      readonly panic: boolean;
      readonly active: number;
      readonly queued: number;
    }[];
  } | null;
  readonly zones: readonly { readonly apex: string; readonly serial: number | null; readonly problem: string | null }[];
  readonly geo: {
    readonly database: {
      readonly file: string;
      readonly builtAtMs: number | null;
      readonly problem: string | null;
    } | null;
  } | null;
  readonly counts: { readonly regions: number; readonly regionsUp: number };
  readonly nodes: readonly NodeState[];
  readonly sharing: { readonly by: string; readonly isConnected: boolean; readonly says: string };
  readonly queries: { readonly total: number; readonly perSecond: number | null } | null;
  readonly alarms: readonly {
    readonly subject: string;
    readonly says: string;
    readonly sinceMs: number;
    readonly severity: string;
  }[];
};
export type RegionLoad = {
  readonly measuredRps: number | null;
  readonly capacityRps: number | null;
  readonly measuredPercent: number | null;
  readonly predictedPercent: number | null;
  readonly effectivePercent: number;
  readonly balancers: readonly { readonly node: string; readonly ageMs: number; readonly isSilent: boolean }[];
};
export type Explanation = {
  readonly name: string;
  readonly type: string;
  readonly from: string;
  readonly generation: string;
  readonly rcode: string;
  readonly says: string;
  readonly service: string | null;
  readonly client: { readonly label: string; readonly network: string | null; readonly override: string | null } | null;
  readonly regions: readonly {
    readonly id: string;
    readonly says: string;
    readonly cause: string | null;
    readonly override: Pick<Override, "owner" | "reason" | "untilMs"> | null;
    readonly load: RegionLoad | null;
    readonly addresses: readonly {
      readonly target: string;
      readonly verdict: string;
      readonly isLowConfidence: boolean;
      readonly quorum: number | null;
      readonly votes: readonly Vote[];
    }[];
  }[];
  readonly steps: readonly { readonly filter: string; readonly after: readonly string[]; readonly says: string }[];
  readonly ttl: { readonly seconds: number; readonly says: string } | null;
  readonly scope: { readonly bits: number; readonly says: string } | null;
  readonly isFailOpen: boolean;
  readonly answer: readonly string[];
  readonly authority: readonly string[];
};
export type ConfigChange = {
  readonly isApplied: boolean;
  readonly isDryRun: boolean;
  readonly generation: string | null;
  readonly problems: readonly ConfigProblem[];
  readonly changes: readonly string[];
};
export type ConfigPush = ConfigChange & { readonly version: string | null; readonly diff: string };
export type LoggedVersion = {
  readonly version: string;
  readonly atMs: number;
  readonly actor: string;
  readonly reason: string;
  readonly breakGlass: string | null;
  readonly state: string;
  readonly says: string;
};
export type NodeState = {
  readonly node: string;
  readonly isOwn: boolean;
  readonly state: string;
  readonly generation: string | null;
  readonly desired: string | null;
  readonly version: string | null;
  readonly says: string;
};
export type ConfigProblem = import("#base/problem.ts").Problem;
export type Event = {
  readonly id: string;
  readonly kind: string;
  readonly atMs: number;
  readonly severity: string;
  readonly subject: string;
  readonly says: string;
};

export type Backend = {
  readonly backend_id: string;
  readonly pool: string;
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  readonly effective_weight: number;
  readonly max_connections: number;
  readonly priority: number;
  readonly status: string;
  readonly cause: string | null;
  readonly active_connections: number;
  readonly origin: string;
};
export type BackendHealth = {
  readonly status: string;
  readonly cause: string | null;
  readonly active_connections: number;
  readonly total_requests: number;
  readonly failures: { readonly current: number; readonly total: number };
  readonly connect_ms: number | null;
  readonly last_check: {
    readonly at: string;
    readonly duration_ms: number;
    readonly code: string;
    readonly says: string;
  } | null;
  readonly ejection: { readonly reason: string; readonly until: string } | null;
  readonly override: {
    readonly verb: string;
    readonly reason: string;
    readonly owner: string;
    readonly until: string | null;
  } | null;
};
export type Pool = {
  readonly name: string;
  readonly mode: string;
  readonly algorithm: string;
  readonly backends: { readonly total: number; readonly healthy: number };
  readonly panic: boolean;
  readonly active_connections: number;
  readonly queued: number;
  readonly sticky_sessions: boolean;
};
export type Listener = {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  readonly pool: string | null;
  readonly counters: Readonly<Record<string, number>>;
};
export type Cache = {
  readonly store: string;
  readonly objects: number;
  readonly octets: number;
  readonly max_octets: number;
  readonly hits: number;
  readonly stale: number;
  readonly misses: number;
  readonly evicted: number;
};
export type Rule = {
  readonly listener: string;
  readonly order: number;
  readonly name: string;
  readonly match: readonly string[];
  readonly action: { readonly says: string };
  readonly guards: readonly string[];
  readonly mirror: { readonly pool: string; readonly percent: number } | null;
  readonly cache: string | null;
  readonly compression: readonly string[];
};
export type Certificates = {
  readonly certificates: readonly {
    readonly listener: string;
    readonly certificate: string;
    readonly names: readonly string[];
    readonly issuer: string;
    readonly not_after: string;
    readonly staple: string;
  }[];
  readonly acme: readonly {
    readonly domains: readonly string[];
    readonly not_after: string | null;
    readonly issued: number;
    readonly failures: number;
    readonly fault: string | null;
    readonly next_at: string;
  }[];
};
export type Evacuation = {
  readonly region: string;
  readonly direction: "leave" | "return";
  readonly step: string;
  readonly weight: number;
  readonly isStopped: boolean;
  readonly reason: string;
  readonly owner: string;
  readonly leader: string;
  readonly startedAtMs: number;
  readonly startRps: number | null;
  readonly nowRps: number | null;
  readonly inFlight: number | null;
  readonly curve: readonly { readonly afterSeconds: number; readonly share: number }[];
  readonly history: readonly { readonly atMs: number; readonly step: string; readonly says: string }[];
  readonly says: string;
};
