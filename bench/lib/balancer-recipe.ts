/**
 * How a balancer that takes part in a comparison is started.
 * @module
 */
import { join } from "node:path";

export const PROGRAM = join(import.meta.dirname, "../../bin/rhumb");

/** Files: the certificate, its key, and both in one. */
export type Certificate = { readonly cert: string; readonly key: string; readonly both: string };
export type Site = {
  /** An empty folder of its own. */
  readonly folder: string;
  /** Where to listen, as `address:port`; `backends` likewise. */
  readonly listen: string;
  readonly backends: readonly string[];
  /** Connections that it must take at a time. */
  readonly maxConnections: number;
  /** Of the balancer, where clients come by TLS. */
  readonly certificate: Certificate | undefined;
};
export type BalancerRecipe = {
  readonly name: string;
  /** What it is in a table. */
  readonly title: string;
  readonly isOurs: boolean;
  /** The program that must be there. */
  readonly needs: string;
  /** Writes what it needs into the folder. @returns the command that runs it in the foreground */
  prepare(site: Site): readonly string[];
};
