/**
 * What a drill is, as `drills/*.yaml` says it, with all defaults filled in. `read-scenario.ts` reads one.
 *
 * Units:   ms from the start of the load in `atMs`; shares are 0 to 1.
 * @module
 */
import type { Continent } from "#drill/stage.ts";

/** What a drill or a stage cannot do without. The stages `local` and `compose` say which of them are here. */
export const NEEDS = ["root", "redis", "exabgp", "keepalived", "faketime", "docker"] as const;
export type Need = (typeof NEEDS)[number];

/** One step. `target` is `region/eu-west`, `backend/eu-west/1`, `balancer/eu-west`, `node/ns2`, `redis`, `exabgp/eu-west`, `vantage/ns2`. */
export const ACTIONS = [
  "kill",
  "pause",
  "partition",
  "slow",
  "error-rate",
  "overload",
  "flap",
  "drain",
  "evacuate",
  "withdraw",
  "kill-exabgp",
  "kill-redis",
  "sick-vantage",
  "stale-map",
  "bad-config",
  "lose-node",
  "skew-clock",
  "upgrade",
  "heal",
] as const;
export type Action = (typeof ACTIONS)[number];

export type Step = {
  readonly atMs: number;
  readonly action: Action;
  readonly target: string;
  /** `slow`: `ms`; `error-rate`: `share`; `overload`: `factor`; `flap`: `upMs`, `downMs`, `times`; `skew-clock`: `ms`. */
  readonly options: Readonly<Record<string, number | string>>;
  /** Where in the file, for messages. */
  readonly place: string;
};

export type DrillLoad = {
  readonly dns: { readonly clients: number; readonly qps: number; readonly stretchTtl: number };
  readonly http: { readonly rps: number; readonly keepAlive: boolean; readonly retries: number };
  /** Requests to the anycast address; 0: none. */
  readonly anycast: { readonly rps: number };
  /** Names that clients ask for. */
  readonly name: string;
};

/** Checked each second, over the last 5 s: broken, the drill ends as aborted and everything is healed. */
export type Guards = {
  readonly errorRate: number | undefined;
  readonly maxDurationMs: number;
  readonly minHealthyRegions: number | undefined;
  /** No override that we did not set, no evacuation, no other drill. */
  readonly isAlone: boolean;
};

/** A measure's bound. `p99` and `max` of all of its samples; in the measure's unit. */
export type Bound = { readonly p99?: number; readonly max?: number; readonly min?: number };

/**
 * | measure | sample | unit |
 * |---|---|---|
 * | `detection` | each fault: until the first DNS node says that the target is down | ms |
 * | `changedAnswer` | each fault, DNS node and client continent that was sent there: until its fresh answers go elsewhere | ms |
 * | `returnedAnswer` | the same for each `heal` | ms |
 * | `bgpConvergence` | each fault and router: until its best route leads elsewhere | ms |
 * | `anycastFailover` | each fault and client: from the fault to its first success elsewhere | ms |
 * | `dnsDrain` | each fault: until under 1 % of requests still go there | ms |
 * | `outage` | each fault: until the end of the last second that lost a request there | ms |
 * | `lostRequests` | requests that failed after all retries, of all | share |
 * | `lostAnycast` | the same for the anycast address | share |
 * | `lostQueries` | queries without an answer from any server asked, of all | share |
 * | `wrongAnswers` | fresh answers that name an address of no region, or one that an operator has taken out | count |
 * | `emptyAnswers` | fresh answers without an address, or with an error's rcode | count |
 * | `failovers` | times that fresh answers of a continent moved | count |
 * | `overCapacity` | most load of any region, of its capacity | share |
 * | `spilled` | least share of answers elsewhere while a region is over its watermark | share |
 */
export const MEASURES = [
  "detection",
  "changedAnswer",
  "returnedAnswer",
  "bgpConvergence",
  "anycastFailover",
  "dnsDrain",
  "outage",
  "lostRequests",
  "lostAnycast",
  "lostQueries",
  "wrongAnswers",
  "emptyAnswers",
  "failovers",
  "overCapacity",
  "spilled",
] as const;
export type Measure = (typeof MEASURES)[number];

export type Scenario = {
  readonly file: string;
  readonly name: string;
  /** What it shows, one sentence or two: stands at the top of the report. */
  readonly shows: string;
  readonly needs: readonly Need[];
  /** Stages that it can run on. */
  readonly stages: readonly ("local" | "compose")[];
  /** Settings of the stage that the drill asks for: `interval`, `services` and the like; `stage.ts` says which. */
  readonly world: Readonly<Record<string, unknown>>;
  readonly load: DrillLoad;
  /** The load runs so long before the first step, and after the last. */
  readonly calmMs: number;
  readonly steps: readonly Step[];
  readonly durationMs: number;
  readonly guards: Guards;
  readonly expect: Readonly<Partial<Record<Measure, Bound>>>;
  readonly continents: readonly Continent[];
};
