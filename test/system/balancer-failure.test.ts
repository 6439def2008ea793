/** What clients notice when backends die, drain, come back, or are all gone: real process, real sockets, under load. */
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import {
  type BedBackend as Backend,
  type BedConfig,
  CHECK,
  configHead,
  type LineBackend,
  openClient,
  startBackend,
  startBalancer,
  until,
} from "./balancer-bed.ts";

const configOf =
  (backends: readonly LineBackend[], pool = "", engine = "auto"): BedConfig =>
  ({ port, apiPort }) =>
    `${configHead(apiPort)}balancer:
  region: here
  workers: 2
  engine: ${engine}
  listeners:
    web: { listen: "127.0.0.1:${port}", protocol: tcp, pool: web }
  pools:
    web:
      algorithm: round_robin
      drain: 30s
      check: ${CHECK}
      ${pool}
      backends: [${backends.map(({ port: at }) => `"127.0.0.1:${at}"`).join(", ")}]
`;

/** `lostAt`: which backend had answered on each connection that broke; empty where none had yet. */
type Outcome = { asked: number; lostAt: string[]; refused: string[] };

/** `count` clients, each asking one line at a time over a connection of its own for every few lines, until told to end. */
function load(t: TestContext, port: number, count: number, linesEach = 5) {
  const outcome: Outcome = { asked: 0, lostAt: [], refused: [] };
  let isOver = false;
  t.after(() => {
    isOver = true;
  });
  const one = async (): Promise<void> => {
    while (!isOver) {
      let client: Awaited<ReturnType<typeof openClient>>;
      try {
        client = await openClient(port);
      } catch (error) {
        const { code = "" } = error as NodeJS.ErrnoException;
        // A reset may be there before the client has looked at its connection for the first time.
        if (code === "ECONNRESET") outcome.lostAt.push("");
        else outcome.refused.push(code);
        continue;
      }
      let name = "";
      try {
        for (let line = 0; line < linesEach && !isOver; line++) {
          [name = ""] = (await client.ask(`x${line}`)).split(" ");
          outcome.asked++;
        }
      } catch {
        outcome.lostAt.push(name);
      }
      client.close();
    }
  };
  const running = Array.from({ length: count }, one);
  return {
    outcome,
    async end(): Promise<Outcome> {
      isOver = true;
      await Promise.all(running);
      return outcome;
    },
  };
}

const CLIENTS = 12;
const CHANGES = 12;
for (const engine of ["epoll", "net"] as const) {
  test(`killing a backend under load loses at most what was in flight on it (${engine})`, {
    timeout: 60_000,
  }, async (t) => {
    const backends = await Promise.all(["a", "b", "c"].map((name) => startBackend(t, name)));
    const bed = await startBalancer(t, configOf(backends, "", engine));
    const all = () => bed.json<Backend[]>("GET", "/backends");
    await until(all, (list) => list.every(({ status }) => status === "healthy"), t);
    const running = load(t, bed.port, CLIENTS);
    const enough = async (): Promise<void> => {
      const from = running.outcome.asked;
      await until(
        async () => running.outcome.asked,
        (asked) => asked > from + 500,
        t,
      );
    };
    await enough();
    await backends[0]!.kill();
    await until(all, (list) => list.some(({ status }) => status === "unhealthy"), t);
    await enough();
    await backends[0]!.revive();
    await until(all, (list) => list.every(({ status }) => status === "healthy"), t);
    const before = backends[0]!.answered();
    await until(
      async () => backends[0]!.answered(),
      (answered) => answered > before,
      t,
    );
    const { lostAt, refused } = await running.end();
    assert.deepEqual(refused, []);
    assert.deepEqual(
      lostAt.filter((name) => name !== "" && name !== "a"),
      [],
    );
    assert.ok(lostAt.length <= CLIENTS, `${lostAt.length} connections were lost: more than there were`);
  });

  test(`draining a backend loses nothing, and it gets no new clients (${engine})`, { timeout: 60_000 }, async (t) => {
    const backends = await Promise.all(["a", "b"].map((name) => startBackend(t, name)));
    const bed = await startBalancer(t, configOf(backends, "", engine));
    const all = () => bed.json<Backend[]>("GET", "/backends");
    const list = await until(all, (found) => found.every(({ status }) => status === "healthy"), t);
    const running = load(t, bed.port, CLIENTS);
    // One that stays: it may finish at the backend that drains.
    const stayer = await openClient(bed.port);
    const [stayersBackend] = (await stayer.ask("1")).split(" ");
    const drained = backends.find(({ name }) => name === stayersBackend)!;
    const id = list.find(({ port }) => port === drained.port)!.backend_id;
    await bed.json("PUT", `/backends/${id}/state`, { state: "drain", reason: "test" });
    // Those that had come before may finish; then only the stayer is left.
    await until(
      async () => drained.open(),
      (open) => open === 1,
      t,
    );
    const asked = running.outcome.asked;
    await until(
      async () => running.outcome.asked,
      (now) => now > asked + 500,
      t,
    );
    assert.equal(drained.open(), 1);
    assert.equal(await stayer.ask("2"), `${stayersBackend} 2`);
    await bed.json("PUT", `/backends/${id}/state`, { state: "ready" });
    await until(
      async () => drained.open(),
      (open) => open > 1,
      t,
    );
    const { lostAt, refused } = await running.end();
    assert.deepEqual({ lostAt, refused }, { lostAt: [], refused: [] });
    stayer.close();
  });
}

for (const engine of ["epoll", "net"] as const)
  test(`all backends of a pool are replaced at once, again and again, and nobody notices (${engine})`, {
    timeout: 60_000,
  }, async (t) => {
    const backends = await Promise.all(["a", "b"].map((name) => startBackend(t, name)));
    let facts: Parameters<BedConfig>[0] | undefined;
    const config = (backend: LineBackend): BedConfig => configOf([backend], "failOpen: false", engine);
    const bed = await startBalancer(t, (given) => {
      facts = given;
      return config(backends[0]!)(given);
    });
    const running = load(t, bed.port, CLIENTS);
    for (let change = 1; change <= CHANGES; change++) {
      const next = backends[change % 2]!;
      const answered = next.answered();
      await bed.reload(config(next)(facts!));
      await until(next.answered, (now) => now > answered + 50, t);
    }
    const { lostAt, refused } = await running.end();
    assert.deepEqual({ lostAt, refused }, { lostAt: [], refused: [] });
    const removals = bed.out().matchAll(/"event":"backend\.transition".*was removed"/g);
    assert.equal([...removals].length, CHANGES, "each is told once");
  });

test("DELETE says how many connections drain; they go on, and new ones go elsewhere", {
  timeout: 60_000,
}, async (t) => {
  const backends = await Promise.all(["a", "b"].map((name) => startBackend(t, name)));
  const bed = await startBalancer(t, configOf(backends));
  const all = () => bed.json<Backend[]>("GET", "/backends");
  const list = await until(all, (found) => found.every(({ status }) => status === "healthy"), t);
  const clients = await Promise.all(Array.from({ length: 6 }, () => openClient(bed.port)));
  const first = await Promise.all(clients.map((client) => client.ask("1")));
  const ofA = first.filter((line) => line.startsWith("a ")).length;
  const id = list.find(({ port }) => port === backends[0]!.port)!.backend_id;
  const removed = await bed.json("DELETE", `/backends/${id}`);
  assert.deepEqual(removed, { backend_id: id, drained_connections: ofA });
  assert.equal((await bed.api("GET", `/backends/${id}/health`)).status, 404);
  const second = await Promise.all(clients.map((client) => client.ask("2")));
  assert.deepEqual(
    second.map((line) => line[0]),
    first.map((line) => line[0]),
  );
  const fresh = await Promise.all(Array.from({ length: 4 }, () => openClient(bed.port)));
  assert.deepEqual(await Promise.all(fresh.map((client) => client.ask("3"))), Array(4).fill("b 3"));
  for (const client of [...clients, ...fresh]) client.close();
});

test("a backend in maintenance gets no one, and what it has is reset when the pool's drain time is over", {
  timeout: 60_000,
}, async (t) => {
  const backends = await Promise.all(["a", "b"].map((name) => startBackend(t, name)));
  const config: BedConfig = (facts) => configOf(backends)(facts).replace("drain: 30s", "drain: 1s");
  const bed = await startBalancer(t, config);
  const all = () => bed.json<Backend[]>("GET", "/backends");
  const list = await until(all, (found) => found.every(({ status }) => status === "healthy"), t);
  const client = await openClient(bed.port);
  const [name] = (await client.ask("1")).split(" ");
  const id = list.find(({ port }) => port === backends.find((one) => one.name === name)!.port)!.backend_id;
  await bed.json("PUT", `/backends/${id}/state`, { state: "maint" });
  assert.equal(await client.over, "ECONNRESET");
});

for (const [isFailOpen, says] of [
  [true, "serve all the same"],
  [false, "are refused"],
] as const) {
  test(`with all backends down by their checks, connections ${says}`, { timeout: 60_000 }, async (t) => {
    const backends = await Promise.all(["a", "b"].map((name) => startBackend(t, name)));
    // Probes go to a port where nobody listens: health is wrong, the servers are well.
    const silent = await startBackend(t, "silent");
    await silent.kill();
    const config: BedConfig = (facts) =>
      configOf(backends, `failOpen: ${isFailOpen}`)(facts).replace("kind: tcp,", `kind: tcp, port: ${silent.port},`);
    const bed = await startBalancer(t, config);
    await until(
      () => bed.json<Backend[]>("GET", "/backends"),
      (list) => list.every(({ status }) => status === "unhealthy"),
      t,
    );
    // The node is well, and whoever wants to know of the pool too may ask.
    assert.equal((await bed.api("GET", "/readyz")).status, 200);
    const asked = await bed.api("GET", "/readyz?pools=web,mail");
    assert.deepEqual(await asked.json(), {
      isReady: false,
      reasons: ["Pool web has no healthy backend", "There is no pool mail"],
    });
    const ask = async (): Promise<string> => {
      const client = await openClient(bed.port); // its reset may come before it knows that it is connected
      return client.ask("1").finally(client.close);
    };
    if (isFailOpen) assert.match(await ask(), /^[ab] 1$/);
    else await assert.rejects(ask());
    const metrics = await (await bed.api("GET", "/metrics")).text();
    assert.match(metrics, new RegExp(`rhumb_pool_panic\\{pool="web"\\} ${isFailOpen ? 1 : 0}`));
  });
}
