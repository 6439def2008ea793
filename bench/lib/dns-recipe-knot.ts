/**
 * Knot DNS 3, with static records and with mod-geoip, which looks the client's continent up in the database.
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Recipe, Site } from "./dns-recipe.ts";
import { REGIONS, ZONE } from "./dns-world.ts";

function prepare({ folder, address, port, zoneFile, world, database }: Site, more = ""): string[] {
  const isSteered = world.mapNodes !== undefined;
  if (isSteered) {
    const places = REGIONS.map((region) => `  - geo: "${region.continent}"\n    A: ${region.address}\n`).join("");
    const names = Array.from({ length: world.names }, (_, index) => `host${index}.${ZONE}:\n${places}`);
    writeFileSync(join(folder, "geo.conf"), names.join(""));
  }
  const module = `mod-geoip:
  - id: geo
    config-file: "${folder}/geo.conf"
    ttl: 30
    mode: geodb
    geodb-file: "${database}"
    geodb-key: continent/code
`;
  const file = join(folder, "knot.conf");
  writeFileSync(
    file,
    `server:
  listen: ${address}@${port}
  udp-workers: ${world.workers}
  tcp-workers: 1
  background-workers: 1
  rundir: "${folder}"
${isSteered ? "  edns-client-subnet: on\n" : ""}${more}database:
  storage: "${folder}"
log:
  - target: stderr
    any: error
${isSteered ? module : ""}template:
  - id: default
    storage: "${folder}"
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: ${ZONE}
    file: "${zoneFile}"
${isSteered ? "    module: mod-geoip/geo\n" : ""}`,
  );
  return ["knotd", "-c", file];
}

export const KNOT: Recipe = {
  name: "knot",
  title: "Knot DNS",
  needs: ["knotd"],
  serves: ["static"],
  prepare: (site) => prepare(site),
};
export const KNOT_GEOIP: Recipe = {
  ...KNOT,
  name: "knot-geoip",
  title: "Knot DNS mod-geoip",
  needs: ["knotd", "/usr/lib/*/knot/modules-*/geoip.so"],
  serves: ["steered"],
};
/** Takes packets by AF_XDP; what it leaves to the kernel its ordinary workers answer. */
const withXdp = (recipe: Recipe, title: string): Recipe => ({
  ...recipe,
  name: `${recipe.name}-xdp`,
  title,
  prepare: (site) => prepare(site, `xdp:\n  listen: ${site.interface}@${site.port}\n`),
});
export const KNOT_XDP = withXdp(KNOT, "Knot DNS XDP");
export const KNOT_GEOIP_XDP = withXdp(KNOT_GEOIP, "Knot DNS XDP mod-geoip");
