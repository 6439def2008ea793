/**
 * A real balancer process between real clients and real servers of a line protocol: a client sends a line, the backend
 * answers with its name and the line.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { childEnv } from "../cli/rhumb.ts";
import { projectFolder } from "./running.ts";
import { folderWith, freePort } from "./tools.ts";

type Context = Pick<TestContext, "after">;
export const TOKEN = "token-of-the-bed-0001";

export type LineBackend = {
  readonly name: string;
  readonly port: number;
  /** Connections now. */
  open(): number;
  /** The most that there were at a time. */
  peak(): number;
  /** Lines answered since the start. */
  answered(): number;
  /** Lines are kept unanswered from now on, until `release()`. */
  hold(): void;
  release(): void;
  /** As SIGKILL would: the port refuses, connections are reset. */
  kill(): Promise<void>;
  revive(): Promise<void>;
};

/**
 * While a FIN is on its way out libuv refuses to reset (UV_EINVAL) and Node loses the handle: the socket stays open, and at
 * its end the process waits for it for ever. A turn later the FIN is out.
 */
function resetSocket(socket: Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.once("finish", () => socket.resetAndDestroy());
  else socket.resetAndDestroy();
}

export async function startBackend(context: Context, name: string, wanted = 0): Promise<LineBackend> {
  const sockets = new Set<Socket>();
  const held: (() => void)[] = [];
  let isHolding = false;
  let answered = 0;
  let peak = 0;
  const create = () =>
    createServer((socket) => {
      sockets.add(socket);
      // Those whose end has come and is not yet read are over: first it is.
      setImmediate(() => {
        peak = Math.max(peak, [...sockets].filter(({ readableEnded }) => !readableEnded).length);
      });
      let rest = "";
      socket.setEncoding("utf8");
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
      socket.on("data", (text: string) => {
        const lines = (rest + text).split("\n");
        rest = lines.pop()!;
        for (const line of lines) {
          const answer = (): void => {
            answered++;
            socket.write(`${name} ${line}\n`);
          };
          if (isHolding) held.push(answer);
          else answer();
        }
      });
    });
  let server = create();
  server.listen(wanted, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const kill = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) resetSocket(socket);
    await closed;
  };
  context.after(kill);
  return {
    name,
    port,
    open: () => sockets.size,
    peak: () => peak,
    answered: () => answered,
    hold() {
      isHolding = true;
    },
    release() {
      isHolding = false;
      for (const answer of held.splice(0)) answer();
    },
    kill,
    async revive() {
      server = create();
      server.listen(port, "127.0.0.1");
      await once(server, "listening");
    },
  };
}

export type LineClient = {
  /** Sends a line; resolves with its answer, rejects when the connection ends first. */
  ask(line: string): Promise<string>;
  /** Resolves when the connection is over: `end` or the error's code. */
  readonly over: Promise<string>;
  isOver(): boolean;
  close(): void;
};

/** Connects; rejects with the system's error. @param from own address, of 127.0.0.0/8 */
export const openClient = (port: number, from?: string): Promise<LineClient> =>
  lineClient(connect({ port, host: "127.0.0.1", ...(from === undefined ? {} : { localAddress: from }) }));

/** Waits for `ready`; rejects with the error that comes before it. */
export async function lineClient(socket: Socket, ready = "connect"): Promise<LineClient> {
  const waiting: { resolve(line: string): void; reject(error: Error): void }[] = [];
  const { promise: over, resolve: beOver } = Promise.withResolvers<string>();
  let isOver = false;
  const end = (why: string): void => {
    isOver = true;
    beOver(why);
    for (const { reject } of waiting.splice(0)) reject(new Error(`the connection ended: ${why}`));
  };
  socket.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  socket.on("end", () => end("end"));
  socket.on("close", () => end("close"));
  let rest = "";
  socket.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) waiting.shift()?.resolve(line);
  });
  await once(socket, ready);
  return {
    ask(line) {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      if (isOver) reject(new Error("the connection is over"));
      else {
        waiting.push({ resolve, reject });
        socket.write(`${line}\n`);
      }
      return promise;
    },
    over,
    isOver: () => isOver,
    close: () => socket.destroy(),
  };
}

export type BalancerBed = {
  readonly port: number;
  readonly folder: string;
  /** Of the process that serves now. */
  pid(): number;
  out(): string;
  api(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  json<Body = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<Body>;
  /** Writes rhumb.yaml anew and resolves when it serves. */
  reload(config: string): Promise<void>;
  /** SIGUSR2; resolves when the new process is complete, with the end of the one before. */
  replace(): Promise<{ readonly ended: Promise<void> }>;
  /** SIGTERM and a fresh start, as after an ordinary restart. */
  restart(): Promise<void>;
  /** Resolves when what it prints fits. */
  printed(pattern: RegExp, from?: number): Promise<RegExpMatchArray>;
};

export type BedConfig = (facts: { readonly port: number; readonly apiPort: number }) => string;

/** The head of a rhumb.yaml, to which the `balancer:` section is added. */
export const configHead = (apiPort: number): string => `version: 1
node: lb1
control: { listen: "127.0.0.1:${apiPort}", tokens: { ops: { token: "file:token", role: admin } } }
cluster: { state: state/ }
`;

/** Starts `rhumb start` with a configuration that `config` writes, and resolves when its listeners are open. */
export async function startBalancer(context: Context, config: BedConfig): Promise<BalancerBed> {
  const port = await freePort();
  const apiPort = await freePort();
  const folder = folderWith(context, { "rhumb.yaml": config({ port, apiPort }), token: TOKEN });
  const pids = new Set<number>();
  let out = "";
  const looking = new Set<() => void>();
  let current: { pid: number; ended: Promise<void> };
  const add = (text: string): void => {
    out += text;
    for (const look of looking) look();
  };
  context.after(() => {
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
  });
  const printed = (pattern: RegExp, from = 0): Promise<RegExpMatchArray> => {
    const { promise, resolve, reject } = Promise.withResolvers<RegExpMatchArray>();
    const look = (): void => {
      const match = out.slice(from).match(pattern);
      if (match) resolve(match);
      else if (/process ended/.test(out.slice(from))) reject(new Error(`ended before it printed ${pattern}:\n${out}`));
      else return;
      looking.delete(look);
    };
    looking.add(look);
    look();
    return promise;
  };
  const launch = async (): Promise<void> => {
    const from = out.length;
    const words = [join(projectFolder, "bin/rhumb"), "start", "-c", "rhumb.yaml"];
    const child = spawn(process.execPath, words, { cwd: folder, env: childEnv(), stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.setEncoding("utf8").on("data", add);
    child.stderr.setEncoding("utf8").on("data", add);
    pids.add(child.pid!);
    const ended = once(child, "exit").then(([code, signal]) => add(`process ended ${code ?? signal}\n`));
    current = { pid: child.pid!, ended };
    await printed(/Control API on/, from);
  };
  await launch();

  const api = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${apiPort}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${TOKEN}`,
        connection: "close",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const json = async <Body>(method: string, path: string, body?: unknown): Promise<Body> => {
    const response = await api(method, path, body);
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Body;
  };
  return {
    port,
    folder,
    pid: () => current.pid,
    out: () => out,
    api,
    json,
    printed,
    async reload(text) {
      if (readFileSync(join(folder, "rhumb.yaml"), "utf8") === text) return;
      writeFileSync(join(folder, "rhumb.yaml"), text);
      await json("POST", "/config/reload", {});
    },
    async replace() {
      const from = out.length;
      const { ended, pid } = current;
      process.kill(pid, "SIGUSR2");
      const match = await printed(/"successor":(\d+)/, from);
      const next = Number(match[1]);
      pids.add(next);
      await printed(/Control API on/, from);
      current = { pid: next, ended: waitForEnd(next) };
      return { ended };
    },
    async restart() {
      process.kill(current.pid, "SIGTERM");
      await current.ended;
      await launch();
    },
  };
}

/** A process that is not our child tells us nothing when it ends. */
async function waitForEnd(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** What GET /backends says of one. */
export type BedBackend = {
  backend_id: string;
  pool: string;
  address: string;
  port: number;
  weight: number;
  effective_weight: number;
  max_connections: number;
  health_check_path: string | null;
  zone: string | null;
  enabled: boolean;
  status: string;
  origin: string;
  active_connections: number;
  cause: string | null;
  created_at: string;
  updated_at: string;
};

/** A check that sees within a second who is there and who is not. */
export const CHECK =
  "{ kind: tcp, interval: 300ms, timeout: 200ms, downSpan: 0s, thresholds: { down: 2, up: 1, ok: 1 } }";

/** Looks again and again, until what it sees fits or the test is over. */
export async function until<Body>(
  look: () => Body | Promise<Body>,
  fits: (body: Body) => boolean,
  { signal }: Pick<TestContext, "signal">,
): Promise<Body> {
  for (;;) {
    const body = await look();
    if (fits(body)) return body;
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
export const backendsOf = (bed: BalancerBed): Promise<BedBackend[]> => bed.json("GET", "/backends");
export const allHealthy = (bed: BalancerBed, t: Pick<TestContext, "signal">): Promise<BedBackend[]> =>
  until(
    () => backendsOf(bed),
    (all) => all.length > 0 && all.every(({ status }) => status === "healthy"),
    t,
  );
export const withPort = (all: readonly BedBackend[], { port }: { readonly port: number }): BedBackend =>
  all.find((one) => one.port === port)!;
/** Names of the backends that answer so many clients, one after the other. */
export async function answers({ port }: BalancerBed, count: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let asked = 0; asked < count; asked++) {
    const client = await openClient(port);
    const [name = ""] = (await client.ask("x")).split(" ");
    client.close();
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
