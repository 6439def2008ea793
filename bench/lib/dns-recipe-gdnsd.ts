/**
 * gdnsd 3, with static records and with its geoip plugin, which sorts datacenters by distance ("city auto mode").
 * @module
 */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Recipe, Site } from "./dns-recipe.ts";
import { REGIONS, ZONE, zoneText } from "./dns-world.ts";

function prepare({ folder, address, port, zoneFile, world, database }: Site): string[] {
  const isSteered = world.mapNodes !== undefined;
  const zone = join(folder, "zones", ZONE);
  mkdirSync(join(folder, "zones"));
  if (isSteered) writeFileSync(zone, zoneText(world.names, "30 DYNA geoip!www"));
  else copyFileSync(zoneFile, zone);
  const list = (of: (region: (typeof REGIONS)[number]) => string) => REGIONS.map(of).join(", ");
  const plugins = `plugins => { geoip => {
  maps => { world => {
    geoip2_db => "${database}",
    datacenters => [${list(({ id }) => id)}],
    auto_dc_coords => { ${list(({ id, at }) => `${id} => [${at.join(", ")}]`)} }
  } },
  resources => { www => { map => world, service_types => up, dcmap => { ${list((region) => `${region.id} => ${region.address}`)} } } }
} }
`;
  writeFileSync(
    join(folder, "config"),
    `options => {
  listen => "${address}",
  dns_port => ${port},
  udp_threads => ${world.workers},
  tcp_threads => 1,
  run_dir => "${folder}",
  state_dir => "${folder}",
}
${isSteered ? plugins : ""}`,
  );
  return ["gdnsd", "-c", folder, "start"];
}

export const GDNSD: Recipe = {
  name: "gdnsd",
  title: "gdnsd",
  needs: ["gdnsd"],
  serves: ["static"],
  prepare,
};
export const GDNSD_GEOIP: Recipe = { ...GDNSD, name: "gdnsd-geoip", title: "gdnsd geoip", serves: ["steered"] };
