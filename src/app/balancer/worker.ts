/**
 * One thread of the balancer: the listeners of its kind, on its own sockets.
 *
 * Owns:    the driver and the listeners of its thread. A new revision is taken over between two events; connections that
 *          live go on as they are.
 * Reads:   the backend table at each pick. Writes: its counters, its acknowledgements, and counts of connections.
 *
 * An epoll worker waits in its driver and lets the event loop turn in between, for messages, promises and timers; a net
 * worker lives in the event loop alone.
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { acknowledge } from "#app/acknowledge.ts";
import type {
  BalancerWorkerData,
  BalancerWorld,
  FromBalancerWorker,
  ToBalancerWorker,
} from "#app/balancer/protocol.ts";
import { createWorkerTls } from "#app/balancer/tls-contexts.ts";
import { createWorkerHttp } from "#app/balancer/worker-http.ts";
import { workerKindOf } from "#app/balancer/worker-kind.ts";
import { createAlgorithm } from "#balance/table.ts";
import { systemClock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Redis } from "#cluster/redis.ts";
import { createTcpListener } from "#l4/tcp/serve-tcp.ts";
import { createUdpListener } from "#l4/udp/udp-listener.ts";
import { createConnectionSampler } from "#net/connection-sampler.ts";
import type { TcpDriver } from "#net/driver.ts";
import { createEpollDriver, type EpollDriver } from "#net/epoll/driver.ts";
import { loadEpoll } from "#net/epoll/load.ts";
import { loadOpenssl } from "#net/epoll/tls/openssl.ts";
import type { Listener, ListenerContext } from "#net/listener.ts";
import { createListenerSet } from "#net/listener-set.ts";
import { createNetDriver } from "#net/node/driver.ts";
import { loadTcpInfo } from "#net/tcp-info.ts";
import { createClientLimits } from "#pool/client-limits.ts";
import type { StickyStore } from "#pool/place.ts";
import { createPlaces } from "#pool/places.ts";
import type { BalancerSnapshot, ListenerSpec } from "#state/balancer.ts";
import type { RedisSpec } from "#state/cluster.ts";
import { LISTENER_COUNTERS } from "#state/counters.ts";
import { createHttpChallenges } from "#tls/http-challenges.ts";
import { createSessionCache } from "#tls/session-cache.ts";

/** How often time passes for listeners and pools: time-outs of the queue, breakers, idle sessions. */
const TICK_MS = 50;
/** What was learnt of clients goes to the main thread once a second. */
const TICKS_PER_TELL = 20;
/** How long an epoll worker waits at most: so late it hears a message, or a place that became free in another worker. */
const WAIT_MS = 10;
/** While a store is asked for a client: its answer comes through the event loop. */
const ASKING_WAIT_MS = 1;

const data = workerData as BalancerWorkerData;
const port = parentPort!;
const tell = (message: FromBalancerWorker) => port.postMessage(message);
/** Workers say little: what matters is counted, and what ends a thread reaches the main thread. */
const log: Log = {
  debug() {},
  info: (fields, says) => tell({ type: "log", level: "info", fields, says }),
  warn: (fields, says) => tell({ type: "log", level: "warn", fields, says }),
  error: (fields, says) => tell({ type: "log", level: "error", fields, says }),
};
const clock = systemClock;
let world: BalancerWorld = data.world!;
delete data.world; // nothing else lets go of what a thread was started with

const epoll = data.kind === "epoll" ? openEpoll() : undefined;
const driver: TcpDriver = epoll ?? createNetDriver({ clock });

function openEpoll(): EpollDriver {
  const calls = loadEpoll();
  if (typeof calls === "string") throw new Error(`The epoll engine was chosen, and ${calls}`);
  const tls = data.kinds.tls === "epoll" ? loadOpenssl() : undefined;
  if (typeof tls === "string") throw new Error(`TLS was to end in epoll workers, and ${tls}`);
  return createEpollDriver({ calls, tls, clock });
}

// ── what nodes share of sticky clients ───────────────────────────────────────────────────────────────────────────

type SharedTable = { readonly connection: Redis; readonly store: StickyStore };
let redis: { readonly spec: string; readonly opened: Promise<SharedTable> } | undefined;
let asking = 0;

/** The client of Redis takes 20 MB per thread: it is loaded where it is used. */
async function openTable(spec: RedisSpec): Promise<SharedTable> {
  const [{ connectRedis }, { createStickyStore }] = await Promise.all([
    import("#cluster/redis.ts"),
    import("#cluster/sticky-table.ts"),
  ]);
  const connection = connectRedis({ spec, clock, log, rng: Math.random });
  return { connection, store: createStickyStore(connection) };
}
function closeTable(): void {
  void redis?.opened.then(({ connection }) => connection.close());
  redis = undefined;
}
function followTable({ redis: configured, pools }: BalancerSnapshot): void {
  const isWanted = pools.some((pool) => pool.sticky?.store === "redis");
  const spec = isWanted ? configured : undefined;
  const text = spec && JSON.stringify(spec);
  if (redis?.spec === text) return;
  closeTable();
  if (spec && text !== undefined) redis = { spec: text, opened: openTable(spec) };
}
/** Goes to the store of now, which another configuration may have elsewhere. */
const sticky: StickyStore = {
  async get(key, ttlMs) {
    asking++;
    epoll?.endTurn();
    try {
      return await (await redis?.opened)?.store.get(key, ttlMs);
    } finally {
      asking--;
    }
  },
  put: (key, backend, ttlMs) => void redis?.opened.then(({ store }) => store.put(key, backend, ttlMs)),
};

// ── listeners ───────────────────────────────────────────────────────────────────────────────────────────────────

const isRelayed = ({ pool }: ListenerSpec): boolean =>
  pool === undefined || world.snapshot.pools[pool]!.mode === "proxy";

const tls = createWorkerTls({ sessions: createSessionCache(), nowMs: clock.nowMs });
const acmeProofs = createHttpChallenges();
const http = createWorkerHttp({
  driver,
  clock,
  rng: Math.random,
  rateLimits: data.rateLimits,
  latency: data.latencies,
  textOf: (file) => world.tls.texts[file]!,
  acmeAnswer: acmeProofs.answerOf,
  tell,
  endTurn: () => epoll?.endTurn(),
});
function createListener(spec: ListenerSpec, context: ListenerContext): Listener {
  if (spec.protocol === "udp") return createUdpListener({ spec, context });
  if (spec.http !== undefined) return http.createListener(spec, context);
  return createTcpListener({ spec, context, driver });
}
const readRtt = loadTcpInfo();
const sampler = readRtt && createConnectionSampler(readRtt);
const listeners = createListenerSet({
  clock,
  log,
  serves: (listener, snapshot) => isRelayed(listener) && workerKindOf(listener, snapshot, data.kinds) === data.kind,
  createPlaces: (spec, { zone }) =>
    createPlaces({
      spec,
      table: data.backendTable,
      counters: data.backendCounters,
      zone,
      clock,
      rng: Math.random,
      sticky,
      stickyTable: world.stickyTables[spec.name],
      createAlgorithm,
    }),
  applyPlaces: (places, spec) => places.apply(spec, world.stickyTables[spec.name]),
  createListener,
  backendCounters: data.backendCounters,
  listenerSlots(name) {
    const from = world.slots[name]! * LISTENER_COUNTERS.length;
    return data.listenerCounters.subarray(from, from + LISTENER_COUNTERS.length);
  },
  listenerNumber: (name) => world.slots[name]!,
  limits: createClientLimits(data.limits),
  sampler,
  contextsOf: (spec) => tls.of(spec, world.tls),
});

function serve(next: BalancerWorld): void {
  const before = world;
  try {
    world = next;
    followTable(next.snapshot);
    listeners.apply(next.snapshot);
    listeners.setLeaving(next.isLeaving);
    http.apply(next.snapshot, listeners.places);
    tls.keep();
    acmeProofs.set(next.tls.challenges.http);
    acknowledge(data.ack, next.revision);
  } catch (error) {
    world = before;
    tls.drop();
    tell({
      type: "serve-failed",
      revision: next.revision,
      says: error instanceof Error ? error.message : String(error),
    });
  }
}

async function open({ listener, fd, at }: Extract<ToBalancerWorker, { type: "open" }>): Promise<void> {
  try {
    tell({ type: "opened", listener, port: await listeners.open(listener, fd, at) });
  } catch (error) {
    const { code = "UNKNOWN", message } = error as NodeJS.ErrnoException;
    tell({ type: "open-failed", listener, code, says: message });
  }
}

let isOver = false;
async function drain(drainMs: number): Promise<void> {
  await listeners.drain(drainMs);
  isOver = true;
  listeners.close();
  http.close();
  driver.close();
  closeTable();
  clearInterval(ticking);
  port.close(); // without its sockets and this port nothing keeps the thread
}

port.on("message", (message: ToBalancerWorker) => {
  switch (message.type) {
    case "serve":
      serve(message.world);
      break;
    case "open":
      void open(message);
      break;
    case "stop-backend":
      listeners.stopBackend(message.row);
      http.stopBackend(message.row);
      break;
    case "purge": {
      const count = http.purge(message.what);
      if (message.id !== undefined) tell({ type: "purged", id: message.id, count });
      break;
    }
    case "cache-stats":
      tell({ type: "cache-stats", id: message.id, stats: http.cacheStats() });
      break;
    case "drain":
      void drain(message.drainMs);
      break;
    default:
      message satisfies never;
  }
});

let ticks = 0;
const ticking = setInterval(() => {
  const nowMs = clock.monotonicMs();
  listeners.tick(nowMs);
  http.tick(nowMs);
  sampler?.tick();
  if (++ticks % TICKS_PER_TELL !== 0) return;
  const times = sampler?.take();
  if (times) tell({ type: "connection-times", ...times });
}, TICK_MS);
serve(world);

if (epoll) {
  const turn = (): void => {
    if (isOver) return;
    epoll.turn(asking > 0 || http.isWaiting() ? ASKING_WAIT_MS : WAIT_MS);
    setImmediate(turn);
  };
  turn();
}
