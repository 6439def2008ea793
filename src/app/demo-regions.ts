/**
 * The regions of the demo world: one responder process each, that can be killed and healed.
 *
 * Owns:    the child processes. Where the system has only 127.0.0.1, each region gets a port of its own there instead
 *          of its address.
 * @module
 */
import { type ChildProcess, fork } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import type { Commands, DemoView } from "#api/views.ts";
import { findPortOwner } from "#app/port-owner.ts";
import { RhumbError } from "#base/errors.ts";

/** Where a region's address answers HTTP. */
export type DemoPlace = {
  readonly region: string;
  /** As DNS gives it. */
  readonly address: string;
  /** Where its responder really listens. */
  readonly listen: string;
  readonly port: number;
};
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

export function createDemoRegions(places: readonly DemoPlace[]): DemoRegions {
  const running = new Map<string, ChildProcess>();
  const file = fileURLToPath(new URL("./demo-responder.ts", import.meta.url));

  function spawn({ region, address, listen, port }: DemoPlace): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const child = fork(file, [region, listen, String(port), address], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    running.set(region, child);
    child.once("message", (message: "ready" | { failed: string }) => {
      if (message === "ready") return resolve();
      const held = message.failed === "EADDRINUSE" ? `: ${holderOf(port, listen)}` : ` (${message.failed})`;
      reject(new RhumbError("RHUMB_APP_DEMO", `region ${region} cannot listen on ${listen} port ${port}${held}`));
    });
    child.once("exit", () => {
      if (running.get(region) === child) running.delete(region);
      reject(new RhumbError("RHUMB_APP_DEMO", `the responder of ${region} ended`));
    });
    return promise;
  }
  const placeOf = (region: string): DemoPlace => {
    const name = region.replace(/^region\//, "");
    const place = places.find((one) => one.region === name);
    if (!place) throw new RhumbError("RHUMB_APP_DEMO", `there is no region ${region}`);
    return place;
  };
  const ended = (child: ChildProcess): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
    return promise;
  };

  return {
    async start() {
      await Promise.all(places.map(spawn));
    },
    async kill(region): Promise<DemoView> {
      const place = placeOf(region);
      const child = running.get(place.region);
      if (!child) return { region: place.region, isRunning: false, says: "It was not running" };
      child.kill("SIGKILL");
      await ended(child);
      return { region: place.region, isRunning: false, says: `Killed process ${child.pid}: its port now refuses` };
    },
    async heal(region): Promise<DemoView> {
      const place = placeOf(region);
      if (running.has(place.region)) return { region: place.region, isRunning: true, says: "It was running" };
      await spawn(place);
      const { pid } = running.get(place.region)!;
      return { region: place.region, isRunning: true, says: `Started process ${pid} on ${place.listen}:${place.port}` };
    },
    async close() {
      const children = [...running.values()];
      running.clear();
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(children.map(ended));
    },
  };
}
