/**
 * `npm run soak:http [-- --seconds N]`: an HTTP listener on each driver in turn, among clients that mean well, clients that do
 * not, and backends that fail. All that was taken must have been given back at the end, each request have its line in the log,
 * those that mean well be answered, and memory stay.
 *
 * Ends with 0, or with 1 and what went wrong; 2 for a wrong use. 120 s by default. What clients do follows from `--seed`.
 * @module
 */
import { Agent } from "node:http";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createSeededRng } from "#base/rng.ts";
import { type Handler, type HttpBed, hello, openHttp, textOf } from "../l7/http-bed.ts";
import { DRIVERS } from "../net/drivers.ts";
import { OUTLIER_DEFAULTS } from "../pool/specs.ts";
import { describeTrend } from "./trend.ts";

const { values } = parseArgs({ options: { seconds: { type: "string" }, seed: { type: "string" } }, strict: false });
const seconds = Number(values.seconds ?? 120);
const seed = Number(values.seed ?? 1);
if (!Number.isInteger(seconds) || seconds < 20 || !Number.isInteger(seed)) {
  process.stderr.write(
    "Usage: npm run soak:http -- [--seconds N] [--seed N]\n--seconds takes a whole number from 20 on\n",
  );
  process.exit(2);
}
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const CLIENTS = 24;
/** A hostile client gives up after so long. */
const PATIENCE_MS = 300;
const rng = createSeededRng(seed);
const oneOf = <Item>(items: readonly Item[]): Item => items[Math.floor(rng() * items.length)]!;

const LARGE = Buffer.alloc(300_000, "x");
/** What a backend does with a path; all else it greets. */
const BACKEND: Readonly<Record<string, Handler>> = {
  "/echo": (request, response) =>
    void textOf(request).then(
      (body) => response.end(body),
      () => response.destroy(), // its client has left
    ),
  "/large": (_request, response) => response.end(LARGE),
  "/slow": (_request, response) => void setTimeout(() => response.end("late"), 20),
  "/silent": (request) => request.resume(),
  "/reset": (request) => request.socket.resetAndDestroy(),
  "/cut": (request, response) => {
    response.write("begun");
    request.socket.destroySoon();
  },
  "/503": (_request, response) => response.writeHead(503).end("no"),
  "/hints": (_request, response) => {
    for (let count = 0; count < 40; count++) response.writeProcessing();
    response.end();
  },
};
const handler: Handler = (request, response) => (BACKEND[request.url!] ?? hello)(request, response);

const get = (path: string, more = ""): string => `GET ${path} HTTP/1.1\r\nHost: www.example\r\n${more}\r\n`;
const post = (framing: string, body: string): string =>
  `POST /echo HTTP/1.1\r\nHost: www.example\r\n${framing}\r\n\r\n${body}`;
/** What hostile clients write, whole, in part, or with octets changed. */
const WORDS: readonly string[] = [
  ...["/", "/large", "/slow", "/silent", "/reset", "/cut", "/503", "/hints"].map((path) => get(path)),
  get("/") + get("/slow") + get("/large") + get("/"),
  get("/", "Connection: upgrade\r\nUpgrade: websocket\r\n"),
  get("/", "Range: bytes=0-1\r\nAccept-Encoding: gzip\r\n"),
  post("Content-Length: 5", "12345"),
  post("Content-Length: 50", "12345"),
  post("Content-Length: 5\r\nExpect: 100-continue", ""),
  post("Transfer-Encoding: chunked", "5\r\n12345\r\n0\r\nx: y\r\n\r\n"),
  post("Transfer-Encoding: chunked", "5\r\n123456\r\n0\r\n\r\n"),
  post("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"),
  `GET / HTTP/1.1\r\n${"x: y\r\n".repeat(200)}\r\n`,
  `GET /${"x".repeat(20_000)} HTTP/1.1\r\n\r\n`,
  "\x16\x03\x01\x02\x00\x01\x00",
];

async function attack(bed: HttpBed): Promise<void> {
  let octets = Buffer.from(oneOf(WORDS), "latin1");
  if (rng() < 0.3) octets[Math.floor(rng() * octets.length)] = Math.floor(rng() * 256);
  if (rng() < 0.3) octets = octets.subarray(0, Math.floor(rng() * octets.length));
  const { socket } = await bed.dial();
  const closed = new Promise((resolve) => socket.once("close", resolve));
  const isRude = rng() < 0.5;
  const patience = setTimeout(() => (isRude ? socket.resetAndDestroy() : socket.destroy()), rng() * PATIENCE_MS);
  const middle = Math.floor(rng() * octets.length);
  socket.write(octets.subarray(0, middle));
  setImmediate(() => socket.write(octets.subarray(middle)));
  if (rng() < 0.2) socket.pause();
  socket.on("end", () => socket.end());
  await closed;
  clearTimeout(patience);
}

async function behave(bed: HttpBed, agent: Agent, faults: string[]): Promise<void> {
  const body = rng() < 0.5 ? "" : "x".repeat(Math.floor(rng() * 100_000));
  const { status, body: got } = await bed.ask("/echo", { method: "PUT", body, agent });
  if (status !== 200 || got !== body) faults.push(`${status} with ${got.length} octets, of ${body.length}`);
}

async function soak(name: string, bed: HttpBed, forMs: number): Promise<string[]> {
  const faults: string[] = [];
  const agent = new Agent({ keepAlive: true });
  const untilMs = performance.now() + forMs;
  const memory: number[] = [];
  const counts = { good: 0, hostile: 0 };
  const watching = setInterval(() => {
    bed.log.length = 0;
    for (const { seen } of bed.backends) seen.length = 0;
    collect();
    memory.push(process.memoryUsage().heapUsed / 2 ** 20);
  }, 500);
  const client = async (isGood: boolean): Promise<void> => {
    while (performance.now() < untilMs) {
      await (isGood ? behave(bed, agent, faults) : attack(bed));
      counts[isGood ? "good" : "hostile"]++;
    }
  };
  try {
    await Promise.all(Array.from({ length: CLIENTS }, (_, index) => client(index % 3 === 0)));
  } finally {
    clearInterval(watching);
    agent.destroy();
  }
  const trend = describeTrend(memory);
  if (!trend.isFlat) faults.push(trend.says);
  process.stdout.write(
    `${name}: ${counts.good} requests that mean well, ${counts.hostile} hostile clients, ` +
      `${bed.count("http_bad_requests")} of them refused; ${trend.says}\n`,
  );
  return faults.map((fault) => `${name}: ${fault}`);
}

const faults: string[] = [];
const drivers = Object.entries(DRIVERS);
for (const [name, createDriver] of drivers) {
  const cleanups: (() => unknown)[] = [];
  try {
    const bed = await openHttp(
      { after: (cleanup?: unknown) => void cleanups.push(cleanup as () => unknown) },
      {
        driver: createDriver(),
        handlers: [handler, handler, handler],
        rules: [
          { pool: "web", retry: { on: ["reset", "503"] }, timeouts: { total: "2s" }, compression: {}, cache: {} },
        ],
        pool: { outlier: { ...OUTLIER_DEFAULTS, isEnabled: false } },
      },
    );
    faults.push(...(await soak(name, bed, (seconds * 1_000) / drivers.length)));
  } catch (error) {
    faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  // They see to it that everything was given back.
  for (const cleanup of cleanups.reverse())
    await Promise.resolve(cleanup()).catch((error: Error) => faults.push(`${name}: ${error.stack}`));
}
for (const fault of faults.slice(0, 20)) process.stderr.write(`FAULT: ${fault}\n`);
process.stdout.write(faults.length === 0 ? "The soak has found no fault.\n" : "");
process.exit(faults.length === 0 ? 0 : 1);
