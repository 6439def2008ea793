/**
 * One process of rhumb takes the place of another without a connection lost: SIGUSR2 starts the program anew, as it is on
 * disk now, and gives it the listening sockets of the balancer.
 *
 * Order:   the new one is started with the sockets as open file descriptors, and accepts → the old one leaves the cluster
 *          and closes its control API → the new one joins, and opens that → the old one ends when its connections have, at
 *          the latest after `balancer.drain`. Both accept for a moment, from the same queues. If the new one does not
 *          come up, the old one goes on.
 * Never:   moves connections or UDP sessions that live, or DNS.
 * Units:   ms.
 * @module
 */
import { spawn } from "node:child_process";
import type { InheritedSockets } from "#app/balancer/sockets.ts";
import type { Log } from "#base/log.ts";

const VARIABLE = "RHUMB_INHERITED_SOCKETS";
const START_TIMEOUT_MS = 60_000;

type FromSuccessor = "serving" | "ready";
type ToSuccessor = "released";

/** What a process finds that was started in the place of another. */
export type Predecessor = {
  readonly sockets: InheritedSockets;
  /** Says that we accept; resolves when the one before has let go of the rest, or is gone. */
  released(): Promise<void>;
  /** Says that we are complete. */
  ready(): void;
};

export function findPredecessor(env: NodeJS.ProcessEnv = process.env): Predecessor | undefined {
  const text = env[VARIABLE];
  if (text === undefined || !process.connected) return undefined;
  delete env[VARIABLE]; // not for those that we start
  const send = (message: FromSuccessor): void => {
    if (process.connected) process.send!(message);
  };
  return {
    sockets: JSON.parse(text) as InheritedSockets,
    async released() {
      const { promise, resolve } = Promise.withResolvers<void>();
      process.once("message", () => resolve());
      process.once("disconnect", resolve);
      send("serving");
      await promise;
    },
    ready() {
      send("ready");
      if (process.connected) process.disconnect?.();
    },
  };
}

/**
 * Starts our successor.
 * @param release called when it accepts: closes what it will open next
 * @returns undefined when it has taken over, else why it did not
 */
export async function startSuccessor(options: {
  readonly sockets: InheritedSockets;
  readonly log: Log;
  readonly release: () => Promise<void>;
}): Promise<string | undefined> {
  const { log, release } = options;
  const fds: number[] = [];
  const numbered: Record<string, number[]> = {};
  for (const [address, own] of Object.entries(options.sockets)) {
    // Descriptor 3 is the first after those of standard input, output and error.
    numbered[address] = own.map((fd) => 2 + fds.push(fd));
  }
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true, // it outlives us
    stdio: ["inherit", "inherit", "inherit", ...fds, "ipc"],
    env: { ...process.env, [VARIABLE]: JSON.stringify(numbered) },
  });
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const timer = setTimeout(() => resolve(`it was not ready within ${START_TIMEOUT_MS / 1_000} s`), START_TIMEOUT_MS);
  child.once("error", (error) => resolve(error.message));
  child.once("exit", (code, signal) => resolve(`it ended with ${signal ?? `status ${code}`}`));
  child.on("message", (message: FromSuccessor) => {
    if (message === "ready") return resolve(undefined);
    log.info({ successor: child.pid }, "The new process accepts connections");
    release().then(
      () => child.send("released" satisfies ToSuccessor),
      (error: unknown) => resolve(String(error)),
    );
  });
  const fault = await promise;
  clearTimeout(timer);
  if (fault !== undefined) {
    child.kill("SIGKILL");
    return fault;
  }
  child.removeAllListeners();
  if (child.connected) child.disconnect();
  child.unref();
  tellServiceManager(child.pid!, log);
  return undefined;
}

/** systemd follows the process that it started: it is told which one to follow now (sd_notify(3), MAINPID). */
function tellServiceManager(pid: number, log: Log): void {
  if (process.env["NOTIFY_SOCKET"] === undefined) return;
  const told = spawn("systemd-notify", [`MAINPID=${pid}`], { stdio: "ignore" });
  told.once("error", (error) =>
    log.error(
      { error: error.message, pid },
      "Cannot tell systemd which process to follow: it may end the new one with us",
    ),
  );
}
