/**
 * Backends that a table of PostgreSQL names: what the reader of the table hands to `config/`, and what goes back to it.
 *
 * Writer:  `cluster/postgres/`. Readers: `config/backends.ts`, which makes backends of pools of it; `app/`, which joins them.
 * Units:   Unix ms.
 * @module
 */

/** Where the table is, with all defaults filled in. */
export type UpstreamSourceSpec = {
  /** `postgres://USER:PASSWORD@HOST:PORT/DATABASE`: holds a secret, and is never shown. */
  readonly url: string;
  /** Verified TLS; false: it is on this machine. */
  readonly usesTls: boolean;
  /** `upstream_servers`, or `schema.upstream_servers`. */
  readonly table: string;
  /** Rows of these pools and no others; empty: of all pools of the configuration. */
  readonly pools: readonly string[];
  /** PEM of the authorities that the server's certificate may come from; undefined: those of Node. */
  readonly caFile: string | undefined;
  /** How often all is read, changes apart. */
  readonly refreshMs: number;
  /** Whether health goes back into the table. */
  readonly writesBack: boolean;
  /** Whether a table without a single row of ours takes all backends away. */
  readonly isEmptyAllowed: boolean;
};

/** One good row. */
export type UpstreamRow = {
  /** `server_id`. */
  readonly id: string;
  readonly pool: string;
  /** Canonical text. */
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  readonly isBackup: boolean;
  /** The operator wrote `DRAINING`. */
  readonly isDraining: boolean;
};

/** A row that cannot be used; the others are. */
export type UpstreamRowProblem = {
  readonly id: string;
  readonly pool: string;
  readonly says: string;
  readonly fix: string;
};

/** What we found out about a backend, for its row. */
export type UpstreamHealth = {
  readonly pool: string;
  readonly address: string;
  readonly port: number;
  readonly isHealthy: boolean;
  readonly failures: number;
  readonly checkedAtMs: number;
};
