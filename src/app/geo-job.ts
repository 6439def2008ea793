/**
 * What crosses between `app/geo-loader.ts` and `app/geo-worker.ts`: one job, one result, plain data and shared memory.
 * @module
 */
import type { ErrorCode } from "#base/errors.ts";
import type { BuildReport } from "#geo/build.ts";
import type { Fingerprint } from "#geo/fingerprint.ts";
import type { LearnedLatency } from "#geo/learned-latency.ts";
import type { RttBuildOptions, RttColumns } from "#geo/rtt-map.ts";
import type { ClientMap, RttMap } from "#state/client-map.ts";
import type { GeoOverride, MapSpec, RegionSpec } from "#state/snapshot.ts";

export type DatabaseRequest = {
  readonly file: string;
  /** False: the file has not changed, use `held`. */
  readonly shouldRead: boolean;
  /** The octets that serve now; used again when the file is refused. */
  readonly held: SharedArrayBuffer | undefined;
  /** File that `held` was read from. */
  readonly heldFile: string;
  /** What the database in use looks like; a new file that lost too much of it is refused. undefined: no comparison. */
  readonly guard: Fingerprint | undefined;
};

export type DatabaseResult = {
  /** `read`: the file; `held`: what served before; `none`: neither. */
  readonly used: "read" | "held" | "none";
  /** What was used: that file, its octets and what they look like. Undefined for `none`. */
  readonly opened:
    | {
        readonly file: string;
        readonly bytes: SharedArrayBuffer;
        readonly type: string;
        readonly builtAtMs: number;
        readonly networks: number;
        readonly fingerprint: Fingerprint | undefined;
      }
    | undefined;
  /** Identity (`app/watch-file.ts`) of the file when it was read or refused. */
  readonly identity: string | undefined;
  readonly refusal: { readonly code: ErrorCode; readonly says: string; readonly fix: string } | undefined;
};

export type GeoJob =
  | {
      readonly kind: "maps";
      readonly places: DatabaseRequest | undefined;
      readonly asns: DatabaseRequest | undefined;
      readonly specs: readonly MapSpec[];
      readonly regions: readonly RegionSpec[];
      readonly overrides: readonly GeoOverride[];
      readonly generation: number;
      /** True: nothing but the files may have changed; when they are refused there is nothing to build. */
      readonly onlyIfRead: boolean;
    }
  | {
      readonly kind: "rtt";
      readonly columns: RttColumns;
      readonly options: RttBuildOptions;
      readonly learned: readonly LearnedLatency[];
      /** Where autonomous systems have their networks, and these their countries; asked where `learned` speaks of systems. */
      readonly systems: HeldDatabase | undefined;
      readonly places: HeldDatabase | undefined;
      readonly overrides: readonly GeoOverride[];
    };

export type HeldDatabase = { readonly file: string; readonly bytes: SharedArrayBuffer };

export type GeoWorkerData = {
  readonly job: GeoJob;
  /** Something is being answered already, and comes before what is built. */
  readonly isServing: boolean;
};

export type MapsResult = {
  readonly places: DatabaseResult | undefined;
  readonly asns: DatabaseResult | undefined;
  /** Undefined when nothing was built. */
  readonly built: readonly { readonly map: ClientMap; readonly report: BuildReport }[] | undefined;
  readonly tookMs: number;
};
export type RttResult = { readonly rtt: RttMap; readonly networks: number; readonly tookMs: number };
