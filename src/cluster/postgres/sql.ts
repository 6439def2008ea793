/**
 * The statements that the table is read and written by.
 *
 * Owns:    the text. The name of a table is one that needs no quotes (`config.ts` holds it); all else are parameters.
 * @module
 */

/** What the triggers of deploy/postgres/ notify. One channel for all tables: who reads another one reads once too often. */
export const CHANNEL = "rhumb_upstream_servers";

/** A table of ours with more rows than this is somebody's mistake; one more is read, so that it is seen. */
export const MAX_ROWS = 10_000;

/** `$1`: names of pools. Order decides about the order of backends, and does not change with updates. */
export const selectRows = (table: string): string =>
  `SELECT server_id::text AS server_id, pool_name, ip_address, port, weight, is_backup, health_status
   FROM ${table} WHERE pool_name = ANY($1::text[]) ORDER BY pool_name, created_at, server_id LIMIT ${MAX_ROWS + 1}`;

/**
 * `$1`: ids, `$2`: HEALTHY or UNHEALTHY, `$3`: failures in a row, `$4`: Unix seconds of the last check. What an operator
 * drains stays DRAINING, also when it was set between our read and this.
 */
export const updateRows = (table: string): string =>
  `UPDATE ${table} AS row SET
     health_status = CASE row.health_status WHEN 'DRAINING' THEN row.health_status ELSE new.status END,
     consecutive_failures = new.failures,
     last_checked_at = to_timestamp(new.checked)
   FROM unnest($1::text[], $2::text[], $3::int[], $4::float8[]) AS new (id, status, failures, checked)
   WHERE row.server_id = new.id::uuid`;
