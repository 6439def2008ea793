/** Sticky clients between nodes over a real Redis: shared, limited in time, and never in the way when Redis is. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test, { type TestContext } from "node:test";
import { systemClock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import { createSeededRng } from "#base/rng.ts";
import { connectRedis, type Redis } from "#cluster/redis.ts";
import { createStickyStore } from "#cluster/sticky-table.ts";
import { redisOfUrl } from "#config/compile-cluster.ts";
import { createPoolWorld, newClient, requestOf } from "../pool/pool-fixture.ts";
import { backendAt, poolOf, stickyBySource } from "../pool/specs.ts";
import { freePort, startDaemon, without } from "./tools.ts";

const skip = without("redis-server", "redis-cli");

const startRedis = (context: TestContext, port: number) =>
  startDaemon(
    context,
    ["redis-server", "--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
    /Ready to accept connections/,
  );
function cli(port: number, ...command: string[]): string {
  const { stdout, status } = spawnSync("redis-cli", ["-p", `${port}`, ...command], { encoding: "utf8" });
  assert.equal(status, 0);
  return stdout.trim();
}
/** A limit that a busy machine does not reach, for what shall be answered. */
const PATIENT_MS = 10_000;
function connect(context: TestContext, url: string, getLimitMs = PATIENT_MS) {
  const lines: string[] = [];
  const note = (fields: object, says: string) => void lines.push(`${says} ${JSON.stringify(fields)}`);
  const log: Log = { debug() {}, info: note, warn: note, error: note };
  const redis = connectRedis({ spec: redisOfUrl(url)!, clock: systemClock, log, rng: createSeededRng(1) });
  context.after(() => redis.close());
  return { redis, store: createStickyStore(redis, getLimitMs), lines };
}
/** The next change of `isUp()`. */
const nextChange = (redis: Redis): Promise<boolean> => new Promise((resolve) => redis.onChange(resolve));
/** Asks until Redis is connected: the first question may be too early. */
async function connected(redis: Redis): Promise<void> {
  const up = nextChange(redis);
  await redis.ask((client) => client.ping(), PATIENT_MS);
  if (!redis.isUp()) assert.equal(await up, true);
}

test("what one node puts another one gets, for as long as the client comes", { skip }, async (context) => {
  const port = await freePort();
  await startRedis(context, port);
  const [one, other] = [1, 2].map(() => connect(context, `redis://127.0.0.1:${port}`)) as [
    ReturnType<typeof connect>,
    ReturnType<typeof connect>,
  ];
  await Promise.all([connected(one.redis), connected(other.redis)]);
  assert.equal(await other.store.get("web:c", 60_000), undefined);
  one.store.put("web:c", "10.0.0.1:80", 30_000);
  await one.redis.ask((client) => client.ping(), PATIENT_MS); // comes after it
  assert.ok(Number(cli(port, "PTTL", "rhumb:sticky:web:c")) <= 30_000);
  assert.equal(await other.store.get("web:c", 60_000), "10.0.0.1:80");
  assert.ok(Number(cli(port, "PTTL", "rhumb:sticky:web:c")) > 30_000, "it was asked for, so it is kept");
  assert.deepEqual([...one.lines, ...other.lines], []);
});

test("clients keep their backends on two nodes, and get one while Redis is gone and after", {
  skip,
}, async (context) => {
  const port = await freePort();
  const server = await startRedis(context, port);
  const backends = [0, 1, 2, 3].map((row) => backendAt(row));
  const nodes = [1, 2].map((seed) => {
    const { redis, store, lines } = connect(context, `redis://127.0.0.1:${port}`);
    const spec = poolOf(backends, { sticky: stickyBySource({ store: "redis" }) });
    return { redis, lines, ...createPoolWorld(spec, { sticky: store, seed }) };
  });
  await Promise.all(nodes.map(({ redis }) => connected(redis)));
  async function rowsOf(client: string): Promise<number[]> {
    const rows: number[] = [];
    for (const { places, now } of nodes) {
      await new Promise<void>((resolve) => {
        if (!places.remember(requestOf(client), resolve)) resolve();
      });
      rows.push(places.take(requestOf(client), now()));
    }
    return rows;
  }
  const clients = Array.from({ length: 40 }, newClient);
  const before = new Map<string, readonly number[]>();
  for (const client of clients) {
    const rows = await rowsOf(client);
    assert.equal(new Set(rows).size, 1, `${client} had ${rows}`);
    before.set(client, rows);
  }

  const away = nodes.map(({ redis }) => nextChange(redis));
  server.kill("SIGKILL");
  assert.deepEqual(await Promise.all(away), [false, false]);
  for (const client of clients) assert.deepEqual(await rowsOf(client), before.get(client), "from memory");
  const rows = await rowsOf(newClient());
  assert.ok(rows.every((row) => row >= 0));

  const back = nodes.map(({ redis }) => nextChange(redis));
  await startRedis(context, port);
  assert.deepEqual(await Promise.all(back), [true, true]);
  for (const client of [newClient(), newClient()]) assert.equal(new Set(await rowsOf(client)).size, 1);
  for (const { lines } of nodes) {
    assert.deepEqual(
      lines.map((line) => line.split(":")[0]),
      ["Redis is away", 'Redis is back {"redis"'],
    );
  }
});

test("a Redis that hangs is asked once a second, and is back with its first answer", { skip }, async (context) => {
  const port = await freePort();
  const server = await startRedis(context, port);
  const { redis, store, lines } = connect(context, `redis://127.0.0.1:${port}`);
  await connected(redis);
  store.put("web:c", "10.0.0.1:80", 60_000);
  assert.equal(await store.get("web:c", 60_000), "10.0.0.1:80");
  const hasty = createStickyStore(redis);
  const away = nextChange(redis);
  server.kill("SIGSTOP");
  assert.equal(await hasty.get("web:c", 60_000), undefined, "too late");
  assert.equal(await away, false);
  let asked = 0;
  const count = () => redis.ask(async () => asked++, 50);
  await Promise.all([count(), count(), count()]);
  assert.equal(asked, 0, "nobody waits for it now");
  const back = nextChange(redis);
  server.kill("SIGCONT");
  assert.equal(await back, true, "by the answer that it owed");
  assert.equal(await store.get("web:c", 60_000), "10.0.0.1:80");
  assert.equal(lines.length, 2);
});

test("a Redis that never was there costs no answer, and is found when it comes", { skip }, async (context) => {
  const port = await freePort();
  const { redis, store } = connect(context, `redis://127.0.0.1:${port}`);
  store.put("web:c", "10.0.0.1:80", 60_000);
  assert.equal(await store.get("web:c", 60_000), undefined);
  assert.equal(redis.isUp(), false);
  const back = nextChange(redis);
  await startRedis(context, port);
  if (!(await back)) await nextChange(redis);
  assert.equal(redis.isUp(), true);
});

test("user and password come from the URL, and are not told", { skip }, async (context) => {
  const port = await freePort();
  await startRedis(context, port);
  cli(port, "ACL", "SETUSER", "rhumb", "on", ">s3cret", "~rhumb:*", "+@all");
  cli(port, "ACL", "SETUSER", "reader", "on", ">s3cret", "~rhumb:*", "+get", "+ping", "+info", "+hello", "+client");
  cli(port, "ACL", "SETUSER", "default", "off");
  const good = connect(context, `redis://rhumb:s3cret@127.0.0.1:${port}`);
  await connected(good.redis);
  good.store.put("web:c", "10.0.0.1:80", 60_000);
  assert.equal(await good.store.get("web:c", 60_000), "10.0.0.1:80");

  const reader = connect(context, `redis://reader:s3cret@127.0.0.1:${port}`);
  await connected(reader.redis);
  for (let count = 0; count < 2; count++) assert.equal(await reader.store.get("web:c", 60_000), undefined);
  assert.equal(reader.lines.length, 1, "told once");
  assert.match(reader.lines[0]!, /^Redis refuses .*NOPERM/);

  const wrong = connect(context, `redis://rhumb:wrong@127.0.0.1:${port}`);
  const away = nextChange(wrong.redis);
  assert.equal(await wrong.store.get("web:c", 60_000), undefined);
  assert.equal(await away, false);
  assert.match(wrong.lines[0]!, /WRONGPASS/);
  for (const { lines } of [good, reader, wrong]) assert.doesNotMatch(lines.join("\n"), /s3cret|:wrong/);
});
