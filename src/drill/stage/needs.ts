/**
 * What a drill needs beyond Node: is it here, and how does one get it?
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Need } from "#drill/scenario.ts";
import { findFaketime } from "#drill/stage/skewed-clock.ts";
import type { MissingNeeds } from "#drill/stage.ts";

/** Daemons lie in folders that are not in the path of every user. */
const PROGRAM_FOLDERS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Not every root may: a container's own has fewer rights. */
const canMakeNetworks = (): boolean =>
  process.getuid?.() === 0 && spawnSync("unshare", ["--net", "true"], { stdio: "ignore" }).status === 0;

type NeedRow = { readonly programs: readonly string[]; readonly isHere?: () => boolean; readonly fix: string };
const NEED_TABLE: Readonly<Record<Need, NeedRow>> = {
  root: {
    programs: [],
    isHere: canMakeNetworks,
    fix: "Run it as root, and in a container with CAP_SYS_ADMIN: it makes network namespaces of its own",
  },
  redis: { programs: ["redis-server"], fix: "Install Redis: `apt-get install redis-server`" },
  exabgp: {
    programs: ["exabgp", "bird", "birdc"],
    fix: "Install ExaBGP 4.2 and BIRD 2: `apt-get install exabgp bird2`",
  },
  keepalived: {
    programs: ["keepalived", "ip", "bash", "timeout"],
    fix: "Install keepalived: `apt-get install keepalived iproute2`",
  },
  faketime: {
    programs: [],
    isHere: () => findFaketime() !== undefined,
    fix: "Install libfaketime: `apt-get install faketime`",
  },
  docker: {
    programs: ["docker"],
    isHere: () => process.env["DOCKER_HOST"] !== undefined || existsSync("/var/run/docker.sock"),
    fix: "Install Docker with compose and start it: `apt-get install docker.io docker-compose`",
  },
};

/** @returns the path of a program; undefined: it is not installed */
export function findProgram(name: string): string | undefined {
  const own = (process.env["PATH"] ?? "").split(":").filter((folder) => folder.startsWith("/"));
  return [...own, ...PROGRAM_FOLDERS].map((folder) => join(folder, name)).find(existsSync);
}

export const missingNeeds: MissingNeeds = async (needs) =>
  [...new Set(needs)].flatMap((need) => {
    const { programs, isHere, fix } = NEED_TABLE[need];
    const isMet = programs.every((program) => findProgram(program) !== undefined) && (isHere?.() ?? true);
    return isMet ? [] : [{ need, fix }];
  });
