/**
 * Starts the servers that are compared, each with one worker, pinned to one core, on a port of its own on 127.0.0.1.
 *
 * Owns:    their minimal configurations. All serve the same zone file; logs, control sockets and caches of answers that
 *          are off by default stay as they are, so that each runs the way its authors ship it.
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeRhumbConfig, ZONE } from "./dns-world.ts";

/** The core that servers run on; the load runs on the other. */
export const SERVER_CORE = 0;
export const LOAD_CORE = 1;

export type DnsServer = {
  readonly name: string;
  readonly port: number;
  readonly pids: readonly number[];
  stop(): Promise<void>;
};
type Recipe = {
  readonly name: string;
  /** Undefined: always there. */
  readonly program: string | undefined;
  /** Writes what the server needs into `folder` and says how to start it in the foreground. */
  prepare(folder: string, zoneFile: string, port: number): readonly string[];
};

export const RECIPES: readonly Recipe[] = [
  {
    name: "dgram",
    program: undefined,
    prepare: (folder, _zoneFile, port) => [
      process.execPath,
      join(import.meta.dirname, "rhumb-dns.ts"),
      // All load comes from one address, which the rate limit would rightly stop: it runs, and never reaches its limit.
      writeRhumbConfig(folder, port, { rate: 1_000_000 }),
    ],
  },
  {
    name: "nsd",
    program: "nsd",
    prepare(folder, zoneFile, port) {
      const file = join(folder, "nsd.conf");
      writeFileSync(
        file,
        `server:
  server-count: 1
  ip-address: 127.0.0.1@${port}
  username: ""
  zonesdir: "${folder}"
  database: ""
  pidfile: "${folder}/nsd.pid"
  xfrdfile: "${folder}/xfrd.state"
  zonelistfile: "${folder}/zone.list"
  xfrdir: "${folder}"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: ${ZONE}
  zonefile: "${zoneFile}"
`,
      );
      return ["nsd", "-d", "-c", file];
    },
  },
  {
    name: "knot",
    program: "knotd",
    prepare(folder, zoneFile, port) {
      const file = join(folder, "knot.conf");
      writeFileSync(
        file,
        `server:
  listen: 127.0.0.1@${port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  rundir: "${folder}"
database:
  storage: "${folder}"
log:
  - target: stderr
    any: error
template:
  - id: default
    storage: "${folder}"
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: ${ZONE}
    file: "${zoneFile}"
`,
      );
      return ["knotd", "-c", file];
    },
  },
  {
    name: "gdnsd",
    program: "gdnsd",
    prepare(folder, zoneFile, port) {
      mkdirSync(join(folder, "zones"));
      copyFileSync(zoneFile, join(folder, "zones", ZONE));
      writeFileSync(
        join(folder, "config"),
        `options => {
  listen => "127.0.0.1",
  dns_port => ${port},
  udp_threads => 1,
  tcp_threads => 1,
  run_dir => "${folder}",
  state_dir => "${folder}",
}
`,
      );
      return ["gdnsd", "-c", folder, "start"];
    },
  },
  {
    name: "pdns",
    program: "pdns_server",
    prepare(folder, zoneFile, port) {
      const bind = join(folder, "named.conf");
      writeFileSync(bind, `zone "${ZONE}" { type master; file "${zoneFile}"; };\n`);
      return [
        "pdns_server",
        "--config-dir=/nonexistent",
        "--launch=bind",
        `--bind-config=${bind}`,
        "--local-address=127.0.0.1",
        `--local-port=${port}`,
        `--socket-dir=${folder}`,
        "--receiver-threads=1",
        "--distributor-threads=1",
        "--daemon=no",
        "--guardian=no",
        "--disable-syslog=yes",
        "--loglevel=3",
      ];
    },
  },
];

export const isInstalled = ({ program }: Recipe): boolean =>
  program === undefined || spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;

/** A port that is free for UDP now. */
async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

/** Whether the server gives an answer (not REFUSED or SERVFAIL) for a name of the zone. */
async function answers(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  try {
    const labels = ["host1", ...ZONE.split(".")].flatMap((label) => [label.length, ...Buffer.from(label)]);
    const query = Buffer.from([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]);
    return await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), 200);
      socket.on("error", () => {});
      socket.on("message", (response) => {
        clearTimeout(timer);
        resolve((response[3]! & 15) === 0 && response[7] === 1);
      });
      socket.send(query, port, "127.0.0.1");
    });
  } finally {
    socket.close();
  }
}

/** Processes of the group of `leader`: some servers fork. */
function processesOf(leader: number): number[] {
  const { stdout } = spawnSync("pgrep", ["-g", String(leader)], { encoding: "utf8" });
  return stdout.split("\n").filter(Boolean).map(Number);
}

/** @throws Error with the server's own words when it does not answer within 10 s */
export async function startServer(recipe: Recipe, folder: string, zoneFile: string): Promise<DnsServer> {
  mkdirSync(folder);
  const port = await freePort();
  const command = recipe.prepare(folder, zoneFile, port);
  let words = "";
  const child: ChildProcess = spawn("taskset", ["-c", String(SERVER_CORE), ...command], {
    detached: true, // a process group of its own
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on("data", (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(-4_000);
    });
  }
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, "SIGTERM");
    const timer = setTimeout(() => process.kill(-child.pid!, "SIGKILL"), 5_000);
    await ended;
    clearTimeout(timer);
  };
  for (let attempt = 0; attempt < 50; attempt++) {
    if (child.exitCode !== null) throw new Error(`${recipe.name} ended with ${child.exitCode}: ${words}`);
    if (await answers(port)) return { name: recipe.name, port, pids: processesOf(child.pid!), stop };
  }
  await stop();
  throw new Error(`${recipe.name} does not answer: ${words}`);
}
