/**
 * The snapshot: config → engines. Immutable, plain data and SharedArrayBuffers only, so that it crosses threads by
 * `postMessage` without a copy of what is big.
 *
 * Writer:  `config/compile.ts`. Readers: every engine, through `apply(snapshot)`.
 * Units:   ms, seconds and octets stand in the names.
 * @module
 */
import type { AnycastSpec } from "#state/anycast.ts";
import type { BalancerSnapshot } from "#state/balancer.ts";
import type { ClusterSnapshot } from "#state/cluster.ts";
import type { RumSpec } from "#state/rum.ts";
import type { ZoneImage } from "#state/zone-image.ts";

/** Ordered by epoch, then sequence (ruling 16). */
export type Generation = { readonly epoch: number; readonly sequence: number };

export type Snapshot = {
  readonly generation: Generation;
  readonly compiledAtMs: number;
  readonly node: string;
  /** Present when this process plays the dns role. */
  readonly dns: DnsSnapshot | undefined;
  /** Present when this process plays the balancer role. */
  readonly balancer: BalancerSnapshot | undefined;
  readonly health: HealthSnapshot;
  readonly regions: readonly RegionSpec[];
  readonly services: readonly ServiceSpec[];
  readonly geo: GeoSnapshot;
  readonly control: ControlSnapshot | undefined;
  readonly notify: readonly NotifySpec[];
  /** Present when this process takes beacons of pages. */
  readonly rum?: RumSpec | undefined;
  readonly cluster: ClusterSnapshot;
  /** Present when this node announces prefixes. */
  readonly anycast?: AnycastSpec | undefined;
};

// ── dns ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Host and port as text and number; `family` follows from the address. */
export type ListenAddress = { readonly address: string; readonly port: number };

export type DnsSnapshot = {
  readonly listen: readonly ListenAddress[];
  /** `auto`: `batch` where the machine can, else `dgram`. */
  readonly engine: "auto" | "batch" | "dgram" | "xdp";
  /** The network interface that `xdp` reads; absent with other engines. */
  readonly interface?: string | undefined;
  /** UDP workers per listen address. */
  readonly workers: number;
  readonly zones: readonly ZoneImage[];
  /** Zones that are configured but could not be loaded, as lower-case wire names: their queries get SERVFAIL and EDE 14. */
  readonly unloadableZones: readonly Uint8Array[];
  /** EDNS NSID (RFC 5001); empty: not answered. */
  readonly nsid: Uint8Array;
  /** Text for CH TXT `version.bind`/`version.server` and `hostname.bind`/`id.server`; undefined: REFUSED. */
  readonly chaos: { readonly version: string | undefined; readonly id: string | undefined };
  /** False: ECS is ignored and not echoed, for all zones. */
  readonly ecs: boolean;
  /** Client prefix for hashing, in bits (ruling 1). */
  readonly hashPrefix: { readonly v4: number; readonly v6: number };
  readonly tcp: TcpLimits;
  readonly guard: GuardSnapshot;
  readonly queryLog: QueryLogSnapshot;
};

export type QueryLogSnapshot = {
  /** One of so many responses is logged, on average; 0: none. */
  readonly every: number;
  /** `prefix`: of client addresses no more than the network is kept. */
  readonly privacy: "prefix" | "full";
  /** Absolute path of a file of JSON lines. */
  readonly file: string | undefined;
};

export type TcpLimits = {
  readonly maxConnections: number;
  readonly maxConnectionsPerClient: number;
  /** Queries read from one connection and not yet answered in full. */
  readonly maxInFlight: number;
  /** A connection's unread answers, in octets, before no more of its queries are read; it is closed after `idleMs`. */
  readonly maxOutputOctets: number;
  readonly idleMs: number;
  /** Time for one whole message from its first octet on: the slow-drip limit. */
  readonly messageMs: number;
  readonly drainMs: number;
};

export type GuardSnapshot = {
  readonly rrl: {
    readonly isEnabled: boolean;
    /** Counts, but limits nobody. */
    readonly isDryRun: boolean;
    /** Answers per second that one prefix may cost, per bucket size; `dns/guard/rrl.ts` says how they nest. */
    readonly ratePerSecond: number;
    /** Every n-th limited answer is sent truncated; 0: all are dropped; 1: all are truncated. */
    readonly slip: number;
    readonly tableSize: number;
    /** CIDR texts that are never limited. */
    readonly allow: readonly string[];
  };
  readonly cookies: {
    readonly isEnabled: boolean;
    /** 16 octets each: the one that signs, and the previous one that is still accepted. */
    readonly secrets: readonly Uint8Array[];
    /** Under limit, answer BADCOOKIE instead of TC to clients that sent a COOKIE without a valid server part. */
    readonly badCookieUnderLimit: boolean;
  };
  /** Thins floods before they reach a worker's queue (`dns/guard/admission.ts`). */
  readonly admission: { readonly isEnabled: boolean };
  /** First match wins; no match: allowed. */
  readonly access: readonly { readonly network: string; readonly action: "allow" | "refuse" | "drop" }[];
};

// ── regions and services ─────────────────────────────────────────────────────────────────────────────────────────

export type RegionSpec = {
  readonly id: string;
  /** Stable across nodes and restarts: `hashText(id)`. Selection hashes this, never an index. */
  readonly hash: number;
  readonly latitude: number;
  readonly longitude: number;
  readonly continent: string;
  readonly country: string;
  readonly v4: readonly string[];
  readonly v6: readonly string[];
  readonly capacityRps: number | undefined;
  readonly balancerUrl: string | undefined;
  /** Name of the check that probes each of its addresses; undefined: always unknown, which counts as up. */
  readonly check: string | undefined;
  /** Share of addresses, per family, that must be up for the region to be up. */
  readonly upThreshold: number;
  /** Row of the region itself in the health table. */
  readonly target: number;
  /** Rows of its addresses, in the order of `v4` then `v6`. */
  readonly addressTargets: readonly number[];
};

export type EmptyRule = "undo" | "next" | "nodata" | { readonly fallback: string };

/** One filter of a chain with all of its defaults filled in. `name` selects the function in `steer/table.ts`. */
export type FilterSpec =
  | { readonly name: "healthy"; readonly onEmpty: EmptyRule }
  | {
      readonly name: "geofence";
      readonly onEmpty: EmptyRule;
      readonly continents: readonly string[];
      readonly countries: readonly string[];
      readonly asns: readonly number[];
      readonly networks: readonly string[];
      /** Regions that clients inside the fence may be given. */
      readonly regions: readonly string[];
      /** Position among the fences of the service's map specification. */
      readonly fence: number;
    }
  | { readonly name: "geo"; readonly onEmpty: EmptyRule }
  | { readonly name: "nearest"; readonly bias: Readonly<Record<string, number>>; readonly slackKm: number }
  | { readonly name: "latency"; readonly slackMs: number }
  | { readonly name: "priority"; readonly split: readonly number[]; readonly onEmpty: EmptyRule }
  | {
      readonly name: "shed";
      readonly lowPermille: number;
      readonly highPermille: number;
      /** `capacity`: by a plan over all regions, where there is one (`state/spread.ts`). `none`: each region for itself. */
      readonly spread: "capacity" | "none";
      readonly onEmpty: EmptyRule;
    }
  | { readonly name: "weighted" }
  | { readonly name: "sticky" }
  | { readonly name: "shuffle" }
  | { readonly name: "first"; readonly count: number };

export type ServiceRegion = {
  /** Index into `Snapshot.regions`. */
  readonly region: number;
  readonly weight: number;
  readonly priority: number;
};

export type ServiceSpec = {
  readonly name: string;
  readonly hash: number;
  /** In the operator's order: the default order for unknown clients. */
  readonly regions: readonly ServiceRegion[];
  readonly chain: readonly FilterSpec[];
  readonly ttlMinSeconds: number;
  readonly ttlMaxSeconds: number;
  /** Service that answers where the chain ends empty. */
  readonly fallback: string | undefined;
  readonly allowEmpty: boolean;
  /** How a resolver without ECS is hashed (ruling 1). */
  readonly weightedBy: "auto" | "prefix" | "resolver";
  /** Id of the client map, or undefined where no filter looks at geography. */
  readonly mapId: string | undefined;
};

// ── geo ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export type GeoSnapshot = {
  readonly database: string | undefined;
  readonly asnDatabase: string | undefined;
  readonly overrides: readonly GeoOverride[];
  readonly maps: readonly MapSpec[];
};

export type GeoOverride = {
  /** Exactly one of these three says whom it is about. */
  readonly network: string | undefined;
  readonly asn: number | undefined;
  readonly country: string | undefined;
  /** Where such a client is to be taken for. */
  readonly as:
    | {
        readonly continent: string | undefined;
        readonly country: string | undefined;
        readonly at: readonly [latitude: number, longitude: number] | undefined;
      }
    | undefined;
  /** Regions in order of preference: they match as `network` or `asn` (GEO_MATCH). */
  readonly regions: readonly string[];
};

/** How one group of services tells clients apart; equal specifications share one map. */
export type MapSpec = {
  /** Text made from all of the below: equal text, equal map. */
  readonly mapId: string;
  readonly regionIds: readonly string[];
  readonly usesGeo: boolean;
  readonly nearest: readonly { readonly bias: Readonly<Record<string, number>>; readonly slackKm: number }[];
  readonly usesLatency: boolean;
  readonly fences: readonly {
    readonly continents: readonly string[];
    readonly countries: readonly string[];
    readonly asns: readonly number[];
    readonly networks: readonly string[];
  }[];
  readonly vantage: readonly [latitude: number, longitude: number] | undefined;
};

// ── health ───────────────────────────────────────────────────────────────────────────────────────────────────────

export type HealthSnapshot = {
  /** Every target of the config. `index` is its row in the health table, stable while the process lives. */
  readonly targets: readonly TargetSpec[];
  readonly checks: readonly CheckSpec[];
  /** From health/overrides.yaml, in file order: the last match wins. */
  readonly fileOverrides: readonly OverrideSpec[];
  readonly vantage: string;
  /** All places that probe and vote, this one included; empty: this node is alone. */
  readonly vantages: readonly string[];
  readonly quorum: number;
  /** What a vantage probes to know whether it sees the world at all; never steered to. */
  readonly references: readonly ReferenceSpec[];
  /** What an operator may not do without saying so; undefined: no such rule. */
  readonly safety?: SafetyRules | undefined;
};

export type SafetyChange = "override" | "evacuate";
export type SafetyRules = {
  /** Of these regions so many must stay in service. */
  readonly assert: readonly { readonly atLeast: number; readonly of: readonly string[] }[];
  /** This change needs the switch of this name. */
  readonly gates: readonly { readonly change: SafetyChange; readonly needs: string }[];
};

export type ReferenceSpec = { readonly address: string; readonly check: string };

export type TargetSpec = {
  readonly index: number;
  /** `region/eu-west` for a region, `region/eu-west/127.0.12.1` for one of its addresses. */
  readonly id: string;
} & (
  | {
      readonly kind: "region";
      readonly members: readonly number[];
      readonly upThreshold: number;
      readonly failback: FailbackSpec;
      /** Row numbers of `members` that are IPv4; the others are IPv6. The threshold holds per family. */
      readonly v4Members: readonly number[];
    }
  | {
      readonly kind: "address";
      readonly address: string;
      readonly check: string | undefined;
      /** A balancer's backend, `backend/web/10.0.0.1:80`: unknown until a verdict, and outside the blast budget. */
      readonly isBackend?: true;
    }
);

export type FailbackSpec = {
  readonly mode: "auto" | "manual";
  /** `auto`: min(120 s, 4 × the outage), doubled per flap. */
  readonly holdMs: number | "auto";
  /** Percent steps of the return. */
  readonly ramp: readonly number[];
  readonly rampStepMs: number;
  /** A ramp follows only an outage longer than this. */
  readonly rampAfterMs: number;
};

type CheckBase = {
  readonly name: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly thresholds: { readonly down: number; readonly up: number; readonly ok: number };
  /** `down` failures must span at least this long. */
  readonly downSpanMs: number;
  readonly failback: FailbackSpec;
};

export type HttpCheck = CheckBase & {
  readonly kind: "http" | "https";
  readonly port: number;
  readonly path: string;
  readonly method: "GET" | "HEAD" | "POST" | "OPTIONS";
  readonly headers: Readonly<Record<string, string>>;
  readonly host: string | undefined;
  /** Ranges of accepted statuses, inclusive. */
  readonly status: readonly (readonly [from: number, to: number])[];
  readonly body: string | undefined;
  readonly tls: TlsCheckOptions | undefined;
};

export type TlsCheckOptions = {
  readonly serverName: string | undefined;
  readonly verify: boolean;
  /** Fewer days left than this on the certificate is a failure; 0: not looked at. */
  readonly minDaysLeft: number;
  readonly caFile: string | undefined;
};

export type CheckSpec =
  | (CheckBase & { readonly kind: "tcp"; readonly port: number })
  | (CheckBase & { readonly kind: "tls"; readonly port: number; readonly tls: TlsCheckOptions })
  | HttpCheck
  | (CheckBase & {
      readonly kind: "dns";
      readonly port: number;
      readonly questionName: string;
      readonly questionType: string;
      readonly rcode: string;
      /** One of the answer's records must have this text; undefined: any answer will do. */
      readonly answer: string | undefined;
      readonly overTcp: boolean;
    })
  | (CheckBase & {
      readonly kind: "grpc";
      readonly port: number;
      /** Service name of grpc.health.v1.Health/Check; empty: the server as a whole. */
      readonly service: string;
      readonly authority: string | undefined;
    })
  | (CheckBase & {
      readonly kind: "script";
      /** Absolute path; `config/` has made sure that it lies in the checks folder (ruling 21). */
      readonly file: string;
      readonly args: readonly string[];
      readonly user: string | undefined;
    });

export type OverrideVerb = "up" | "down" | "drain" | "ignore-health";

/** `untilMs` of an override without an end, which backends alone may have: it stays until somebody clears it. */
export const UNTIL_CLEARED_MS = Number.MAX_SAFE_INTEGER;

export type OverrideSpec = {
  readonly id: string;
  /** `region/eu-west`, `region/eu-*`, `backend/web/10.0.0.1:80`. */
  readonly target: string;
  readonly verb: OverrideVerb;
  /** Percent of its share that a draining target keeps. */
  readonly weightPercent: number;
  readonly reason: string;
  readonly owner: string;
  readonly createdAtMs: number;
  readonly untilMs: number;
  readonly origin: "file" | "api";
};

// ── control ──────────────────────────────────────────────────────────────────────────────────────────────────────

export type TokenRole = "read" | "operate" | "admin";

export type ControlSnapshot = {
  /** `host:port`, or the path of a Unix socket. */
  readonly listen: ListenAddress | { readonly socket: string };
  readonly tokens: readonly { readonly name: string; readonly token: string; readonly role: TokenRole }[];
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** The other nodes, for `rhumb doctor`. */
  readonly peers: readonly PeerSpec[];
  /** Share of the answers that one push may change, in percent; left out: the default. */
  readonly maxChangePercent?: number;
  /** Where state lives: persisted health, API overrides, embedded store. */
  readonly stateFolder: string;
};

/** The control API of another node. `token` has the role operate there. */
export type PeerSpec = {
  readonly name: string;
  readonly url: string;
  readonly token: string;
  readonly caFile: string | undefined;
};

export type NotifySpec =
  | {
      readonly kind: "webhook";
      readonly name: string;
      readonly url: string;
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly kind: "alertmanager"; readonly name: string; readonly url: string }
  | { readonly kind: "command"; readonly name: string; readonly command: readonly string[] };
