/**
 * What HTTP/1.1 itself costs: a proxy of client connections, backend connections and nothing between them, with its CPU time
 * per request.
 *
 *   node bench/micro-h1-proxy.ts [epoll|net|haproxy] [seconds]
 *
 * Clients and backend run in a process of their own, so that the time is the proxy's alone.
 * @module
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, BoundSocket, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { systemClock } from "#base/clock.ts";
import { createPorts } from "#base/ports.ts";
import { createDeadlines } from "#l7/exchange/deadlines.ts";
import { serveHttp1 } from "#l7/http1/client-connection.ts";
import { createHttp1Upstreams } from "#l7/http1/upstream-pool.ts";
import type { Fields, RequestHead, ResponseHead } from "#l7/message.ts";
import type { ClientEvents, ClientStream, ConnectionHost, UpstreamEvents, UpstreamStream } from "#l7/stream.ts";
import type { TcpDriver } from "#net/driver.ts";
import { createEpollDriver } from "#net/epoll/driver.ts";
import { loadEpoll } from "#net/epoll/load.ts";
import { createNetDriver } from "#net/node/driver.ts";
import { httpSpec } from "../test/l7/http1/client-bed.ts";
import { backendAt, poolWith } from "../test/l7/http1/upstream-bed.ts";

const CLIENTS = 50;

/** Clients, each with one request at a time, and a backend that answers with 1 KB. */
function runPeers(): void {
  const server = createHttpServer((_request, response) => {
    response.setHeader("content-type", "text/plain");
    response.end("x".repeat(1_000));
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, "127.0.0.1", () => process.send!((server.address() as AddressInfo).port));
  let responses = 0;
  process.on("message", (port: number | "count") => {
    if (port === "count") return void process.send!(responses);
    for (let client = 0; client < CLIENTS; client++) {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      const request = `GET /hello HTTP/1.1\r\nHost: a.example\r\nUser-Agent: bench\r\nAccept: */*\r\nX-Number: ${client}\r\n\r\n`;
      let octets = 0;
      socket.on("data", (chunk) => {
        octets += chunk.length;
        if (octets < 1_000 || chunk[chunk.length - 1] !== 0x78) return;
        octets = 0;
        responses++;
        socket.write(request);
      });
      socket.on("error", () => {});
      socket.write(request);
    }
  });
}

/** Hands on what comes, both ways. */
class Passage implements ClientEvents, UpstreamEvents {
  readonly #client: ClientStream;
  #upstream: UpstreamStream | undefined;
  constructor(client: ClientStream) {
    this.#client = client;
  }
  start(upstream: UpstreamStream): void {
    this.#upstream = upstream;
  }
  onBody(octets: Buffer): void {
    this.#upstream!.sendBody(octets);
  }
  onBodyEnd(trailers: Fields | undefined): void {
    this.#upstream!.sendEnd(trailers);
  }
  onClientRoom(): void {
    this.#upstream?.resume();
  }
  onClientGone(): void {
    this.#upstream?.cancel();
  }
  onUpstreamReady(): void {}
  onUpstreamContinue(): void {}
  onInformational(): void {}
  onHead(head: ResponseHead): void {
    this.#client.sendHead(head, false);
  }
  onUpstreamBody(octets: Buffer): void {
    if (!this.#client.sendBody(octets)) this.#upstream!.pause();
  }
  onUpstreamEnd(trailers: Fields | undefined): void {
    this.#upstream = undefined;
    this.#client.sendEnd(trailers);
  }
  onUpstreamRoom(): void {}
  onUpstreamFault(): void {
    this.#client.abort();
  }
}
function createDriver(name: string): { driver: TcpDriver; turn?: (ms: number) => void } {
  if (name === "net") return { driver: createNetDriver() };
  const calls = loadEpoll();
  if (typeof calls === "string") throw new Error(calls);
  const driver = createEpollDriver({ calls, clock: systemClock });
  return { driver, turn: (ms) => driver.turn(ms) };
}

/** `cpu`: time so far in µs, of user and of all. */
type Proxy = { readonly port: number; cpu(): { readonly user: number; readonly all: number }; close(): void };

function startRhumb(name: string, backendPort: number): Proxy {
  const { driver, turn } = createDriver(name);
  const deadlines = createDeadlines(performance.now());
  const pool = createHttp1Upstreams({ driver, clock: systemClock, pool: poolWith({ maxIdle: 1_000 }) });
  const spec = httpSpec({ limits: { lineOctets: 8_192, headOctets: 16_384, fields: 100, pipelined: 32 } });
  const bound = new BoundSocket({ host: "127.0.0.1", port: 0, reusePort: true });
  const backend = backendAt(backendPort);
  const host: ConnectionHost = {
    deadlines,
    onRequest(stream: ClientStream, head: RequestHead) {
      const passage = new Passage(stream);
      const choice = { isFresh: false, connectTimeoutMs: 1_000, arrived: stream.arrived };
      passage.start(pool.open(0, backend, head, passage, choice));
      return passage;
    },
    onBadRequest() {},
    onConnectionEnd() {},
  };
  driver.listen(bound.fd(), 511, (conn) => {
    const arrived = {
      conn,
      source: conn.remote,
      destination: conn.local,
      tls: undefined,
      hasDeparted: false,
      depart() {},
    };
    serveHttp1({ arrived, spec, scheme: "http", host });
  });
  setInterval(() => {
    deadlines.advance(performance.now());
    pool.tick(performance.now());
  }, 50);
  if (turn !== undefined)
    setImmediate(function run() {
      turn(10);
      setImmediate(run);
    });
  return {
    port: (bound.address() as AddressInfo).port,
    cpu() {
      const { user, system } = process.cpuUsage();
      return { user, all: user + system };
    },
    close() {},
  };
}

async function startHaproxy(backendPort: number): Promise<Proxy> {
  const port = await createPorts().take();
  const folder = mkdtempSync(join(tmpdir(), "rhumb-haproxy-"));
  const file = join(folder, "haproxy.cfg");
  writeFileSync(
    file,
    `global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 1s
listen a
  bind 127.0.0.1:${port}
  http-reuse always
  server b 127.0.0.1:${backendPort}
`,
  );
  const child = spawn("haproxy", ["-db", "-f", file], { stdio: "ignore" });
  await setTimeout(300);
  return {
    port,
    cpu() {
      // Clock ticks of 10 ms (proc(5)): user time is field 14, system time 15.
      const stat = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]!.split(" ");
      const [user, system] = [Number(stat[11]) * 10_000, Number(stat[12]) * 10_000];
      return { user, all: user + system };
    },
    close() {
      child.kill();
      rmSync(folder, { recursive: true });
    },
  };
}

async function measure(name: string, seconds: number): Promise<void> {
  const peers = spawn(process.execPath, [import.meta.filename, "peers"], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const [backendPort] = (await once(peers, "message")) as [number];
  const proxy = name === "haproxy" ? await startHaproxy(backendPort) : startRhumb(name, backendPort);
  const look = async () => {
    peers.send("count");
    const [responses] = (await once(peers, "message")) as [number];
    return { responses, ...proxy.cpu() };
  };
  peers.send(proxy.port);
  await setTimeout(1_000);
  const begin = await look();
  await setTimeout(seconds * 1_000);
  const end = await look();
  const responses = end.responses - begin.responses;
  const each = (micros: number): string => (micros / responses).toFixed(1);
  console.log(
    `${name}: ${Math.round(responses / seconds)} requests/s, ${each(end.all - begin.all)} us CPU per request (user ${each(end.user - begin.user)})`,
  );
  peers.kill();
  proxy.close();
  process.exit();
}

const [mode = "epoll", seconds = "3"] = process.argv.slice(2);
if (mode === "peers") runPeers();
else await measure(mode, Number(seconds));
