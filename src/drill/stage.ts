/**
 * Where a drill runs: the world it disturbs, and who can disturb it. A stage is started, disturbed, healed and stopped; it
 * knows nothing of load, measures or reports. The runner knows nothing of processes or containers.
 * @module
 */
import type { Need, Step } from "#drill/scenario.ts";

export const CONTINENTS = ["NA", "EU", "AS"] as const;
/** Of clients; there is one client place on each. */
export type Continent = (typeof CONTINENTS)[number];

export type Endpoint = { readonly address: string; readonly port: number };

/** Where clients of a continent are, and how they reach things: on `local` every way leads through a relay of their own. */
export type ClientPlace = {
  readonly continent: Continent;
  /** Their network, told to DNS servers as client subnet where they ask without a resolver between. */
  readonly network: string;
  /** Who they ask: DNS nodes (each in turn, the next after a time-out), or their continent's resolver. */
  readonly resolvers: readonly Endpoint[];
  /** True: a resolver with a cache of its own stands there. */
  readonly isResolver: boolean;
  /** Where a connection to an address of a region really goes; the address itself where it is not named. Keys: `address:port`. */
  readonly ways: Readonly<Record<string, Endpoint>>;
  /** The anycast address as these clients reach it; undefined: the stage has none. */
  readonly anycast: Endpoint | undefined;
};

export type StageRegion = {
  readonly id: string;
  readonly addresses: readonly string[];
  readonly port: number;
  readonly capacityRps: number | undefined;
  /** Its address goes to another balancer when one is lost. */
  readonly hasStandBy?: boolean;
};
export type StageNode = {
  readonly name: string;
  readonly dns: Endpoint;
  /** Control API, and a token with the role `operate`. */
  readonly api: string;
  readonly token: string;
};

/** The best route of a router to the anycast prefix, now. */
export type RouteNow = { readonly router: string; readonly region: string | null; readonly path: string };

/** What was done, and how it is undone. `heal` of the same target calls it; so does the end of the drill, whatever came. */
export type Undo = () => Promise<void>;

export type Stage = {
  readonly name: "local" | "compose";
  readonly regions: readonly StageRegion[];
  readonly nodes: readonly StageNode[];
  readonly clients: readonly ClientPlace[];
  /** Routers that can be asked for routes; empty without BGP. */
  readonly routers: readonly string[];
  /** Resolves when all of it serves. @throws RhumbError that names what did not start, with its last words */
  start(): Promise<void>;
  /** @throws RhumbError where this stage cannot do that to this target: found out before the drill begins by `can` */
  perform(step: Step): Promise<Undo>;
  /** @returns why not; undefined: it can */
  can(step: Step): string | undefined;
  routes(): Promise<readonly RouteNow[]>;
  /**
   * The command that generates load at a client place: the words before `drill load`'s own (`node bin/rhumb`, or
   * `docker exec -i client-eu rhumb`).
   */
  loadCommand(client: ClientPlace): readonly string[];
  /** What is left as it was is checked here: processes, containers, overrides. @returns what is not as it was */
  differences(): Promise<readonly string[]>;
  stop(): Promise<void>;
};

/** @returns those of `needs` that are not here, each with how to get it */
export type MissingNeeds = (
  needs: readonly Need[],
) => Promise<readonly { readonly need: Need; readonly fix: string }[]>;
