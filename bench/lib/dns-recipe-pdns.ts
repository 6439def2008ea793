/**
 * PowerDNS 4, with its bind backend and with its geoip backend, which looks the client's continent up in the database.
 * Its caches of packets and queries stay as they are: on.
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Recipe, Site } from "./dns-recipe.ts";
import { REGIONS, ZONE } from "./dns-world.ts";

const command = ({ folder, address, port, world }: Site): string[] => [
  "pdns_server",
  "--config-dir=/nonexistent",
  `--local-address=${address}`,
  `--local-port=${port}`,
  `--socket-dir=${folder}`,
  `--receiver-threads=${world.workers}`,
  "--distributor-threads=1",
  "--daemon=no",
  "--guardian=no",
  "--disable-syslog=yes",
  "--loglevel=3",
];

export const PDNS: Recipe = {
  name: "pdns",
  title: "PowerDNS bind",
  needs: ["pdns_server", "/usr/lib/*/pdns/libbindbackend.so"],
  serves: ["static"],
  prepare(site) {
    const bind = join(site.folder, "named.conf");
    writeFileSync(bind, `zone "${ZONE}" { type master; file "${site.zoneFile}"; };\n`);
    return [...command(site), "--launch=bind", `--bind-config=${bind}`];
  },
};

export const PDNS_GEOIP: Recipe = {
  ...PDNS,
  name: "pdns-geoip",
  title: "PowerDNS geoip",
  needs: ["pdns_server", "/usr/lib/*/pdns/libgeoipbackend.so"],
  serves: ["steered"],
  prepare(site) {
    const zones = join(site.folder, "zones.yaml");
    const places = REGIONS.map(
      ({ continent, address }) => `      ${continent.toLowerCase()}.at.${ZONE}:\n        - a: ${address}\n`,
    );
    const names = Array.from(
      { length: site.world.names },
      (_, index) => `      host${index}.${ZONE}: "%cn.at.${ZONE}"\n`,
    );
    writeFileSync(
      zones,
      `domains:
  - domain: ${ZONE}
    ttl: 30
    records:
      ${ZONE}:
        - soa: ns1.${ZONE} hostmaster.${ZONE} 1 3600 600 604800 300
        - ns: ns1.${ZONE}
${places.join("")}    services:
${names.join("")}`,
    );
    return [
      ...command(site),
      "--launch=geoip",
      `--geoip-zones-file=${zones}`,
      `--geoip-database-files=mmdb:${site.database}`,
      "--edns-subnet-processing=yes",
    ];
  },
};
