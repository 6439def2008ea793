/**
 * What `app/` hands in to the API: views to read and commands to give. The API never sees an engine.
 *
 * Owns:    the two types `Views` and `Commands`, and the plain JSON shapes that they speak (schemas: `schemas.ts`).
 * Writer:  `app/` implements them. Readers: `api/routes/`.
 * Rules:   a view answers from memory, does not block, and returns a fresh plain JSON object each time. A command
 *          throws `RhumbError` for what the caller did wrong; the API answers with its code, sentence and fix. Who
 *          asked stands in `Actor`; the API writes the audit log, commands need not.
 * @module
 */
import type { z } from "zod";
import type * as schemas from "#api/schemas.ts";
import type * as anycast from "#api/schemas-anycast.ts";
import type * as balancer from "#api/schemas-balancer.ts";
import type * as config from "#api/schemas-config.ts";
import type * as evacuation from "#api/schemas-evacuation.ts";
import type * as http from "#api/schemas-http.ts";
import type * as latency from "#api/schemas-latency.ts";
import type * as load from "#api/schemas-load.ts";
import type { RecordDoor } from "#state/exchange.ts";
import type { TokenRole } from "#state/snapshot.ts";

type Frozen<T> = T extends readonly (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Frozen<T[Key]> }
    : T;
type Shape<Schema extends z.ZodType> = Frozen<z.output<Schema>>;
type Maybe<T> = T | Promise<T>;

export type StatusView = Shape<typeof schemas.statusSchema>;
export type TargetHealthView = Shape<typeof schemas.targetHealthSchema>;
export type VantageView = Shape<typeof schemas.vantageSchema>;
export type RegionView = Shape<typeof schemas.regionSchema>;
export type ServiceView = Shape<typeof schemas.serviceSchema>;
export type ServiceClassesView = Shape<typeof schemas.serviceClassesSchema>;
export type QueryView = Shape<typeof schemas.querySchema>;
export type OverrideView = Shape<typeof schemas.overrideSchema>;
export type ExplainView = Shape<typeof schemas.explainSchema>;
export type ConfigView = Shape<typeof config.configSchema>;
export type ConfigChangeView = Shape<typeof config.configChangeSchema>;
export type ConfigPushView = Shape<typeof config.configPushSchema>;
export type DesiredView = Shape<typeof config.desiredSchema>;
export type DesiredLogView = Shape<typeof config.desiredLogSchema>;
export type DesiredDiffView = Shape<typeof config.desiredDiffSchema>;
export type NodeStateView = Shape<typeof config.nodeStateSchema>;
export type RumView = Shape<typeof latency.rumSchema>;
export type LatencyView = Shape<typeof schemas.latencySchema>;
export type AnycastShape = Shape<typeof anycast.anycastSchema>;
export type LoadView = Shape<typeof load.loadSchema>;
export type GeoReloadView = Shape<typeof schemas.geoReloadSchema>;
export type ProbeView = Shape<typeof schemas.probeSchema>;
export type ReadinessView = Shape<typeof schemas.readinessSchema>;
export type DrainView = Shape<typeof schemas.drainSchema>;
export type FailbackView = Shape<typeof schemas.failbackSchema>;
export type DemoView = Shape<typeof schemas.demoSchema>;
export type AuditEntry = Shape<typeof schemas.auditEntrySchema>;

export type EvacuationView = Shape<typeof evacuation.evacuationSchema>;
export type EvacuationRequest = Shape<typeof evacuation.newEvacuationSchema> & { readonly region: string };

export type BackendView = Shape<typeof balancer.backendSchema>;
export type BackendHealthView = Shape<typeof balancer.backendHealthSchema>;
export type PoolView = Shape<typeof balancer.poolSchema>;
export type ListenerView = Shape<typeof balancer.listenerSchema>;
export type BalancerStatsView = Shape<typeof balancer.balancerStatsSchema>;
export type CacheView = Shape<typeof http.cacheSchema>;
export type RuleView = Shape<typeof http.ruleSchema>;
export type CertificatesView = Shape<typeof http.certificatesSchema>;
export type PurgeRequest = Omit<Shape<typeof http.purgeSchema>, "all">;
export type NewBackend = Shape<typeof balancer.newBackendSchema> & { readonly pool: string };
export type BackendPatch = Shape<typeof balancer.backendPatchSchema>;
export type BackendStateRequest = Shape<typeof balancer.backendStateSchema>;
export type AlgorithmRequest = Shape<typeof balancer.algorithmSchema> & { readonly pool: string };

/** `from` is the text that the caller gave (address or network); `atMs` is filled in. */
export type ExplainRequest = {
  readonly name: string;
  readonly type: string;
  readonly from: string;
  readonly resolver: string | undefined;
  readonly atMs: number;
};
/** The target is not yet expanded: a bare name is a region. Exactly one end, already counted: `untilMs`, or `UNTIL_CLEARED_MS`. */
export type OverrideRequest = Omit<Shape<typeof schemas.newOverrideSchema>, "forMs" | "untilMs" | "owner"> & {
  readonly owner: string;
  readonly untilMs: number;
};
export type LatencyRequest = Shape<typeof schemas.newLatencySchema>;
export type ProbeRequest = Shape<typeof schemas.newProbeSchema>;
/**
 * A push to all nodes, checked by the door alone. `overlay` comes as it was sent: a JSON object that becomes the whole
 * overlay (ruling 23), of which pools are this node's own.
 */
export type PushRequest = Omit<Shape<typeof config.newPushSchema>, "files" | "overlay"> & {
  readonly files: Readonly<Record<string, string | null>> | undefined;
  readonly overlay: Readonly<Record<string, unknown>> | undefined;
  readonly isDryRun: boolean;
};
export type RollbackRequest = Shape<typeof config.newRollbackSchema>;
export type ResolveRequest = Shape<typeof config.newResolveSchema>;

/** Who gives a command. */
export type Actor = {
  readonly name: string;
  readonly role: TokenRole;
  readonly via: "token" | "session" | "socket";
  /** The peer's address, or `unix`. */
  readonly remote: string;
};

export type BalancerViews = {
  /** Generation of the configuration that the other views show: the ETag. */
  version(): string;
  backends(): readonly BackendView[];
  /** The backend exists. */
  backendHealth(id: string): BackendHealthView;
  pools(): readonly PoolView[];
  listeners(): readonly ListenerView[];
  stats(): BalancerStatsView;
  cache(): Promise<readonly CacheView[]>;
  rules(): readonly RuleView[];
  certificates(): CertificatesView;
};

/**
 * Changes of the stored overlay. `version`: the generation that the caller saw; another one serves: RHUMB_API_CHANGED.
 * @throws RHUMB_CONFIG_INVALID with its problems when the result would be no good configuration
 */
export type BalancerCommands = {
  /** The pool exists. @throws RHUMB_BALANCER_BACKEND_EXISTS */
  addBackend(request: NewBackend, version: string | undefined, actor: Actor): Promise<BackendView>;
  patchBackend(id: string, patch: BackendPatch, version: string | undefined, actor: Actor): Promise<BackendView>;
  removeBackend(
    id: string,
    version: string | undefined,
    actor: Actor,
  ): Promise<Shape<typeof balancer.removedBackendSchema>>;
  setState(id: string, request: BackendStateRequest, actor: Actor): Maybe<BackendView>;
  setAlgorithm(request: AlgorithmRequest, version: string | undefined, actor: Actor): Promise<PoolView>;
  putPool(
    name: string,
    settings: Readonly<Record<string, unknown>>,
    version: string | undefined,
    actor: Actor,
  ): Promise<PoolView>;
  removePool(
    name: string,
    version: string | undefined,
    actor: Actor,
  ): Promise<{ readonly name: string; readonly says: string }>;
  /** All that are given must hold; none: everything. @returns how many responses were dropped */
  purgeCache(what: PurgeRequest, actor: Actor): Promise<number>;
};

export type Views = {
  /** Undefined: this node plays no balancer role. */
  readonly balancer?: BalancerViews | undefined;
  status(): Maybe<StatusView>;
  /** `pools`: those that must have a healthy backend. */
  readiness(pools: readonly string[]): Maybe<ReadinessView>;
  regions(): Maybe<readonly RegionView[]>;
  services(): Maybe<readonly ServiceView[]>;
  /** Undefined: no such service. */
  serviceClasses(name: string, top: number): Maybe<ServiceClassesView | undefined>;
  /** The query log without its queries: those come through the ring that the API is handed, and after this all are there. */
  queryLog(): Maybe<Omit<Shape<typeof schemas.queryListSchema>, "queries">>;
  /** Every target, regions and addresses. */
  vantages(): Maybe<readonly VantageView[]>;
  health(): Maybe<readonly TargetHealthView[]>;
  /** In the order in which they apply: files first, then the API's. */
  overrides(): Maybe<readonly OverrideView[]>;
  explain(request: ExplainRequest): Maybe<ExplainView>;
  config(): Maybe<ConfigView>;
  /** The configuration with its overlay merged in, as YAML text; secrets stay `env:` and `file:` references. */
  configExport(): Maybe<string>;
  desired(): Maybe<DesiredView>;
  /** Newest first. */
  desiredLog(): Maybe<DesiredLogView>;
  /** @throws RhumbError RHUMB_CONFIG_VERSION_UNKNOWN */
  desiredDiff(from: string, to: string | undefined): Maybe<DesiredDiffView>;
  latency(): Maybe<LatencyView>;
  rum(): Maybe<RumView>;
  load(): Maybe<LoadView>;
  /** All that this node knows of, those that are over for a day. */
  evacuations(): Maybe<readonly EvacuationView[]>;
  anycast(): Maybe<AnycastShape>;
  /** Prometheus text and its content type (`metrics/`). */
  metrics(): Maybe<{ readonly contentType: string; readonly text: string }>;
};

export type Commands = {
  readonly balancer?: BalancerCommands | undefined;
  /** @throws RhumbError when nothing matches the target, or no region would be left and `force` is not given */
  setOverride(request: OverrideRequest, actor: Actor): Maybe<OverrideView>;
  /** @returns the override that was cleared, or undefined when no override of the API has this id */
  clearOverride(id: string, actor: Actor): Maybe<OverrideView | undefined>;
  /** The region exists. @throws RhumbError when it does not wait for approval */
  approveFailback(region: string, actor: Actor): Maybe<FailbackView>;
  /**
   * Does not throw for a bad configuration: it returns the problems and `isApplied: false`.
   * @throws RhumbError for a conflict, or when another push came first
   */
  proposeConfig(request: PushRequest, actor: Actor): Maybe<ConfigPushView>;
  rollbackConfig(request: RollbackRequest, actor: Actor): Maybe<ConfigPushView>;
  resolveConfig(request: ResolveRequest, actor: Actor): Maybe<ConfigPushView>;
  /** Reads the files again, as SIGHUP does. */
  reloadConfig(actor: Actor): Maybe<ConfigChangeView>;
  setLatency(request: LatencyRequest, actor: Actor): Maybe<LatencyView>;
  /** Reads the geo databases again. Does not throw for a file that is refused: it returns the problems. */
  reloadGeo(isForced: boolean, actor: Actor): Maybe<GeoReloadView>;
  /** Asks over UDP and TCP; address and port have passed the API's checks. Does not throw for what it sees. */
  probe(request: ProbeRequest): Maybe<ProbeView>;
  /** Sends a test message; undefined name: to every notifier. @returns one line per notifier */
  testNotify(
    name: string | undefined,
    actor: Actor,
  ): Maybe<readonly { name: string; isDelivered: boolean; says: string }[]>;
  /** `/readyz` says no from now on; who comes is served. Not kept over a restart. */
  startDrain(reason: string | undefined, actor: Actor): Maybe<DrainView>;
  stopDrain(actor: Actor): Maybe<DrainView>;
  announceAnycast(actor: Actor): Maybe<AnycastShape>;
  /** @throws RhumbError where too few other nodes announce, or nothing is configured */
  withdrawAnycast(reason: string, actor: Actor): Maybe<AnycastShape>;
  /** @throws RhumbError RHUMB_EVACUATION_… and RHUMB_HEALTH_REGION_UNKNOWN, as the three below */
  evacuate(request: EvacuationRequest, actor: Actor): Maybe<EvacuationView>;
  returnRegion(region: string, actor: Actor): Maybe<EvacuationView>;
  stopEvacuation(region: string, actor: Actor): Maybe<EvacuationView>;
  resumeEvacuation(region: string, isForced: boolean, actor: Actor): Maybe<EvacuationView>;
  /** What other nodes share with this one. */
  readonly records?: RecordDoor;
  /** Only in the demo world; undefined elsewhere, and the routes answer 404. */
  readonly demo?: {
    kill(region: string, actor: Actor): Maybe<DemoView>;
    heal(region: string, actor: Actor): Maybe<DemoView>;
  };
};
