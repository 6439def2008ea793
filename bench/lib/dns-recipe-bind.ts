/**
 * BIND 9 as an authoritative server.
 * @module
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Recipe } from "./dns-recipe.ts";
import { ZONE } from "./dns-world.ts";

export const BIND: Recipe = {
  name: "bind",
  title: "BIND",
  needs: ["named"],
  serves: ["static"],
  prepare({ folder, address, port, zoneFile, world }) {
    const file = join(folder, "named.conf");
    writeFileSync(
      file,
      `options {
  directory "${folder}";
  pid-file "${folder}/named.pid";
  session-keyfile "${folder}/session.key";
  listen-on port ${port} { ${address}; };
  listen-on-v6 { none; };
  recursion no;
};
controls { };
logging { category default { null; }; };
zone "${ZONE}" { type primary; file "${zoneFile}"; };
`,
    );
    return ["named", "-f", "-n", String(world.workers), "-c", file];
  },
};
