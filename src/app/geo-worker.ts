/**
 * Worker thread of `app/geo-loader.ts`: does one job (open databases and build maps), answers once, and ends, so that
 * what it needed in memory is given back at once.
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import type { DatabaseRequest, DatabaseResult, GeoJob, GeoWorkerData, MapsResult, RttResult } from "#app/geo-job.ts";
import { yieldCpu } from "#app/yield-cpu.ts";
import { RhumbError } from "#base/errors.ts";
import { fileIdentity } from "#base/file-identity.ts";
import { buildClientMap } from "#geo/build.ts";
import {
  type AsnDatabase,
  openAsnDatabase,
  openPlaceDatabase,
  type PlaceDatabase,
  readDatabaseFile,
} from "#geo/database.ts";
import { type Fingerprint, findLoss, findNetworkLoss, takeFingerprint } from "#geo/fingerprint.ts";
import { layLatency, type ShortNetwork, systemOf } from "#geo/learned-latency.ts";
import { createGeoLookup } from "#geo/lookup.ts";
import { buildRttMap, countNetworks } from "#geo/rtt-map.ts";
import { findSystemNetworks } from "#geo/system-networks.ts";
import { createClassifier } from "#steer/classify.ts";

type Opener<T> = {
  open(file: string, bytes: Buffer): T;
  fingerprint(database: T): Fingerprint;
  findLoss(serving: Fingerprint, next: Fingerprint): string | undefined;
};
const NOTHING = new Uint8Array(0);
const PLACES: Opener<PlaceDatabase> = { open: openPlaceDatabase, fingerprint: takeFingerprint, findLoss };
const ASNS: Opener<AsnDatabase> = {
  open: openAsnDatabase,
  fingerprint: ({ tree }) => ({ networks: tree.networks, known: NOTHING, country: new Uint16Array(0) }),
  findLoss: (serving, next) => findNetworkLoss(serving.networks, next.networks),
};

/** A copy in shared memory: it goes to the loader without another one, and outlives this thread. */
function readShared(file: string): Buffer {
  const bytes = readDatabaseFile(file);
  const shared = Buffer.from(new SharedArrayBuffer(bytes.length));
  bytes.copy(shared);
  return shared;
}

function use<T extends PlaceDatabase | AsnDatabase>(
  request: DatabaseRequest | undefined,
  opener: Opener<T>,
): { readonly database: T | undefined; readonly result: DatabaseResult | undefined } {
  if (!request) return { database: undefined, result: undefined };
  const opened = (database: T, bytes: Buffer): DatabaseResult["opened"] => ({
    file: database.file,
    bytes: bytes.buffer as unknown as SharedArrayBuffer,
    type: database.type,
    builtAtMs: database.builtAtMs,
    networks: database.tree.networks,
    fingerprint: opener.fingerprint(database),
  });
  let refusal: DatabaseResult["refusal"];
  let identity: string | undefined;
  if (request.shouldRead) {
    try {
      identity = fileIdentity(request.file);
      const bytes = readShared(request.file);
      if (fileIdentity(request.file) !== identity)
        throw new RhumbError("RHUMB_GEO_BROKEN", `${request.file}: it changed while it was being read`);
      const database = opener.open(request.file, bytes);
      const result = opened(database, bytes);
      const loss = request.guard && opener.findLoss(request.guard, result!.fingerprint!);
      if (loss !== undefined) throw new RhumbError("RHUMB_GEO_EMPTIER", `${request.file}: ${loss}`);
      return { database, result: { used: "read", opened: result, identity, refusal: undefined } };
    } catch (error) {
      if (!(error instanceof RhumbError)) throw error;
      refusal = { code: error.code, says: error.message, fix: error.fix };
    }
  }
  if (!request.held) return { database: undefined, result: { used: "none", opened: undefined, identity, refusal } };
  const bytes = Buffer.from(request.held);
  const database = opener.open(request.heldFile, bytes);
  return { database, result: { used: "held", opened: opened(database, bytes), identity, refusal } };
}

/** The networks of the autonomous systems that the job speaks of, each in the country that its first address is in. */
function systemsOf({ learned, systems, places, overrides }: Extract<GeoJob, { kind: "rtt" }>): NetworksOf {
  const wanted = new Set(learned.flatMap(({ network }) => systemOf(network)?.asn ?? []));
  if (!systems || wanted.size === 0) return () => [];
  const found = findSystemNetworks(openAsnDatabase(systems.file, Buffer.from(systems.bytes)), wanted);
  const lookup = createGeoLookup({ places: places && Buffer.from(places.bytes), asns: undefined, overrides });
  const countryOf = ({ isIpv6, high, low }: ShortNetwork): string => {
    const address = new Uint8Array(isIpv6 === 1 ? 16 : 4);
    new DataView(address.buffer).setUint32(0, high);
    if (isIpv6 === 1) new DataView(address.buffer).setUint16(4, low);
    return lookup(address).location.country;
  };
  const byCountry = new Map<number, ReadonlyMap<string, readonly ShortNetwork[]>>();
  return (asn, country) => {
    const networks = found.get(asn) ?? [];
    if (country === "") return networks;
    const countries = byCountry.get(asn) ?? Map.groupBy(networks, countryOf);
    byCountry.set(asn, countries);
    return countries.get(country) ?? [];
  };
}
type NetworksOf = Parameters<typeof layLatency>[2];

function run(job: GeoJob): MapsResult | RttResult {
  const startedMs = performance.now();
  const tookMs = () => Math.round(performance.now() - startedMs);
  if (job.kind === "rtt") {
    const columns = job.learned.length === 0 ? job.columns : layLatency(job.columns, job.learned, systemsOf(job));
    const rtt = buildRttMap(columns, job.options);
    return { rtt, networks: countNetworks(columns), tookMs: tookMs() };
  }
  const places = use(job.places, PLACES);
  const asns = use(job.asns, ASNS);
  const isRead = places.result?.used === "read" || asns.result?.used === "read";
  if (job.onlyIfRead && !isRead)
    return { places: places.result, asns: asns.result, built: undefined, tookMs: tookMs() };
  const built = job.specs.map((spec, index) =>
    buildClientMap({
      spec,
      places: places.database,
      asns: asns.database,
      overrides: job.overrides,
      classify: createClassifier(spec, job.regions),
      generation: job.generation + index,
    }),
  );
  return { places: places.result, asns: asns.result, built, tookMs: tookMs() };
}

const { job, isServing } = workerData as GeoWorkerData;
if (isServing) yieldCpu();
parentPort?.postMessage(run(job));
