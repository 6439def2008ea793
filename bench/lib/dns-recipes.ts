/**
 * The servers that are compared. A new one is one row here and a recipe in a file of its own.
 * @module
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import type { Recipe } from "./dns-recipe.ts";
import { BIND } from "./dns-recipe-bind.ts";
import { GDNSD, GDNSD_GEOIP } from "./dns-recipe-gdnsd.ts";
import { KNOT, KNOT_GEOIP } from "./dns-recipe-knot.ts";
import { NSD } from "./dns-recipe-nsd.ts";
import { PDNS, PDNS_GEOIP } from "./dns-recipe-pdns.ts";
import { RHUMB_BATCH, RHUMB_DGRAM } from "./dns-recipe-rhumb.ts";

export const OURS: readonly Recipe[] = [RHUMB_BATCH, RHUMB_DGRAM];
export const RECIPES: readonly Recipe[] = [...OURS, GDNSD, GDNSD_GEOIP, KNOT, KNOT_GEOIP, NSD, PDNS, PDNS_GEOIP, BIND];

/** The first thing that a recipe needs and that is not there. */
export const findMissing = ({ needs }: Recipe): string | undefined =>
  needs.find((need) =>
    need.startsWith("/") ? globSync(need).length === 0 : spawnSync("sh", ["-c", `command -v ${need}`]).status !== 0,
  );
