/** A balancer whose backends stand in a table of a real PostgreSQL: clients go where the table says, also without it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { startNode } from "#app/node.ts";
import { silentLog } from "#base/log.ts";
import type { RhumbEvent } from "#state/events.ts";
import { openClient, startBackend, TOKEN, until } from "./balancer-bed.ts";
import { withoutPostgres as skip, startWithTable } from "./postgres-bed.ts";
import { folderWith } from "./tools.ts";

test("clients go where the table says, within a second, and stay served while it is away", {
  skip,
  timeout: 120_000,
}, async (t) => {
  const bed = await startWithTable(t);
  const backends = await Promise.all(["a", "b", "c"].map((name) => startBackend(t, name)));
  const [a, b, c] = backends as [(typeof backends)[0], (typeof backends)[0], (typeof backends)[0]];
  const insert = (port: number, more = "") =>
    bed.sql(
      `INSERT INTO upstream_servers (pool_name, ip_address, port, health_status) VALUES ('web', '127.0.0.1', ${port}, 'HEALTHY')${more}`,
    );
  await insert(a.port);
  const folder = folderWith(t, {
    token: TOKEN,
    database: bed.url,
    "rhumb.yaml": `version: 1
node: lb1
control: { listen: "127.0.0.1:0", tokens: { ops: { token: "file:token", role: admin } } }
cluster: { state: state/ }
balancer:
  region: here
  workers: 1
  drain: 0s
  source: { postgres: "file:database" }
  listeners:
    web: { listen: "127.0.0.1:0", protocol: tcp, pool: web }
  pools:
    many: { check: none }
    web:
      algorithm: round_robin
      check: { kind: tcp, interval: 200ms, timeout: 200ms, downSpan: 0s, thresholds: { down: 2, up: 1 } }
`,
  });
  const events: RhumbEvent[] = [];
  const start = async () => {
    const node = await startNode({
      config: join(folder, "rhumb.yaml"),
      version: "0.0.0",
      log: silentLog,
      onEvent: (event) => events.push(event),
    });
    t.after(() => node.close());
    return node;
  };
  let node = await start();
  /** Who answers new clients. */
  const serving = async (): Promise<string> => {
    const { address } = node.parts.balancer.stats().listeners[0]!;
    const found = new Set<string>();
    for (let count = 0; count < 9; count++) {
      const client = await openClient(address.port);
      found.add((await client.ask("x")).split(" ")[0]!);
      client.close();
    }
    return [...found].sort().join(" ");
  };
  const told = (severity: string, subject: string) => () =>
    events.filter((event) => event.kind === "source.fault" && event.severity === severity && event.subject === subject);
  const api = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const answer = await fetch(`${node.apiUrl}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${TOKEN}`,
        connection: "close",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return answer.json();
  };
  await until(serving, (found) => found === "a", t);

  await insert(b.port);
  await until(serving, (found) => found === "a b", t);
  await bed.sql(`UPDATE upstream_servers SET health_status = 'DRAINING' WHERE port = ${a.port}`);
  await until(serving, (found) => found === "b", t);
  const shown = (await api("GET", "/backends")) as Record<string, unknown>[];
  assert.deepEqual(
    shown.map(({ port, status, origin }) => [port, status, origin]).sort(),
    [
      [a.port, "draining", "table"],
      [b.port, "healthy", "table"],
    ].sort(),
  );

  // What our checks find goes back, and never over DRAINING.
  await b.kill();
  const statuses = () =>
    bed.sql<{ port: number; status: string; failures: number; checked: boolean }>(
      "SELECT port, health_status AS status, consecutive_failures AS failures, last_checked_at > now() - interval '1 minute' AS checked FROM upstream_servers",
    );
  await until(statuses, (rows) => rows.some(({ port, status }) => port === b.port && status === "UNHEALTHY"), t);
  await until(statuses, (rows) => rows.some(({ port, checked }) => port === a.port && checked), t);
  assert.equal((await statuses()).find(({ port }) => port === a.port)!.status, "DRAINING");
  await b.revive();
  await until(statuses, (rows) => rows.some(({ port, status }) => port === b.port && status === "HEALTHY"), t);

  await bed.sql("UPDATE upstream_servers SET weight = 5000 WHERE health_status = 'HEALTHY'");
  await until(told("warning", "source/upstream_servers/rows"), (seen) => seen.length === 1, t);
  assert.equal(await serving(), "b", "a slip of the hand takes nobody out");
  await bed.sql("UPDATE upstream_servers SET weight = 1");
  await until(told("resolved", "source/upstream_servers/rows"), (seen) => seen.length === 1, t);

  // The database dies; so do we, and come back without it.
  await bed.kill();
  await until(told("warning", "source/upstream_servers"), (seen) => seen.length === 1, t);
  assert.equal(await serving(), "b");
  await node.close();
  node = await start();
  await until(serving, (found) => found === "b", t);

  await bed.start();
  await insert(c.port);
  await until(serving, (found) => found === "b c", t);
  await bed.sql(
    "INSERT INTO upstream_servers (pool_name, ip_address, port, health_status) SELECT 'many', '127.1.' || n / 250 || '.' || 1 + n % 250, 9, 'HEALTHY' FROM generate_series(1, 1000) n",
  );
  await until(
    () => node.parts.door.current()!.snapshot.balancer!.pools[0]!.backends.length,
    (count) => count === 1_000,
    t,
  );
  assert.equal(await serving(), "b c");
});
