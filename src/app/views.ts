/**
 * What the API may read, made from the parts of the node. Translates; decides nothing.
 * @module
 */
import type { BalancerStatsView, RegionView, ServiceView, StatusView, TargetHealthView, Views } from "#api/views.ts";
import { createDesiredViews, nodeStatesView } from "#app/desired-views.ts";
import { explainView } from "#app/explain-view.ts";
import { createExplainer, type Explainer } from "#app/explainer.ts";
import { generationText } from "#app/generation-text.ts";
import { loadView } from "#app/load-view.ts";
import type { NodeParts } from "#app/node-parts.ts";
import { readQuestion } from "#app/question.ts";
import { rumView } from "#app/rum-view.ts";
import { RhumbError } from "#base/errors.ts";
import { exportConfig } from "#config/export.ts";
import type { AppliedConfig } from "#config/propose.ts";
import { formatName } from "#dns/wire/name.ts";
import type { RegionSpec, ServiceSpec, Snapshot } from "#state/snapshot.ts";

const LATENCY_ENTRIES_SHOWN = 1_000;

type Shares = ReturnType<NodeParts["steeringShares"]["shares"]>;

export function createViews(parts: NodeParts): Views {
  const { door, health, geo, maps, dns, notifier, metrics, queryLog, steeringShares, drain, options } = parts;
  const applied = (): AppliedConfig => door.current()!; // the API starts after the first configuration
  const snapshot = (): Snapshot => applied().snapshot;
  const targets = (): Map<string, TargetHealthView> => new Map(health.view().map((view) => [view.target, view]));

  /** One explainer per snapshot and set of maps: it keeps its compiled answers as long as they hold. */
  let explainer: { readonly of: readonly unknown[]; readonly it: Explainer } | undefined;
  const explainerOfNow = (): Explainer => {
    const now = snapshot();
    if (!now.dns) throw new RhumbError("RHUMB_APP_QUESTION", "this node does not answer DNS");
    const of = [now, maps.maps(), maps.rtt()];
    if (!explainer || of.some((part, index) => part !== explainer!.of[index])) {
      const bundle = { ...now, dns: now.dns };
      const it = createExplainer({
        bundle,
        maps: maps.maps(),
        rtt: maps.rtt(),
        healthTable: parts.healthTable,
        spread: parts.spreading.door,
      });
      explainer = { of, it };
    }
    return explainer.it;
  };

  const loadNow = () => loadView(parts.load, snapshot().dns && parts.spreading);

  return {
    balancer: parts.balancerViews,
    status: () => statusView(parts),
    readiness(pools) {
      const reasons = parts.isReady() ? [] : ["The node is starting or draining"];
      // Everybody may ask: who drains and why is told by events and the audit log alone.
      if (drain.view().isDraining) reasons.push("An operator drains the node");
      if (parts.evacuations.isDraining()) reasons.push("The region is being evacuated");
      const { workers } = dns.stats();
      for (const kind of ["udp", "tcp"] as const) {
        const ofKind = workers.filter((worker) => worker.kind === kind);
        if (ofKind.length > 0 && !ofKind.some(({ isServing }) => isServing))
          reasons.push(`No ${kind.toUpperCase()} worker answers: all are starting again`);
      }
      const balancers = parts.balancer.stats().workers;
      if (balancers.length > 0 && !balancers.some(({ isServing }) => isServing))
        reasons.push("No balancer worker serves: all are starting again");
      for (const name of pools) {
        const pool = parts.balancer.pools().find(({ spec }) => spec.name === name);
        if (!pool) reasons.push(`There is no pool ${name}`);
        else if (!pool.backends.some(({ state }) => state === "active"))
          reasons.push(`Pool ${name} has no healthy backend`);
      }
      return { isReady: reasons.length === 0, reasons };
    },
    regions() {
      const views = targets();
      const shares = steeringShares.shares();
      return snapshot().regions.map((region) => regionView(region, applied(), views, shares));
    },
    services() {
      const views = targets();
      const shares = steeringShares.shares();
      return snapshot().services.map((service) => serviceView(service, applied(), views, shares));
    },
    serviceClasses(name, top) {
      const { services, regions } = snapshot();
      return steeringShares.classes({ services, regions, maps: maps.maps() }, name, top);
    },
    queryLog() {
      queryLog.drain();
      const { every, privacy } = queryLog.settings();
      return { every: every === 0 ? null : every, privacy, ...queryLog.counts() };
    },
    health: () => health.view().map((view) => ({ ...view })),
    vantages: () => health.vantages(),
    overrides: () => health.listOverrides(),
    explain(request) {
      const question = readQuestion(request);
      const explained = explainerOfNow().ask(question);
      const lookup = geo.lookup(question.subnet?.bytes ?? question.source);
      return explainView(
        request,
        explained,
        generationText(snapshot().generation),
        lookup,
        targets(),
        loadNow().regions,
      );
    },
    config() {
      const { files, overlay, document, appliedAtMs } = applied();
      const hasOverlay = Object.keys(overlay).length > 0;
      return {
        generation: generationText(snapshot().generation),
        appliedAtMs,
        files: [...files.watched.files],
        document,
        overlay: hasOverlay ? { ...overlay } : null,
      };
    },
    configExport: () => exportConfig(applied().files, applied().overlay),
    ...createDesiredViews(parts),
    latency() {
      const { generation, networks } = geo.info().latency;
      const entries = geo.latency(LATENCY_ENTRIES_SHOWN).map(({ network, rttMs }) => ({ network, rttMs }));
      const learned = geo.learned(LATENCY_ENTRIES_SHOWN).map(({ network, region, rttMicros, by, atMs }) => ({
        network,
        region,
        rttMs: rttMicros / 1_000,
        by,
        atMs,
      }));
      return { generation, networks, entries, learned };
    },
    rum: () => rumView(parts.rum, Date.now()),
    load: loadNow,
    evacuations: () => parts.evacuations.view(),
    anycast: () => parts.anycast.view(),
    metrics: () => metrics.expose(),
  };

  function statusView({ startedAtMs, queryRate, lastReload }: NodeParts): StatusView {
    const { files, overlay, appliedAtMs } = applied();
    const now = snapshot();
    const { workers, generation, engine, xdp } = dns.stats();
    const info = geo.info();
    const views = targets();
    return {
      node: now.node,
      version: options.version,
      generation: generationText(now.generation),
      startedAtMs,
      uptimeSeconds: Math.floor((Date.now() - startedAtMs) / 1_000),
      roles: [
        ...(now.dns ? ["dns"] : []),
        ...(now.balancer ? ["balancer"] : []),
        ...(now.control ? ["control"] : []),
        "health",
      ],
      engine: engine ? { name: engine.name, why: engine.why, xdp: xdp ?? null } : null,
      listen: dns.addresses().flatMap((listen) => [
        { ...listen, transport: "udp" as const },
        { ...listen, transport: "tcp" as const },
      ]),
      workers: workers.map(({ name, kind, restarts, isServing }) => ({
        id: name,
        kind,
        state: isServing ? "serving" : "starting again",
        generation: generation ? generationText(generation) : null,
        restarts,
      })),
      balancer: parts.balancerViews ? balancerStatus(parts.balancerViews.stats()) : null,
      zones: [
        ...(now.dns?.zones ?? []).map(({ apex, serial, recordCount, file }) => ({
          apex: formatName(apex),
          serial,
          records: recordCount,
          file,
          problem: null,
        })),
        ...(now.dns?.unloadableZones ?? []).map((apex) => ({
          apex: formatName(apex),
          serial: null,
          records: 0,
          file: "",
          problem: "The zone was served before and its file is gone: queries get SERVFAIL",
        })),
      ],
      geo: {
        database: info.database,
        asnDatabase: info.asnDatabase,
        maps: info.maps.map(({ mapId, generation: built, classes, leaves, octets }) => ({
          mapId,
          generation: built,
          classes,
          leaves,
          octets,
          services: now.services.filter((service) => service.mapId === mapId).map(({ name }) => name),
        })),
      },
      config: {
        file: files.root.file,
        appliedAtMs,
        hasOverlay: Object.keys(overlay).length > 0,
        lastReload: lastReload(),
      },
      counts: {
        regions: now.regions.length,
        regionsUp: now.regions.filter(({ id }) => views.get(`region/${id}`)?.serving !== "down").length,
        services: now.services.length,
        targets: now.health.targets.length,
        overrides: health.listOverrides().length,
      },
      nodes: nodeStatesView(parts),
      sharing: sharingView(parts.cluster),
      queries: now.dns ? { total: queryRate.total(), perSecond: queryRate.perSecond() } : null,
      alarms: notifier.open().map((alarm) => ({ ...alarm })),
    };
  }
}

function sharingView(cluster: NodeParts["cluster"]): StatusView["sharing"] {
  const { by, isConnected, says } = cluster.status();
  return { by, isConnected, says };
}

function balancerStatus({ region, engine, workers, listeners, pools }: BalancerStatsView): StatusView["balancer"] {
  return {
    region,
    engine,
    workers: workers.length,
    listeners: listeners.map(({ name, protocol, address, port, counters }) => ({
      name,
      protocol,
      address,
      port,
      active: counters["active"] ?? 0,
    })),
    pools: pools.map(({ name, algorithm, backends, panic, active_connections, queued }) => ({
      name,
      algorithm,
      healthy: backends.healthy,
      backends: backends.total,
      panic,
      active: active_connections,
      queued,
    })),
  };
}

function regionView(
  region: RegionSpec,
  { snapshot, overlay }: AppliedConfig,
  views: ReadonlyMap<string, TargetHealthView>,
  shares: Shares,
): RegionView {
  const number = snapshot.regions.indexOf(region);
  const { id, latitude, longitude, continent, country, v4, v6, capacityRps, balancerUrl } = region;
  return {
    id,
    at: [latitude, longitude],
    continent,
    country,
    v4,
    v6,
    capacityRps: capacityRps ?? null,
    balancerUrl: balancerUrl ?? null,
    services: snapshot.services.filter((one) => one.regions.some((entry) => entry.region === number)).map(nameOf),
    sharePercent: shares.ofRegion(id),
    origin: originOf(overlay.regions, id),
    health: views.get(`region/${id}`)!,
    addresses: [...v4, ...v6].flatMap((address) => views.get(`region/${id}/${address}`) ?? []),
  };
}

/** Whether the API's overlay says something of this name. */
const originOf = (section: Readonly<Record<string, unknown>> | undefined, name: string): "file" | "api" =>
  section !== undefined && Object.hasOwn(section, name) ? "api" : "file";

const nameOf = ({ name }: { readonly name: string }): string => name;

function serviceView(
  service: ServiceSpec,
  { snapshot, steers, overlay }: AppliedConfig,
  views: ReadonlyMap<string, TargetHealthView>,
  shares: Shares,
): ServiceView {
  return {
    name: service.name,
    names: steers.filter((steer) => steer.service === service.name).map(nameOf),
    regions: service.regions.map(({ region, weight, priority }) => {
      const { id } = snapshot.regions[region]!;
      const { verdict, serving } = views.get(`region/${id}`)!;
      return { id, weight, priority, verdict, serving, sharePercent: shares.ofService(service.name, id) };
    }),
    chain: service.chain.map((filter) => ({ ...filter })),
    ttl: { minSeconds: service.ttlMinSeconds, maxSeconds: service.ttlMaxSeconds },
    fallback: service.fallback ?? null,
    allowEmpty: service.allowEmpty,
    weightedBy: service.weightedBy,
    mapId: service.mapId ?? null,
    origin: originOf(overlay.services, service.name),
  };
}
