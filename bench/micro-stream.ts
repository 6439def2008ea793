/**
 * What a message costs that goes through two conns which stream, as HTTP does: CPU µs of the proxy, each driver in a
 * process of its own, alternating, and the ratio of the best rounds.
 *
 * `node bench/micro-stream.ts [seconds]`
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, BoundSocket, connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "#base/clock.ts";
import type { StreamOwner, TcpConn, TcpDriver } from "#net/driver.ts";
import { createEpollDriver } from "#net/epoll/driver.ts";
import { loadEpoll } from "#net/epoll/load.ts";
import { createNetDriver } from "#net/node/driver.ts";

const MESSAGE = "m".repeat(200);
const CONNECTIONS = 64;
const ROUNDS = 3;

type Count = { readonly messages: number; readonly micros: number };

// ── the proxy ────────────────────────────────────────────────────────────────────────────────────────────────────

function openDriver(name: string): TcpDriver {
  if (name === "net") return createNetDriver();
  const calls = loadEpoll();
  if (typeof calls === "string") throw new Error(calls);
  const driver = createEpollDriver({ calls, clock: systemClock });
  setImmediate(function run() {
    driver.turn(10);
    setImmediate(run);
  });
  return driver;
}

class Half implements StreamOwner {
  readonly #from: TcpConn;
  readonly #to: TcpConn;
  static messages = 0;
  constructor(from: TcpConn, to: TcpConn) {
    this.#from = from;
    this.#to = to;
  }
  onOctets(octets: Buffer): void {
    Half.messages++;
    if (!this.#to.writeText(octets.toString("latin1"))) this.#from.pause();
  }
  onEnd(): void {
    this.#to.finish();
  }
  onRoom(): void {
    this.#to.resume();
  }
  onGone(): void {
    this.#to.reset();
  }
}

let socket: BoundSocket;
function serve(name: string, backend: number): void {
  const driver = openDriver(name);
  socket = new BoundSocket({ host: "127.0.0.1", port: 0, reusePort: true });
  driver.listen(socket.fd(), 511, (conn) => {
    driver.connect({ address: "127.0.0.1", port: backend }, 5_000, (upstream) => {
      if (typeof upstream === "string") throw new Error(upstream);
      conn.stream(new Half(conn, upstream));
      upstream.stream(new Half(upstream, conn));
    });
  });
  process.send!((socket.address() as AddressInfo).port);
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    process.send!({ messages: Half.messages, micros: user + system } satisfies Count);
  });
  process.on("disconnect", () => process.exit());
}

// ── load ─────────────────────────────────────────────────────────────────────────────────────────────────────────

async function measure(name: string, backend: number, seconds: number): Promise<number> {
  const child = fork(import.meta.filename, ["serve", name, String(backend)]);
  const [port] = (await once(child, "message")) as [number];
  const clients = Array.from({ length: CONNECTIONS }, () => {
    const client = connect({ port, host: "127.0.0.1", noDelay: true });
    client.on("data", () => client.write(MESSAGE));
    client.write(MESSAGE);
    return client;
  });
  const count = async (): Promise<Count> => {
    child.send("count");
    return ((await once(child, "message")) as [Count])[0];
  };
  await sleep(1_000); // until it is compiled
  const before = await count();
  await sleep(seconds * 1_000);
  const after = await count();
  for (const client of clients) client.destroy();
  child.disconnect();
  await once(child, "exit");
  return (after.micros - before.micros) / (after.messages - before.messages);
}

if (process.argv[2] === "serve") serve(process.argv[3]!, Number(process.argv[4]));
else {
  const seconds = Number(process.argv[2] ?? 2);
  const server = createServer({ noDelay: true }, (peer) => {
    peer.on("data", (chunk) => peer.write(chunk));
    peer.on("error", () => {});
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const best: Record<string, number> = {};
  for (let round = 0; round < ROUNDS; round++)
    for (const name of ["epoll", "net"]) {
      const micros = await measure(name, (server.address() as AddressInfo).port, seconds);
      best[name] = Math.min(best[name] ?? Number.POSITIVE_INFINITY, micros);
    }
  server.close();
  for (const [name, micros] of Object.entries(best))
    console.log(`${name.padEnd(6)} ${micros.toFixed(2)} µs per message`);
  console.log(`epoll/net ${(best.epoll! / best.net!).toFixed(2)}`);
}
