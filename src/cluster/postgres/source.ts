/**
 * Backends by a table of PostgreSQL: read at the start, at each NOTIFY and now and then for truth; health goes back.
 *
 * Owns:    the rows that were good last. They stay when the database is away, slow, or says what cannot be: nobody's traffic
 *          ends because a database does. A row that was good and has become bad stays as it was, with a problem.
 * Never:   decides what becomes of rows: they go through the door like a changed file.
 * Units:   ms; Unix ms in what is shown.
 * @module
 */
import type { Clock, Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Rng } from "#base/rng.ts";
import { connectPostgres } from "#cluster/postgres/connection.ts";
import { createFault } from "#cluster/postgres/fault.ts";
import { type RawRow, readRows } from "#cluster/postgres/rows.ts";
import { MAX_ROWS, selectRows, updateRows } from "#cluster/postgres/sql.ts";
import { createWriteBack } from "#cluster/postgres/write-back.ts";
import type { Emit } from "#state/events.ts";
import type { UpstreamHealth, UpstreamRow, UpstreamRowProblem, UpstreamSourceSpec } from "#state/upstreams.ts";

/** Notifications of so long become one read: a script that changes rows one by one is not followed step by step. */
const SETTLE_MS = 50;
/** What was found out about backends is written at most so often. */
const WRITE_STEP_MS = 1_000;
/** Problems with rows that are kept in full. */
const SHOWN_PROBLEMS = 50;

export type PostgresSourceStatus = {
  readonly table: string;
  readonly isConnected: boolean;
  /** When it was read last; null: never since this process runs. */
  readonly readAtMs: number | null;
  readonly rows: number;
  /** Why rows are not used. */
  readonly problems: readonly UpstreamRowProblem[];
  /** What is wrong with the database; null: nothing. */
  readonly fault: string | null;
  readonly reads: number;
  readonly rowsWritten: number;
};

export type PostgresSource = {
  /** Resolves when the first read has ended, well or not. */
  readonly first: Promise<void>;
  /** What is good; undefined: nothing was ever read. */
  rows(): readonly UpstreamRow[] | undefined;
  /** What we know of backends now; what differs from what was written goes into the table within a second or so. */
  note(health: readonly UpstreamHealth[]): void;
  status(): PostgresSourceStatus;
  close(): Promise<void>;
};

export function createPostgresSource(options: {
  readonly spec: UpstreamSourceSpec;
  readonly clock: Clock;
  readonly log: Log;
  readonly rng: Rng;
  readonly emit: Emit;
  /** What was good when an earlier process ended. */
  readonly last: readonly UpstreamRow[] | undefined;
  /** The rows are others than before. */
  readonly onChange: (rows: readonly UpstreamRow[]) => void;
}): PostgresSource {
  const { spec, clock, log, rng, emit, onChange } = options;
  const { table, pools } = spec;
  const subject = `source/${table}`;
  const away = createFault({ emit, clock, subject, table });
  const badRows = createFault({ emit, clock, subject: `${subject}/rows`, table });
  const refusedWrites = createFault({ emit, clock, subject: `${subject}/health`, table });
  const first = Promise.withResolvers<void>();
  const writeBack = createWriteBack();
  let rows = options.last;
  let problems: readonly UpstreamRowProblem[] = [];
  let readAtMs: number | null = null;
  let reads = 0;
  let rowsWritten = 0;
  let isReading = false;
  let isReadAgain = false;
  let isWriting = false;
  let isClosed = false;
  let timer: Timer | undefined;
  let writing: Timer | undefined;

  const stays = (): string =>
    rows && rows.length > 0
      ? `the ${rows.length} rows that were read last go on serving`
      : "its pools have what rhumb.yaml says";

  function take(raw: readonly RawRow[]): void {
    if (raw.length > MAX_ROWS) {
      away.tell(`The table ${table} has more than ${MAX_ROWS} rows for these pools; ${stays()}. Name fewer \`pools\``);
      return;
    }
    const read = readRows(raw);
    // A slip of the hand in a row takes no server out: what it said before stays.
    const taken = new Set(read.good.map(({ pool, address, port }) => `${pool} ${address} ${port}`));
    const broken = new Set(read.problems.map(({ id }) => id));
    const kept = (rows ?? []).filter(
      ({ id, pool, address, port }) => broken.has(id) && !taken.has(`${pool} ${address} ${port}`),
    );
    const good = [...read.good, ...kept];
    problems = read.problems;
    if (good.length === 0 && rows !== undefined && rows.length > 0 && !spec.isEmptyAllowed) {
      away.tell(
        `The table ${table} has no row for ${pools.join(", ")} any more; ${stays()}. Write \`allowEmpty: true\` if that is meant`,
      );
      return;
    }
    away.resolve(`The table ${table} is read again`);
    if (problems.length === 0) badRows.resolve(`All rows of ${table} are good`);
    else {
      const [{ id, pool, says, fix }] = problems as [UpstreamRowProblem];
      const more = problems.length > 1 ? `; ${problems.length - 1} more rows are bad` : "";
      badRows.tell(`The row ${id} of ${table} (pool ${pool}) cannot be used: ${says}. ${fix}${more}`);
    }
    if (JSON.stringify(good) === JSON.stringify(rows)) return;
    rows = good;
    log.info({ table, rows: good.length, problems: problems.length }, "The table of backends says something else");
    onChange(good);
  }

  async function read(): Promise<void> {
    timer?.cancel();
    if (isReading) {
      isReadAgain = true;
      return;
    }
    isReading = true;
    isReadAgain = false;
    try {
      const raw = await connection.query<RawRow>(selectRows(table), [pools]);
      if (isClosed) return;
      reads++;
      readAtMs = clock.nowMs();
      take(raw);
    } catch (error) {
      if (isClosed) return;
      // A question that the server refuses is no reason to connect again; one that it did not answer is.
      if (isRefusal(error)) away.tellError(error, stays());
      else connection.fail(error);
    } finally {
      isReading = false;
      first.resolve();
      if (!isClosed) timer = clock.after(isReadAgain ? SETTLE_MS : spec.refreshMs, () => void read());
    }
  }

  async function write(): Promise<void> {
    const updates = writeBack.next();
    if (isWriting || updates.length === 0 || !connection.isOpen()) return;
    isWriting = true;
    try {
      await connection.query(updateRows(table), [
        updates.map(({ id }) => id),
        updates.map(({ status }) => status),
        updates.map(({ failures }) => failures),
        updates.map(({ checkedAtMs }) => checkedAtMs / 1_000),
      ]);
      writeBack.written(updates);
      rowsWritten += updates.length;
      refusedWrites.resolve(`Health is written to ${table} again`);
    } catch (error) {
      if (isClosed) return;
      if (isRefusal(error)) refusedWrites.tellError(error, "health is not written to the table");
      else connection.fail(error);
    } finally {
      isWriting = false;
    }
  }
  const writeLater = (): void => {
    writing = clock.after(WRITE_STEP_MS, () => void write().finally(() => isClosed || writeLater()));
  };

  const connection = connectPostgres({
    spec,
    clock,
    rng,
    onOpen: () => void read(),
    onClose(error) {
      timer?.cancel();
      away.tellError(error, stays());
      first.resolve();
    },
    onNotify() {
      if (isReading) isReadAgain = true;
      else {
        timer?.cancel();
        timer = clock.after(SETTLE_MS, () => void read());
      }
    },
  });
  if (spec.writesBack) writeLater();

  return {
    first: first.promise,
    rows: () => rows,
    note(health) {
      if (spec.writesBack) writeBack.note(health, rows ?? []);
    },
    status: () => ({
      table,
      isConnected: connection.isOpen(),
      readAtMs,
      rows: rows?.length ?? 0,
      problems: problems.slice(0, SHOWN_PROBLEMS),
      fault: away.says(),
      reads,
      rowsWritten,
    }),
    async close() {
      isClosed = true;
      timer?.cancel();
      writing?.cancel();
      first.resolve();
      await connection.close();
    },
  };
}

/** An error that the server answered, and after which the connection is as good as before. */
const isRefusal = (error: unknown): boolean => {
  const { code, severity } = error as { code?: string; severity?: string };
  // Class 57: the operator intervenes; the connection ends, or the statement took too long.
  return severity === "ERROR" && code !== undefined && !code.startsWith("57");
};
