/**
 * The `cluster:` section of rhumb.yaml: what nodes share, and where this node keeps its own state.
 *
 * Reader:  `config/`. Without the section, the embedded store in `state` serves a single node.
 * @module
 */

import { z } from "zod";
import { doc, path, refuse, SECRET_PATTERN } from "#base/field.ts";

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

export const clusterSchema = z.strictObject({
  state: doc(
    path().default("run"),
    "Folder for what survives a restart: health, overrides, generations, the store. Made with mode 700.",
    {
      reload: "restart",
    },
  ),
  redis: doc(
    redisUrl.optional(),
    "Redis for what nodes share: the clients that sticky pools with `store: redis` remember. Beyond loopback it needs TLS (rediss) and a user.",
    { reload: "live" },
  ),
});
export type ClusterConfig = z.output<typeof clusterSchema>;
