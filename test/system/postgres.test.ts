/** Backends by a table of a real PostgreSQL: changes by SQL, health written back, and all that a database does wrong. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createSeededRng } from "#base/rng.ts";
import { createPostgresSource, type PostgresSource } from "#cluster/postgres/source.ts";
import type { RhumbEvent } from "#state/events.ts";
import type { UpstreamHealth, UpstreamRow, UpstreamSourceSpec } from "#state/upstreams.ts";
import { createAuthority } from "../tls/authority.ts";
import { type PostgresBed, withoutPostgres as skip, startWithTable } from "./postgres-bed.ts";

const specOf = (bed: Pick<PostgresBed, "url">, over: Partial<UpstreamSourceSpec> = {}): UpstreamSourceSpec => ({
  url: bed.url,
  usesTls: false,
  table: "upstream_servers",
  pools: ["web"],
  caFile: undefined,
  refreshMs: 3_600_000, // what is seen is seen by LISTEN
  writesBack: true,
  isEmptyAllowed: false,
  ...over,
});

type Followed = {
  readonly source: PostgresSource;
  readonly events: readonly RhumbEvent[];
  /** Resolves when it is so; looks at each change and each event. */
  until(isSo: (rows: string[]) => boolean): Promise<void>;
  told(severity: string, subject?: string): string[];
};
const shown = (rows: readonly UpstreamRow[] | undefined): string[] =>
  (rows ?? []).map(
    ({ address, port, weight, isBackup, isDraining }) =>
      `${address}:${port} ${weight}${isBackup ? " backup" : ""}${isDraining ? " draining" : ""}`,
  );
function follow(context: TestContext, spec: UpstreamSourceSpec, last?: readonly UpstreamRow[]): Followed {
  const events: RhumbEvent[] = [];
  const waiting = new Set<() => void>();
  const look = (): void => {
    for (const one of waiting) one();
  };
  const source = createPostgresSource({
    spec,
    clock: systemClock,
    log: silentLog,
    rng: createSeededRng(1),
    emit(event) {
      events.push(event);
      look();
    },
    last,
    onChange: look,
  });
  context.after(() => source.close());
  return {
    source,
    events,
    until(isSo) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      // The clock's timers do not keep a process: this one does, while the database is away.
      const limit = setTimeout(
        () => reject(new Error(`not within 30 s; told were ${JSON.stringify(events)}, rows ${shown(source.rows())}`)),
        30_000,
      );
      const one = (): void => {
        // A change is told before it stands in `rows()` of whoever asks within the call.
        queueMicrotask(() => {
          if (!isSo(shown(source.rows()))) return;
          waiting.delete(one);
          clearTimeout(limit);
          resolve();
        });
      };
      waiting.add(one);
      one();
      return promise;
    },
    told: (severity, subject = "") =>
      events.filter((event) => event.severity === severity && event.subject.endsWith(subject)).map(({ says }) => says),
  };
}
const insert = (bed: PostgresBed, address: string, over: Record<string, unknown> = {}) => {
  const row = { pool_name: "web", ip_address: address, port: 80, health_status: "HEALTHY", ...over };
  const keys = Object.keys(row);
  return bed.sql<{ server_id: string }>(
    `INSERT INTO upstream_servers (${keys.join(", ")}) VALUES (${keys.map((_, at) => `$${at + 1}`).join(", ")}) RETURNING server_id::text`,
    Object.values(row),
  );
};

test("changes by SQL are known at once, by the triggers as they are shipped", { skip }, async (context) => {
  const bed = await startWithTable(context);
  await insert(bed, "10.0.0.1");
  await insert(bed, "10.0.9.9", { pool_name: "another" });
  const { source, until, events } = follow(context, specOf(bed));
  await until((rows) => rows.join() === "10.0.0.1:80 1");
  await insert(bed, "10.0.0.2", { weight: 5, is_backup: true });
  await until((rows) => rows.join() === "10.0.0.1:80 1,10.0.0.2:80 5 backup");
  await bed.sql("UPDATE upstream_servers SET weight = 7 WHERE ip_address = '10.0.0.1'");
  await until((rows) => rows[0] === "10.0.0.1:80 7");
  await bed.sql("UPDATE upstream_servers SET health_status = 'DRAINING' WHERE ip_address = '10.0.0.1'");
  await until((rows) => rows[0] === "10.0.0.1:80 7 draining");
  await bed.sql("DELETE FROM upstream_servers WHERE ip_address = '10.0.0.1'");
  await until((rows) => rows.join() === "10.0.0.2:80 5 backup");
  assert.deepEqual(events, []);
  // One transaction is one change.
  const { reads } = source.status();
  await bed.sql(
    "INSERT INTO upstream_servers (pool_name, ip_address, port, health_status) SELECT 'web', '10.1.0.' || n, 80, 'HEALTHY' FROM generate_series(1, 200) n",
  );
  await until((rows) => rows.length === 201);
  assert.equal(source.status().reads, reads + 1);
});

test("without triggers the table is read now and then", { skip }, async (context) => {
  const bed = await startWithTable(context);
  await bed.sql("ALTER TABLE upstream_servers DISABLE TRIGGER ALL");
  const { until } = follow(context, specOf(bed, { refreshMs: 100 }));
  await insert(bed, "10.0.0.1");
  await until((rows) => rows.join() === "10.0.0.1:80 1");
});

test("a bad row takes no other with it, and no server out that was good before", { skip }, async (context) => {
  const bed = await startWithTable(context);
  const [good] = await insert(bed, "10.0.0.1");
  await insert(bed, "10.0.0.2");
  const { until, told, source } = follow(context, specOf(bed));
  await until((rows) => rows.length === 2);
  await bed.sql("UPDATE upstream_servers SET weight = -5 WHERE ip_address = '10.0.0.1'");
  await until(() => told("warning", "/rows").length > 0);
  assert.deepEqual(shown(source.rows()).sort(), ["10.0.0.1:80 1", "10.0.0.2:80 1"], "as it was");
  assert.match(told("warning", "/rows")[0]!, new RegExp(`The row ${good!.server_id} .*weight -5 is out of range`));
  await insert(bed, "web.internal");
  await insert(bed, "10.0.0.3", { port: 70_000 });
  await insert(bed, "10.0.0.4", { health_status: "healthy?" });
  await insert(bed, "10.0.0.2");
  await insert(bed, "10.0.0.5");
  await until((rows) => rows.includes("10.0.0.5:80 1"));
  assert.equal(source.rows()!.length, 3);
  assert.deepEqual(
    source.status().problems.map(({ says }) => says),
    [
      "weight -5 is out of range",
      'ip_address "web.internal" is no IP address',
      "port 70000 is no port",
      'health_status "healthy?" is unknown',
      "10.0.0.2 port 80 stands in this pool a second time",
    ],
  );
  await bed.sql(
    "DELETE FROM upstream_servers WHERE ip_address IN ('web.internal', '10.0.0.3', '10.0.0.4', '10.0.0.1')",
  );
  await bed.sql(
    "DELETE FROM upstream_servers WHERE server_id = (SELECT server_id FROM upstream_servers WHERE ip_address = '10.0.0.2' ORDER BY created_at DESC LIMIT 1)",
  );
  await until(() => told("resolved", "/rows").length > 0);
  assert.deepEqual(shown(source.rows()), ["10.0.0.2:80 1", "10.0.0.5:80 1"]);
});

test("a database that crashes, hangs or comes back takes no backend away", { skip }, async (context) => {
  const bed = await startWithTable(context);
  await insert(bed, "10.0.0.1");
  const { until, told, source } = follow(context, specOf(bed, { refreshMs: 200 }));
  await until((rows) => rows.length === 1);
  await bed.kill();
  await until(() => told("warning").length === 1);
  assert.deepEqual(shown(source.rows()), ["10.0.0.1:80 1"]);
  assert.doesNotMatch(told("warning").join(), new RegExp(bed.password));
  await bed.start();
  await until(() => told("resolved").length === 1);
  await insert(bed, "10.0.0.2");
  await until((rows) => rows.length === 2);

  const before = told("warning").length;
  bed.freeze();
  await until(() => told("warning").length > before);
  assert.equal(before, 1, "told once, however often it is tried");
  assert.equal(source.rows()!.length, 2);
  assert.equal(source.status().isConnected, false);
  bed.thaw();
  await until(() => told("resolved").length === 2);
});

test("a table that was emptied or changed serves as it was, until it says something again", {
  skip,
}, async (context) => {
  const bed = await startWithTable(context);
  await insert(bed, "10.0.0.1");
  const { until, told, source } = follow(context, specOf(bed, { refreshMs: 200 }));
  await until((rows) => rows.length === 1);
  await bed.sql("TRUNCATE upstream_servers");
  await until(() => told("warning").length === 1);
  assert.match(told("warning")[0]!, /has no row for web any more; the 1 rows that were read last go on serving/);
  await insert(bed, "10.0.0.2");
  await until((rows) => rows.join() === "10.0.0.2:80 1");
  assert.equal(told("resolved").length, 1);

  await bed.sql("ALTER TABLE upstream_servers RENAME COLUMN weight TO heaviness");
  await until(() => told("warning").length === 2);
  assert.match(told("warning")[1]!, /column "weight" does not exist.*Compare the table with deploy\/postgres/);
  assert.equal(source.status().isConnected, true, "nobody connects anew for it");
  await bed.sql("ALTER TABLE upstream_servers RENAME COLUMN heaviness TO weight");
  await until(() => told("resolved").length === 2);

  const emptied = follow(context, specOf(bed, { isEmptyAllowed: true }));
  await emptied.until((rows) => rows.length === 1);
  await bed.sql("DELETE FROM upstream_servers");
  await emptied.until((rows) => rows.length === 0);
});

test("health goes back into the table: once where nothing changes, and never over DRAINING", {
  skip,
}, async (context) => {
  const bed = await startWithTable(context);
  for (const address of ["10.0.0.1", "10.0.0.2", "10.0.0.3"]) await insert(bed, address);
  const { until, source, events } = follow(context, specOf(bed));
  await until((rows) => rows.length === 3);
  const checkedAtMs = Date.parse("2026-01-01T00:00:00Z");
  const health = (last: string, isHealthy: boolean, failures = 0): UpstreamHealth => ({
    pool: "web",
    address: `10.0.0.${last}`,
    port: 80,
    isHealthy,
    failures,
    checkedAtMs,
  });
  const table = () =>
    bed.sql<Record<string, unknown>>(
      "SELECT ip_address AS a, health_status AS s, consecutive_failures AS f, extract(epoch FROM last_checked_at)::float8 AS t FROM upstream_servers ORDER BY ip_address",
    );
  await bed.sql("UPDATE upstream_servers SET health_status = 'DRAINING' WHERE ip_address = '10.0.0.3'");
  const { reads } = source.status();
  const written = async (count: number): Promise<void> => {
    while (source.status().rowsWritten < count) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  source.note([health("1", true), health("2", false, 3), health("3", false, 2), health("9", true)]);
  await written(3);
  const t = checkedAtMs / 1_000;
  const expected = [
    { a: "10.0.0.1", s: "HEALTHY", f: 0, t },
    { a: "10.0.0.2", s: "UNHEALTHY", f: 3, t },
    { a: "10.0.0.3", s: "DRAINING", f: 2, t },
  ];
  assert.deepEqual(await table(), expected);
  source.note([health("1", true), health("2", true), health("3", false, 2)]);
  await written(4);
  assert.deepEqual((await table())[1], { a: "10.0.0.2", s: "HEALTHY", f: 0, t });
  assert.ok(source.status().reads <= reads + 1, "our own writing tells us nothing; the operator's did");
  assert.deepEqual(events, []);
});

test("the user of deploy/postgres may do what is needed and nothing else", { skip }, async (context) => {
  const bed = await startWithTable(context);
  await insert(bed, "10.0.0.1");
  const asRhumb = (statement: string) => bed.sql(`SET ROLE rhumb; ${statement}`);
  for (const statement of [
    "UPDATE upstream_servers SET weight = 2",
    "DELETE FROM upstream_servers",
    "INSERT INTO upstream_servers (pool_name, ip_address, port, health_status) VALUES ('web', '10.0.0.2', 80, 'HEALTHY')",
    "TRUNCATE upstream_servers",
    "DROP TABLE upstream_servers",
    "CREATE TABLE other (x int)",
  ])
    await assert.rejects(asRhumb(statement), /permission denied|must be owner/, statement);

  await bed.sql("REVOKE UPDATE (health_status) ON upstream_servers FROM rhumb");
  const poor = follow(context, specOf(bed));
  await poor.until((rows) => rows.length === 1);
  poor.source.note([
    { pool: "web", address: "10.0.0.1", port: 80, isHealthy: false, failures: 3, checkedAtMs: 1_800_000_000_000 },
  ]);
  await poor.until(() => poor.told("warning", "/health").length === 1);
  assert.match(
    poor.told("warning", "/health")[0]!,
    /permission denied.*Grant the rights that docs\/postgres\.md lists/,
  );
  await bed.sql("GRANT UPDATE (health_status) ON upstream_servers TO rhumb");
  await poor.until(() => poor.told("resolved", "/health").length === 1);

  const url = bed.url.replace(bed.password, "wrong-password");
  const wrong = follow(context, specOf({ url }));
  await wrong.source.first;
  await wrong.until(() => wrong.told("warning").length === 1);
  assert.match(wrong.told("warning")[0]!, /password authentication failed.*Check user and password/);
  assert.doesNotMatch(JSON.stringify(wrong.events), /wrong-password/);
  assert.equal(wrong.source.rows(), undefined);
});

test("what an earlier process knew serves while the database is away", { skip }, async (context) => {
  const last: UpstreamRow[] = [
    { id: "1", pool: "web", address: "10.0.0.1", port: 80, weight: 1, isBackup: false, isDraining: false },
  ];
  const { source, told } = follow(context, specOf({ url: "postgres://rhumb:x@127.0.0.1:1/none" }), last);
  await source.first;
  assert.deepEqual(source.rows(), last);
  assert.match(told("warning")[0]!, /ECONNREFUSED.*the 1 rows that were read last go on serving/);
});

test("TLS is verified: by the authority that is named, and for the name of the URL", { skip }, async (context) => {
  const authority = createAuthority(context);
  const server = authority.issue({ names: ["localhost"] });
  const bed = await startWithTable(context, { cert: server.certFile, key: server.keyFile });
  await insert(bed, "10.0.0.1");
  const at = (host: string, caFile?: string) =>
    specOf({ url: bed.url.replace("127.0.0.1", host) }, { usesTls: true, caFile });
  const good = follow(context, at("localhost", authority.caFile));
  await good.until((rows) => rows.length === 1);
  const [used] = await bed.sql<{ ssl: boolean }>(
    "SELECT bool_and(ssl) AS ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'rhumb'",
  );
  assert.equal(used!.ssl, true);
  for (const spec of [at("localhost"), at("127.0.0.1", authority.caFile)]) {
    const bad = follow(context, spec);
    await bad.source.first;
    assert.equal(bad.source.rows(), undefined);
    assert.match(bad.told("warning")[0]!, /certificate|altnames|self-signed/i);
  }
});
