/**
 * Three DNS nodes and three regions as processes of their own, which share one view through a real Redis (or, without one,
 * from node to node). Each region is a balancer in front of two real HTTP backends.
 */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { connect, createServer as createRelay, type Socket } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { openIdentity } from "#cluster/identity.ts";
import { until } from "./balancer-bed.ts";
import { type Api, apiClient, type RhumbProcess, startRhumb } from "./running.ts";
import { folderWith, freePort, startDaemon, writeAll } from "./tools.ts";

type Context = Pick<TestContext, "after">;
type LivingContext = Pick<TestContext, "after" | "signal">;
const TOKEN = "token-of-the-cluster-bed-0001";

export const REGIONS = ["us-east", "eu-west", "ap-south"] as const;
export type RegionName = (typeof REGIONS)[number];
export const DNS_NODES = ["ns1", "ns2", "ns3"] as const;
export type NodeName = (typeof DNS_NODES)[number] | `lb-${RegionName}`;

const AT = { "us-east": [39.04, -77.49], "eu-west": [53.35, -6.26], "ap-south": [19.08, 72.88] } as const;
/** The VIP of each region, as its balancer serves it. */
export const ADDRESS = { "us-east": "127.0.41.1", "eu-west": "127.0.42.1", "ap-south": "127.0.43.1" } as const;

export type ClusterNode = {
  readonly name: NodeName;
  /** Of DNS; 0 for a balancer. */
  readonly port: number;
  readonly folder: string;
  readonly api: Api;
  process(): RhumbProcess;
  start(): Promise<void>;
  /** SIGKILL, or the signal that is named; resolves when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<void>;
};

export type RedisServer = {
  readonly port: number;
  /** SIGKILL. */
  stop(): Promise<void>;
  /** Empty, at the same port. */
  start(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
};

/** One node's way to Redis, in user space. */
export type Way = {
  readonly port: number;
  /** From now on nothing gets through, either way; connections stand, as when a link is cut. */
  cut(): void;
  /** Each piece arrives so much later. */
  delay(ms: number): void;
  restore(): void;
};

export type ClusterBed = {
  readonly redis: RedisServer;
  /** Of each node to Redis. */
  way(name: NodeName): Way;
  readonly dns: readonly ClusterNode[];
  readonly balancers: Readonly<Record<RegionName, ClusterNode>>;
  readonly backends: Readonly<Record<RegionName, readonly Backend[]>>;
  node(name: NodeName): ClusterNode;
  /** Of the balancers' listeners. */
  readonly webPort: number;
};

export type Backend = {
  readonly port: number;
  /** What `/health` says; its other paths are always answered. */
  setHealthy(isHealthy: boolean): void;
};

export async function startRedisServer(context: Context): Promise<RedisServer> {
  const port = await freePort();
  const start = () =>
    startDaemon(
      context,
      ["redis-server", "--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
      /Ready to accept connections/,
    );
  let server = await start();
  return {
    port,
    async stop() {
      const ended = once(server, "exit");
      server.kill("SIGKILL");
      await ended;
    },
    async start() {
      server = await start();
    },
    signal: (signal) => void server.kill(signal),
  };
}

async function openWay(context: Context, target: number): Promise<Way> {
  const sockets = new Set<Socket>();
  let isCut = false;
  let delayMs = 0;
  const carry = (from: Socket, to: Socket): void => {
    sockets.add(from);
    from.on("error", () => {});
    from.on("close", () => {
      sockets.delete(from);
      to.destroy();
    });
    from.on("data", (octets) => {
      if (isCut) return;
      if (delayMs === 0) to.write(octets);
      else setTimeout(() => to.write(octets), delayMs);
    });
  };
  const server = createRelay((inner) => {
    const outer = connect(target, "127.0.0.1");
    carry(inner, outer);
    carry(outer, inner);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    port: (server.address() as { port: number }).port,
    cut() {
      isCut = true;
    },
    delay(ms) {
      delayMs = ms;
    },
    restore() {
      isCut = false;
      delayMs = 0;
      // What was lost would have been sent again: here both ends begin anew.
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function startHttp(context: Context, name: string): Promise<Backend> {
  let isHealthy = true;
  const server: Server = createServer((request, response) => {
    const status = request.url === "/health" && !isHealthy ? 503 : 200;
    response.writeHead(status).end(`${name}\n`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    port: (server.address() as { port: number }).port,
    setHealthy(next) {
      isHealthy = next;
    },
  };
}

export type BedOptions = {
  /** Of probes of regions; the default of the product is 5 s. */
  readonly interval?: string;
  /** Without Redis, nodes tell each other by HTTP. */
  readonly by?: "redis" | "peers";
  /** Further lines of `zones/services.yaml`. */
  readonly services?: string;
  /** Further lines of the zone. */
  readonly records?: string;
  /** Further lines of `health:` in rhumb.yaml of the DNS nodes, indented. */
  readonly health?: string;
  /** Of each region; 1000rps. */
  readonly capacity?: string;
};

/** @returns how many nodes it hears of, itself among them */
async function heardOf(node: ClusterNode): Promise<number> {
  const { nodes } = (await node.api("GET", "/status")).json<{ nodes: { state: string }[] }>();
  return nodes.filter(({ state }) => state !== "silent").length;
}

/** Resolves when all of it runs and each node has heard of all others. The answers of `app.test.example`: failover in the order of `REGIONS`; `all.test.example`: every region that is up. */
export async function startCluster(context: LivingContext, options: BedOptions = {}): Promise<ClusterBed> {
  const { interval = "1s", by = "redis", capacity = "1000rps" } = options;
  const redis = await startRedisServer(context);
  const webPort = await freePort();
  const ways = new Map<NodeName, Way>();
  const names: NodeName[] = [...DNS_NODES, ...REGIONS.map((region) => `lb-${region}` as const)];
  const ports = new Map<NodeName, { readonly dns: number; readonly api: number }>();
  for (const name of names) {
    ports.set(name, { dns: await freePort(), api: await freePort() });
    ways.set(name, await openWay(context, redis.port));
  }
  const folders = new Map(names.map((name) => [name, folderWith(context, { token: TOKEN })]));
  const keys = names.map(
    (name) => `    ${name}: { key: "${openIdentity(join(folders.get(name)!, "state")).publicKey}" }`,
  );
  const clusterOf = (name: NodeName): string => `cluster:
  state: state/
${by === "redis" ? `  redis: "redis://127.0.0.1:${ways.get(name)!.port}"\n` : ""}  nodes:
${keys.join("\n")}
`;
  const controlOf = (name: NodeName): string => {
    const peers = names
      .filter((peer) => peer !== name)
      .map((peer) => `    ${peer}: { url: "http://127.0.0.1:${ports.get(peer)!.api}", token: "file:token" }`);
    return `version: 1
node: ${name}
control:
  listen: "127.0.0.1:${ports.get(name)!.api}"
  tokens: { ops: { token: "file:token", role: admin } }
  peers:
${peers.join("\n")}
`;
  };
  const regions = REGIONS.map(
    (region) =>
      `${region}: { at: [${AT[region].join(", ")}], v4: [${ADDRESS[region]}], v6: [], check: region-http, capacity: ${capacity} }`,
  );
  const dnsFiles = (name: NodeName): Record<string, string> => ({
    "rhumb.yaml": `${controlOf(name)}${clusterOf(name)}dns: { listen: ["127.0.0.1:${ports.get(name)!.dns}"], workers: 1 }
zones: zones/
geo: { regions: regions.yaml }
health:
  checks: health/
  vantage: ${name}
  vantages: { ns1: { at: [50.1, 8.7] }, ns2: { at: [40.7, -74] }, ns3: { at: [35.7, 139.7] } }
${options.health ?? ""}`,
    "regions.yaml": `${regions.join("\n")}\n`,
    "health/region-http.yaml": `kind: http\nport: ${webPort}\npath: /\ninterval: ${interval}\ntimeout: ${interval === "1s" ? "500ms" : "2s"}\nfailback: { mode: auto, hold: 1s, ramp: [100] }\n`,
    "zones/services.yaml": `app: { regions: [${REGIONS.join(", ")}], steer: failover, ttl: { min: 1s, max: 5s } }
all: { regions: [${REGIONS.join(", ")}], steer: multivalue, ttl: { min: 1s, max: 5s } }
${options.services ?? ""}`,
    "zones/test.example.zone": `$ORIGIN test.example.
@ 60 SOA ns1 hostmaster 1 3600 600 86400 60
@ 60 NS ns1
ns1 60 A 192.0.2.53
static 60 A 192.0.2.80
app 5 STEER app
all 5 STEER all
${options.records ?? ""}`,
  });

  const backends = {} as Record<RegionName, Backend[]>;
  for (const region of REGIONS)
    backends[region] = [await startHttp(context, `${region}-1`), await startHttp(context, `${region}-2`)];
  const balancerFiles = (region: RegionName): Record<string, string> => ({
    "rhumb.yaml": `${controlOf(`lb-${region}`)}${clusterOf(`lb-${region}`)}balancer:
  region: ${region}
  workers: 1
  listeners: { web: { listen: "${ADDRESS[region]}:${webPort}", protocol: http, pool: web } }
  pools:
    web:
      check: { kind: http, path: /health, interval: 500ms, timeout: 400ms, thresholds: { down: 2, up: 1 }, downSpan: 0s }
      backends: [${backends[region].map(({ port }) => `"127.0.0.1:${port}"`).join(", ")}]
`,
  });

  const open = (name: NodeName, files: Readonly<Record<string, string>>): ClusterNode => {
    const folder = folders.get(name)!;
    writeAll(folder, files);
    let running: RhumbProcess;
    const { dns, api } = ports.get(name)!;
    return {
      name,
      port: name.startsWith("ns") ? dns : 0,
      folder,
      api: apiClient(`http://127.0.0.1:${api}`, TOKEN),
      process: () => running,
      async start() {
        running = startRhumb(context, ["start", "-c", "rhumb.yaml"], folder);
        await running.printed(name.startsWith("ns") ? /serves DNS on/ : /Balancing web on/);
      },
      async stop(signal = "SIGKILL") {
        running.signal(signal);
        await running.ended;
      },
    };
  };
  const balancers = Object.fromEntries(
    REGIONS.map((region) => [region, open(`lb-${region}`, balancerFiles(region))]),
  ) as Record<RegionName, ClusterNode>;
  const dns = DNS_NODES.map((name) => open(name, dnsFiles(name)));
  const all = [...dns, ...Object.values(balancers)];
  await Promise.all(Object.values(balancers).map((node) => node.start()));
  await Promise.all(dns.map((node) => node.start()));
  for (const node of all)
    await until(
      () => heardOf(node),
      (heard) => heard === all.length,
      context,
    );
  return {
    redis,
    webPort,
    way: (name) => ways.get(name)!,
    dns,
    balancers,
    backends,
    node: (name) => all.find((each) => each.name === name)!,
  };
}
