/**
 * A load generator is a process (`rhumb drill load`): it reads one `LoadSpec` as JSON from its standard input, writes `LoadLine`s
 * as JSON lines to its standard output, and ends when its input does. So the same code runs beside the runner and in a
 * container.
 *
 * Open loop: requests start when they are due, however slow answers are. Chance comes from `seed`.
 * Units:   ms; `atMs` is the Unix clock of the machine (containers share it).
 * @module
 */
import type { ClientPlace, Continent, Endpoint } from "#drill/stage.ts";

export type LoadSpec = {
  readonly place: ClientPlace;
  readonly seed: number;
  readonly name: string;
  /** `qps`: lookups a second; a client's own cache answers those that it can, the others become queries. */
  readonly dns: { readonly clients: number; readonly qps: number; readonly stretchTtl: number };
  readonly http: { readonly rps: number; readonly keepAlive: boolean; readonly retries: number; readonly port: number };
  readonly anycastRps: number;
  /** Fresh answers of each of these, each 100 ms, past every cache: what `changedAnswer` is measured by. */
  readonly watch: readonly { readonly node: string; readonly at: Endpoint }[];
  /** `address` → region. */
  readonly regions: Readonly<Record<string, string>>;
};

/** Counts of one second of one client place. Keys of maps are regions; `""` stands for none. */
export type LoadSecond = {
  readonly kind: "second";
  /** When it began: a whole second of the clock, the same for all places. Written when all that was due in it has ended. */
  readonly atMs: number;
  readonly continent: Continent;
  readonly dns: {
    /** Queries sent by clients (cache misses), and those of them that got no answer from anybody. */
    readonly queries: number;
    readonly lost: number;
    /** Answers by the region that they name first. */
    readonly answers: Readonly<Record<string, number>>;
    readonly p50Micros: number;
    readonly p99Micros: number;
  };
  /**
   * Requests by region and outcome: the one that answered, or that was tried last. `retried` were answered after a retry;
   * `lost` failed after all.
   */
  readonly http: Readonly<Record<string, { readonly ok: number; readonly retried: number; readonly lost: number }>>;
  /** Of those that were answered, from when they were due. */
  readonly httpP50Ms: number;
  readonly httpP99Ms: number;
  /** Age of the DNS answers that requests were sent by, in ms: mean, and the oldest. */
  readonly ttlAge: { readonly meanMs: number; readonly mostMs: number };
  readonly anycast: Readonly<Record<string, { readonly ok: number; readonly lost: number }>>;
  /** Requests that should have started in this second and did not, for want of CPU: the load itself is in doubt then. */
  readonly late: number;
};

/** Something that is measured to the ms. */
export type LoadMark =
  | {
      readonly kind: "answer";
      readonly atMs: number;
      readonly continent: Continent;
      readonly node: string;
      readonly regions: readonly string[];
      readonly ttl: number;
      readonly rcode: string;
      readonly addresses: readonly string[];
    }
  | { readonly kind: "silent"; readonly atMs: number; readonly continent: Continent; readonly node: string }
  | {
      readonly kind: "anycast";
      readonly atMs: number;
      readonly continent: Continent;
      readonly region: string;
      readonly isOk: boolean;
    }
  | { readonly kind: "ready"; readonly atMs: number; readonly continent: Continent };

/**
 * `ready` is written once: each watched node has said its first word, or is silent, and the first request has ended.
 *
 * `answer`, `silent` and `anycast` are written when they differ from the one before of the same node or client.
 */
export type LoadLine = LoadSecond | LoadMark;
