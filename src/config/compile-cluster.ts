/**
 * `cluster:` → what the cluster and the workers of a balancer are handed.
 * @module
 */
import { resolve } from "node:path";
import { isRedisUrl, type RedisConfig } from "#cluster/config.ts";
import type { ConfigFiles } from "#config/files.ts";
import type { RootConfig } from "#config/parse.ts";
import type { ClusterSnapshot, RedisSpec } from "#state/cluster.ts";
import type { PeerSpec, ServiceSpec } from "#state/snapshot.ts";
import { prefixSlotMs, resolverSlotMs } from "#steer/rolls.ts";

const REDIS_PORT = 6_379;

/** @returns undefined where there is none, or its URL is in a secret that cannot be resolved */
export function compileRedis(config: RedisConfig | undefined, files: ConfigFiles): RedisSpec | undefined {
  if (config === undefined) return undefined;
  const reveal = (reference: string | undefined): string | undefined => {
    const secret = reference === undefined ? undefined : files.secrets.get(reference);
    return secret && "value" in secret ? secret.value : undefined;
  };
  if (typeof config === "string") return redisOfUrl(reveal(config) ?? config);
  const inFolder = (path: string | undefined): string | undefined =>
    path === undefined ? undefined : resolve(files.folder, path.replace(/^file:/, ""));
  const { server, sentinels, nodes, tls } = config;
  return {
    mode: sentinels ? "sentinel" : nodes ? "cluster" : "single",
    hosts: sentinels ?? nodes ?? (server ? [server] : []),
    name: config.name,
    user: config.user,
    password: reveal(config.password),
    sentinelUser: config.sentinelUser,
    sentinelPassword: reveal(config.sentinelPassword),
    database: config.database,
    tls:
      tls === false
        ? undefined
        : {
            caFile: tls === true ? undefined : inFolder(tls.ca),
            certFile: tls === true ? undefined : inFolder(tls.cert),
            keyFile: tls === true ? undefined : inFolder(tls.key),
            serverName: tls === true ? undefined : tls.serverName,
          },
  };
}

/** @returns undefined where the text is no URL of Redis: `check-cluster.ts` says so */
export function redisOfUrl(text: string): RedisSpec | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !isRedisUrl(url)) return undefined;
  return {
    mode: "single",
    hosts: [{ host: url.hostname.replace(/^\[|\]$/g, ""), port: url.port === "" ? REDIS_PORT : Number(url.port) }],
    name: undefined,
    user: url.username === "" ? undefined : decodeURIComponent(url.username),
    password: url.password === "" ? undefined : decodeURIComponent(url.password),
    sentinelUser: undefined,
    sentinelPassword: undefined,
    database: Number(/^\/([0-9]{1,2})$/.exec(url.pathname)?.[1] ?? 0),
    tls:
      url.protocol === "rediss:"
        ? { caFile: undefined, certFile: undefined, keyFile: undefined, serverName: undefined }
        : undefined,
  };
}

export function compileCluster(
  { cluster }: RootConfig,
  files: ConfigFiles,
  peers: readonly PeerSpec[],
  services: readonly ServiceSpec[],
): ClusterSnapshot {
  const nodes = Object.entries(cluster?.nodes ?? {}).map(([name, { key }]) => ({ name, key }));
  return {
    redis: compileRedis(cluster?.redis, files),
    nodes,
    peers: peers.filter(({ name }) => nodes.some((node) => node.name === name)),
    maxSkewMs: Math.min(...services.map(slotMs)) / 10,
  };
}

/** Filters that give a client another region in another slot. */
const ROLLS = new Set(["weighted", "shuffle", "sticky", "shed", "priority"]);
function slotMs({ chain, weightedBy, ttlMinSeconds, ttlMaxSeconds }: ServiceSpec): number {
  const rolls = chain.some(({ name }) => ROLLS.has(name));
  return rolls && weightedBy !== "prefix" ? resolverSlotMs(ttlMinSeconds) : prefixSlotMs(ttlMaxSeconds);
}
