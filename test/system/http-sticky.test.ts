/**
 * Sticky clients of real balancer processes: nodes that share them by Redis or by the keys of a cookie, and backends that go
 * away while clients ask.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { Agent, createServer, type IncomingHttpHeaders, request } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import {
  allHealthy,
  type BalancerBed,
  backendsOf,
  CHECK,
  configHead,
  startBalancer,
  until,
  withPort,
} from "./balancer-bed.ts";
import { folderWith, freePort, startDaemon, without } from "./tools.ts";

const skip = without("redis-server", "redis-cli");
const timeout = 120_000;
const SECRETS = { k1: "first-secret-of-the-test-0123456789", k2: "second-secret-of-the-test-012345678" };

type Named = { readonly name: string; readonly port: number };
/** Says its name and which cookies it got. */
async function startNamed(context: TestContext, name: string): Promise<Named> {
  const server = createServer({ keepAliveTimeout: 60_000 }, (message, response) => {
    message.resume();
    response.end(`${name} ${message.headers.cookie ?? "-"}`);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { name, port: (server.address() as AddressInfo).port };
}
const startAll = (context: TestContext, names: string): Promise<Named[]> =>
  Promise.all([...names].map((name) => startNamed(context, name)));

const listOf = (backends: readonly Named[]): string => backends.map(({ port }) => `"127.0.0.1:${port}"`).join(", ");
type Facts = { readonly port: number; readonly apiPort: number };
/** @param sticky of the pool, inline YAML */
const site = ({ port, apiPort }: Facts, backends: readonly Named[], sticky: string, redis?: number): string =>
  `${configHead(apiPort).replace("state/ }", redis === undefined ? "state/ }" : `state/, redis: "redis://127.0.0.1:${redis}" }`)}balancer:
  region: here
  workers: 2
  listeners: { in: { listen: "127.0.0.1:${port}", protocol: http, pool: web } }
  pools: { web: { check: ${CHECK}, sticky: ${sticky}, backends: [${listOf(backends)}] } }
`;

type Got = {
  readonly status: number;
  readonly name: string;
  readonly cookies: string;
  readonly headers: IncomingHttpHeaders;
};
function ask({ port }: Pick<BalancerBed, "port">, headers: Record<string, string> = {}, agent?: Agent): Promise<Got> {
  const { promise, resolve, reject } = Promise.withResolvers<Got>();
  request({ host: "127.0.0.1", port, headers, ...(agent && { agent }) }, (message) => {
    let body = "";
    message
      .setEncoding("latin1")
      .on("data", (text: string) => {
        body += text;
      })
      .on("error", reject)
      .on("end", () => {
        const [name = "", ...cookies] = body.split(" ");
        resolve({ status: message.statusCode!, name, cookies: cookies.join(" "), headers: message.headers });
      });
  })
    .on("error", reject)
    .end();
  return promise;
}
const cookieOf = ({ headers }: Got): string | undefined => headers["set-cookie"]?.[0]?.split(";")[0];

// ── by header, over Redis ────────────────────────────────────────────────────────────────────────────────────────

const startRedis = (context: TestContext, port: number) =>
  startDaemon(
    context,
    ["redis-server", "--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
    /Ready to accept connections/,
  );
const cli = (port: number, ...command: string[]): string =>
  spawnSync("redis-cli", ["-p", `${port}`, ...command], { encoding: "utf8" }).stdout.trim();

test("nodes share clients by header over Redis; without it each goes on by what it remembers", {
  skip,
  timeout,
}, async (t) => {
  const redisPort = await freePort();
  const server = await startRedis(t, redisPort);
  const backends = await startAll(t, "abcd");
  const sticky = "{ by: { header: x-session }, store: redis, ttl: 10m }";
  const nodes = await Promise.all(
    [1, 2].map(() => startBalancer(t, (facts) => site(facts, backends, sticky, redisPort))),
  );
  for (const node of nodes) await allHealthy(node, t);

  const namesOf = async (session: string): Promise<string[]> => {
    const names: string[] = [];
    for (const node of nodes) {
      const { status, name } = await ask(node, { "x-session": session });
      assert.equal(status, 200);
      names.push(name);
    }
    return names;
  };
  /** A look-up that took longer than clients wait for is made good by the next one. */
  const shared = async (session: string): Promise<string> =>
    (
      await until(
        () => namesOf(session),
        (names) => new Set(names).size === 1,
        t,
      )
    )[0]!;

  const sessions = Array.from({ length: 24 }, (_, index) => `session-${index}`);
  const before = new Map<string, string>();
  for (const session of sessions) before.set(session, await shared(session));
  assert.ok(new Set(before.values()).size > 1, "all backends are used");

  const keys = cli(redisPort, "KEYS", "*").split("\n");
  assert.ok(keys.length > sessions.length / 2 && keys.length <= sessions.length, `${keys.length}`);
  for (const key of keys) assert.match(key, /^rhumb:sticky:web:[A-Za-z0-9_-]{32}$/, "no session is told to Redis");
  const leftMs = Number(cli(redisPort, "PTTL", keys[0]!));
  assert.ok(leftMs > 0 && leftMs <= 600_000);
  const known = backends.map(({ port }) => `127.0.0.1:${port}`);
  assert.ok(known.includes(cli(redisPort, "GET", keys[0]!)));

  server.kill("SIGKILL");
  for (const node of nodes) await node.printed(/Redis is away/);
  for (const [session, name] of before) assert.deepEqual(await namesOf(session), [name, name], "from memory");
  const apart = await namesOf("met-while-away");

  await startRedis(t, redisPort);
  for (const node of nodes) await node.printed(/Redis is back/);
  for (const [session, name] of before) assert.equal(await shared(session), name);
  assert.ok(apart.includes(await shared("met-while-away")), "what one of them gave is what both give");
  await shared("new");
});

// ── by cookie ────────────────────────────────────────────────────────────────────────────────────────────────────

/** @returns keys as a configuration refers to them, by name, the first of which signs */
function secretsOf(context: TestContext): (...names: (keyof typeof SECRETS)[]) => string {
  const folder = folderWith(context, SECRETS);
  return (...names) => `{ ${names.map((name) => `${name}: "file:${folder}/${name}"`).join(", ")} }`;
}

test("cookies outlive a restart, are good at another node with the same keys, and follow new keys", {
  timeout,
}, async (t) => {
  const backends = await startAll(t, "abcd");
  const keys = secretsOf(t);
  const stickyOf = (named: string): string => `{ by: cookie, cookie: { keys: ${named} } }`;
  const facts: Facts[] = [];
  const start = (named: string) =>
    startBalancer(t, (fact) => {
      facts.push(fact);
      return site(fact, backends, stickyOf(named));
    });
  const [one, other] = await Promise.all([start(keys("k1")), start(keys("k1"))]);
  for (const node of [one, other]) await allHealthy(node, t);

  const clients = await Promise.all(
    Array.from({ length: 16 }, async () => {
      const first = await ask(one);
      assert.match(cookieOf(first)!, /^rhumb-web=v1\.k1\./);
      assert.equal(first.headers["cache-control"], "private");
      return { name: first.name, cookie: cookieOf(first)! };
    }),
  );
  assert.ok(new Set(clients.map(({ name }) => name)).size > 1);
  const allStay = async (node: BalancerBed): Promise<void> => {
    for (const { name, cookie } of clients) {
      const got = await ask(node, { cookie: `own=1; ${cookie}` });
      assert.deepEqual([got.status, got.name, got.cookies, cookieOf(got)], [200, name, "own=1", undefined]);
    }
  };
  await allStay(one);
  await allStay(other);
  await one.restart();
  await allHealthy(one, t);
  await allStay(one);

  for (const change of [(text: string) => `${text.slice(0, -1)}!`, (text: string) => text.replace(".k1.", ".k2.")]) {
    const got = await ask(one, { cookie: change(clients[0]!.cookie) });
    assert.equal(got.status, 200);
    assert.equal(got.cookies, "-");
    assert.match(cookieOf(got)!, /^rhumb-web=v1\.k1\./, "another one, and good");
  }

  // Both nodes learn the new key before one signs with it; then the old one goes.
  const nodes = [one, other] as const;
  const reload = (named: string) =>
    Promise.all(
      nodes.map((node) => node.reload(site(facts.find(({ port }) => port === node.port)!, backends, stickyOf(named)))),
    );
  await reload(keys("k1", "k2"));
  await allStay(other);
  await reload(keys("k2", "k1"));
  for (const client of clients) {
    const got = await ask(one, { cookie: client.cookie });
    assert.equal(got.name, client.name, "the old key is believed");
    assert.match(cookieOf(got)!, /^rhumb-web=v1\.k2\./, "and the new one signs");
    client.cookie = cookieOf(got)!;
  }
  await reload(keys("k2"));
  await allStay(other);
});

type Browser = { name: string; readonly names: Set<string>; stop(): Promise<number> };
/** Asks on and on, one request after the other, with the cookie that it has. */
async function startBrowser(context: TestContext, node: BalancerBed, faults: string[]): Promise<Browser> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  context.after(() => agent.destroy());
  let cookie = "";
  let isOver = false;
  let asked = 0;
  const browser = { name: "", names: new Set<string>() };
  const step = async (): Promise<void> => {
    try {
      const got = await ask(node, cookie === "" ? {} : { cookie }, agent);
      if (got.status !== 200) faults.push(`${got.status}`);
      const isNew = cookieOf(got) !== undefined;
      if (browser.name !== "" && got.name !== browser.name && !isNew)
        faults.push(`${browser.name} to ${got.name} without a cookie`);
      cookie = cookieOf(got) ?? cookie;
      browser.name = got.name;
      browser.names.add(got.name);
    } catch (error) {
      faults.push(String(error));
    }
    asked++;
  };
  await step();
  const running = (async () => {
    while (!isOver) await step();
  })();
  return Object.assign(browser, {
    async stop() {
      isOver = true;
      await running;
      return asked;
    },
  });
}

test("backends drain and are removed under load: their clients move with a new cookie, nobody else does, nothing is lost", {
  timeout,
}, async (t) => {
  const backends = await startAll(t, "abcd");
  const sticky = `{ by: cookie, cookie: { keys: ${secretsOf(t)("k1")} } }`;
  let config = (_left: readonly Named[]): string => "";
  const node = await startBalancer(t, (facts) => {
    config = (left) => site(facts, left, sticky);
    return config(backends);
  });
  await allHealthy(node, t);
  const faults: string[] = [];
  const browsers = await Promise.all(Array.from({ length: 24 }, () => startBrowser(t, node, faults)));
  const before = browsers.map(({ name }) => name);

  // One that most browsers have nothing to do with; and one after it.
  const [draining, leaving] = ["a", "b"];
  const { backend_id } = withPort(await backendsOf(node), backends[0]!);
  await node.json("PUT", `/backends/${backend_id}/state`, { state: "drain", reason: "test" });
  await until(
    () => browsers,
    (all) => all.every(({ name }) => name !== draining),
    t,
  );
  await node.reload(config(backends.filter(({ name }) => name !== leaving)));
  await until(
    () => browsers,
    (all) => all.every(({ name }) => name !== leaving),
    t,
  );

  let asked = 0;
  for (const browser of browsers) asked += await browser.stop();
  assert.deepEqual(faults, [], `of ${asked}`);
  for (const [index, { name, names }] of browsers.entries()) {
    const had = before[index]!;
    assert.ok(name === "c" || name === "d");
    if (had === "c" || had === "d") assert.deepEqual([...names], [had], "it had no reason to move");
  }
});
