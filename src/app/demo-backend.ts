/**
 * A backend of the demo world: a plain HTTP server in a process of its own, that says who it is.
 *
 * Run as a child: `node demo-backend.ts REGION NAME LISTEN PORT ADDRESS`; says "ready" to its parent once it listens.
 * Never:   knows of balancers, health or steering. It exits when its parent goes away.
 * @module
 */
import { createServer } from "node:http";
import { flushCompileCache } from "node:module";

const [region, name, listen, port, address] = process.argv.slice(2);
if (region === undefined || name === undefined || listen === undefined || port === undefined) {
  console.error("usage: demo-backend.ts REGION NAME LISTEN PORT [ADDRESS]");
  process.exit(2);
}

const server = createServer((request, response) => {
  const isHealth = request.url === "/healthz";
  const headers = { "content-type": "text/plain; charset=utf-8", "x-region": region, "x-backend": name };
  response.writeHead(200, headers);
  response.end(isHealth ? "ok\n" : `${region} (${address ?? listen}) here\nserved by backend ${name}\n`);
});
server.on("error", (error: NodeJS.ErrnoException) => {
  process.send?.({ failed: error.code ?? error.message });
  process.exit(1);
});
server.listen({ host: listen, port: Number(port) }, () => {
  flushCompileCache(); // we are killed, not ended: now or never
  process.send?.("ready");
});
process.on("disconnect", () => process.exit(0));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
process.on("SIGINT", () => {}); // Ctrl-C reaches the whole group; the parent decides when we end
