/**
 * NSD 4. Its rate limit is off, which would stop load from one address.
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Recipe } from "./dns-recipe.ts";
import { ZONE } from "./dns-world.ts";

export const NSD: Recipe = {
  name: "nsd",
  title: "NSD",
  needs: ["nsd"],
  serves: ["static"],
  prepare({ folder, address, port, zoneFile, world }) {
    const file = join(folder, "nsd.conf");
    writeFileSync(
      file,
      `server:
  server-count: ${world.workers}
  ip-address: ${address}@${port}
  username: ""
  zonesdir: "${folder}"
  database: ""
  pidfile: "${folder}/nsd.pid"
  xfrdfile: "${folder}/xfrd.state"
  zonelistfile: "${folder}/zone.list"
  xfrdir: "${folder}"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: ${ZONE}
  zonefile: "${zoneFile}"
`,
    );
    return ["nsd", "-d", "-c", file];
  },
};
