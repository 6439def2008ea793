/**
 * Holds idle connections, in a process of its own: `node bench/lib/balancer-idle-client.ts PORT COUNT`. Each asks once, as
 * connections do that are kept for later; prints `open COUNT` when all have been answered, and ends when it is killed.
 * @module
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

const AT_A_TIME = 50;
const REQUEST = "GET /small HTTP/1.1\r\nHost: bench\r\n\r\n";
/** Loopback addresses that no other load comes from: the ports of those are still taken by connections that have ended. */
const SOURCES = ["127.0.1.1", "127.0.1.2"];

const [port, count] = process.argv.slice(2).map(Number) as [number, number];
const sockets: Socket[] = [];
let started = 0;

async function open(): Promise<void> {
  while (started < count) {
    const localAddress = SOURCES[started++ % SOURCES.length]!;
    const socket = connect({ host: "127.0.0.1", port, localAddress });
    socket.on("close", () => {
      process.stderr.write(`A connection was closed while ${sockets.length} were open\n`);
      process.exit(1);
    });
    await once(socket, "connect");
    socket.write(REQUEST);
    await once(socket, "data");
    sockets.push(socket);
  }
}
await Promise.all(Array.from({ length: AT_A_TIME }, open));
process.stdout.write(`open ${sockets.length}\n`);
