/**
 * Keeps client maps in step with configuration, database files and measured latency. Builds run in a worker thread
 * (`app/geo-worker.ts`); what serves is replaced whole, or stays.
 *
 * Owns:    the octets of the databases in use (shared memory, the size of the files), the maps, the latency table.
 * Writer:  the maps door, through `onMaps`. Events: geo.loaded, geo.refused (resolved when a later file is taken).
 * Never:   stops serving for want of a database: without one every client is unknown, and an alarm says so.
 * @module
 */
import { Worker } from "node:worker_threads";
import type { DatabaseRequest, DatabaseResult, GeoJob, GeoWorkerData, MapsResult, RttResult } from "#app/geo-job.ts";
import { createFileWatch, type FileWatch } from "#app/watch-file.ts";
import type { Clock, Timer } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import { fileIdentityOrNothing } from "#base/file-identity.ts";
import type { Log } from "#base/log.ts";
import { createLatencyTable, LATENCY_EXPIRY_MS, type LatencyInput } from "#geo/latency-table.ts";
import type { LearnedLatency } from "#geo/learned-latency.ts";
import { createGeoLookup, type GeoLookup } from "#geo/lookup.ts";
import type { ClientMap, RttMap } from "#state/client-map.ts";
import type { Emit } from "#state/events.ts";
import type { GeoSnapshot, RegionSpec } from "#state/snapshot.ts";

export type GeoLoaderOptions = {
  readonly log: Log;
  readonly emit: Emit;
  readonly clock: Clock;
  /** Puts maps and RTTs into use; called one at a time. */
  onMaps(maps: readonly ClientMap[], rtt: RttMap | undefined): void | Promise<void>;
  /** A replaced file must stay unchanged this long before it is read. */
  readonly settleMs?: number;
  /** How often files are looked at besides being watched. */
  readonly pollMs?: number;
};

export type GeoDatabaseInfo = {
  readonly file: string;
  readonly type: string | null;
  readonly builtAtMs: number | null;
  readonly loadedAtMs: number | null;
  /** Networks in the database. */
  readonly networks: number | null;
  /** Why the newest file was refused; null when all is well. */
  readonly problem: string | null;
};
export type GeoInfo = {
  readonly database: GeoDatabaseInfo | null;
  readonly asnDatabase: GeoDatabaseInfo | null;
  readonly maps: readonly {
    readonly mapId: string;
    readonly generation: number;
    readonly classes: number;
    readonly leaves: number;
    readonly mergedRatio: number;
    readonly octets: number;
  }[];
  readonly latency: { readonly generation: number; readonly networks: number };
};

export type GeoLoader = {
  /**
   * Builds what the configuration needs and puts it into use. Does not reject because of a database: that is an event.
   * @returns the maps in use, in the order of `geo.maps`
   */
  apply(geo: GeoSnapshot, regions: readonly RegionSpec[]): Promise<readonly ClientMap[]>;
  /** Reads the database files again. `isForced` lets through one that lost too much. @returns the problems left */
  reload(isForced: boolean): Promise<readonly string[]>;
  lookup(address: Uint8Array): GeoLookup;
  info(): GeoInfo;
  /**
   * Takes measured latency, all or nothing, and resolves when it is in use.
   * @throws RhumbError RHUMB_GEO_LATENCY_INVALID with what is wrong
   */
  setLatency(entries: readonly LatencyInput[], replace: boolean): Promise<void>;
  /** What nodes learnt from connections and beacons, all of it; lies below what `setLatency` brought. Resolves when it is in use. */
  setLearned(rows: readonly LearnedLatency[]): Promise<void>;
  /** What `setLatency` brought. */
  latency(limit: number): readonly LatencyInput[];
  /** What `setLearned` brought. */
  learned(limit: number): readonly LearnedLatency[];
  close(): Promise<void>;
};

/** Which of the two databases, and all that is kept of it. */
type Held = {
  readonly name: "geo.database" | "geo.asn";
  /** As configured. */
  file: string | undefined;
  used: NonNullable<DatabaseResult["opened"]> | undefined;
  /** Identity of the file that was read last, taken or refused. */
  identity: string | undefined;
  loadedAtMs: number | undefined;
  problem: string | undefined;
  watch: FileWatch | undefined;
};

const SETTLE_MS = 1_000;
const POLL_MS = 30_000;
/** How often measured latency is looked through for what is older than `LATENCY_EXPIRY_MS`. */
const EXPIRY_STEP_MS = 3_600_000;

export function createGeoLoader(options: GeoLoaderOptions): GeoLoader {
  const { log, emit, clock, settleMs = SETTLE_MS, pollMs = POLL_MS } = options;
  const hold = (name: Held["name"]): Held => ({
    name,
    file: undefined,
    used: undefined,
    identity: undefined,
    loadedAtMs: undefined,
    problem: undefined,
    watch: undefined,
  });
  const places = hold("geo.database");
  const asns = hold("geo.asn");
  let geo: GeoSnapshot = { database: undefined, asnDatabase: undefined, overrides: [], maps: [] };
  let regions: readonly RegionSpec[] = [];
  let maps: readonly ClientMap[] = [];
  /** What `maps` were built from, apart from the files. */
  let builtFrom = "";
  let rtt: RttMap | undefined;
  /** Networks in `rtt`. */
  let rttNetworks = 0;
  let generation = 0;
  let lookup: ((address: Uint8Array) => GeoLookup) | undefined;
  /** Maps could not be built at the start, and the alarm about it is open. */
  let hasFailedMaps = false;
  let isClosed = false;
  const workers = new Set<Worker>();
  const latencyTable = createLatencyTable((id) => regions.some((region) => region.id === id));
  let learned: readonly LearnedLatency[] = [];
  let expiry: Timer | undefined;

  /** One thing at a time: a reload never overtakes a change of configuration. */
  let queue: Promise<unknown> = Promise.resolve();
  function enqueue<T>(work: () => Promise<T>): Promise<T> {
    const done = queue.then(work);
    queue = done.catch(() => undefined);
    return done;
  }

  function runInWorker<T extends MapsResult | RttResult>(job: GeoJob): Promise<T> {
    return new Promise((resolve, reject) => {
      const workerData: GeoWorkerData = { job, isServing: builtFrom !== "" };
      const worker = new Worker(new URL("./geo-worker.ts", import.meta.url), { workerData, name: "geo" });
      workers.add(worker);
      worker.once("message", (result: T) => resolve(result));
      worker.once("error", reject);
      worker.once("exit", (code) => {
        workers.delete(worker);
        reject(new Error(`the worker thread that builds client maps ended with code ${code}`));
      });
    });
  }

  function request(held: Held, mode: "if-changed" | "read" | "force"): DatabaseRequest | undefined {
    if (held.file === undefined) return undefined;
    const isOther = held.used !== undefined && held.used.file !== held.file;
    return {
      file: held.file,
      shouldRead:
        mode !== "if-changed" || held.identity === undefined || fileIdentityOrNothing(held.file) !== held.identity,
      held: held.used?.bytes,
      heldFile: held.used?.file ?? "",
      // A file under another name is the operator's own decision, not an accident.
      guard: mode === "force" || isOther ? undefined : held.used?.fingerprint,
    };
  }

  function accept(held: Held, result: DatabaseResult | undefined): void {
    if (!result || held.file === undefined) return;
    held.used = result.opened;
    if (result.identity !== undefined) held.identity = result.identity;
    held.watch?.seen(held.identity);
    if (result.refusal) {
      const { code, says, fix } = result.refusal;
      const stays = result.opened
        ? `The database loaded before stays in use (built ${new Date(result.opened.builtAtMs).toISOString()})`
        : "Without it clients are unknown and get each service's default order";
      if (says === held.problem) return;
      held.problem = says;
      emit({
        kind: "geo.refused",
        atMs: clock.nowMs(),
        severity: "alarm",
        subject: held.file,
        says: `${says}. ${stays}. ${fix}`,
        data: { code },
      });
    }
  }

  /** Says that a database was loaded: called when what was built from it is in use. */
  function announce(held: Held, result: DatabaseResult | undefined): void {
    if (result?.used !== "read" || held.file === undefined) return;
    const atMs = clock.nowMs();
    const { type, builtAtMs, networks } = result.opened!;
    held.loadedAtMs = atMs;
    const says = `Loaded ${held.file}: ${type}, ${networks} networks, built ${new Date(builtAtMs).toISOString()}`;
    emit({ kind: "geo.loaded", atMs, severity: "info", subject: held.file, says, data: { type, networks, builtAtMs } });
    if (held.problem !== undefined) emit({ kind: "geo.refused", atMs, severity: "resolved", subject: held.file, says });
    held.problem = undefined;
  }

  async function rebuild(mode: "if-changed" | "read" | "force", onlyIfRead: boolean): Promise<void> {
    const job: GeoJob = {
      kind: "maps",
      places: request(places, mode),
      asns: request(asns, mode),
      specs: geo.maps,
      regions,
      overrides: geo.overrides,
      generation: generation + 1,
      onlyIfRead,
    };
    generation += Math.max(1, geo.maps.length);
    const result = await runInWorker<MapsResult>(job);
    if (isClosed) return;
    accept(places, result.places);
    accept(asns, result.asns);
    lookup = undefined;
    if (result.built) await take(result.built, result.tookMs);
    announce(places, result.places);
    announce(asns, result.asns);
  }

  async function take(built: NonNullable<MapsResult["built"]>, tookMs: number): Promise<void> {
    for (const { map, report } of built) {
      const { leaves, mergedRatio, octets } = map.info;
      const classes = map.classes.length;
      const fields = { mapId: map.mapId, classes, leaves, mergedRatio, octets, tookMs };
      log.info({ ...fields, clampedBlocks: report.clampedBlocks }, "Built a client map");
      for (const says of report.ignored) log.warn({ mapId: map.mapId }, `An override or fence has no effect: ${says}`);
    }
    await publish(
      built.map(({ map }) => map),
      rtt,
    );
  }

  async function publish(nextMaps: readonly ClientMap[], nextRtt: RttMap | undefined): Promise<void> {
    await options.onMaps(nextMaps, nextRtt);
    maps = nextMaps;
    rtt = nextRtt;
    if (!hasFailedMaps || maps.length < geo.maps.length) return;
    hasFailedMaps = false;
    const says = "Client maps are built again";
    emit({ kind: "geo.refused", atMs: clock.nowMs(), severity: "resolved", subject: "client maps", says });
  }

  function follow(held: Held, file: string | undefined): void {
    if (held.file === file) return;
    if (held.problem !== undefined && held.file !== undefined)
      emit({
        kind: "geo.refused",
        atMs: clock.nowMs(),
        severity: "resolved",
        subject: held.file,
        says: `${held.file} is no longer configured`,
      });
    held.watch?.close();
    held.watch = undefined;
    held.file = file;
    held.identity = undefined;
    held.problem = undefined;
    if (file === undefined) {
      held.used = undefined;
      held.loadedAtMs = undefined;
      return;
    }
    held.watch = createFileWatch({
      file,
      clock,
      settleMs,
      pollMs,
      onSettled: () => {
        enqueue(() => rebuild("if-changed", true)).catch((error: unknown) => {
          if (!isClosed) log.error({ error, file }, "Building client maps failed; the maps in use stay");
        });
      },
    });
  }

  async function rebuildRtt(): Promise<void> {
    const nowMs = clock.nowMs();
    latencyTable.expire(nowMs);
    const result = await runInWorker<RttResult>({
      kind: "rtt",
      columns: latencyTable.columns(),
      learned,
      systems: asns.used && { file: asns.used.file, bytes: asns.used.bytes },
      places: places.used && { file: places.used.file, bytes: places.used.bytes },
      overrides: geo.overrides,
      options: {
        generation: ++generation,
        regionIds: regions.map(({ id }) => id),
        notBeforeMs: nowMs - LATENCY_EXPIRY_MS,
      },
    });
    if (isClosed) return;
    await publish(maps, result.rtt);
    rttNetworks = result.networks;
  }
  const expireLater = (): void => {
    expiry ??= clock.after(EXPIRY_STEP_MS, () => {
      expiry = undefined;
      if (isClosed || latencyTable.count() === 0) return;
      expireLater();
      if (!latencyTable.expire(clock.nowMs())) return;
      enqueue(rebuildRtt).catch((error: unknown) => {
        if (!isClosed) log.error({ error }, "Building the map of measured latency failed; the one in use stays");
      });
    });
  };

  const infoOf = (held: Held): GeoDatabaseInfo | null =>
    held.file === undefined
      ? null
      : {
          file: held.used?.file ?? held.file,
          type: held.used?.type ?? null,
          builtAtMs: held.used?.builtAtMs ?? null,
          loadedAtMs: held.loadedAtMs ?? null,
          networks: held.used?.networks ?? null,
          problem: held.problem ?? null,
        };

  return {
    apply: (nextGeo, nextRegions) =>
      enqueue(async () => {
        follow(places, nextGeo.database);
        follow(asns, nextGeo.asnDatabase);
        const regionsChanged = regions.map(({ id }) => id).join() !== nextRegions.map(({ id }) => id).join();
        geo = nextGeo;
        regions = nextRegions;
        const { maps: specs, overrides } = geo;
        const regionPlaces = regions.map(({ id, latitude, longitude, continent, country }) => [
          id,
          latitude,
          longitude,
          continent,
          country,
        ]);
        const from = JSON.stringify([
          geo.database,
          geo.asnDatabase,
          specs.map(({ mapId }) => mapId),
          overrides,
          regionPlaces,
        ]);
        const isSame = from === builtFrom;
        const isSettled = [places, asns].every(
          ({ file, identity }) =>
            file === undefined || (identity !== undefined && fileIdentityOrNothing(file) === identity),
        );
        if (!isSame || !isSettled) {
          try {
            await rebuild("if-changed", isSame);
          } catch (error) {
            // A change of configuration fails and the old one stays. At the start there is no old one: serve without maps.
            if (builtFrom !== "" || isClosed) throw error;
            const says = `Building client maps failed, so clients are unknown: ${error instanceof Error ? error.message : error}`;
            emit({ kind: "geo.refused", atMs: clock.nowMs(), severity: "alarm", subject: "client maps", says });
            hasFailedMaps = true;
            return maps;
          }
        }
        builtFrom = from;
        if (regionsChanged && (latencyTable.count() > 0 || learned.length > 0)) await rebuildRtt();
        return maps;
      }),
    reload: (isForced) =>
      enqueue(async () => {
        await rebuild(isForced ? "force" : "read", true);
        return [places.problem, asns.problem].filter((problem) => problem !== undefined);
      }),
    lookup(address) {
      lookup ??= createGeoLookup({
        places: places.used && Buffer.from(places.used.bytes),
        asns: asns.used && Buffer.from(asns.used.bytes),
        overrides: geo.overrides,
      });
      return lookup(address);
    },
    info: () => ({
      database: infoOf(places),
      asnDatabase: infoOf(asns),
      maps: maps.map(({ mapId, generation: number, classes, info }) => ({
        mapId,
        generation: number,
        classes: classes.length,
        leaves: info.leaves,
        mergedRatio: info.mergedRatio,
        octets: info.octets,
      })),
      latency: { generation: rtt?.generation ?? 0, networks: rttNetworks },
    }),
    async setLatency(entries, replace) {
      const problems = latencyTable.put(entries, replace, clock.nowMs());
      if (problems.length > 0) {
        const shown = problems.slice(0, 5).map(({ entry, says }) => `entries[${entry}]: ${says}`);
        const more = problems.length > shown.length ? [`and ${problems.length - shown.length} more`] : [];
        throw new RhumbError("RHUMB_GEO_LATENCY_INVALID", [...shown, ...more].join("; "));
      }
      expireLater();
      await enqueue(rebuildRtt);
    },
    async setLearned(rows) {
      learned = rows;
      await enqueue(rebuildRtt);
    },
    latency: (limit) => latencyTable.list(limit),
    learned: (limit) => learned.slice(0, limit),
    async close() {
      isClosed = true;
      expiry?.cancel();
      places.watch?.close();
      asns.watch?.close();
      await Promise.all([...workers].map((worker) => worker.terminate()));
      await queue;
    },
  };
}
