/**
 * Makes a client of Redis out of what the configuration says: one server, Sentinels, or a Redis Cluster.
 *
 * Never:   keeps commands for later: what cannot be asked now has no answer.
 * @module
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { Cluster, Redis, type RedisOptions } from "ioredis";
import { backoffMs } from "#base/backoff.ts";
import type { Clock } from "#base/clock.ts";
import type { Rng } from "#base/rng.ts";
import type { RedisSpec, RedisTls } from "#state/cluster.ts";

/** What both have, as far as it is used here. */
export type RedisClient = Redis | Cluster;

const CONNECT_TIMEOUT_MS = 2_000;
const RECONNECT_BASE_MS = 100;
const RECONNECT_CAP_MS = 5_000;

/** Where it is, for people: never with a password. */
export function redisText({ mode, hosts, name, tls }: RedisSpec): string {
  const list = hosts.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`).join(",");
  const kind = mode === "single" ? "redis" : `redis ${mode}`;
  return `${kind}${tls ? " (TLS)" : ""} ${name === undefined ? "" : `${name} at `}${list}`;
}

/** What cannot be read (`config/` has said so) is left out: the handshake fails then, and is tried again. */
function readPem(file: string | undefined): string | undefined {
  try {
    return file === undefined ? undefined : readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function tlsOptions({ caFile, certFile, keyFile, serverName }: RedisTls, host: string | undefined): ConnectionOptions {
  const [ca, cert, key] = [readPem(caFile), readPem(certFile), readPem(keyFile)];
  const name = serverName ?? host;
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(name === undefined || isIP(name) ? {} : { servername: name }),
    minVersion: "TLSv1.2",
  };
}

export type HeldClient = {
  readonly client: RedisClient;
  /** Connects, and again and again whenever it is closed. */
  begin(): void;
  close(): void;
};

/** A client that nothing but `close()` ends: ioredis gives up for good on some of the ways in which connecting can fail. */
export function holdRedisClient(spec: RedisSpec, clock: Clock, rng: Rng): HeldClient {
  const pause = (attempt: number): number =>
    RECONNECT_BASE_MS + backoffMs(attempt, RECONNECT_BASE_MS, RECONNECT_CAP_MS, rng);
  const client = createRedisClient(spec, pause);
  let isClosed = false;
  let ends = 0;
  const begin = (): void => {
    if (!isClosed) client.connect().catch(() => {}); // told by the events
  };
  client.on("ready", () => {
    ends = 0;
  });
  client.on("end", () => void clock.after(pause(ends++), begin));
  return {
    client,
    begin,
    close() {
      isClosed = true;
      client.disconnect();
    },
  };
}

function createRedisClient(spec: RedisSpec, pause: (attempt: number) => number): RedisClient {
  const { mode, hosts, user, password, database, tls } = spec;
  const shared: RedisOptions = {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // Its own attempt has nobody to tell when Redis says no to it: `redis-news.ts` subscribes at each connection.
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls: tlsOptions(tls, mode === "single" ? hosts[0]?.host : undefined) } : {}),
  };
  switch (mode) {
    case "single":
      return new Redis({ ...shared, ...hosts[0], db: database, lazyConnect: true, retryStrategy: pause });
    case "sentinel":
      return new Redis({
        ...shared,
        sentinels: [...hosts],
        name: spec.name ?? "",
        role: "master",
        db: database,
        lazyConnect: true,
        retryStrategy: pause,
        sentinelRetryStrategy: pause,
        ...(spec.sentinelUser === undefined ? {} : { sentinelUsername: spec.sentinelUser }),
        ...(spec.sentinelPassword === undefined ? {} : { sentinelPassword: spec.sentinelPassword }),
        ...(tls ? { sentinelTLS: tlsOptions(tls, undefined), enableTLSForSentinelMode: true } : {}),
      });
    case "cluster":
      return new Cluster([...hosts], {
        redisOptions: shared,
        enableOfflineQueue: false,
        lazyConnect: true,
        clusterRetryStrategy: pause,
        slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
      });
    default:
      return mode satisfies never;
  }
}
