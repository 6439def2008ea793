/**
 * The report of one run of a drill, as JSON. The page is made from it and from nothing else.
 *
 * Units:   ms, the Unix clock in every `…AtMs` (steps too); shares are 0 to 1.
 * @module
 */
import type { LoadSecond } from "#drill/load/protocol.ts";
import type { Bound, Measure } from "#drill/scenario.ts";
import type { Continent } from "#drill/stage.ts";

export const REPORT_VERSION = 1;

/** `failed`: an expectation was not met. `aborted`: a guard broke, or somebody stopped it. `broken`: the stage or the runner failed. */
export type Outcome = "passed" | "failed" | "aborted" | "broken";

export type DrillReport = {
  readonly version: typeof REPORT_VERSION;
  readonly drill: {
    readonly file: string;
    readonly name: string;
    readonly shows: string;
    readonly stage: "local" | "compose";
  };
  readonly outcome: Outcome;
  /** One sentence for a manager. */
  readonly says: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly kernel: string;
    readonly node: string;
    readonly rhumb: string;
  };
  readonly regions: readonly string[];
  readonly continents: readonly Continent[];
  readonly load: {
    readonly qps: number;
    readonly rps: number;
    readonly anycastRps: number;
    readonly stretchTtl: number;
    readonly clients: number;
  };
  readonly steps: readonly {
    readonly atMs: number;
    readonly doneAtMs: number;
    readonly action: string;
    readonly target: string;
    readonly isFault: boolean;
    readonly says: string;
  }[];
  readonly seconds: readonly LoadSecond[];
  /** Best route of each router, each time it changed. */
  readonly routes: readonly {
    readonly atMs: number;
    readonly router: string;
    readonly region: string | null;
    readonly path: string;
  }[];
  /** Fresh answers of each node for each continent, each time they changed. */
  readonly answers: readonly {
    readonly atMs: number;
    readonly node: string;
    readonly continent: Continent;
    readonly regions: readonly string[];
  }[];
  /** Events of the nodes: detection, publication, overrides, alarms. */
  readonly events: readonly {
    readonly atMs: number;
    readonly node: string;
    readonly kind: string;
    readonly severity: string;
    readonly subject: string;
    readonly says: string;
  }[];
  readonly measures: readonly {
    readonly measure: Measure;
    readonly unit: "ms" | "share" | "count";
    readonly samples: readonly { readonly of: string; readonly value: number }[];
    readonly p50: number | null;
    readonly p99: number | null;
    readonly most: number | null;
    readonly bound: Bound | null;
    /** null: nothing was expected. */
    readonly isMet: boolean | null;
  }[];
  /** After the first fault: share of requests that still went to the old region. */
  readonly drainCurve: readonly { readonly afterMs: number; readonly share: number }[];
  /** Requests of all clients: the service level over the whole run. */
  readonly slo: {
    readonly requests: number;
    readonly ok: number;
    readonly lost: number;
    readonly availability: number;
    readonly lostQueries: number;
  };
  readonly guards: readonly {
    readonly guard: string;
    readonly limit: string;
    readonly worst: string;
    readonly isBroken: boolean;
  }[];
  /** What was not as before at the end; empty: all was. */
  readonly leftOver: readonly string[];
};
