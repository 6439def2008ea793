/**
 * `balancer.source` of rhumb.yaml: the table of PostgreSQL that names backends.
 *
 * Reader:  `l4/config.ts`, as a part of the balancer's settings; `config/`, which turns it into `UpstreamSourceSpec`.
 * @module
 */
import { z } from "zod";
import { doc, durationMs, flag, name, path, refuse, SECRET_PATTERN } from "#base/field.ts";

const live = { reload: "live" } as const;

export const isPostgresUrl = ({ protocol, hostname, pathname }: URL): boolean =>
  (protocol === "postgres:" || protocol === "postgresql:") && hostname !== "" && pathname.length > 1;

/** A URL of PostgreSQL; one with a password belongs into a secret, and is not repeated where it is wrong. */
const postgresUrl = z
  .string()
  .superRefine((value, context) => {
    if (SECRET_PATTERN.test(value)) return;
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (!url || !isPostgresUrl(url))
      refuse(
        context,
        "Must be a postgres:// URL with a host and a database, or a reference to one",
        "Write postgres://USER@HOST/DATABASE, env:NAME or file:PATH",
      );
    else if (url.password !== "")
      refuse(context, "The URL holds a password", "Put the URL into a secret, and write env:NAME or file:PATH");
  })
  .meta({ expects: "a URL of PostgreSQL, env:NAME or file:PATH", unit: "URL or secret" });

/** Names that need no quotes in SQL: what is written here gets into statements. */
const tableName = z
  .string()
  .regex(/^([a-z_][a-z0-9_]{0,62}\.)?[a-z_][a-z0-9_]{0,62}$/, {
    error: "Must be the name of a table, in lower case, with its schema or without",
  })
  .meta({ expects: "the name of a table such as upstream_servers" });

export const upstreamSourceSchema = z.strictObject({
  postgres: doc(
    postgresUrl,
    "Where the database is: `postgres://USER:PASSWORD@HOST/DATABASE`. Beyond loopback it is reached by TLS, and its certificate is verified.",
    live,
  ),
  table: doc(tableName.default("upstream_servers"), "The table; deploy/postgres/ has its SQL.", live),
  pools: doc(
    z.array(name("a pool")).max(1_024).prefault([]),
    "Read rows of these pools alone. Default: of all pools of this file.",
    live,
  ),
  ca: doc(
    path().optional(),
    "PEM file of the authorities that the database's certificate may come from. Default: those that Node knows.",
    live,
  ),
  refresh: doc(
    durationMs("1s", "1h").prefault("30s"),
    "How often the whole table is read. Changes come at once by LISTEN, where the triggers of deploy/postgres/ are.",
    live,
  ),
  writeBack: doc(
    flag().default(true),
    "Write `health_status`, `consecutive_failures` and `last_checked_at` of rows. Where several balancers read one table, let one of them do it.",
    live,
  ),
  allowEmpty: doc(
    flag().default(false),
    "Believe a table that has not one row for these pools any more. Otherwise what was read last goes on serving, with an alarm.",
    live,
  ),
});
export type UpstreamSourceConfig = z.output<typeof upstreamSourceSchema>;
