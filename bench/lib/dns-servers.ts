/**
 * Starts a server for a world, pinned to one core, on a port of its own on 127.0.0.1 or where it is told to, and stops it.
 * @module
 */
import { createSocket } from "node:dgram";
import { mkdirSync } from "node:fs";
import { createPorts } from "#base/ports.ts";
import type { Recipe, Site } from "./dns-recipe.ts";
import { firstQuery } from "./dns-world.ts";
import { type Pinned, startPinned } from "./pinned.ts";

/** The core that servers run on; the load runs on the other. */
export const SERVER_CORE = 0;
export const LOAD_CORE = 1;
/** For a million names, and millions of nodes of a map. */
export const START_TIMEOUT_MS = 180_000;
const LOOPBACK = "127.0.0.1";

export type DnsServer = Pinned & { readonly recipe: Recipe; readonly port: number };

const ports = createPorts();

/** Whether the server gives an answer (not REFUSED or SERVFAIL) for a name of the zone. */
export async function answers(address: string, port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  try {
    return await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), 200);
      socket.on("error", () => {});
      socket.on("message", (response) => {
        clearTimeout(timer);
        resolve((response[3]! & 15) === 0 && response[7] === 1);
      });
      socket.send(firstQuery(), port, address);
    });
  } finally {
    socket.close();
  }
}

/** @throws Error with the server's own words when it ends, or does not answer in time */
export async function startServer(
  recipe: Recipe,
  { folder, ...rest }: Omit<Site, "port" | "address">,
): Promise<DnsServer> {
  mkdirSync(folder, { recursive: true });
  const port = await ports.take();
  const command = recipe.prepare({ folder, address: LOOPBACK, port, ...rest });
  const options = { core: SERVER_CORE, isReady: () => answers(LOOPBACK, port), timeoutMs: START_TIMEOUT_MS };
  return { recipe, port, ...(await startPinned(command, options)) };
}
