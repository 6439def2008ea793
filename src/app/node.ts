/**
 * One rhumb node: builds the engines, joins them by their doors, and takes them down in order.
 *
 * Owns:    the life of everything in the process. Start: store → engines → first configuration → API → watchers.
 *          Stop: not ready → routes leave → balancer and DNS drain → API → geo and probes → notifier → store. The API
 *          goes after them, so that /readyz can say "draining" to whoever steers traffic around us.
 * Never:   holds a rule: what is right stands in the rooms below; here stands who is told what.
 * @module
 */
import { randomBytes } from "node:crypto";
import { availableParallelism, hostname } from "node:os";
import { join } from "node:path";
import { createAuditLog } from "#api/audit-log.ts";
import { type Api, createApi } from "#api/create-api.ts";
import { createEventRing } from "#api/event-ring.ts";
import { type BackendTimes, createBackendTimes } from "#app/balancer/backend-times.ts";
import { createBalancerEngine } from "#app/balancer/engine.ts";
import { createTlsKeeper } from "#app/balancer/tls-keeper.ts";
import { createBalancerViews } from "#app/balancer/views.ts";
import { createNodeCluster } from "#app/cluster/node-cluster.ts";
import { joinOverrides } from "#app/cluster/overrides.ts";
import { createCommands } from "#app/commands.ts";
import { auditOfPush } from "#app/desired-views.ts";
import { createDnsEngine } from "#app/dns-engine.ts";
import { createGeoLoader } from "#app/geo-loader.ts";
import { startSuccessor } from "#app/handover.ts";
import { createLatencyMemory } from "#app/latency-memory.ts";
import { createLearnedLatency } from "#app/learned-latency.ts";
import { collectGarbage, letsGoMuch } from "#app/let-go.ts";
import { createMapDoor } from "#app/map-door.ts";
import { createNameResolver } from "#app/name-resolver.ts";
import { createNodeDrain } from "#app/node-drain.ts";
import { createNodeMetrics } from "#app/node-metrics.ts";
import type { NodeOptions, NodeParts } from "#app/node-parts.ts";
import { openStoreOrMemory } from "#app/open-store.ts";
import { createQueryLog } from "#app/query-log.ts";
import { createQueryRate } from "#app/query-rate.ts";
import { createSpreading } from "#app/spreading.ts";
import { StartRefused } from "#app/start-refused.ts";
import { createSteeringShares } from "#app/steering-shares.ts";
import { createUpstreamTables } from "#app/upstream-tables.ts";
import { createViews } from "#app/views.ts";
import { wouldEmpty } from "#app/would-empty.ts";
import { createZoneLoader, MAX_ZONE_OCTETS } from "#app/zone-loader.ts";
import { systemClock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import { type CompileContext, compile, createCompileContext, readStateFolder } from "#config/compile.ts";
import { createDesired } from "#config/create-desired.ts";
import { loadConfig } from "#config/load.ts";
import { parseRoot } from "#config/parse.ts";
import { type ConfigDoor, createConfigDoor } from "#config/propose.ts";
import { createConfigWatcher } from "#config/watch.ts";
import { CAN_SHARE_PORT } from "#dns/transport/udp.ts";
import { createHealth } from "#health/engine.ts";
import type { StartProbe } from "#health/probes/probe.ts";
import { createProbes } from "#health/probes/table.ts";
import { createNotifier } from "#notify/create-notifier.ts";
import { createRum } from "#rum/create-rum.ts";
import type { RhumbEvent } from "#state/events.ts";
import { createHealthTable } from "#state/health-table.ts";
import type { ControlSnapshot, OverrideSpec, Snapshot } from "#state/snapshot.ts";

export type RhumbNode = {
  readonly parts: NodeParts;
  /** Where the API listens; undefined without the control role. */
  readonly apiUrl: string | undefined;
  /** SIGHUP. */
  reload(): Promise<void>;
  /**
   * SIGUSR2: starts the program anew and hands it our listeners.
   * @returns whether it has taken over; then this process is to be closed
   */
  handOver(): Promise<boolean>;
  close(): Promise<void>;
};

const OVERRIDES_KEY = "health.overrides";
const HEALTH_STATE_FILE = "health.json";
/** Health and the keeper of backends log their own events, with more beside them. */
const LOGS_ITSELF = /^(?:health|backend|pool)\./;
const LOG_LEVEL = { info: "info", resolved: "info", warning: "warn", alarm: "error" } as const;

/** @throws StartRefused, or RhumbError of the part that cannot start; nothing is left running then */
export async function startNode(options: NodeOptions): Promise<RhumbNode> {
  const clock = systemClock;
  const {
    log,
    rework = (snapshot) => snapshot,
    load = (pushed) => loadConfig(options.config, { maxZoneOctets: MAX_ZONE_OCTETS, pushed }),
  } = options;
  const startedAtMs = clock.nowMs();
  const files = load();
  const stateFolder = options.stateFolder ?? readStateFolder(files);
  const { store, fault: storeFault } = openStoreOrMemory(stateFolder, clock);
  const closers: (() => Promise<void> | void)[] = [() => store.close()];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.reverse()) {
      try {
        await close();
      } catch (error) {
        log.error({ error: String(error) }, "A part did not stop cleanly");
      }
    }
  };

  try {
    const run = randomBytes(4).toString("hex");
    const events = createEventRing({ run });
    let isReady = false;
    /** Another process serves in our place. */
    let isHandedOver = false;
    let lastReload: ReturnType<NodeParts["lastReload"]> = null;
    const emit = (event: RhumbEvent): void => {
      events.push(event);
      metrics.observeEvent(event);
      notifier.notify(event);
      options.onEvent?.(event);
      if (event.kind === "config.applied" || (event.kind === "config.refused" && event.severity !== "info"))
        lastReload = { atMs: event.atMs, isOk: event.severity !== "alarm", says: event.says };
      if (!LOGS_ITSELF.test(event.kind))
        log[LOG_LEVEL[event.severity]]({ event: event.kind, subject: event.subject }, event.says);
    };

    const context: CompileContext = createCompileContext(randomBytes, CAN_SHARE_PORT ? availableParallelism() : 1);
    const healthTable = createHealthTable(context.targets.capacity);
    const node = parseRoot(files.root, []).node ?? hostname();
    const notifier = createNotifier({
      specs: [],
      node,
      log,
      clock,
      observe: (name, result) => metrics.observeDelivery(name, result),
    });
    closers.push(() => notifier.close());
    const health = createHealth({
      table: healthTable,
      clock,
      rng: Math.random,
      log,
      emit,
      probes: observed(createProbes(clock), (...probe) => metrics.observeProbe(...probe)),
      store: {
        load: () => (store.get(OVERRIDES_KEY)?.value ?? []) as OverrideSpec[],
        save: (all) => void store.put(OVERRIDES_KEY, all),
      },
      stateFile: join(stateFolder, HEALTH_STATE_FILE),
      wouldEmpty: (isOut, isOutNow) => {
        const snapshot = door.current()?.snapshot;
        return snapshot && wouldEmpty(snapshot, isOut, isOutNow);
      },
    });
    closers.push(() => health.close());
    const times: BackendTimes = createBackendTimes({ store, clock, log });
    const balancer = createBalancerEngine({
      log,
      emit,
      clock,
      rng: Math.random,
      healthTable,
      rows: context.targets.capacity,
      cause: health.cause,
      inherited: options.predecessor?.sockets,
      connectionTimes: (samples) => learnedLatency.take(samples),
    });
    closers.push(health.onChange((rows) => balancer.healthChanged(rows)));
    const tlsKeeper = createTlsKeeper({ engine: balancer, clock, rng: Math.random, log, emit });
    closers.push(() => tlsKeeper.close());
    const dns = createDnsEngine({ log, emit, healthTable, clock, rng: Math.random });
    /** What workers have left, this thread lets go as well, when nothing that is running refers to it any more. */
    const letGo = (before: readonly (object | undefined)[], after: readonly (object | undefined)[]): void => {
      if (letsGoMuch(before, after)) setImmediate(collectGarbage);
    };
    let published: readonly (object | undefined)[] = [];
    const maps = createMapDoor(async (next, rtt) => {
      await dns.publishMaps(next, rtt);
      letGo(published, [...next, rtt]);
      published = [...next, rtt];
    });
    const geo = createGeoLoader({ log, emit, clock, onMaps: maps.publish });
    closers.push(() => geo.close());
    const queryRate = createQueryRate(clock, () => dns.stats().counters);
    closers.push(() => queryRate.close());
    const workers = () => dns.observations();
    const queryLog = createQueryLog({ clock, emit, run, workers });
    closers.push(() => queryLog.close());
    const steeringShares = createSteeringShares({ clock, workers });
    closers.push(() => steeringShares.close());

    const drain = createNodeDrain(clock, emit);
    const snapshotOf = (): Snapshot | undefined => door.current()?.snapshot;
    const nodeCluster = createNodeCluster({
      node,
      version: options.version,
      startedAtMs,
      stateFolder,
      store,
      clock,
      rng: Math.random,
      log,
      emit,
      health,
      balancer,
      drain,
      steeringShares,
      snapshot: snapshotOf,
      desired: () => desired.heartbeat(),
      url: () => apiUrl,
      isAway: options.predecessor !== undefined,
      spread: () => spreading.view(),
    });
    closers.push(() => nodeCluster.close());
    const spreading = createSpreading({
      clock,
      emit,
      health,
      healthTable,
      door: dns.spread,
      load: nodeCluster.load,
      snapshot: () => snapshotOf(),
      maps: maps.maps,
      workers,
    });
    closers.push(() => spreading.close());
    const isRegion = (id: string): boolean => snapshotOf()?.regions.some((region) => region.id === id) ?? false;
    const rum = createRum({ clock, log, randomBytes, isRegion, locate: (address) => geo.lookup(address).location });
    closers.push(() => rum.close());
    const learnedLatency = createLearnedLatency({
      node,
      clock,
      log,
      shared: nodeCluster.cluster,
      rum,
      geo,
      region: () => snapshotOf()?.balancer?.region,
      isRegion,
      steers: () => snapshotOf()?.dns !== undefined,
    });
    closers.push(() => learnedLatency.close());
    const metrics = createNodeMetrics({
      clock,
      version: options.version,
      snapshot: snapshotOf,
      healthTable,
      health,
      dns,
      maps,
      balancer,
      tlsKeeper,
      ...nodeCluster.parts,
      spreading,
      steeringShares,
      queryLog,
      learning: () => ({ table: upstreams.status(), rum: rum.stats(), networks: learnedLatency.networks() }),
    });
    closers.push(() => metrics.close());

    let api: Api | undefined;
    let apiUrl: string | undefined;
    const audit = createAuditLog({ file: join(stateFolder, "audit.jsonl"), log });

    /** Each engine takes the snapshot or throws; the door then applies what served before. */
    const apply = async (snapshot: Snapshot, previous: Snapshot | undefined): Promise<void> => {
      if (previous && (previous.dns === undefined) !== (snapshot.dns === undefined))
        throw new RhumbError("RHUMB_APP_ROLE_CHANGED", "dns");
      if (previous && (previous.control === undefined) !== (snapshot.control === undefined))
        throw new RhumbError("RHUMB_APP_ROLE_CHANGED", "control");
      if (previous && (previous.balancer === undefined) !== (snapshot.balancer === undefined))
        throw new RhumbError("RHUMB_APP_ROLE_CHANGED", "balancer");
      health.apply(snapshot.health);
      // Old and new maps side by side until all workers have left the old snapshot: no client is unknown meanwhile.
      await maps.widen(() => geo.apply(snapshot.geo, snapshot.regions));
      steeringShares.apply(snapshot.services, snapshot.regions);
      if (snapshot.dns) {
        await dns.apply({ ...snapshot, dns: snapshot.dns });
        queryLog.apply(snapshot.dns.queryLog, snapshot.regions);
      }
      if (snapshot.balancer) {
        await tlsKeeper.prepare(snapshot.balancer);
        await balancer.apply(snapshot.balancer);
        tlsKeeper.apply(snapshot.balancer);
        times.apply(snapshot.balancer);
      }
      await maps.narrow();
      await rum.apply(snapshot.rum);
      notifier.apply(snapshot.notify);
      if (snapshot.control) await api?.apply(snapshot.control);
      nodeCluster.apply(snapshot);
      letGo(previous?.dns?.zones ?? [], snapshot.dns?.zones ?? []);
    };

    const zones = createZoneLoader(context.zoneSeed);
    closers.push(() => zones.close());
    const names = createNameResolver({
      clock,
      log,
      emit,
      onChange: () => void door.propose({ source: "names" }),
      ...(options.nameServers ? { servers: options.nameServers } : {}),
    });
    closers.push(() => names.close());
    const upstreams = createUpstreamTables({
      clock,
      log,
      rng: Math.random,
      emit,
      store,
      health: () => health.view(),
      onChange: () => void door.propose({ source: "table" }),
    });
    closers.push(() => upstreams.close());
    const door: ConfigDoor = createConfigDoor({
      load: async (pushed) =>
        upstreams.complete(await names.complete(await zones.complete(load(pushed), door.current()?.files))),
      compile: (files, overlay, previous) => {
        const compiled = compile(files, {
          ...context,
          generation: { epoch: 0, sequence: 0 },
          nowMs: clock.nowMs(),
          overlay,
          previous,
        });
        return "problems" in compiled ? compiled : { ...compiled, snapshot: rework(compiled.snapshot) };
      },
      apply,
      store,
      log,
      emit,
      clock,
      onApplied: ({ names: followed, files }) => {
        names.follow(followed);
        upstreams.follow(files);
        desired.applied();
      },
    });
    const desired = createDesired({
      door,
      shared: nodeCluster.cluster,
      store,
      log,
      emit,
      clock,
      onTaken: (taken) => audit.add(auditOfPush(taken, clock.nowMs())),
    });
    closers.push(() => api?.close());
    closers.push(async () => {
      await Promise.all([
        dns.close({ drainMs: snapshotOf()?.dns?.tcp.drainMs ?? 0 }),
        balancer.close({ drainMs: snapshotOf()?.balancer?.drainMs ?? 0, leaveKernel: isHandedOver }),
      ]);
    });

    // Routes go before what they lead to.
    closers.push(() => nodeCluster.anycast.close({ leave: isHandedOver }));
    const first = await door.propose({ source: "start" });
    if (!first.isApplied) throw new StartRefused(options.config, first.problems);
    const latency = createLatencyMemory({ store, geo, clock, log });
    await latency.restore(snapshotOf()?.regions.map(({ id }) => id) ?? []);
    await desired.start();
    const overrides = joinOverrides({ shared: nodeCluster.cluster, health, clock });
    closers.push(() => overrides.close());

    const parts: NodeParts = {
      options,
      startedAtMs,
      door,
      health,
      healthTable,
      geo,
      latency,
      maps,
      dns,
      balancer,
      learnName: names.learn,
      balancerViews:
        snapshotOf()?.balancer && createBalancerViews({ door, health, engine: balancer, tls: tlsKeeper, times }),
      notifier,
      metrics,
      events,
      store,
      queryRate,
      queryLog,
      steeringShares,
      lastReload: () => lastReload,
      isReady: () => isReady,
      drain,
      desired,
      ...nodeCluster.parts,
      spreading,
      rum,
    };
    // The process before us lets go of the API's address, and speaks for this node no more, when we accept in its place.
    await options.predecessor?.released();
    nodeCluster.cluster.join();
    const openApi = async (control: ControlSnapshot): Promise<void> => {
      api = createApi({
        control,
        views: createViews(parts),
        commands: createCommands(parts),
        events,
        queries: queryLog.queries,
        audit,
        version: options.version,
        log,
        clock,
        observe: (...answer) => metrics.observeRequest(...answer),
      });
      apiUrl = await api.listen();
    };
    const release = async (): Promise<void> => {
      nodeCluster.cluster.leave();
      const closing = api;
      api = undefined;
      await closing?.close();
    };
    const { control } = snapshotOf()!;
    if (control) await openApi(control);

    const watcher = createConfigWatcher({ onChange: () => void propose("file"), log, clock });
    closers.push(() => watcher.close());
    const propose = async (source: "file" | "sighup"): Promise<void> => {
      await door.propose({ source });
      watcher.follow(door.current()!.files.watched);
    };
    watcher.follow(door.current()!.files.watched);
    const addresses = dns.addresses();
    if (addresses.length > 0)
      emit({
        kind: "engine.started",
        atMs: clock.nowMs(),
        severity: "info",
        subject: "dns",
        says: `rhumb ${options.version} serves DNS on ${addresses.map(({ address, port }) => `${address} port ${port}`).join(", ")}`,
      });
    if (storeFault)
      emit({
        kind: "store.fault",
        atMs: clock.nowMs(),
        severity: "alarm",
        subject: stateFolder,
        says: `${storeFault.message}: serving without it, and without what the API changed before. ${storeFault.fix}`,
      });
    isReady = true;
    options.predecessor?.ready();

    /** Says whether another process serves in our place. */
    const handOver = async (): Promise<boolean> => {
      const refuse = (why: string): false => {
        const error = new RhumbError("RHUMB_BALANCER_HANDOVER", why);
        log.error({ fix: error.fix }, error.message);
        emit({
          kind: "engine.hand-over",
          atMs: clock.nowMs(),
          severity: "warning",
          subject: "balancer",
          says: `${error.message}. ${error.fix}`,
        });
        return false;
      };
      if (isHandedOver) return refuse("it was already");
      if (snapshotOf()?.dns)
        return refuse("it also answers DNS, whose sockets cannot be handed over: run the balancer in its own process");
      isHandedOver = true;
      const fault = await startSuccessor({ sockets: balancer.handOver(), log, release });
      if (fault === undefined) return true;
      isHandedOver = false;
      nodeCluster.cluster.join();
      const now = snapshotOf()?.control;
      if (now && api === undefined) await openApi(now);
      return refuse(fault);
    };

    return {
      parts,
      apiUrl,
      reload() {
        balancer.reopenLogs();
        return propose("sighup");
      },
      handOver,
      async close() {
        isReady = false;
        await closeAll();
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** Tells `observe` of each probe that ends by itself or by its time limit. */
const observed =
  (start: StartProbe, observe: (kind: string, isPass: boolean, durationMs: number) => void): StartProbe =>
  (address, check, done) =>
    start(address, check, (result) => {
      observe(check.kind, result.ok, result.phases.totalMicros / 1_000);
      done(result);
    });
