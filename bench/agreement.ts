/**
 * How long three nodes take to say the same, end to end: DNS answers of three `rhumb` processes that share one view through a
 * real Redis, asked every 10 ms.
 *
 * Overrides set through one node's API, with and without the channel of Redis; regions that refuse and regions that swallow
 * all, at the default interval of 5 s, by two votes of three. Each region is hurt at a random moment. `--quick` for fewer.
 * @module
 */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { openIdentity } from "#cluster/identity.ts";
import { createAsker } from "../test/system/answer-recorder.ts";
import { startRedisServer } from "../test/system/cluster-bed.ts";
import { apiClient, startRhumb } from "../test/system/running.ts";
import { folderWith, freePort, writeAll } from "../test/system/tools.ts";
import { describeMachine, readArguments, writeReport } from "./lib/machine.ts";

const { isQuick, json } = readArguments("npm run bench -- agreement");
const OVERRIDES = isQuick ? 20 : 100;
const OVERRIDES_WITHOUT_CHANNEL = isQuick ? 5 : 30;
/** Of a kind; the blast budget lets automation take 30 % of all targets out in 60 s. */
const OUTAGES = isQuick ? 4 : 24;
const AT_A_TIME = 4;
const TARGETS = { overrideMs: 1_000, withoutChannelMs: 5_000, refusedMs: 7_000, blackHoleMs: 11_000 };
/** Four names at once: more answers than the rate limit lets one client have, so these clients are let off it. */
const ASK_EVERY_MS = 10;
const TOKEN = "token-of-the-agreement-bench";
const NODES = ["ns1", "ns2", "ns3"] as const;
const SPARE = "127.0.60.1";
const TTL = "ttl: { min: 1s, max: 5s }";

const cleanups: (() => unknown)[] = [];
const context = { after: (work?: unknown) => void cleanups.push(work as () => unknown) };

/** A region: what answers probes, and how it fails. */
class Region {
  readonly name: string;
  readonly address: string;
  readonly #port: number;
  #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  #isSilent = false;
  constructor(index: number, port: number) {
    this.name = `r${index}`;
    this.address = `127.0.61.${index}`;
    this.#port = port;
  }
  async open(): Promise<void> {
    this.#isSilent = false;
    if (this.#server?.listening) return;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {});
      socket.once("data", () => {
        if (!this.#isSilent) socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      });
    });
    this.#server.listen(this.#port, this.address);
    await once(this.#server, "listening");
  }
  refuse(): void {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
  }
  swallow(): void {
    this.#isSilent = true;
  }
}

const redis = await startRedisServer(context);
const port = await freePort();
const regions = Array.from({ length: OUTAGES }, (_, index) => new Region(index + 1, port));
const ports = await Promise.all(NODES.map(async () => ({ dns: await freePort(), api: await freePort() })));
const folders = NODES.map(() => folderWith(context, { token: TOKEN }));
const keys = NODES.map(
  (name, index) => `    ${name}: { key: "${openIdentity(join(folders[index]!, "state")).publicKey}" }`,
);
const zone = regions.map(({ name }) => `${name} 5 STEER ${name}\n`).join("");
for (const region of regions) await region.open();
const spare = createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
});
spare.listen(port, SPARE);
await once(spare, "listening");
for (const [index, node] of NODES.entries())
  writeAll(folders[index]!, {
    "rhumb.yaml": `version: 1
node: ${node}
dns: { listen: ["127.0.0.1:${ports[index]!.dns}"], workers: 1, rrl: { allow: [127.0.0.0/8] } }
control: { listen: "127.0.0.1:${ports[index]!.api}", tokens: { ops: { token: "file:token", role: admin } } }
cluster:
  state: state/
  redis: "redis://127.0.0.1:${redis.port}"
  nodes:
${keys.join("\n")}
zones: zones/
geo: { regions: regions.yaml }
health: { checks: health/, vantage: ${node}, vantages: { ns1: { at: [50, 8] }, ns2: { at: [40, -74] }, ns3: { at: [35, 139] } } }
`,
    "regions.yaml": [{ name: "spare", address: SPARE }, ...regions]
      .map(({ name, address }) => `${name}: { at: [50, 8], v4: [${address}], v6: [], check: probe }\n`)
      .join(""),
    // The defaults of the product; only the way back is made short.
    "health/probe.yaml": `kind: http\nport: ${port}\npath: /\nfailback: { mode: auto, hold: 1s, ramp: [100] }\n`,
    "zones/services.yaml": regions
      .map(({ name }) => `${name}: { regions: [${name}, spare], steer: failover, ${TTL} }\n`)
      .join(""),
    "zones/test.example.zone": `$ORIGIN test.example.\n@ 60 SOA ns1 h 1 3600 600 86400 60\n@ 60 NS ns1\nns1 60 A 192.0.2.53\n${zone}`,
  });
for (const folder of folders) {
  const node = startRhumb(context, ["start", "-c", "rhumb.yaml"], folder);
  await node.printed(/serves DNS on/);
}
const apis = ports.map(({ api }) => apiClient(`http://127.0.0.1:${api}`, TOKEN));

/** What each node said last of each name. */
const said = new Map<string, string>();
const waiting = new Set<() => void>();
const askers = ports.map(({ dns }, index) =>
  createAsker(dns, (name, says) => {
    said.set(`${NODES[index]} ${name}`, says);
    for (const look of waiting) look();
  }),
);
context.after(() => Promise.all(askers.map((asker) => asker.close())));
const asked = new Set<string>();
const asking = setInterval(() => {
  for (const asker of askers) {
    asker.overdue();
    for (const name of asked) asker.ask(name, 0);
  }
}, ASK_EVERY_MS);
context.after(() => clearInterval(asking));

/** Resolves when all nodes say this of the name: ms since `sinceMs`. */
function agreed(name: string, address: string, sinceMs: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  asked.add(name);
  const look = (): void => {
    if (!NODES.every((node) => said.get(`${node} ${name}`) === address)) return;
    waiting.delete(look);
    resolve(performance.now() - sinceMs);
  };
  waiting.add(look);
  return promise;
}

async function measureOverride(index: number): Promise<number> {
  const region = regions[index % regions.length]!;
  const name = `${region.name}.test.example`;
  await agreed(name, region.address, performance.now());
  const sinceMs = performance.now();
  const {
    status,
    json: read,
    text,
  } = await apis[index % apis.length]!("POST", "/overrides", {
    target: `region/${region.name}`,
    verb: "down",
    reason: "measuring",
  });
  if (status !== 201) throw new Error(text);
  const tookMs = await agreed(name, SPARE, sinceMs);
  await apis[(index + 1) % apis.length]!("DELETE", `/overrides/${read<{ id: string }>().id}`);
  await agreed(name, region.address, performance.now());
  asked.delete(name);
  return tookMs;
}

/** Hurts some regions at random moments within an interval, waits for all nodes, heals them and waits for the budget. */
async function measureOutages(hurt: (region: Region) => void): Promise<number[]> {
  const times: number[] = [];
  for (let from = 0; from < regions.length; from += AT_A_TIME) {
    const some = regions.slice(from, from + AT_A_TIME);
    const began = performance.now();
    const took = some.map(async (region) => {
      const name = `${region.name}.test.example`;
      await agreed(name, region.address, performance.now());
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5_000));
      const sinceMs = performance.now();
      hurt(region);
      return agreed(name, SPARE, sinceMs);
    });
    times.push(...(await Promise.all(took)));
    for (const region of some) await region.open();
    await Promise.all(some.map((region) => agreed(`${region.name}.test.example`, region.address, 0)));
    asked.clear();
    const restMs = 61_000 - (performance.now() - began);
    if (from + AT_A_TIME < regions.length) await new Promise((resolve) => setTimeout(resolve, Math.max(0, restMs)));
    process.stdout.write(`  ${Math.min(from + AT_A_TIME, regions.length)} of ${regions.length}\r`);
  }
  return times;
}

const ratios: Record<string, number> = {};
const rounds: Record<string, number[]> = {};
function show(what: string, times: readonly number[], targetMs: number): void {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!;
  const cells = [0.5, 0.99, 1].map((share) => `${Math.round(at(share))}`.padStart(9));
  process.stdout.write(
    `${what.padEnd(48)}${String(sorted.length).padStart(6)}${cells.join("")}${String(targetMs).padStart(9)}\n`,
  );
  ratios[`${what}.p99/target`] = Math.round((at(0.99) / targetMs) * 1_000) / 1_000;
  rounds[what] = sorted.map((ms) => Math.round(ms));
}

try {
  process.stdout.write(
    `${"ms until all nodes answer alike".padEnd(48)}${"rounds".padStart(6)}      p50      p99     most   target\n`,
  );
  const overrides: number[] = [];
  for (let index = 0; index < OVERRIDES; index++) overrides.push(await measureOverride(index));
  show("an override", overrides, TARGETS.overrideMs);
  // The user that nodes are may no longer use channels.
  const denied = spawnSync("redis-cli", [
    "-p",
    `${redis.port}`,
    "ACL",
    "SETUSER",
    "default",
    "resetchannels",
    "-@pubsub",
  ]);
  if (denied.status !== 0) throw new Error(String(denied.stderr));
  const slow: number[] = [];
  for (let index = 0; index < OVERRIDES_WITHOUT_CHANNEL; index++) slow.push(await measureOverride(index));
  show("an override, without the channel of Redis", slow, TARGETS.withoutChannelMs);
  spawnSync("redis-cli", ["-p", `${redis.port}`, "ACL", "SETUSER", "default", "allchannels", "+@all"]);
  const isHeard = async (): Promise<boolean> => {
    const all = await Promise.all(apis.map((api) => api("GET", "/status")));
    return all.every((one) => !one.json<{ sharing: { says: string } }>().sharing.says.includes("not heard"));
  };
  while (!(await isHeard())) await new Promise((resolve) => setTimeout(resolve, 500));
  show("a region that refuses connections", await measureOutages((region) => region.refuse()), TARGETS.refusedMs);
  await new Promise((resolve) => setTimeout(resolve, 61_000));
  show(
    "a region that takes them and never answers",
    await measureOutages((region) => region.swallow()),
    TARGETS.blackHoleMs,
  );
  if (json !== undefined) writeReport(json, { machine: describeMachine(), rounds, ratios });
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup();
  spare.close();
  for (const region of regions) region.refuse();
}
