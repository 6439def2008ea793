/**
 * The balancer engine: worker threads that relay, the keeper of backend states, and kernel mode.
 *
 * Owns:    the threads, their sockets, the backend table, and which revision is served. All or nothing: `apply` resolves
 *          when every worker serves the new snapshot; when one cannot, all go back to what was served before.
 * Never:   touches a connection. A new snapshot does not end one either: workers see to that (`net/listener-set.ts`).
 * Flow:    health table → `pool/keeper.ts` → backend table → every worker at each pick.
 * @module
 */
import { randomBytes } from "node:crypto";
import { type BalancerMember, createBalancerMember, type MemberSockets } from "#app/balancer/member.ts";
import type { BalancerWorkerKind, BalancerWorld } from "#app/balancer/protocol.ts";
import { createRequestNewsDesk } from "#app/balancer/request-news.ts";
import { type BoundFd, createSocketBank, formatListen, type InheritedSockets } from "#app/balancer/sockets.ts";
import { chooseTcpEngine, type TcpEngine } from "#app/balancer/tcp-engine.ts";
import { NO_CHALLENGES, readTexts, type TlsMaterial } from "#app/balancer/tls-material.ts";
import { type EngineKinds, workerKindOf } from "#app/balancer/worker-kind.ts";
import type { Clock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import { createInTurn } from "#base/in-turn.ts";
import type { Log } from "#base/log.ts";
import type { Rng } from "#base/rng.ts";
import { createNft, type Nft } from "#l4/nft/create-nft.ts";
import type { CacheStats, Purge } from "#l7/cache/cache.ts";
import { RATE_LIMITS_OCTETS } from "#l7/rules/rate-limits.ts";
import { createLatencyWindow, LATENCY_TICK_MS, type Latency } from "#metrics/latency-window.ts";
import type { ConnectionSamples } from "#net/connection-sampler.ts";
import { resetOrphans } from "#net/epoll/orphans.ts";
import { CLIENT_LIMITS_OCTETS } from "#pool/client-limits.ts";
import { createKeeper, type Keeper } from "#pool/keeper.ts";
import { createStickyTable, isStickyTableFor } from "#pool/sticky-memory.ts";
import { createBackendTable } from "#state/backend-table.ts";
import { type BalancerSnapshot, type ListenerSpec, MAX_LISTENERS } from "#state/balancer.ts";
import { LISTENER_COUNTER, LISTENER_COUNTERS, type ListenerCounter } from "#state/counters.ts";
import type { Emit } from "#state/events.ts";
import type { ListenAddress } from "#state/snapshot.ts";

/** A worker compiles a snapshot in well under a second, tables of hashes included; one that takes this long will not finish. */
const ACK_TIMEOUT_MS = 15_000;
const KEEPER_TICK_MS = 250;

export type ListenerStats = {
  readonly name: string;
  readonly address: ListenAddress;
  readonly counters: Readonly<Record<ListenerCounter, number>>;
};

export type BalancerStats = {
  readonly engine: TcpEngine | undefined;
  readonly workers: readonly {
    readonly name: string;
    readonly kind: BalancerWorkerKind;
    readonly restarts: number;
    readonly isServing: boolean;
  }[];
  readonly listeners: readonly ListenerStats[];
};

export type BalancerEngine = {
  /** @throws RhumbError RHUMB_BALANCER_*; what was served before is then still served */
  apply(snapshot: BalancerSnapshot): Promise<void>;
  /** Other staples, certificates or challenges; resolves when all workers serve with them. */
  setTls(fetched: FetchedTls): Promise<void>;
  /** Whether clients are told to go elsewhere; resolves when all workers do so. Who comes is served. */
  setLeaving(isLeaving: boolean): Promise<void>;
  /** What TLS is served with now. */
  tls(): TlsMaterial | undefined;
  /** Rows of the health table that changed. */
  healthChanged(rows: readonly number[]): void;
  stats(): BalancerStats;
  pools(): ReturnType<Keeper["view"]>;
  /** Of the backend in this row; undefined: it has had no HTTP request. */
  latency(row: number): Latency | undefined;
  kernel(): ReturnType<Nft["stats"]>;
  snapshot(): BalancerSnapshot | undefined;
  /** Drops what matches from the HTTP caches of all workers. @returns how many responses */
  purge(what: Purge): Promise<number>;
  /** Of each worker that has an HTTP cache in use. */
  cacheStats(): Promise<readonly CacheStats[]>;
  /** Opens the files of the access log anew: they were moved. */
  reopenLogs(): void;
  /** Lines of the access log that were dropped, by file. */
  droppedLogLines(): Readonly<Record<string, number>>;
  /** Listening sockets by address, for the process that follows. */
  handOver(): InheritedSockets;
  /** Takes no new connections and lets those that live finish. `leaveKernel`: another process goes on with the ruleset. */
  close(options: { readonly drainMs: number; readonly leaveKernel: boolean }): Promise<void>;
};

/** What TLS is served with beside files: OCSP responses, certificates of ACME, and what proves names for them. */
export type FetchedTls = Pick<TlsMaterial, "staples" | "issued" | "challenges">;

const textOf = ({ name, why }: { readonly name: string; readonly why: string }): string => `${name} (${why})`;

export function createBalancerEngine(options: {
  readonly log: Log;
  readonly emit: Emit;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly healthTable: Uint32Array;
  /** Rows of the health table, and so of the backend table. */
  readonly rows: number;
  /** What the verdict on a row rests on. */
  readonly cause: (row: number) => string | undefined;
  readonly inherited?: InheritedSockets | undefined;
  /** How far some clients are, by their connections. */
  readonly connectionTimes?: (samples: ConnectionSamples) => void;
}): BalancerEngine {
  const { log, emit, clock, rng, healthTable, rows } = options;
  const backendTable = createBackendTable(rows);
  const limits = new SharedArrayBuffer(CLIENT_LIMITS_OCTETS);
  const rateLimits = new SharedArrayBuffer(RATE_LIMITS_OCTETS);
  const news = createRequestNewsDesk({
    clock,
    log,
    tracingOf: (name) => world?.snapshot.listeners.find((listener) => listener.name === name)?.http?.tracing,
  });
  const bank = createSocketBank(options.inherited);
  const ticketSecret = new Uint8Array(randomBytes(48));
  /** What files do not have. */
  let fetched: FetchedTls = { staples: new Map(), issued: {}, challenges: NO_CHALLENGES };
  const slots = new Map<string, number>();
  let members: BalancerMember[] = [];
  let world: BalancerWorld | undefined;
  let isLeaving = false;
  let tcpEngine: TcpEngine | undefined;
  let revision = 0;
  let isClosed = false;
  const inTurn = createInTurn();

  const keeper = createKeeper({
    table: backendTable,
    healthTable,
    clock,
    rng,
    emit,
    log,
    counters: () => members.map(({ backendCounters }) => backendCounters),
    onExpire(row) {
      for (const member of members) member.stopBackend(row);
      nft.expired(row);
    },
    onChange: () => nft.statesChanged(),
    cause: options.cause,
  });
  const nft = createNft({ clock, log, emit, table: backendTable, takesOver: options.inherited !== undefined });
  const latencies = createLatencyWindow(() => members.map((member) => member.latencies));
  let windowAtMs = clock.monotonicMs();
  let timer = clock.after(KEEPER_TICK_MS, tick);
  function tick(): void {
    keeper.tick();
    const nowMs = clock.monotonicMs();
    if (nowMs - windowAtMs >= LATENCY_TICK_MS) {
      windowAtMs = nowMs;
      latencies.tick((world?.snapshot.pools ?? []).flatMap(({ backends }) => backends.map(({ target }) => target)));
    }
    timer = clock.after(KEEPER_TICK_MS, tick);
  }

  const kinds = (): EngineKinds => ({ plain: tcpEngine!.name, tls: tcpEngine!.tls.name });
  const kindIn =
    (snapshot: BalancerSnapshot) =>
    (listener: ListenerSpec): BalancerWorkerKind =>
      workerKindOf(listener, snapshot, kinds());
  /** What a listener's sockets are for: another worker, protocol or place needs others (workers see it alike). */
  const socketsIn = (snapshot: BalancerSnapshot) => {
    const kindOf = kindIn(snapshot);
    return (listener: ListenerSpec): string =>
      `${listener.name} ${kindOf(listener)} ${listener.protocol} ${formatListen(listener.listen)}`;
  };
  /** Listeners that the kernel serves have no socket. */
  const served = (snapshot: BalancerSnapshot): readonly ListenerSpec[] =>
    snapshot.listeners.filter(({ pool }) => pool === undefined || snapshot.pools[pool]!.mode === "proxy");

  function slotOf(name: string): number {
    const known = slots.get(name);
    if (known !== undefined) return known;
    if (slots.size === MAX_LISTENERS) throw new RhumbError("RHUMB_BALANCER_LISTENERS", name);
    slots.set(name, slots.size);
    return slots.size - 1;
  }

  /** A pool keeps its table, and so what it remembers, for as long as its size is the same. */
  function tablesFor({ pools }: BalancerSnapshot): Record<string, Int32Array> {
    const next: Record<string, Int32Array> = {};
    for (const { name, sticky } of pools) {
      if (!sticky || sticky.by === "cookie") continue;
      const before = world?.stickyTables[name];
      const isKept = before !== undefined && isStickyTableFor(before, sticky.maxEntries);
      next[name] = isKept ? before : createStickyTable(sticky.maxEntries);
    }
    return next;
  }

  function startMember(kind: BalancerWorkerKind, index: number, first: BalancerWorld): BalancerMember {
    const name = `balancer-${kind}-${index}`;
    return createBalancerMember({
      name,
      kind,
      kinds: kinds(),
      world: first,
      rows,
      backendTable,
      limits,
      rateLimits,
      hear: news.hear,
      connectionTimes: options.connectionTimes,
      invalidated(url, by) {
        for (const other of members) if (other !== by) other.forget({ url });
      },
      clock,
      rng,
      log,
      onFall(member, { says: reason, stack }) {
        log.error({ worker: name, reason, stack }, "A balancer worker ended unexpectedly and is started again");
        const says = `Balancer worker ${name} ended unexpectedly and was started again; its connections are lost: ${reason}`;
        emit({ kind: "engine.worker-restarted", atMs: clock.nowMs(), severity: "warning", subject: name, says });
        takeBack(member);
        return replacements(member);
      },
    });
  }

  /** What the dead thread held, nobody will give back any more. */
  function takeBack(member: BalancerMember): void {
    const listening = [...member.sockets.values()].flatMap((each) => ("address" in each ? [] : each));
    // Sockets of node:net went with their thread.
    if (member.kind === "epoll") resetOrphans(listening.map(({ fd }) => fd));
    keeper.takeBack(member.backendCounters);
    for (let slot = 0; slot < slots.size; slot++)
      member.listenerCounters[slot * LISTENER_COUNTERS.length + LISTENER_COUNTER.active] = 0;
    // The table does not say whose the places were: all start anew, and what other workers give back counts for nothing.
    new Int32Array(limits).fill(0);
  }

  /** Its own sockets where they outlived the thread, else fresh ones. */
  function replacements(member: BalancerMember): ReadonlyMap<string, MemberSockets> {
    const next = new Map<string, MemberSockets>();
    for (const [listener, sockets] of member.sockets) {
      if ("address" in sockets) {
        next.set(listener, sockets);
        continue;
      }
      const alive = sockets.filter(({ fd }) => bank.survives(fd));
      const dead = sockets.filter((socket) => !alive.includes(socket));
      bank.forget(dead.map(({ fd }) => fd));
      try {
        next.set(listener, [...alive, ...dead.flatMap(({ at }) => bank.take(at, 1))]);
      } catch (error) {
        log.error({ error: String(error), listener }, "A listener's socket cannot be had again");
        next.set(listener, alive);
      }
    }
    return next;
  }

  const acknowledged = (next: BalancerWorld) =>
    Promise.all(members.map((member) => member.acknowledged(next.revision, ACK_TIMEOUT_MS)));

  /** Starts the kinds of workers that the listeners need and that do not run yet. */
  function ensureMembers(next: BalancerWorld): void {
    const kinds = new Set(served(next.snapshot).map(kindIn(next.snapshot)));
    for (const kind of kinds) {
      if (members.some((member) => member.kind === kind)) continue;
      for (let index = 0; index < next.snapshot.workers; index++) members.push(startMember(kind, index, next));
    }
  }

  /**
   * Binds what is configured and not open, before anything that is open is closed.
   * @throws RhumbError RHUMB_BALANCER_LISTEN, and keeps nothing
   */
  function reserve({ snapshot }: BalancerWorld, before: BalancerSnapshot | undefined): Map<string, BoundFd[]> {
    const reserved = new Map<string, BoundFd[]>();
    const open = new Set(before ? served(before).map(socketsIn(before)) : []);
    const key = socketsIn(snapshot);
    const kindOf = kindIn(snapshot);
    try {
      for (const listener of served(snapshot)) {
        if (listener.protocol === "udp" || open.has(key(listener))) continue;
        const workers = members.filter(({ kind }) => kind === kindOf(listener)).length || snapshot.workers;
        reserved.set(listener.name, bank.take(listener.listen, workers));
      }
    } catch (fault) {
      for (const fds of reserved.values()) bank.drop(fds.map(({ fd }) => fd));
      throw fault;
    }
    return reserved;
  }

  /** Opens what is configured and not open; takes from `reserved` what it uses. @throws when one cannot be had */
  async function ensureOpen(snapshot: BalancerSnapshot, reserved: Map<string, BoundFd[]>): Promise<void> {
    const kindOf = kindIn(snapshot);
    for (const listener of served(snapshot)) {
      const ofKind = members.filter(({ kind }) => kind === kindOf(listener));
      const without = ofKind.filter(({ sockets }) => !sockets.has(listener.name));
      if (without.length === 0) continue;
      if (listener.protocol === "udp") {
        let at = listener.listen;
        for (const member of without) at = { ...at, port: await openUdp(member, listener, at) };
        continue;
      }
      const fds = reserved.get(listener.name) ?? bank.take(listener.listen, without.length);
      reserved.delete(listener.name);
      await Promise.all(
        without.map((member, index) =>
          member.open(
            listener.name,
            // More than workers where the process before had more of them: each goes on being served.
            fds.filter((_, position) => position % without.length === index),
          ),
        ),
      );
    }
  }
  async function openUdp(member: BalancerMember, { name, listen }: ListenerSpec, at: ListenAddress): Promise<number> {
    try {
      return await member.open(name, at);
    } catch (error) {
      member.closed(name);
      throw new RhumbError("RHUMB_BALANCER_LISTEN", `${formatListen(listen)} (UDP): ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  /** Workers close by themselves what the new snapshot does not have, or has elsewhere. */
  function noteClosed(before: BalancerSnapshot | undefined, after: BalancerSnapshot): void {
    if (before === undefined) return;
    const stays = new Set(served(after).map(socketsIn(after)));
    const key = socketsIn(before);
    for (const listener of served(before)) {
      if (stays.has(key(listener))) continue;
      for (const member of members) {
        const sockets = member.sockets.get(listener.name);
        if (sockets === undefined) continue;
        if (!("address" in sockets)) bank.forget(sockets.map(({ fd }) => fd));
        member.closed(listener.name);
      }
    }
  }

  async function serve(
    next: BalancerWorld,
    before: BalancerSnapshot | undefined,
    reserved = new Map<string, BoundFd[]>(),
  ): Promise<void> {
    const running = [...members];
    ensureMembers(next);
    for (const member of running) member.serve(next);
    await acknowledged(next);
    noteClosed(before, next.snapshot);
    await ensureOpen(next.snapshot, reserved);
  }

  const asError = (fault: unknown): RhumbError =>
    fault instanceof RhumbError
      ? fault
      : new RhumbError("RHUMB_BALANCER_WORKER", fault instanceof Error ? fault.message : String(fault), {
          cause: fault,
        });

  async function switchTo(
    snapshot: BalancerSnapshot,
    files: () => ReturnType<typeof readTexts> = () => readTexts(snapshot, ticketSecret),
  ): Promise<void> {
    const previous = world;
    tcpEngine ??= chooseTcpEngine(snapshot.engine);
    for (const { name } of snapshot.listeners) slotOf(name);
    const next: BalancerWorld = {
      revision: ++revision,
      snapshot,
      tls: { ...files(), ...fetched },
      stickyTables: tablesFor(snapshot),
      slots: Object.fromEntries(slots),
      isLeaving,
    };
    const reserved = reserve(next, previous?.snapshot);
    try {
      keeper.prepare(snapshot.pools);
      await serve(next, previous?.snapshot, reserved);
      keeper.apply(snapshot.pools);
      world = next;
      await nft.apply(snapshot);
    } catch (fault) {
      for (const fds of reserved.values()) bank.drop(fds.map(({ fd }) => fd));
      await goBack(previous, snapshot);
      throw asError(fault);
    }
  }

  async function goBack(previous: BalancerWorld | undefined, refused: BalancerSnapshot): Promise<void> {
    world = previous;
    if (!previous) {
      keeper.apply([]);
      await Promise.all(members.map((member) => member.drain(0)));
      members = [];
      return;
    }
    keeper.prepare(previous.snapshot.pools);
    world = { ...previous, revision: ++revision };
    await serve(world, refused);
    keeper.apply(previous.snapshot.pools);
    await nft.apply(previous.snapshot);
  }

  const countersOf = (name: string): Record<ListenerCounter, number> => {
    const base = slots.get(name)! * LISTENER_COUNTERS.length;
    const sum = (index: number) =>
      members.reduce((total, { listenerCounters }) => total + listenerCounters[base + index]!, 0);
    return Object.fromEntries(LISTENER_COUNTERS.map((counter, index) => [counter, sum(index)])) as Record<
      ListenerCounter,
      number
    >;
  };
  const addressOf = ({ name, listen }: ListenerSpec): ListenAddress => {
    const sockets = members.map((member) => member.sockets.get(name)).find((each) => each !== undefined);
    if (sockets === undefined) return listen;
    return "address" in sockets ? sockets : (sockets[0]?.at ?? listen);
  };

  return {
    apply: (snapshot) =>
      inTurn(async () => {
        if (isClosed) throw asError(new Error("the engine is closed"));
        const isFirst = world === undefined;
        await switchTo(snapshot);
        if (!isFirst) return;
        bank.dropInherited();
        const where = snapshot.listeners.map((listener) => `${listener.name} on ${formatListen(addressOf(listener))}`);
        const says = `Balancing ${where.join(", ") || "nothing yet"}; plain TCP by ${textOf(tcpEngine!)}, TLS by ${textOf(tcpEngine!.tls)}`;
        emit({ kind: "engine.started", atMs: clock.nowMs(), severity: "info", subject: "balancer", says });
      }),
    setTls: (next) =>
      inTurn(async () => {
        const before = fetched;
        fetched = next;
        if (isClosed || world === undefined) return;
        try {
          const { snapshot, tls } = world;
          await switchTo(snapshot, () => tls); // files that changed are another configuration
        } catch (fault) {
          fetched = before;
          throw fault;
        }
      }),
    setLeaving: (next) =>
      inTurn(async () => {
        isLeaving = next;
        if (isClosed || world === undefined || world.isLeaving === next) return;
        const { snapshot, tls } = world;
        await switchTo(snapshot, () => tls);
      }),
    tls: () => world?.tls,
    healthChanged: (changed) => keeper.healthChanged(changed),
    stats: () => ({
      engine: tcpEngine,
      workers: members.map(({ name, kind, restarts, isServing }) => ({
        name,
        kind,
        restarts: restarts(),
        isServing: isServing(),
      })),
      listeners: (world?.snapshot.listeners ?? []).map((listener) => ({
        name: listener.name,
        address: addressOf(listener),
        counters: countersOf(listener.name),
      })),
    }),
    pools: () => keeper.view(),
    latency: latencies.of,
    kernel: () => nft.stats(),
    snapshot: () => world?.snapshot,
    async purge(what) {
      const counts = await Promise.all(members.map((member) => member.purge(what)));
      return counts.reduce((sum, count) => sum + count, 0);
    },
    cacheStats: async () => (await Promise.all(members.map((member) => member.cacheStats()))).flat(),
    reopenLogs: news.reopen,
    droppedLogLines: news.dropped,
    handOver: () => bank.list(),
    close: ({ drainMs, leaveKernel }) =>
      inTurn(async () => {
        if (isClosed) return;
        isClosed = true;
        await Promise.all(members.map((member) => member.drain(drainMs)));
        await news.close();
        timer.cancel();
        keeper.close();
        await nft.close({ leave: leaveKernel });
        if (members.length === 0) return;
        const says = "Balancing has stopped";
        emit({ kind: "engine.stopped", atMs: clock.nowMs(), severity: "info", subject: "balancer", says });
      }),
  };
}
