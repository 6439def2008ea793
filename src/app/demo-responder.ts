/**
 * A region of the demo world: a plain HTTP responder in a process of its own, that says who it is.
 *
 * Stands for the region's balancer and backends. Killing the process is a real outage: its port refuses connections.
 * Run as a child: `node demo-responder.ts REGION LISTEN PORT ADDRESS`; says "ready" to its parent once it listens.
 * Never:   knows of health or steering. It exits when its parent goes away.
 * @module
 */
import { createServer } from "node:http";

const [region, listen, port, address] = process.argv.slice(2);
if (region === undefined || listen === undefined || port === undefined) {
  console.error("usage: demo-responder.ts REGION LISTEN PORT [ADDRESS]");
  process.exit(2);
}

const server = createServer((request, response) => {
  const isHealth = request.url === "/healthz";
  response.writeHead(200, { "content-type": "text/plain; charset=utf-8", "x-region": region });
  response.end(isHealth ? "ok\n" : `${region} (${address ?? listen}) here\n`);
});
server.on("error", (error: NodeJS.ErrnoException) => {
  process.send?.({ failed: error.code ?? error.message });
  process.exit(1);
});
server.listen({ host: listen, port: Number(port) }, () => process.send?.("ready"));
process.on("disconnect", () => process.exit(0));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
process.on("SIGINT", () => {}); // Ctrl-C reaches the whole group; the parent decides when we end
