/**
 * What an import has understood so far, as the entries of our files, each with the line that it came from.
 *
 * Writers: the importers. Reader: `settle.ts`, which turns it into files.
 * @module
 */
import type { At } from "#config/import/notes.ts";

export type Entry<T = Readonly<Record<string, unknown>>> = { value: T; readonly at: At };
export type Entries = Map<string, Entry>;
/** A record of a zone as a line of a master file. */
export type ZoneLine = { readonly text: string; readonly at: At };

export type Draft = {
  /** What it was made from, for the headers of files. */
  readonly product: string;
  readonly balancer: { readonly listeners: Entries; readonly pools: Entries };
  readonly dns: {
    readonly listen: string[];
    readonly regions: Entries;
    readonly services: Entries;
    readonly overrides: Entry[];
    /** By origin without its last dot. */
    readonly zones: Map<string, ZoneLine[]>;
  };
  readonly checks: Entries;
};

export const createDraft = (product: string): Draft => ({
  product,
  balancer: { listeners: new Map(), pools: new Map() },
  dns: { listen: [], regions: new Map(), services: new Map(), overrides: [], zones: new Map() },
  checks: new Map(),
});

/** Without the keys that have no value: an absent key means our default. */
export const compact = (value: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(value).filter(
      ([, child]) => child !== undefined && !(typeof child === "object" && child !== null && isEmpty(child)),
    ),
  );
const isEmpty = (value: object): boolean => (Array.isArray(value) ? value.length : Object.keys(value).length) === 0;
