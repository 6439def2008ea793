/**
 * Balancers side by side in front of the same two web servers, on 127.0.0.1.
 * @module
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { createPorts } from "#base/ports.ts";
import { answersAt, backendCommand } from "./balancer-backend.ts";
import { BALANCER_CORE, LOAD_CORE, type Target } from "./balancer-measure.ts";
import type { BalancerRecipe, Certificate } from "./balancer-recipe.ts";
import { type Pinned, startPinned } from "./pinned.ts";

const HOST = "127.0.0.1";
/** A relay needs two descriptors a connection, and some for itself. */
const OWN_DESCRIPTORS = 100;
const hardLimit = Number(/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]);
const DESCRIPTORS = Math.min(40_000, Number.isNaN(hardLimit) ? Number.POSITIVE_INFINITY : hardLimit) - OWN_DESCRIPTORS;
/** Connections that each balancer is set up for. */
export const MAX_CONNECTIONS = Math.floor(DESCRIPTORS / 2);

export type Runner = Target &
  Pick<Pinned, "pause" | "resume"> & { readonly recipe: BalancerRecipe; readonly port: number };
export type Bed = {
  readonly runners: readonly Runner[];
  /** To one of the web servers, past every balancer. */
  readonly direct: Target;
  readonly leftOut: Readonly<Record<string, string>>;
  stop(): Promise<void>;
};

const free = createPorts();

/** Is a program in the PATH, or a file there? */
export const isInstalled = (name: string): boolean =>
  name.includes("/")
    ? existsSync(name)
    : (process.env["PATH"] ?? "").split(delimiter).some((folder) => existsSync(join(folder, name)));

export type BedOptions = {
  /** Present: clients come by TLS. */
  readonly certificate?: Certificate;
  /** What runs the servers behind the balancers; they answer `/small`. */
  readonly backend?: typeof backendCommand;
};

/** @param folder an empty one, for all files */
export async function startBed(
  folder: string,
  recipes: readonly BalancerRecipe[],
  { certificate, backend = backendCommand }: BedOptions = {},
): Promise<Bed> {
  const scheme = certificate === undefined ? "http" : "https";
  const leftOut: Record<string, string> = {};
  const started: Pinned[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((each) => each.stop()));
  };
  const start = async (core: number, port: number, command: readonly string[], isTls = false): Promise<Pinned> => {
    const pinned = await startPinned(command, { core, isReady: () => answersAt(HOST, port, isTls) });
    started.push(pinned);
    return pinned;
  };
  try {
    const ports = [await free.take(), await free.take()];
    const backends = ports.map((port) => `${HOST}:${port}`);
    const command = backend(join(folder, "backend"), backends, DESCRIPTORS);
    const servers = await start(LOAD_CORE, ports[0]!, command);
    const runners = await Promise.all(
      recipes.map(async (recipe): Promise<Runner | undefined> => {
        if (!isInstalled(recipe.needs)) {
          leftOut[recipe.name] = `${recipe.needs} is not installed`;
          return undefined;
        }
        const port = await free.take();
        const own = join(folder, recipe.name);
        mkdirSync(own);
        const site = { folder: own, listen: `${HOST}:${port}`, backends, maxConnections: MAX_CONNECTIONS, certificate };
        try {
          const { pids, pause, resume } = await start(
            BALANCER_CORE,
            port,
            recipe.prepare(site),
            certificate !== undefined,
          );
          return { recipe, port, pids, pause, resume, url: `${scheme}://${HOST}:${port}` };
        } catch (error) {
          leftOut[recipe.name] = (error as Error).message.slice(0, 300);
          return undefined;
        }
      }),
    );
    return {
      runners: runners.filter((runner) => runner !== undefined),
      direct: { url: `http://${backends[0]}`, pids: servers.pids },
      leftOut,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
