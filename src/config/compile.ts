/**
 * Configuration files → `Snapshot`, or all that is wrong with them. All or nothing.
 *
 * Writer of the snapshot door. Pure but for the target registry and the zone cache, which outlive a reload on purpose.
 * Never:   reads files, starts or stops anything.
 * @module
 */
import { resolve } from "node:path";
import { hashText } from "#base/hash.ts";
import type { Problem } from "#base/problem.ts";
import { hasErrors } from "#base/problem.ts";
import { checkBalancer } from "#config/check-balancer.ts";
import { checkPlaces } from "#config/check-places.ts";
import { shadowProblems } from "#config/check-pushed.ts";
import { checkRoot, type SecretPolicy } from "#config/check-root.ts";
import { compileAnycast } from "#config/compile-anycast.ts";
import { compileBalancer } from "#config/compile-balancer.ts";
import { compileCluster } from "#config/compile-cluster.ts";
import { compileDns } from "#config/compile-dns.ts";
import { compileHealth } from "#config/compile-health.ts";
import type { ConfigFiles } from "#config/files.ts";
import type { Overlay } from "#config/overlay.ts";
import { type ParsedConfig, parseConfig, parseRoot, type RootConfig } from "#config/parse.ts";
import { createReport, type Report } from "#config/report.ts";
import { chainFallbacks, checkFallbacks, compileService, type SteerReference } from "#config/service.ts";
import { suggest } from "#config/suggest.ts";
import { createTargetRegistry, type TargetDraft, type TargetRegistry } from "#config/targets.ts";
import { compileZones, type ZoneCache } from "#config/zones.ts";
import type { RumSpec } from "#state/rum.ts";
import type {
  ControlSnapshot,
  Generation,
  GeoSnapshot,
  MapSpec,
  NotifySpec,
  RegionSpec,
  ServiceSpec,
  Snapshot,
} from "#state/snapshot.ts";
import { mapSpecFor } from "#steer/map-spec.ts";

/** What stays the same for the life of a process. */
export type CompileContext = {
  readonly targets: TargetRegistry;
  readonly zones: ZoneCache;
  /** Seed of the zones' name hash. */
  readonly zoneSeed: number;
  /** 16 octets: signs cookies when the configuration gives no secret. */
  readonly cookieSecret: Uint8Array;
  /** Cores that UDP workers may use. */
  readonly cores: number;
};

/** @param randomBytes for the secrets of this process */
export function createCompileContext(randomBytes: (octets: number) => Uint8Array, cores: number): CompileContext {
  const seed = randomBytes(4);
  return {
    targets: createTargetRegistry(),
    zones: new Map(),
    zoneSeed: new DataView(seed.buffer, seed.byteOffset).getInt32(0),
    cookieSecret: new Uint8Array(randomBytes(16)),
    cores,
  };
}

export type CompileOptions = CompileContext & {
  readonly generation: Generation;
  readonly nowMs: number;
  readonly overlay?: Overlay;
  /** What serves now. A zone that it has and the files lack becomes unloadable, not forgotten. */
  readonly previous?: Snapshot | undefined;
  /** `warn` for `rhumb check` on a machine that does not have the secrets. */
  readonly secrets?: SecretPolicy;
};

export type Summary = {
  readonly zones: number;
  readonly records: number;
  readonly services: number;
  readonly regions: number;
  readonly checks: number;
  /** Of a balancer: what the files name, and the backends that this stands for now. */
  readonly balancer?: { readonly listeners: number; readonly pools: number; readonly backends: number };
};

export type Compiled = {
  readonly snapshot: Snapshot;
  readonly warnings: readonly Problem[];
  readonly summary: Summary;
  /** Makes the rows of new targets final; to be called before the snapshot is applied. */
  readonly commitTargets: () => void;
  /** Absolute. Also there when the process plays no control role. */
  readonly stateFolder: string;
  /** Names of all zones that are steered; of a zone with very many, the first thousand of each service. */
  readonly steers: readonly SteerReference[];
  /** Host names and SRV names of backends, which have to be followed. */
  readonly names: readonly string[];
  /** The effective configuration with its defaults; secrets stay references. */
  readonly document: Readonly<Record<string, unknown>>;
};
export type CompileResult = Compiled | { readonly problems: readonly Problem[]; readonly summary: Summary };

function compileRegions(parsed: ParsedConfig, targets: TargetDraft, capacity: number, report: Report): RegionSpec[] {
  const regions: RegionSpec[] = [];
  for (const [id, region] of parsed.regions.valid) {
    const target = targets.row(`region/${id}`);
    const rows = [...region.v4, ...region.v6].map((address) => targets.row(`region/${id}/${address}`));
    if (target === undefined || rows.includes(undefined)) {
      const says = `No room for the targets of ${JSON.stringify(id)}: the health table has ${capacity} rows, and keeps those of targets that are gone`;
      report(parsed.regions.source, [id], says, "Use fewer addresses, or restart the process to drop the old ones", {
        want: "key",
      });
      break;
    }
    regions.push({
      id,
      hash: hashText(id),
      latitude: region.at[0],
      longitude: region.at[1],
      continent: region.continent ?? "",
      country: region.country ?? "",
      v4: region.v4,
      v6: region.v6,
      capacityRps: region.capacity,
      balancerUrl: region.balancer,
      check: region.check,
      upThreshold: region.upThreshold / 100,
      target,
      addressTargets: rows as number[],
    });
  }
  return regions;
}

function compileServices(parsed: ParsedConfig, steers: readonly SteerReference[], problems: Problem[], report: Report) {
  const numbers = new Map([...parsed.regions.valid.keys()].map((id, index) => [id, index]));
  const references = new Map<string, SteerReference[]>();
  for (const steer of steers) {
    const list = references.get(steer.service);
    if (list) list.push(steer);
    else references.set(steer.service, [steer]);
    if (!parsed.services.has(steer.service)) {
      const fix = suggest(steer.service, [...parsed.services.names], "service");
      const says = `There is no service ${JSON.stringify(steer.service)}`;
      problems.push({ ...steer.at, path: "", severity: "error", says, fix });
    }
  }
  const services = [...parsed.services.valid].map(([name, service]) =>
    compileService(name, service, references.get(name) ?? [], parsed, numbers, problems, report),
  );
  const used = new Set([
    ...references.keys(),
    ...services.flatMap((service) => [service.fallback ?? [], ...service.chain.map(chainFallbacks)].flat()),
  ]);
  for (const { name } of services) {
    if (parsed.root.hasDns && !used.has(name))
      report(
        parsed.services.source,
        [name],
        `No zone uses the service ${JSON.stringify(name)}`,
        `Write \`${name} STEER ${name}\` into a zone file, or remove the service`,
        { severity: "warning", want: "key" },
      );
  }
  return services;
}

function addMaps(
  services: readonly Omit<ServiceSpec, "mapId">[],
  regions: readonly RegionSpec[],
  vantage: readonly [number, number] | undefined,
) {
  const maps = new Map<string, MapSpec>();
  const withMaps = services.map((service): ServiceSpec => {
    const map = mapSpecFor(service, regions, vantage);
    if (map) maps.set(map.mapId, map);
    return { ...service, mapId: map?.mapId };
  });
  return { services: withMaps, maps: [...maps.values()] };
}

/** Services whose filters have nothing to go by. */
function lintGeo(parsed: ParsedConfig, services: readonly ServiceSpec[], vantage: unknown, report: Report): void {
  const { source } = parsed.services;
  const looksAtClients = services.find((service) => service.mapId !== undefined);
  if (looksAtClients && parsed.root.geo && parsed.root.geo.database === null)
    report(
      source,
      [looksAtClients.name],
      "The service looks at where clients are, but there is no database: all get its default order",
      "Set `geo.database` in rhumb.yaml",
      { severity: "warning", want: "key" },
    );
  for (const service of services) {
    if (vantage === undefined && service.chain.some((filter) => filter.name === "latency"))
      report(
        source,
        [service.name],
        "Without the place of our own vantage, measured round trips of probes say nothing about clients",
        "Add the vantage to `health.vantages` in rhumb.yaml",
        { severity: "warning", want: "key" },
      );
    if (!service.chain.some((filter) => filter.name === "geo")) continue;
    const unplaced = service.regions
      .map((entry) => [...parsed.regions.valid][entry.region]!)
      .find(([, region]) => region.continent === undefined);
    if (unplaced)
      report(
        parsed.regions.source,
        [unplaced[0]],
        `The filter \`geo\` of service ${JSON.stringify(service.name)} cannot match this region: it has no continent`,
        "Add `continent:` and `country:`",
        { severity: "warning", want: "key" },
      );
  }
}

function compileGeo(parsed: ParsedConfig, files: ConfigFiles, maps: readonly MapSpec[]): GeoSnapshot {
  const { geo } = parsed.root;
  return {
    database: geo?.database ? resolve(files.folder, geo.database) : undefined,
    asnDatabase: geo?.asn ? resolve(files.folder, geo.asn) : undefined,
    overrides: parsed.geoOverrides.map(({ value }) => ({
      network: value.network,
      asn: value.asn,
      country: value.country,
      as: value.as ? { continent: value.as.continent, country: value.as.country, at: value.as.at } : undefined,
      regions: value.regions ?? [],
    })),
    maps,
  };
}

const secretOf = (files: ConfigFiles, reference: string): string => {
  const secret = files.secrets.get(reference);
  return secret && "value" in secret ? secret.value : reference;
};

function compileControl(parsed: ParsedConfig, files: ConfigFiles, stateFolder: string): ControlSnapshot | undefined {
  const { control } = parsed.root;
  if (!control) return undefined;
  const inFolder = (path: string): string => resolve(files.folder, path.replace(/^file:/, ""));
  return {
    listen: "socket" in control.listen ? { socket: inFolder(control.listen.socket) } : control.listen,
    // A token that could not be resolved (only `rhumb check` gets so far) lets nobody in.
    tokens: Object.entries(control.tokens).flatMap(([name, { token, role }]) => {
      const secret = files.secrets.get(token);
      return secret && "value" in secret ? [{ name, token: secret.value, role }] : [];
    }),
    tls: control.tls ? { certFile: inFolder(control.tls.cert), keyFile: inFolder(control.tls.key) } : undefined,
    peers: Object.entries(control.peers).flatMap(([name, { url, token, ca }]) => {
      const secret = files.secrets.get(token);
      const caFile = ca === undefined ? undefined : inFolder(ca);
      return secret && "value" in secret ? [{ name, url, token: secret.value, caFile }] : [];
    }),
    maxChangePercent: control.maxChange,
    stateFolder,
  };
}

function compileNotify(parsed: ParsedConfig, files: ConfigFiles): NotifySpec[] {
  return [...parsed.root.notify].map(([name, sink]): NotifySpec => {
    switch (sink.kind) {
      case "webhook": {
        const headers = Object.entries(sink.headers).map(([header, value]) => [header, secretOf(files, value)]);
        return { kind: "webhook", name, url: secretOf(files, sink.url), headers: Object.fromEntries(headers) };
      }
      case "alertmanager":
        return { kind: "alertmanager", name, url: secretOf(files, sink.url) };
      case "command":
        return { kind: "command", name, command: sink.command };
      default:
        return sink satisfies never;
    }
  });
}

function compileRum(parsed: ParsedConfig, files: ConfigFiles): RumSpec | undefined {
  const { rum } = parsed.root;
  const secret = rum && files.secrets.get(rum.key);
  // A key that could not be resolved (only `rhumb check` gets so far) takes no beacons.
  if (!rum || !secret || !("value" in secret)) return undefined;
  const { listen, origins, tls, proxies, rate } = rum;
  return {
    listen,
    origins,
    key: secret.value,
    tls: tls && { certFile: resolve(files.folder, tls.cert), keyFile: resolve(files.folder, tls.key) },
    proxies,
    rate,
  };
}

function documentOf(parsed: ParsedConfig): Record<string, unknown> {
  const { root } = parsed;
  return {
    version: 1,
    node: root.node,
    dns: root.dns,
    balancer: root.balancer && {
      ...root.balancer.settings,
      listeners: Object.fromEntries(root.balancer.listeners.valid),
      pools: Object.fromEntries(root.balancer.pools.valid),
    },
    control: root.control,
    zones: root.zones,
    geo: root.geo,
    health: root.health,
    rum: root.rum,
    anycast: root.anycast,
    cluster: root.cluster,
    notify: Object.fromEntries(root.notify),
    regions: Object.fromEntries(parsed.regions.valid),
    services: Object.fromEntries(parsed.services.valid),
    checks: Object.fromEntries([...parsed.checks].map(([name, check]) => [name, check.value])),
    geoOverrides: parsed.geoOverrides.map((entry) => entry.value),
  };
}

/** @returns the snapshot and what is doubtful, or everything that is wrong (warnings among it) */
export function compile(files: ConfigFiles, options: CompileOptions): CompileResult {
  const problems: Problem[] = [];
  const report = createReport(problems);
  const parsed = parseConfig(files, options.overlay ?? {}, problems);
  const { root } = parsed;
  problems.push(...shadowProblems(files.shadows ?? []));
  checkRoot(parsed, files, options.secrets ?? "require", report);
  checkBalancer(parsed, files, options.nowMs, report);
  const zones = compileZones(files, options.zoneSeed, options.zones, problems);
  const targets = options.targets.draft();
  const regions = compileRegions(parsed, targets, options.targets.capacity, report);
  const { capacity } = options.targets;
  const balancer = compileBalancer(parsed, files, targets, { capacity, cores: options.cores }, report);
  checkPlaces(parsed, files, balancer.health.targets, options.nowMs, report);
  const drafts = compileServices(parsed, zones.steers, problems, report);
  const vantageName = root.health?.vantage ?? root.node ?? "";
  const vantage = root.health?.vantages[vantageName]?.at;
  // Where the health table had no room for all regions, there is no use in maps of some of them.
  const isComplete = regions.length === parsed.regions.valid.size;
  const { services, maps } = addMaps(isComplete ? drafts : [], regions, vantage);
  checkFallbacks(services, parsed, report);
  lintGeo(parsed, services, vantage, report);
  const summary: Summary = {
    zones: files.zones.length,
    records: zones.recordCount,
    services: parsed.services.names.size,
    regions: parsed.regions.names.size,
    checks: parsed.checkNames.size,
    ...(root.balancer && {
      balancer: {
        listeners: root.balancer.listeners.names.size,
        pools: root.balancer.pools.names.size,
        backends: balancer.health.targets.length,
      },
    }),
  };
  const dns = root.dns ? compileDns(root.dns, root.node ?? "", files, zones.images, options, problems) : undefined;
  const anycast = compileAnycast(parsed, files, dns, balancer.snapshot, report);
  const sorted = sortProblems(problems);
  if (hasErrors(problems) || root.node === undefined) return { problems: sorted, summary };
  const stateFolder = stateFolderOf(root, files);
  const control = compileControl(parsed, files, stateFolder);
  const snapshot: Snapshot = {
    generation: options.generation,
    compiledAtMs: options.nowMs,
    node: root.node,
    dns,
    balancer: balancer.snapshot,
    health: compileHealth(parsed, files, regions, vantageName, balancer.health),
    regions,
    services,
    geo: compileGeo(parsed, files, maps),
    control,
    notify: compileNotify(parsed, files),
    rum: compileRum(parsed, files),
    anycast,
    cluster: compileCluster(root, files, control?.peers ?? [], services),
  };
  return {
    snapshot,
    warnings: sorted,
    summary,
    commitTargets: targets.commit,
    stateFolder,
    steers: zones.steers,
    names: balancer.names,
    document: documentOf(parsed),
  };
}

const stateFolderOf = (root: RootConfig, files: ConfigFiles): string =>
  resolve(files.folder, root.cluster?.state ?? "run");
/** The state folder before anything is compiled: the store in it holds the overlay that compiling needs. Absolute. */
export const readStateFolder = (files: ConfigFiles): string => stateFolderOf(parseRoot(files.root, []), files);

/** By file, then line; errors and warnings of one place together. */
const sortProblems = (problems: readonly Problem[]): Problem[] =>
  [...problems].sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line || a.column - b.column));
