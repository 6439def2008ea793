/**
 * A backend of the compose stage: says which region it stands in, and can be made slow or faulty by who is in its container.
 *
 *     REGION=eu-west NUMBER=1 node backend.ts
 *     curl -X PUT 127.0.0.1:9099 -d '{"delayMs":200,"errorShare":0}'
 *
 * Units:   ms; shares are 0 to 1.
 * @module
 */
import { createServer } from "node:http";

const { REGION: region = "nowhere", NUMBER: number = "1", PORT: port = "8080" } = process.env;
const behaviour = { delayMs: 0, errorShare: 0 };
let asked = 0;

createServer((request, response) => {
  // Every nth fails rather than each with a chance: the share is exact over any hundred requests.
  const { errorShare } = behaviour;
  const fails = request.url !== "/healthz" && Math.floor(++asked * errorShare) > Math.floor((asked - 1) * errorShare);
  setTimeout(() => {
    response.writeHead(fails ? 500 : 200, { "content-type": "text/plain", "x-region": region });
    response.end(`${region}/${number}\n`);
  }, behaviour.delayMs);
  // The balancer keeps connections for a minute: who closes first must be the one that sends requests.
}).listen({ port: Number(port), host: "0.0.0.0" }).keepAliveTimeout = 75_000;

createServer((request, response) => {
  let text = "";
  request.on("data", (piece) => {
    text += piece;
  });
  request.on("end", () => {
    if (request.method === "PUT") Object.assign(behaviour, JSON.parse(text));
    response.end(`${JSON.stringify(behaviour)}\n`);
  });
}).listen(9099, "127.0.0.1");

for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => process.exit(0));
