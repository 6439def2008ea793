/**
 * Rows of the table → backends, one by one: a bad row takes no other with it.
 *
 * Never:   throws, asks anybody.
 * @module
 */
import { formatIp, parseIp } from "#base/ip.ts";
import type { UpstreamRow, UpstreamRowProblem } from "#state/upstreams.ts";

/** As the driver gives it: what a column holds is whatever somebody wrote into it. */
export type RawRow = {
  readonly server_id: unknown;
  readonly pool_name: unknown;
  readonly ip_address: unknown;
  readonly port: unknown;
  readonly weight: unknown;
  readonly is_backup: unknown;
  readonly health_status: unknown;
};

/** Likewise of a backend in rhumb.yaml. */
const MAX_WEIGHT = 1_000;
/** As the schema has them: what a row may say of its state. */
const STATUSES: readonly unknown[] = ["HEALTHY", "UNHEALTHY", "DRAINING"];
/** Of a value that is repeated in a problem. */
const SHOWN_CHARACTERS = 60;

const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
};
const textOf = (value: unknown): string => (typeof value === "string" ? value : shown(value));
const isWhole = (value: unknown, min: number, max: number): value is number =>
  Number.isInteger(value) && (value as number) >= min && (value as number) <= max;

/** What is wrong with a row and what to write instead, or undefined. */
function wrongWith(row: RawRow): readonly [says: string, fix: string] | undefined {
  if (typeof row.ip_address !== "string" || parseIp(row.ip_address) === undefined)
    return [`ip_address ${shown(row.ip_address)} is no IP address`, "Write one such as 10.0.0.1 or 2001:db8::1"];
  if (!isWhole(row.port, 1, 65_535)) return [`port ${shown(row.port)} is no port`, "Write a number from 1 to 65535"];
  if (!isWhole(row.weight, 0, MAX_WEIGHT))
    return [`weight ${shown(row.weight)} is out of range`, `Write a number from 0 to ${MAX_WEIGHT}`];
  if (typeof row.is_backup !== "boolean") return [`is_backup is ${shown(row.is_backup)}`, "Write true or false"];
  if (!STATUSES.includes(row.health_status))
    return [`health_status ${shown(row.health_status)} is unknown`, "Write HEALTHY, UNHEALTHY or DRAINING"];
  return undefined;
}

/** @param rows in the order in which backends shall stand. Of two for one address of a pool, the first is used. */
export function readRows(rows: readonly RawRow[]): {
  readonly good: readonly UpstreamRow[];
  readonly problems: readonly UpstreamRowProblem[];
} {
  const good: UpstreamRow[] = [];
  const problems: UpstreamRowProblem[] = [];
  const owners = new Map<string, string>();
  for (const row of rows) {
    const [id, pool] = [textOf(row.server_id), textOf(row.pool_name)];
    const wrong = wrongWith(row);
    if (wrong) {
      problems.push({ id, pool, says: wrong[0], fix: wrong[1] });
      continue;
    }
    const address = formatIp(parseIp(row.ip_address as string)!);
    const key = `${pool} ${address} ${row.port}`;
    const owner = owners.get(key);
    if (owner !== undefined) {
      const says = `${address} port ${row.port} stands in this pool a second time`;
      problems.push({ id, pool, says, fix: `Delete it, or the row ${owner}` });
      continue;
    }
    owners.set(key, id);
    good.push({
      id,
      pool,
      address,
      port: row.port as number,
      weight: row.weight as number,
      isBackup: row.is_backup as boolean,
      isDraining: row.health_status === "DRAINING",
    });
  }
  return { good, problems };
}
