/**
 * Backends that a table of PostgreSQL names: asked before a configuration is compiled, and told through the door when the
 * table says something else. What was good last lies in the store, and serves after a restart without a database.
 *
 * Owns:    the source of the configuration that serves, and of the one that is proposed.
 * Never:   decides what rows mean: `config/backends.ts` does.
 * @module
 */
import { createHash } from "node:crypto";
import type { Clock, Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Rng } from "#base/rng.ts";
import type { PostgresSource, PostgresSourceStatus } from "#cluster/postgres/source.ts";
import type { Store } from "#cluster/store.ts";
import type { ConfigFiles } from "#config/files.ts";
import { upstreamSourceOf } from "#config/upstream-source.ts";
import type { TargetView } from "#health/view.ts";
import type { Emit } from "#state/events.ts";
import type { UpstreamHealth, UpstreamRow, UpstreamSourceSpec } from "#state/upstreams.ts";

/** How long a start waits for a table that was never read; then it goes on with what it knows. */
const FIRST_READ_MS = 2_000;
/** How often health is looked at for what the table should know. */
const HEALTH_STEP_MS = 1_000;

export type UpstreamTables = {
  /** The files with what the table says; waits at most 2 s for one that it hears of for the first time. */
  complete(files: ConfigFiles): Promise<ConfigFiles>;
  /** This configuration serves now: other tables are let go of. */
  follow(files: ConfigFiles): void;
  /** Null without a source. */
  status(): PostgresSourceStatus | null;
  close(): Promise<void>;
};

type Entry = {
  readonly key: string;
  readonly spec: UpstreamSourceSpec;
  readonly source: Promise<PostgresSource>;
  opened: PostgresSource | undefined;
  /** A proposal waits for the first read, and takes what it finds. */
  isAwaited: boolean;
  /** What the last proposal was given. */
  given: readonly UpstreamRow[] | undefined;
};

/** Nothing secret gets into the key of the store. */
function storeKeyOf({ url, table, pools }: UpstreamSourceSpec): string {
  const { host, pathname } = new URL(url);
  const digest = createHash("sha256").update(JSON.stringify([host, pathname, table, pools]));
  return `upstreams.${digest.digest("hex").slice(0, 16)}`;
}

export function createUpstreamTables(options: {
  readonly clock: Clock;
  readonly log: Log;
  readonly rng: Rng;
  readonly emit: Emit;
  readonly store: Pick<Store, "get" | "put" | "keys" | "remove">;
  /** What the checks of this node say (`health.view()`). */
  readonly health: () => readonly TargetView[];
  /** A table says something else than before. */
  readonly onChange: () => void;
}): UpstreamTables {
  const { clock, log, emit, store, onChange } = options;
  const entries = new Map<string, Entry>();
  let serving: Entry | undefined;
  let noting: Timer | undefined;

  function restore(key: string): readonly UpstreamRow[] | undefined {
    try {
      const value = store.get(key)?.value;
      return Array.isArray(value) ? (value as UpstreamRow[]) : undefined;
    } catch (error) {
      log.warn({ error: String(error) }, "What a table of backends said in an earlier run cannot be used");
      return undefined;
    }
  }
  function keep(key: string, rows: readonly UpstreamRow[]): void {
    try {
      store.put(key, rows);
    } catch (error) {
      log.error({ error: String(error) }, "Backends of a table serve, but cannot be kept over a restart");
    }
  }

  function enter(key: string, spec: UpstreamSourceSpec): Entry {
    const known = entries.get(key);
    if (known) return known;
    const storeKey = storeKeyOf(spec);
    // The client takes its memory only where there is a table.
    const source = import("#cluster/postgres/source.ts").then(({ createPostgresSource }) =>
      createPostgresSource({
        spec,
        clock,
        log,
        rng: options.rng,
        emit,
        last: restore(storeKey),
        onChange(rows) {
          keep(storeKey, rows);
          if (entries.get(key) === entry && entry === serving && !entry.isAwaited) onChange();
        },
      }),
    );
    const entry: Entry = { key, spec, source, opened: undefined, isAwaited: true, given: undefined };
    entries.set(key, entry);
    void source.then((opened) => {
      entry.opened = opened;
    });
    return entry;
  }
  async function leave(entry: Entry): Promise<void> {
    entries.delete(entry.key);
    await (await entry.source).close();
  }
  function leaveAllBut(...kept: readonly (Entry | undefined)[]): void {
    for (const entry of entries.values())
      if (!kept.includes(entry))
        leave(entry).catch((error: unknown) => log.error({ error: String(error) }, "A table was not let go of"));
  }

  async function firstRead(entry: Entry): Promise<PostgresSource> {
    const source = await entry.source;
    if (entry.isAwaited) {
      const { promise: isLate, resolve } = Promise.withResolvers<void>();
      const timer = clock.after(FIRST_READ_MS, resolve);
      await Promise.race([source.first, isLate]);
      timer.cancel();
    }
    return source;
  }

  function noteHealth(): void {
    noting = clock.after(HEALTH_STEP_MS, noteHealth);
    if (serving?.opened && serving.spec.writesBack) serving.opened.note(options.health().flatMap(healthOf));
  }

  return {
    async complete(files) {
      const spec = upstreamSourceOf(files);
      if (!spec) return files;
      const entry = enter(JSON.stringify(spec), spec);
      const source = await firstRead(entry);
      entry.isAwaited = false;
      entry.given = source.rows();
      const rows = entry.given ?? [];
      // One that was proposed before, and refused, is of no use any more.
      leaveAllBut(entry, serving);
      const upstreams = new Map<string, UpstreamRow[]>();
      for (const row of rows) {
        const pool = upstreams.get(row.pool);
        if (pool) pool.push(row);
        else upstreams.set(row.pool, [row]);
      }
      const digest = createHash("sha256").update(files.digest).update(JSON.stringify(rows));
      return { ...files, upstreams, digest: digest.digest("hex") };
    },
    follow(files) {
      const spec = upstreamSourceOf(files);
      serving = spec && entries.get(JSON.stringify(spec));
      leaveAllBut(serving);
      // The table may have changed while the configuration was put into use.
      if (serving?.opened && serving.opened.rows() !== serving.given) onChange();
      noting?.cancel();
      noting = serving?.spec.writesBack ? clock.after(HEALTH_STEP_MS, noteHealth) : undefined;
    },
    status: () => serving?.opened?.status() ?? null,
    async close() {
      noting?.cancel();
      await Promise.all([...entries.values()].map(leave));
    },
  };
}

/** Of backends that were probed: what nobody looks at is neither healthy nor not. */
function healthOf({ target, verdict, failures, lastProbe }: TargetView): UpstreamHealth[] {
  const match = /^backend\/([^/]+)\/\[?([^\]]+?)\]?:([0-9]+)$/.exec(target);
  if (!match || !lastProbe || verdict === "unknown") return [];
  const [, pool, address, port] = match as unknown as [string, string, string, string];
  return [{ pool, address, port: Number(port), isHealthy: verdict === "up", failures, checkedAtMs: lastProbe.atMs }];
}
