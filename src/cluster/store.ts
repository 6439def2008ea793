/**
 * The embedded store: what one node must not forget, in one SQLite file.
 *
 * Owns:    the file `store.db` in the state folder (mode 600), its tables and their versions.
 * Writer:  this process alone. Readers: this process, and a backup while it runs.
 * Never:   interprets values: it keeps JSON text under keys, lists and counts.
 *
 * Write-ahead log with `synchronous=FULL`: what a call has returned for survives a crash of the machine. All calls are
 * synchronous and short; none is on the path of a query.
 * @module
 */
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import type { Clock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import type { Generation } from "#state/snapshot.ts";

export type StoredValue = {
  readonly value: unknown;
  /** Moves on by one with each change of the key. */
  readonly version: number;
  readonly changedAtMs: number;
};
export type GenerationRecord = {
  readonly generation: Generation;
  readonly atMs: number;
  /** Where it came from: `start`, `file`, `sighup`, `api`. */
  readonly source: string;
  /** SHA-256 of the configuration's texts. */
  readonly digest: string;
  /** What changed, one line each. */
  readonly changes: readonly string[];
};
export type AuditRecord = {
  readonly id: number;
  readonly atMs: number;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly detail: Readonly<Record<string, unknown>>;
};
export type LatencyRecord = {
  readonly network: string;
  readonly region: string;
  readonly rttMicros: number;
  readonly atMs: number;
};

/** Made so that a shared store can stand behind it later: no call hands out a cursor or a statement. */
export type Store = {
  get(key: string): StoredValue | undefined;
  /**
   * @param expectedVersion write only if the key is at this version (0: does not exist)
   * @returns the new version, or undefined when somebody else was faster
   */
  put(key: string, value: unknown, expectedVersion?: number): number | undefined;
  remove(key: string): void;
  /** Keys with this prefix, in order. */
  keys(prefix: string): string[];

  /** The next generation: greater than all that were ever handed out, also by earlier processes. Durable when it returns. */
  nextGeneration(): Generation;
  /** The greatest generation handed out; undefined in a new store. */
  lastGeneration(): Generation | undefined;
  /** Begins a new epoch: after a restore, what other nodes have seen may be ahead of what is stored here. */
  beginEpoch(): number;
  recordGeneration(record: GenerationRecord): void;
  /** Newest first. */
  generations(limit: number): GenerationRecord[];

  appendAudit(entry: Omit<AuditRecord, "id" | "atMs">): number;
  /** Newest first; `before` is an id to page on from. */
  audit(limit: number, before?: number): AuditRecord[];

  putLatency(rows: readonly LatencyRecord[], options?: { readonly replace?: boolean }): void;
  latency(): LatencyRecord[];
  /** Drops what was measured before `beforeMs`. */
  forgetLatency(beforeMs: number): void;

  /** A consistent copy of the store while it is in use. */
  backupTo(file: string): Promise<void>;
  close(): void;
};

export const STORE_FILE = "store.db";
const SCHEMA_VERSION = 1;
/** History and audit beyond this are forgotten, oldest first. */
export const KEPT_GENERATIONS = 1_000;
const KEPT_AUDIT_RECORDS = 100_000;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, value TEXT NOT NULL, version INTEGER NOT NULL, changed_at_ms INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS generation (
    epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, at_ms INTEGER NOT NULL, source TEXT NOT NULL, digest TEXT NOT NULL,
    changes TEXT NOT NULL, PRIMARY KEY (epoch, sequence)) STRICT;
  CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    subject TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS latency (
    network TEXT NOT NULL, region TEXT NOT NULL, rtt_micros INTEGER NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (network, region)) STRICT;
`;

type Row = Record<string, string | number>;

function openDatabase(folder: string): DatabaseSync {
  if (folder === ":memory:") return new DatabaseSync(":memory:");
  const file = join(folder, STORE_FILE);
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    database = new DatabaseSync(file);
    // Before the first write, so that the log files beside it get the same mode.
    chmodSync(file, 0o600);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 2000;");
    return database;
  } catch (error) {
    database?.close();
    throw new RhumbError("RHUMB_CLUSTER_STORE_UNUSABLE", file, { cause: error });
  }
}

/**
 * @param folder the state folder, made when it is missing; `:memory:` for a store that is forgotten (tests, `rhumb answer`)
 * @throws RhumbError RHUMB_CLUSTER_STORE_UNUSABLE when the file cannot be opened or is damaged,
 *   RHUMB_CLUSTER_STORE_NEWER when a later release wrote it
 */
export function openStore({ folder, clock }: { folder: string; clock: Clock }): Store {
  const database = openDatabase(folder);
  const file = folder === ":memory:" ? folder : join(folder, STORE_FILE);
  try {
    const version = Number((database.prepare("PRAGMA user_version").get() as Row)["user_version"]);
    if (version > SCHEMA_VERSION) throw new RhumbError("RHUMB_CLUSTER_STORE_NEWER", file);
    const check = database.prepare("PRAGMA quick_check(1)").get() as Row;
    if (check["quick_check"] !== "ok") throw new Error(String(check["quick_check"]));
    database.exec(`BEGIN; ${SCHEMA} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT;`);
  } catch (error) {
    database.close();
    if (error instanceof RhumbError) throw error;
    throw new RhumbError("RHUMB_CLUSTER_STORE_UNUSABLE", file, { cause: error });
  }

  const sql = {
    get: database.prepare("SELECT value, version, changed_at_ms FROM entry WHERE key = ?"),
    put: database.prepare(
      "INSERT INTO entry VALUES (?, ?, 1, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = version + 1, changed_at_ms = excluded.changed_at_ms RETURNING version",
    ),
    remove: database.prepare("DELETE FROM entry WHERE key = ?"),
    keys: database.prepare("SELECT key FROM entry WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key"),
    next: database.prepare(
      "INSERT INTO counter VALUES ('generation', 1, 1) ON CONFLICT (name) DO UPDATE SET sequence = sequence + 1 RETURNING epoch, sequence",
    ),
    last: database.prepare("SELECT epoch, sequence FROM counter WHERE name = 'generation'"),
    epoch: database.prepare(
      "INSERT INTO counter VALUES ('generation', 1, 0) ON CONFLICT (name) DO UPDATE SET epoch = epoch + 1, sequence = 0 RETURNING epoch",
    ),
    addGeneration: database.prepare("INSERT OR REPLACE INTO generation VALUES (?, ?, ?, ?, ?, ?)"),
    trimGenerations: database.prepare(
      "DELETE FROM generation WHERE (epoch, sequence) NOT IN (SELECT epoch, sequence FROM generation ORDER BY epoch DESC, sequence DESC LIMIT ?)",
    ),
    generations: database.prepare("SELECT * FROM generation ORDER BY epoch DESC, sequence DESC LIMIT ?"),
    addAudit: database.prepare(
      "INSERT INTO audit (at_ms, actor, action, subject, detail) VALUES (?, ?, ?, ?, ?) RETURNING id",
    ),
    trimAudit: database.prepare("DELETE FROM audit WHERE id <= ?"),
    audit: database.prepare("SELECT * FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?"),
    forgetLatency: database.prepare("DELETE FROM latency WHERE at_ms < ?"),
    clearLatency: database.prepare("DELETE FROM latency"),
    putLatency: database.prepare("INSERT OR REPLACE INTO latency VALUES (?, ?, ?, ?)"),
    latency: database.prepare("SELECT * FROM latency ORDER BY network, region"),
  };
  const inTransaction = <T>(work: () => T): T => {
    database.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      database.exec("COMMIT");
      return result;
    } catch (error) {
      database.exec("ROLLBACK");
      throw error;
    }
  };
  const generationOf = (row: Row | undefined): Generation | undefined =>
    row && Number(row["sequence"]) > 0 ? { epoch: Number(row["epoch"]), sequence: Number(row["sequence"]) } : undefined;

  return {
    get(key) {
      const row = sql.get.get(key) as Row | undefined;
      if (!row) return undefined;
      return {
        value: JSON.parse(String(row["value"])),
        version: Number(row["version"]),
        changedAtMs: Number(row["changed_at_ms"]),
      };
    },
    put(key, value, expectedVersion) {
      return inTransaction(() => {
        const version = Number((sql.get.get(key) as Row | undefined)?.["version"] ?? 0);
        if (expectedVersion !== undefined && expectedVersion !== version) return undefined;
        return Number((sql.put.get(key, JSON.stringify(value), clock.nowMs()) as Row)["version"]);
      });
    },
    remove(key) {
      sql.remove.run(key);
    },
    keys: (prefix) => (sql.keys.all(prefix) as Row[]).map((row) => String(row["key"])),
    nextGeneration: () => generationOf(sql.next.get() as Row)!,
    lastGeneration: () => generationOf(sql.last.get() as Row | undefined),
    beginEpoch: () => Number((sql.epoch.get() as Row)["epoch"]),
    recordGeneration({ generation, atMs, source, digest, changes }) {
      inTransaction(() => {
        sql.addGeneration.run(generation.epoch, generation.sequence, atMs, source, digest, JSON.stringify(changes));
        sql.trimGenerations.run(KEPT_GENERATIONS);
      });
    },
    generations: (limit) =>
      (sql.generations.all(limit) as Row[]).map((row) => ({
        generation: { epoch: Number(row["epoch"]), sequence: Number(row["sequence"]) },
        atMs: Number(row["at_ms"]),
        source: String(row["source"]),
        digest: String(row["digest"]),
        changes: JSON.parse(String(row["changes"])) as string[],
      })),
    appendAudit({ actor, action, subject, detail }) {
      return inTransaction(() => {
        const row = sql.addAudit.get(clock.nowMs(), actor, action, subject, JSON.stringify(detail)) as Row;
        const id = Number(row["id"]);
        sql.trimAudit.run(id - KEPT_AUDIT_RECORDS);
        return id;
      });
    },
    audit: (limit, before = Number.MAX_SAFE_INTEGER) =>
      (sql.audit.all(before, limit) as Row[]).map((row) => ({
        id: Number(row["id"]),
        atMs: Number(row["at_ms"]),
        actor: String(row["actor"]),
        action: String(row["action"]),
        subject: String(row["subject"]),
        detail: JSON.parse(String(row["detail"])) as Record<string, unknown>,
      })),
    putLatency(rows, options) {
      inTransaction(() => {
        if (options?.replace) sql.clearLatency.run();
        for (const { network, region, rttMicros, atMs } of rows)
          sql.putLatency.run(network, region, Math.round(rttMicros), atMs);
      });
    },
    latency: () =>
      (sql.latency.all() as Row[]).map((row) => ({
        network: String(row["network"]),
        region: String(row["region"]),
        rttMicros: Number(row["rtt_micros"]),
        atMs: Number(row["at_ms"]),
      })),
    forgetLatency(beforeMs) {
      sql.forgetLatency.run(beforeMs);
    },
    async backupTo(target) {
      await backup(database, target);
      chmodSync(target, 0o600);
    },
    close: () => database.close(),
  };
}
