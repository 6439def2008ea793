/**
 * What a recipe for a server is: how to start it for a world, with one UDP thread for each worker, as its authors ship it.
 * @module
 */
import type { World } from "./dns-world.ts";

export type Site = {
  /** An empty folder of its own. */
  readonly folder: string;
  /** IPv4, UDP and TCP. */
  readonly address: string;
  readonly port: number;
  /** Network interface that the address lies on, for servers that take packets before the kernel's stack. */
  readonly interface?: string;
  readonly world: World;
  /** The static zone as a master file; of the same names when the world is steered. */
  readonly zoneFile: string;
  /** The City database of a steered world. */
  readonly database: string | undefined;
};
export type Recipe = {
  readonly name: string;
  /** What it is in a table. */
  readonly title: string;
  /** Programs and files that must be there; the first that is not is named. */
  readonly needs: readonly string[];
  /** Does it serve static names, steered ones, or both? */
  readonly serves: readonly ("static" | "steered")[];
  /** Writes what the server needs into the folder. @returns the command that runs it in the foreground */
  prepare(site: Site): readonly string[];
  /** Leaves of the map that the server folded the database into, from what it printed at its start. */
  leavesIn?(words: string): number | undefined;
};
