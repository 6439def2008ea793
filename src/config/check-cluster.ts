/**
 * Cross checks of `cluster:`: how Redis is reached, who the nodes are, and how each reaches the others (ruling 17).
 * @module
 */
import { isLoopback } from "#config/address.ts";
import { compileRedis } from "#config/compile-cluster.ts";
import type { ConfigFiles } from "#config/files.ts";
import type { ParsedConfig } from "#config/parse.ts";
import { listWords, type Report } from "#config/report.ts";

/** What nodes tell each other goes over the network encrypted, and with a name. */
function checkRedis({ root }: ParsedConfig, files: ConfigFiles, report: Report): void {
  const { cluster, balancer, source } = root;
  if (cluster?.redis === undefined) return;
  const path = ["cluster", "redis"];
  const isUsedByPools = [...(balancer?.pools.valid.values() ?? [])].some(({ sticky }) => sticky?.store === "redis");
  if (!isUsedByPools && Object.keys(cluster.nodes).length === 0)
    report(
      source,
      path,
      "Nothing uses Redis: there are no `cluster.nodes`, and no pool is sticky with `store: redis`",
      "Remove it, or name the nodes",
      { severity: "warning", want: "key" },
    );
  const isText = typeof cluster.redis === "string";
  if (typeof cluster.redis === "string") {
    const secret = files.secrets.get(cluster.redis);
    if (secret && "fault" in secret) return;
  }
  const redis = compileRedis(cluster.redis, files);
  if (!redis) {
    report(
      source,
      path,
      "The secret is not a redis:// or rediss:// URL with a host",
      "Write redis://127.0.0.1:6379 or rediss://USER:PASSWORD@HOST into it",
    );
    return;
  }
  const far = redis.hosts.find(({ host }) => host !== "localhost" && !isLoopback(host));
  if (!far) return;
  if (redis.tls === undefined)
    report(
      source,
      path,
      `Redis at ${far.host} would be reached without TLS`,
      isText ? "Write a rediss:// URL" : "Write `tls: true`, or a map with `ca`",
    );
  if (redis.user === undefined)
    report(
      source,
      path,
      `Redis at ${far.host} would be used without a user`,
      isText
        ? "Put rediss://USER:PASSWORD@HOST into a secret, and write env:NAME or file:PATH"
        : "Write `user:` and `password:`; docs/cluster.md has the line that makes one",
    );
}

function checkNodes({ root }: ParsedConfig, report: Report): void {
  const { cluster, control, node, source } = root;
  const nodes = Object.entries(cluster?.nodes ?? {});
  if (!cluster || nodes.length === 0) return;
  const path = ["cluster", "nodes"];
  if (node !== undefined && !nodes.some(([name]) => name === node))
    report(
      source,
      path,
      `This node, ${node}, is not among them: the others would refuse what it shares`,
      "Add it, with the key that `rhumb cluster key` prints",
      { want: "key" },
    );
  const owners = new Map<string, string>();
  for (const [name, { key }] of nodes) {
    const owner = owners.get(key);
    if (owner !== undefined)
      report(
        source,
        [...path, name, "key"],
        `The key is the same as that of ${owner}: either could write in the other's name`,
        "Run `rhumb cluster key` on each node; a copied state folder copies its key",
      );
    owners.set(key, name);
  }
  if (cluster.redis !== undefined) return;
  const unreached = nodes.map(([name]) => name).filter((name) => name !== node && !control?.peers[name]);
  if (unreached.length > 0)
    report(
      source,
      path,
      `Without Redis, nothing says how to reach ${listWords(unreached)}`,
      `Add ${unreached.length === 1 ? "it" : "them"} to \`control.peers\`, or write \`cluster: { redis: … }\``,
      { want: "key" },
    );
}

/** PEM files that TLS to Redis is made with, as they are written. */
export function pemFilesOfCluster({ cluster }: ParsedConfig["root"]) {
  const redis = cluster?.redis;
  const tls = redis === undefined || typeof redis === "string" || typeof redis.tls === "boolean" ? {} : redis.tls;
  return (["ca", "cert", "key"] as const).flatMap((key) => {
    const value = tls[key];
    const path = ["cluster", "redis", "tls", key];
    return value === undefined ? [] : [{ path, value: value.replace(/^file:/, ""), isSecret: key === "key" }];
  });
}

/** References to secrets, with where they stand. */
export function secretsOfCluster({ cluster }: ParsedConfig["root"]): { path: string[]; reference: string }[] {
  const redis = cluster?.redis;
  if (redis === undefined) return [];
  if (typeof redis === "string") return [{ path: ["cluster", "redis"], reference: redis }];
  return (["password", "sentinelPassword"] as const).flatMap((key) => {
    const reference = redis[key];
    return reference === undefined ? [] : [{ path: ["cluster", "redis", key], reference }];
  });
}

export function checkCluster(parsed: ParsedConfig, files: ConfigFiles, report: Report): void {
  checkRedis(parsed, files, report);
  checkNodes(parsed, report);
}
