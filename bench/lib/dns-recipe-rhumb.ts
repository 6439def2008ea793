/**
 * rhumb as users run it: `rhumb start` with a configuration of one zone; guard, checks and admission on.
 * @module
 */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Recipe, Site } from "./dns-recipe.ts";
import { REGIONS, ZONE, zoneText } from "./dns-world.ts";

const PROGRAM = join(import.meta.dirname, "../../bin/rhumb");
/** All load comes from one address, which the rate limit would rightly stop: it runs, and never reaches its limit. */
const RATE = 1_000_000;

/** @param dns more settings of the `dns` section. @returns the path of rhumb.yaml */
function writeRhumbConfig(site: Site, dns: string): string {
  const { folder, address, port, world, zoneFile, database } = site;
  const isSteered = world.mapNodes !== undefined;
  const zone = join(folder, "zones", `${ZONE}.zone`);
  mkdirSync(join(folder, "zones"), { recursive: true });
  if (isSteered) writeFileSync(zone, zoneText(world.names, "30 IN STEER www"));
  else copyFileSync(zoneFile, zone);
  const sections = [
    "version: 1",
    "node: bench",
    `dns: { listen: "${address}:${port}", workers: ${world.workers}, rrl: { rate: ${RATE} }, ${dns} }`,
    "zones: zones/",
  ];
  if (isSteered) {
    const regions = REGIONS.map(
      ({ id, at, continent, country, address: target }) =>
        `${id}: { at: [${at.join(", ")}], continent: ${continent}, country: ${country}, v4: [${target}] }\n`,
    );
    writeFileSync(join(folder, "regions.yaml"), regions.join(""));
    const ids = REGIONS.map(({ id }) => id).join(", ");
    writeFileSync(
      join(folder, "zones", "services.yaml"),
      `www: { regions: [${ids}], steer: geo, ttl: { min: 5s, max: 30s } }\n`,
    );
    sections.push(`geo: { database: "${database}", regions: regions.yaml }`);
  }
  const file = join(folder, "rhumb.yaml");
  writeFileSync(file, `${sections.join("\n")}\n`);
  return file;
}

const rhumb = (name: string, dns: string | ((site: Site) => string)): Recipe => ({
  name,
  title: `rhumb ${name}`,
  needs: [],
  serves: ["static", "steered"],
  prepare: (site) => [
    process.execPath,
    PROGRAM,
    "start",
    "-c",
    writeRhumbConfig(site, typeof dns === "string" ? dns : dns(site)),
  ],
  leavesIn(words) {
    const match = /"leaves":(\d+)/.exec(words);
    return match ? Number(match[1]) : undefined;
  },
});
export const RHUMB_BATCH = rhumb("batch", "engine: batch");
export const RHUMB_DGRAM = rhumb("dgram", "engine: dgram");
/** Without the kernel filter of floods. */
export const RHUMB_UNFILTERED = rhumb("batch unfiltered", "engine: batch, admission: false");
/** Takes packets before the kernel's stack: it needs a network interface. */
export const RHUMB_XDP = rhumb("xdp", (site) => `engine: xdp, interface: ${site.interface}`);
