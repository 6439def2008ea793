/**
 * A backend of a stage: an HTTP server that says who it is, as slow and as faulty as it is told to be.
 *
 * Run as a child: `backend-process.ts REGION NUMBER ADDRESS PORT`; sends "ready" once it listens, and ends with its parent.
 * @module
 */
import { createServer, type ServerResponse } from "node:http";
import { createSeededRng } from "#base/rng.ts";

/** What it is told. `errorShare`: of all responses, those of health checks among them; 0 to 1. */
export type BackendMood = { readonly delayMs: number; readonly errorShare: number };

const [region = "", number = "", address = "", port = ""] = process.argv.slice(2);
let mood: BackendMood = { delayMs: 0, errorShare: 0 };
const rng = createSeededRng(Number(number));

function answer(response: ServerResponse): void {
  const status = rng() < mood.errorShare ? 500 : 200;
  response.writeHead(status, { "content-type": "text/plain", "x-region": region, "x-backend": number });
  response.end(`${region}/${number}\n`);
}
const server = createServer((_request, response) => {
  if (mood.delayMs === 0) answer(response);
  else setTimeout(answer, mood.delayMs, response);
});
// Balancers keep connections; one that we close by ourselves may meet a request on its way.
server.keepAliveTimeout = 120_000;
server.listen({ host: address, port: Number(port) }, () => process.send?.("ready"));
process.on("message", (message: Partial<BackendMood>) => {
  mood = { ...mood, ...message };
});
process.on("disconnect", () => process.exit(0));
