/** Limits of a whole balancer, counted where they hold: at the backends, over all workers, and over two processes. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import {
  allHealthy,
  type BalancerBed,
  type BedConfig,
  CHECK,
  configHead,
  type LineBackend,
  type LineClient,
  openClient,
  startBackend,
  startBalancer,
  until,
} from "./balancer-bed.ts";
import { freePort, startDaemon, without } from "./tools.ts";

const TIMEOUT = { timeout: 60_000 };
const ENGINES = ["epoll", "net"] as const;

type Parts = { engine?: string; listener?: string; pool?: string; backend?: string; head?: string };
const configOf =
  (
    backends: readonly { readonly port: number }[],
    { engine = "auto", listener, pool, backend, head }: Parts,
  ): BedConfig =>
  ({ port, apiPort }) =>
    `${head === undefined ? configHead(apiPort) : configHead(apiPort).replace(/cluster: .*/, head)}balancer:
  region: here
  workers: 2
  engine: ${engine}
  listeners:
    web: { listen: "127.0.0.1:${port}", protocol: tcp, pool: web${listener ? `, ${listener}` : ""} }
  pools:
    web:
      check: ${CHECK}
      ${pool ?? ""}
      backends: [${backends.map(({ port: at }) => `{ address: "127.0.0.1:${at}"${backend ? `, ${backend}` : ""} }`).join(", ")}]
`;
const named = (t: TestContext, ...names: readonly string[]): Promise<LineBackend[]> =>
  Promise.all(names.map((name) => startBackend(t, name)));

/** A client that may be refused: with its first answer, or how it ended. */
async function tryClient(port: number, from?: string): Promise<{ client?: LineClient; got: string }> {
  try {
    const client = await openClient(port, from);
    try {
      return { client, got: await client.ask("1") };
    } catch {
      return { got: "refused" };
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ECONNRESET") throw error;
    return { got: "refused" };
  }
}
const refusals = async (bed: BalancerBed): Promise<Record<string, number>> => {
  const text = await (await bed.api("GET", "/metrics")).text();
  const found = text.matchAll(/^rhumb_listener_refused_total\{.*reason="(\w+)".*\} (\d+)$/gm);
  return Object.fromEntries(
    Array.from(found, ([, reason, count]) => [reason!, Number(count)]).filter(([, count]) => count),
  );
};
const queued = async (bed: BalancerBed): Promise<number> =>
  (await bed.json<{ queued: number }[]>("GET", "/pools"))[0]!.queued;

for (const engine of ENGINES)
  test(
    `under load no backend ever has more than its maxConnections, and all who wait are served (${engine})`,
    TIMEOUT,
    async (t) => {
      const LIMIT = 3;
      const backends = await named(t, "a", "b");
      const pool = "algorithm: round_robin\n      queue: { max: 100, timeout: 50s }";
      const config = configOf(backends, { engine, pool, backend: `maxConnections: ${LIMIT}` });
      // Connections of probes would be counted as well: none.
      const bed = await startBalancer(t, (facts) => config(facts).replace(CHECK, "none"));
      let served = 0;
      const one = async (): Promise<void> => {
        for (let time = 0; time < 20; time++) {
          const client = await openClient(bed.port);
          await client.ask("1");
          await client.ask("2");
          client.close();
          served++;
        }
      };
      await Promise.all(Array.from({ length: 30 }, one));
      assert.equal(served, 600);
      assert.deepEqual(
        backends.map((backend) => backend.peak()),
        [LIMIT, LIMIT],
      );
      assert.deepEqual(await refusals(bed), {});
      assert.equal(await queued(bed), 0);
    },
  );

for (const engine of ENGINES)
  test(
    `who finds the queue full is refused, who waits too long as well, and the next in it is served (${engine})`,
    TIMEOUT,
    async (t) => {
      const [backend] = (await named(t, "a")) as [LineBackend];
      const pool = "queue: { max: 2, timeout: 3s }";
      const bed = await startBalancer(t, configOf([backend], { engine, pool, backend: "maxConnections: 1" }));
      await allHealthy(bed, t);
      const { client: holder } = await tryClient(bed.port);
      const waiting = [tryClient(bed.port), tryClient(bed.port)];
      await until(
        () => queued(bed),
        (count) => count === 2,
        t,
      );
      assert.equal((await tryClient(bed.port)).got, "refused");
      assert.deepEqual(await Promise.all(waiting.map(async (each) => (await each).got)), ["refused", "refused"]);
      await until(
        () => refusals(bed),
        ({ queue_full = 0, queue_timeout = 0 }) => queue_full === 1 && queue_timeout === 2,
        t,
      );
      const next = tryClient(bed.port);
      await until(
        () => queued(bed),
        (count) => count === 1,
        t,
      );
      holder!.close();
      const { client, got } = await next;
      assert.equal(got, "a 1");
      client!.close();
    },
  );

for (const engine of ENGINES)
  test(
    `limits of one client hold over both workers, and the access list before them (${engine})`,
    TIMEOUT,
    async (t) => {
      const [backend] = (await named(t, "a")) as [LineBackend];
      const listener = `access: [{ network: 127.0.0.3/32, action: deny }], limits: { maxConnections: 9, client: { maxConnections: 2 } }`;
      const bed = await startBalancer(t, configOf([backend], { engine, listener }));
      await allHealthy(bed, t);
      const got = async (from: string): Promise<string> => (await tryClient(bed.port, from)).got;
      const both = [await tryClient(bed.port, "127.0.0.2"), await tryClient(bed.port, "127.0.0.2")];
      for (let time = 0; time < 6; time++) assert.equal(await got("127.0.0.2"), "refused");
      assert.equal(await got("127.0.0.3"), "refused");
      // Four more clients with two each would be ten: one is beyond what the listener takes.
      const others = [];
      for (const from of [4, 5, 6, 7]) for (let time = 0; time < 2; time++) others.push(await got(`127.0.0.${from}`));
      assert.deepEqual(others, [...Array(7).fill("a 1"), "refused"]);
      await until(
        () => refusals(bed),
        ({ access, limit, client_limit }) => access === 1 && limit === 1 && client_limit === 6,
        t,
      );
      both[0]!.client!.close();
      await until(
        () => got("127.0.0.2"),
        (answer) => answer === "a 1",
        t,
      );
    },
  );

for (const engine of ENGINES)
  test(`a chain of two balancers tells the backend who the client is (${engine})`, TIMEOUT, async (t) => {
    const [backend] = (await named(t, "a")) as [LineBackend];
    // The headers of probes would be lines as well: none.
    const inner = await startBalancer(t, (facts) =>
      configOf([backend], {
        engine,
        pool: "proxyProtocol: v1",
        listener: "proxyProtocol: { trusted: [127.0.0.1/32] }, access: [{ network: 127.0.0.8/32, action: deny }]",
      })(facts).replace(CHECK, "none"),
    );
    const outer = await startBalancer(t, (facts) =>
      configOf([{ port: inner.port }], { engine, pool: "proxyProtocol: v2" })(facts).replace(CHECK, "none"),
    );
    // The header is a line as well, whose answer comes first.
    const said = async (from: string, port: number, first = "1"): Promise<string[]> => {
      const client = await openClient(port, from);
      const lines = await Promise.all([client.ask(first), client.ask("2")]);
      client.close();
      return lines;
    };
    const [header, answer] = (await said("127.0.0.9", outer.port)) as [string, string];
    assert.match(header, new RegExp(`^a PROXY TCP4 127\\.0\\.0\\.9 127\\.0\\.0\\.1 \\d+ ${outer.port}\r$`));
    assert.equal(answer, "a 1");
    assert.equal((await tryClient(outer.port, "127.0.0.8")).got, "refused", "the access list knows who it is");
    // Who is not trusted says nothing of itself, and is who it is; what looks like a header goes on as any octets.
    const lie = "PROXY TCP4 127.0.0.99 127.0.0.1 1 2\r";
    const [real, octets] = (await said("127.0.0.10", inner.port, lie)) as [string, string];
    assert.match(real, /^a PROXY TCP4 127\.0\.0\.10 /);
    assert.equal(octets, `a ${lie}`);
    await assert.rejects(openClient(inner.port).then((mute) => mute.ask("no header")));
  });

for (const engine of ENGINES)
  test(
    `a silent connection ends after the idle time, one that talks after its lifetime (${engine})`,
    TIMEOUT,
    async (t) => {
      const [backend] = (await named(t, "a")) as [LineBackend];
      const listener = "timeouts: { idle: 3s, lifetime: 8s }";
      const bed = await startBalancer(t, configOf([backend], { engine, listener }));
      await allHealthy(bed, t);
      const silent = await openClient(bed.port);
      const talks = await openClient(bed.port);
      await Promise.all([silent.ask("1"), talks.ask("1")]);
      const talking = setInterval(() => talks.ask("x").catch(() => {}), 50);
      t.after(() => clearInterval(talking));
      await silent.over;
      assert.equal(talks.isOver(), false);
      await talks.over;
      const metrics = await (await bed.api("GET", "/metrics")).text();
      for (const reason of ["idle", "lifetime"])
        assert.match(metrics, new RegExp(`^rhumb_listener_ended_total\\{.*reason="${reason}".*\\} 1$`, "m"));
    },
  );

const sources = (net: number, count: number): string[] =>
  Array.from({ length: count }, (_, host) => `127.0.${net}.${host + 1}`);
const homeOf = async (bed: BalancerBed, from: string): Promise<string> => {
  const { client, got } = await tryClient(bed.port, from);
  client!.close();
  return got.split(" ")[0]!;
};

for (const engine of ENGINES)
  test(`a sticky client comes back to its backend through either worker (${engine})`, TIMEOUT, async (t) => {
    const backends = await named(t, "a", "b", "c");
    const pool = "algorithm: random\n      sticky: { ttl: 10m }";
    const bed = await startBalancer(t, configOf(backends, { engine, pool }));
    await allHealthy(bed, t);
    const clients = sources(2, 12);
    const homes = new Map<string, string>();
    for (const from of clients) homes.set(from, await homeOf(bed, from));
    assert.ok(new Set(homes.values()).size > 1);
    for (let time = 0; time < 6; time++)
      for (const from of clients) assert.equal(await homeOf(bed, from), homes.get(from), from);
    // Its backend dies: it gets another one, and stays there.
    const [first] = clients as [string];
    const lost = backends.find(({ name }) => name === homes.get(first))!;
    await lost.kill();
    const next = await homeOf(bed, first);
    assert.notEqual(next, lost.name);
    for (let time = 0; time < 6; time++) assert.equal(await homeOf(bed, first), next);
  });

test("two balancers share what they know of sticky clients by Redis, and go on without it", {
  ...TIMEOUT,
  skip: without("redis-server"),
}, async (t) => {
  const redisPort = await freePort();
  const redis = await startDaemon(
    t,
    ["redis-server", "--port", `${redisPort}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
    /Ready to accept connections/,
  );
  const backends = await named(t, "a", "b", "c");
  const start = (engine: string) =>
    startBalancer(
      t,
      configOf(backends, {
        engine,
        pool: "algorithm: random\n      sticky: { ttl: 10m, store: redis }",
        head: `cluster: { state: state/, redis: "redis://127.0.0.1:${redisPort}" }`,
      }),
    );
  const [one, other] = await Promise.all([start("epoll"), start("net")]);
  await Promise.all([allHealthy(one, t), allHealthy(other, t)]);
  // Each of the four workers finds its Redis with its first questions: from then on both say the same of new clients.
  let net = 10;
  await until(
    async () => {
      const clients = sources(net++, 10);
      const homes: string[] = [];
      for (const from of clients) homes.push(await homeOf(one, from));
      const again: string[] = [];
      for (const from of clients) again.push(await homeOf(other, from));
      return homes.every((home, index) => home === again[index]);
    },
    (isSame) => isSame,
    t,
  );
  const known = sources(net - 1, 10);
  const homes = new Map<string, string>();
  for (const from of known) homes.set(from, await homeOf(one, from));
  const stays = await openClient(one.port, "127.0.9.1");
  const stayed = await stays.ask("1");

  redis.kill("SIGKILL");
  // From memory, and new ones at any backend: nobody is refused.
  for (const from of known) assert.equal(await homeOf(one, from), homes.get(from));
  for (const from of sources(200, 10)) assert.match(await homeOf(other, from), /^[abc]$/);
  assert.equal(await stays.ask("2"), stayed.replace("1", "2"));
  stays.close();
});
