/**
 * The other side of the health benchmark, in a process of its own: answers on every address of 127.0.0.0/8.
 * Prints `{ "http": port, "tls": port }` when it listens. One address in a hundred answers 503, or closes before TLS.
 * @module
 */
import { createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { isFailing } from "./health-world.ts";

const OK = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
const BUSY = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

const server = createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", () => socket.end(isFailing(socket.localAddress ?? "") ? BUSY : OK));
});
const key = process.env["BENCH_KEY"];
const cert = process.env["BENCH_CERT"];
const secure = createTlsServer({ ...(key ? { key } : {}), ...(cert ? { cert } : {}) });
secure.on("connection", (socket: Socket) => {
  socket.on("error", () => {});
  if (isFailing(socket.localAddress ?? "")) socket.destroy();
});
secure.on("secureConnection", (socket) => socket.on("error", () => {}));
secure.on("tlsClientError", () => {});

const portOf = (listener: { address(): unknown }): number => (listener.address() as { port: number }).port;
server.listen({ port: 0, host: "0.0.0.0", backlog: 4_096 }, () => {
  secure.listen({ port: 0, host: "0.0.0.0", backlog: 4_096 }, () => {
    process.stdout.write(`${JSON.stringify({ http: portOf(server), tls: portOf(secure) })}\n`);
  });
});
