/**
 * The `cluster:` section of rhumb.yaml: what nodes share, who they are, and where this node keeps its own state.
 *
 * Reader:  `config/`. Without the section, the embedded store in `state` serves a single node.
 * @module
 */

import { z } from "zod";
import { doc, integer, name, path, refuse, SECRET_PATTERN, secret, text } from "#base/field.ts";
import { NODE_KEY_PATTERN } from "#state/cluster.ts";

const live = { reload: "live" } as const;

/** A URL of Redis; one with a password belongs into a secret, and is not repeated where it is wrong. */
const redisUrl = z
  .string()
  .superRefine((value, context) => {
    if (SECRET_PATTERN.test(value)) return;
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (!url || !isRedisUrl(url))
      refuse(
        context,
        "Must be a redis:// or rediss:// URL with a host, or a reference to one",
        "Write redis://127.0.0.1:6379, rediss://USER@HOST, env:NAME or file:PATH",
      );
    else if (url.password !== "")
      refuse(context, "The URL holds a password", "Put the URL into a secret, and write env:NAME or file:PATH");
  })
  .meta({ expects: "a URL of Redis, env:NAME or file:PATH", unit: "URL or secret" });

export const isRedisUrl = ({ protocol, hostname }: URL): boolean =>
  (protocol === "redis:" || protocol === "rediss:") && hostname !== "";

const HOST_AND_PORT = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9][A-Za-z0-9._-]{0,252})):([0-9]{1,5})$/;
const server = z
  .string()
  .transform((value, context) => {
    const [, v6, host, port] = HOST_AND_PORT.exec(value) ?? [];
    if (port !== undefined && Number(port) >= 1 && Number(port) <= 65_535)
      return { host: v6 ?? host!, port: Number(port) };
    return refuse(
      context,
      `Must be host:port; is ${JSON.stringify(value)}`,
      'Write a name or an address and a port, such as "redis1.example:6379" or "[::1]:6379"',
    );
  })
  .meta({ expects: "host:port", unit: "host:port" });

const redisTls = z.strictObject({
  ca: doc(path().optional(), "Authorities to trust instead of the system's, PEM.", { ...live, unit: "path" }),
  cert: doc(path().optional(), "Certificate of this node, where Redis wants one, PEM.", { ...live, unit: "path" }),
  key: doc(path().optional(), "Its private key, PEM; `file:PATH` or a plain path.", { ...live, unit: "path" }),
  serverName: doc(text("a host name").optional(), "Name that the certificate must bear; by default the host's.", live),
});

/** Which way of being reached a map of Redis says. */
const WAYS = ["server", "sentinels", "nodes"] as const;

const redisMap = z
  .strictObject({
    server: doc(server.optional(), "The one server.", live),
    sentinels: doc(
      z.array(server).min(1).max(16).optional(),
      "Sentinels, which know the master of `name`; any one of them is enough.",
      live,
    ),
    name: doc(text("the name of a master").optional(), "Name by which the Sentinels know the master.", live),
    nodes: doc(
      z.array(server).min(1).max(64).optional(),
      "Some nodes of a Redis Cluster; the others are found by them.",
      live,
    ),
    user: doc(text("a user of Redis").optional(), "ACL user. docs/cluster.md has the line that makes one.", live),
    password: doc(secret().optional(), "Its password.", live),
    sentinelUser: doc(text("a user of Sentinel").optional(), "ACL user of the Sentinels, where they want one.", live),
    sentinelPassword: doc(secret().optional(), "Its password.", live),
    database: doc(integer(0, 15).default(0), "Number of the database. A Redis Cluster has 0 alone.", live),
    tls: doc(
      z.union([z.boolean(), redisTls]).default(false).meta({ expects: "true, false, or a map" }),
      "TLS to Redis, and to the Sentinels.",
      live,
    ),
  })
  .superRefine((value, context) => {
    const given = WAYS.filter((way) => value[way] !== undefined);
    if (given.length !== 1)
      refuse(
        context,
        given.length === 0
          ? "Nothing says where Redis is"
          : `${given.join(" and ")} say in different ways where Redis is`,
        "Write one of `server`, `sentinels` with `name`, and `nodes`",
      );
    else if ((value.sentinels === undefined) !== (value.name === undefined))
      refuse(context, "`sentinels` and `name` go together", "Write both, or neither");
    else if (value.nodes !== undefined && value.database !== 0)
      refuse(context, "A Redis Cluster has database 0 alone", "Remove `database`");
  });

const enrolledNode = z.strictObject({
  key: doc(
    z
      .string()
      .superRefine((value, context) => {
        if (!NODE_KEY_PATTERN.test(value))
          refuse(
            context,
            `Must be a node's public key; is ${JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value)}`,
            "Write what `rhumb cluster key` prints on that node: ed25519: and 44 characters",
          );
      })
      .meta({ expects: "a node's public key", unit: "ed25519:BASE64" }),
    "Its public key: `rhumb cluster key` prints it there.",
    live,
  ),
});

export const clusterSchema = z.strictObject({
  state: doc(
    path().default("run"),
    "Folder for what survives a restart: health, overrides, generations, the store, the node's key. Made with mode 700.",
    {
      reload: "restart",
    },
  ),
  redis: doc(
    z.union([redisUrl, redisMap]).optional().meta({ expects: "a URL of Redis, env:NAME, file:PATH, or a map" }),
    "Redis for what nodes share: records, and the clients that sticky pools with `store: redis` remember. Beyond loopback it needs TLS and a user. A map says more than a URL can: Sentinels, a Redis Cluster, authorities.",
    live,
  ),
  nodes: doc(
    z.record(name("a node's name"), enrolledNode).default({}),
    "All nodes that share one view, this one among them, the same on all. Without `redis` they tell each other by HTTP, at `control.peers` of the same names.",
    live,
  ),
});
export type ClusterConfig = z.output<typeof clusterSchema>;
export type RedisConfig = NonNullable<ClusterConfig["redis"]>;
