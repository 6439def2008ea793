/**
 * A client for tests of kernel mode, driven by lines of JSON: each line a `Task`, each answer a line of JSON.
 */
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

export type Flow = {
  readonly from: string;
  readonly port: number;
  /** What the backend said: its name and the client that it saw; or the code of the error. */
  readonly backend: string;
  readonly seen: string;
};
export type Task =
  /** Opens `count` connections from each of `from` and closes them. */
  | {
      readonly task: "tcp";
      readonly to: string;
      readonly port: number;
      readonly from: readonly string[];
      readonly count: number;
      readonly timeoutMs?: number;
    }
  /** One datagram of `size` octets from `count` sockets of each of `from`. */
  | {
      readonly task: "udp";
      readonly to: string;
      readonly port: number;
      readonly from: readonly string[];
      readonly count: number;
      readonly size?: number;
      readonly timeoutMs?: number;
    }
  /** Opens a flow that stays, under a name. */
  | {
      readonly task: "hold";
      readonly name: string;
      readonly kind: "tcp" | "udp";
      readonly to: string;
      readonly port: number;
      readonly from: string;
    }
  /** Asks again through a flow that was held. */
  | { readonly task: "ask"; readonly name: string; readonly timeoutMs?: number }
  /** Sends `octets` through a new connection and counts what is echoed. */
  | { readonly task: "bulk"; readonly to: string; readonly port: number; readonly octets: number };

const AT_A_TIME = 40;
const PATIENCE_MS = 5_000;
/** A test that waits for more than this has failed already. */
const TASK_LIMIT_MS = 60_000;
const held = new Map<
  string,
  { readonly socket: Socket | DatagramSocket; readonly to: string; readonly port: number }
>();

/** The first line that comes. */
function firstLine(socket: Socket, timeoutMs: number): Promise<string> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve("ETIMEDOUT"), timeoutMs);
    const finish = (says: string): void => {
      clearTimeout(timer);
      socket.off("data", take);
      resolve(says);
    };
    const take = (chunk: Buffer): void => finish(chunk.toString().trim());
    socket.on("data", take);
    socket.once("error", (fault: NodeJS.ErrnoException) => finish(fault.code ?? "error"));
    socket.once("close", () => finish("closed"));
  });
}
const flowOf = (from: string, port: number, said: string): Flow => {
  const [backend = "", seen = ""] = said.split(" ");
  return { from, port, backend, seen };
};

async function tcpFlow(to: string, port: number, from: string, timeoutMs: number): Promise<Flow> {
  const socket = connect({ host: to, port, localAddress: from });
  const said = await firstLine(socket, timeoutMs);
  const localPort = socket.localPort ?? 0;
  socket.on("error", () => {});
  socket.resetAndDestroy();
  return flowOf(from, localPort, said);
}

async function bindUdp(from: string): Promise<DatagramSocket> {
  const socket = createSocket(from.includes(":") ? "udp6" : "udp4");
  socket.bind(0, from);
  await once(socket, "listening");
  return socket;
}
async function askUdp(
  socket: DatagramSocket,
  to: string,
  port: number,
  size: number,
  timeoutMs: number,
): Promise<string> {
  // Errors come as events, too late for who sent: ICMP says that nobody is there.
  const said = new Promise<string>((resolve) => {
    const timer = setTimeout(() => resolve("ETIMEDOUT"), timeoutMs);
    socket.once("message", (message) => {
      clearTimeout(timer);
      resolve(message.toString().trim());
    });
  });
  socket.send(Buffer.alloc(size, 0x2e), port, to);
  return said;
}
async function udpFlow(to: string, port: number, from: string, size: number, timeoutMs: number): Promise<Flow> {
  const socket = await bindUdp(from);
  const said = await askUdp(socket, to, port, size, timeoutMs);
  const localPort = socket.address().port;
  socket.close();
  return flowOf(from, localPort, said);
}

async function many(from: readonly string[], count: number, flow: (from: string) => Promise<Flow>): Promise<Flow[]> {
  const todo = from.flatMap((address) => Array.from({ length: count }, () => address));
  const flows: Flow[] = [];
  const work = async (): Promise<void> => {
    for (let address = todo.pop(); address !== undefined; address = todo.pop()) flows.push(await flow(address));
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return flows;
}

async function hold(task: Task & { readonly task: "hold" }): Promise<Flow> {
  const { name, kind, to, port, from } = task;
  if (kind === "udp") {
    const socket = await bindUdp(from);
    held.set(name, { socket, to, port });
    return flowOf(from, socket.address().port, await askUdp(socket, to, port, 10, PATIENCE_MS));
  }
  const socket = connect({ host: to, port, localAddress: from });
  held.set(name, { socket, to, port });
  const said = await firstLine(socket, PATIENCE_MS);
  socket.on("error", () => {});
  return flowOf(from, socket.localPort ?? 0, said);
}
async function ask({ name, timeoutMs = PATIENCE_MS }: Task & { readonly task: "ask" }): Promise<string> {
  const { socket, to, port } = held.get(name)!;
  if ("bind" in socket) return (await askUdp(socket, to, port, 10, timeoutMs)).split(" ")[0]!;
  if (socket.destroyed) return "closed";
  const said = firstLine(socket, timeoutMs);
  socket.write("still here?\n");
  return said;
}
async function bulk({ to, port, octets }: Task & { readonly task: "bulk" }): Promise<number> {
  const socket = connect({ host: to, port });
  await firstLine(socket, PATIENCE_MS);
  const chunk = Buffer.from(Array.from({ length: 65_536 }, (_, at) => at * 7));
  let back = 0;
  const done = new Promise<number>((resolve) => {
    socket.on("data", (got) => {
      for (const octet of got) if (octet !== chunk[back++ % chunk.length]) return resolve(-back);
      if (back >= octets) resolve(back);
    });
    socket.on("close", () => resolve(back));
    socket.on("error", () => resolve(back));
  });
  for (let sent = 0; sent < octets; sent += chunk.length)
    if (!socket.write(chunk)) await Promise.race([once(socket, "drain"), done]);
  const count = await done;
  socket.destroy();
  return count;
}

function perform(task: Task): Promise<unknown> {
  switch (task.task) {
    case "tcp":
      return many(task.from, task.count, (from) => tcpFlow(task.to, task.port, from, task.timeoutMs ?? PATIENCE_MS));
    case "udp":
      return many(task.from, task.count, (from) =>
        udpFlow(task.to, task.port, from, task.size ?? 10, task.timeoutMs ?? PATIENCE_MS),
      );
    case "hold":
      return hold(task);
    case "ask":
      return ask(task);
    case "bulk":
      return bulk(task);
    default:
      return task satisfies never;
  }
}
process.stdout.write("ready\n");
for await (const line of createInterface({ input: process.stdin })) {
  const outcome = await Promise.race([perform(JSON.parse(line) as Task), sleep(TASK_LIMIT_MS, "too long")]);
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
process.exit(0);
