/**
 * The regions of the demo world: a balancer process in front of two backend processes each, that can be killed and healed,
 * a region as a whole or one backend (`eu-west/1`).
 *
 * Owns:    the child processes, and the folders of the balancers below the run folder.
 * @module
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Commands, DemoView } from "#api/views.ts";
import type { DemoCertificate } from "#app/demo-certificate.ts";
import { balancerConfig, type DemoBackend, type DemoEndpoint, type DemoPlace } from "#app/demo-places.ts";
import { findPortOwner } from "#app/port-owner.ts";
import { RhumbError } from "#base/errors.ts";

export type DemoRegions = Required<Commands>["demo"] & {
  start(): Promise<void>;
  close(): Promise<void>;
};

/** Why nothing of ours could listen there, as the system's code; undefined: it could. Port 0 is any. */
function listenFault(address: string, port: number): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const server = createServer();
  server.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  server.listen({ host: address, port }, () => server.close(() => resolve(undefined)));
  return promise;
}

/** Whether this machine answers for an address: Linux has all of 127.0.0.0/8, others only 127.0.0.1. */
export const canListen = async (address: string): Promise<boolean> => (await listenFault(address, 0)) === undefined;

const holderOf = (port: number, address: string): string => {
  const owner = findPortOwner("tcp", port, address);
  return owner ? `process ${owner.pid} (${owner.name}) holds the port` : "another process holds the port";
};

/**
 * Before anything starts, so that a busy port is told as that, and not as a fault of the configuration.
 * @throws RhumbError RHUMB_APP_DEMO that names the owner
 */
export async function refuseBusyPort(what: string, port: number): Promise<void> {
  if ((await listenFault("127.0.0.1", port)) === "EADDRINUSE")
    throw new RhumbError(
      "RHUMB_APP_DEMO",
      `${what} cannot listen on 127.0.0.1 port ${port}: ${holderOf(port, "127.0.0.1")}`,
    );
}

export function createDemoRegions(places: readonly DemoPlace[], run: string, tls: DemoCertificate): DemoRegions {
  /** By `eu-west` (the balancer) and `eu-west/1` (its first backend). */
  const running = new Map<string, ChildProcess>();

  function spawn(name: string, file: string, words: readonly string[], { listen, port }: DemoEndpoint): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const child = fork(fileURLToPath(new URL(file, import.meta.url)), words, {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    running.set(name, child);
    child.once("message", (message: "ready" | { failed: string }) => {
      if (message === "ready") return resolve();
      const held = message.failed === "EADDRINUSE" ? `: ${holderOf(port, listen)}` : `: ${message.failed}`;
      reject(new RhumbError("RHUMB_APP_DEMO", `${name} cannot listen on ${listen} port ${port}${held}`));
    });
    child.once("exit", () => {
      if (running.get(name) === child) running.delete(name);
      reject(new RhumbError("RHUMB_APP_DEMO", `the process of ${name} ended`));
    });
    return promise;
  }
  const startBackend = ({ region, address }: DemoPlace, backend: DemoBackend): Promise<void> =>
    spawn(
      `${region}/${backend.name}`,
      "./demo-backend.ts",
      [region, backend.name, backend.listen, String(backend.port), address],
      backend,
    );
  function startBalancer(place: DemoPlace): Promise<void> {
    const folder = join(run, place.region);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const config = join(folder, "rhumb.yaml");
    writeFileSync(config, balancerConfig(place, run, tls));
    return spawn(place.region, "./demo-balancer.ts", [config, join(folder, "rhumb.log")], place);
  }
  /** What is not running of a region, or of one backend. */
  const start = async (place: DemoPlace, only?: string): Promise<void> => {
    const backends = place.backends.filter(
      ({ name }) => (only === undefined || name === only) && !running.has(`${place.region}/${name}`),
    );
    const balancer = only === undefined && !running.has(place.region) ? [startBalancer(place)] : [];
    await Promise.all([...backends.map((backend) => startBackend(place, backend)), ...balancer]);
  };
  const find = (text: string): { place: DemoPlace; only: string | undefined; names: readonly string[] } => {
    const [name, only] = text.replace(/^region\//, "").split("/");
    const place = places.find(({ region }) => region === name);
    const isBackend = place?.backends.some((backend) => backend.name === only);
    if (!place || (only !== undefined && !isBackend))
      throw new RhumbError("RHUMB_APP_DEMO", `there is no region or backend ${text}`);
    const all = [place.region, ...place.backends.map((backend) => `${place.region}/${backend.name}`)];
    return { place, only, names: only === undefined ? all : [`${place.region}/${only}`] };
  };
  const ended = (child: ChildProcess): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
    return promise;
  };
  const kill = async (children: readonly ChildProcess[]): Promise<void> => {
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(children.map(ended));
  };
  const pids = (names: readonly string[]): string =>
    names.map((name) => `${name} is process ${running.get(name)?.pid}`).join(", ");

  return {
    async start() {
      await Promise.all(places.map((place) => start(place)));
    },
    async kill(text): Promise<DemoView> {
      const { place, names } = find(text);
      const children = names.flatMap((name) => running.get(name) ?? []);
      const view = { region: place.region, isRunning: false };
      if (children.length === 0) return { ...view, says: "It was not running" };
      await kill(children);
      const list = children.map(({ pid }) => pid).join(", ");
      return {
        ...view,
        says: `Killed ${children.length === 1 ? "process" : "processes"} ${list}: its port now refuses`,
      };
    },
    async heal(text): Promise<DemoView> {
      const { place, only, names } = find(text);
      const view = { region: place.region, isRunning: true };
      if (names.every((name) => running.has(name))) return { ...view, says: "It was running" };
      const missing = names.filter((name) => !running.has(name));
      await start(place, only);
      return { ...view, says: `Started: ${pids(missing)}` };
    },
    async close() {
      const children = [...running.values()];
      running.clear();
      await kill(children);
    },
  };
}
