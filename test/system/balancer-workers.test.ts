/** What clients notice when a worker thread of the balancer dies: those it had are lost, and nobody else. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { Worker } from "node:worker_threads";
import { type RhumbNode, startNode } from "#app/node.ts";
import { silentLog } from "#base/log.ts";
import type { RhumbEvent } from "#state/events.ts";
import { type LineClient, openClient, startBackend, until } from "./balancer-bed.ts";
import { folderWith } from "./tools.ts";

const CLIENTS = 24;
const LIMIT = 20;

/** Ways that a thread ends: by a fault in its code, and without any of its code having a say (its memory is full, say). */
const DEATHS = {
  fault: (thread: Worker) => thread.postMessage(null),
  end: (thread: Worker) => void thread.terminate(),
} as const;

type World = {
  readonly node: RhumbNode;
  readonly port: number;
  /** Threads of the balancer that live. */
  readonly threads: ReadonlySet<Worker>;
  readonly events: readonly RhumbEvent[];
  active(): { readonly backends: number; readonly listener: number };
  /** Resolves when all workers serve again, after so many restarts. */
  restarted(times: number): Promise<void>;
};

async function startWorld(
  t: TestContext,
  engine: string,
  backends: readonly { readonly port: number }[],
  protocol = "tcp",
): Promise<World> {
  const folder = folderWith(t, {
    "rhumb.yaml": `version: 1
node: lb1
cluster: { state: state/ }
balancer:
  region: here
  workers: 2
  engine: ${engine}
  drain: 0s
  listeners:
    web: { listen: "127.0.0.1:0", protocol: ${protocol}, pool: web }
  pools:
    web:
      algorithm: least_connections
      check: none
      queue: { max: 0 }
      backends: [${backends.map(({ port }) => `{ address: "127.0.0.1:${port}", maxConnections: ${LIMIT} }`).join(", ")}]
`,
  });
  const threads = new Set<Worker>();
  const note = (thread: Worker): void => {
    threads.add(thread);
    thread.once("exit", () => threads.delete(thread));
  };
  process.on("worker", note);
  const events: RhumbEvent[] = [];
  const node = await startNode({
    config: join(folder, "rhumb.yaml"),
    version: "0.0.0",
    log: silentLog,
    onEvent: (event) => events.push(event),
  });
  t.after(async () => {
    await node.close();
    process.off("worker", note);
  });
  const { balancer } = node.parts;
  return {
    node,
    threads,
    events,
    port: balancer.stats().listeners[0]!.address.port,
    active: () => ({
      backends: balancer
        .pools()
        .flatMap((pool) => pool.backends)
        .reduce((sum, { active }) => sum + active, 0),
      listener: balancer.stats().listeners[0]!.counters.active,
    }),
    async restarted(times) {
      await until(
        () => balancer.stats().workers,
        (workers) =>
          workers.reduce((sum, { restarts }) => sum + restarts, 0) === times &&
          workers.every(({ isServing }) => isServing),
        t,
      );
    },
  };
}

/** Clients that have had an answer. */
async function comeIn(port: number, count: number): Promise<LineClient[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => openClient(port)));
  await Promise.all(clients.map((client) => client.ask("1")));
  return clients;
}
const descriptors = (): number => readdirSync("/proc/self/fd").length;

for (const engine of ["epoll", "net"] as const)
  for (const [name, kill] of Object.entries(DEATHS))
    test(`a worker that dies (${engine}, ${name}) loses its connections, the others live, and all is as before`, {
      timeout: 60_000,
    }, async (t) => {
      const backends = await Promise.all(["a", "b"].map((each) => startBackend(t, each)));
      const world = await startWorld(t, engine, backends);
      const { node, port, active } = world;
      const openAtBackends = () => backends.reduce((sum, { open }) => sum + open(), 0);
      const before = descriptors();
      let clients: LineClient[] = [];
      for (const times of [1, 2, 3]) {
        clients.push(...(await comeIn(port, CLIENTS - clients.length)));
        assert.deepEqual(active(), { backends: CLIENTS, listener: CLIENTS });
        const [victim] = world.threads;
        kill(victim!);
        await world.restarted(times);
        // What was at the dead thread is over for its clients, and for its backends.
        const lives = await Promise.all(
          clients.map((client) =>
            Promise.race([client.ask("2").then(() => true), client.over.then(() => false)]).catch(() => false),
          ),
        );
        const living = clients.filter((_, index) => lives[index]);
        assert.ok(living.length > 0 && living.length < CLIENTS, `${living.length} of ${CLIENTS} live`);
        await until(openAtBackends, (open) => open === living.length, t);
        assert.deepEqual(active(), { backends: living.length, listener: living.length });
        clients = living;
      }
      const restarts = world.events.filter(({ kind }) => kind === "engine.worker-restarted");
      assert.equal(restarts.length, 3);

      // The limits of backends hold as before, to the last place.
      clients.push(...(await comeIn(port, 2 * LIMIT - clients.length)));
      assert.equal(openAtBackends(), 2 * LIMIT);
      const refused = await openClient(port).then(
        (client) => client.over,
        (error: NodeJS.ErrnoException) => error.code,
      );
      assert.equal(refused, "ECONNRESET");
      for (const client of clients) client.close();
      await until(openAtBackends, (open) => open === 0, t);
      await until(active, (now) => now.backends === 0 && now.listener === 0, t);
      assert.equal(node.parts.balancer.pools()[0]!.queued, 0);
      // Nothing of the dead is left open.
      await until(descriptors, (now) => now <= before + 8, t);
    });

test("UDP is answered at the same port after a worker died", { timeout: 60_000 }, async (t) => {
  const backend = createSocket("udp4");
  backend.on("message", (message, peer) => backend.send(message, peer.port, peer.address));
  backend.bind(0, "127.0.0.1");
  await once(backend, "listening");
  t.after(() => backend.close());
  const world = await startWorld(t, "auto", [backend.address()], "udp");
  const { port } = world;
  /** Sends until there is an answer: a datagram to a socket that goes with its thread is lost. */
  const ask = async (): Promise<void> => {
    const socket = createSocket("udp4");
    const answered = once(socket, "message");
    const send = (): void => socket.send("x", port, "127.0.0.1");
    const sending = setInterval(send, 200);
    send();
    await answered;
    clearInterval(sending);
    socket.close();
  };
  const askAll = () => Promise.all(Array.from({ length: 12 }, ask));
  await askAll();
  for (const [index, kill] of Object.values(DEATHS).entries()) {
    const [victim] = world.threads;
    kill(victim!);
    await world.restarted(index + 1);
    assert.equal(world.node.parts.balancer.stats().listeners[0]!.address.port, port);
    await askAll();
    const { backends, listener } = world.active();
    assert.equal(backends, listener);
  }
});
