/**
 * Whose connection is it? Two nodes probe a region at one address and port, because votes on another one would be votes on
 * something else; so the way of a connection is chosen by the process that opened it. Linux alone tells.
 * @module
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Endpoint } from "#drill/stage.ts";

/** As the kernel prints it: the octets of IPv4 as one word of the machine's order, on all that Node runs on the reversed one. */
const kernelText = ({ address, port }: Endpoint): string => {
  const word = Buffer.from(address.split(".").reverse().map(Number)).toString("hex");
  return `${word}:${port.toString(16).padStart(4, "0")}`.toUpperCase();
};

/** @param table text of /proc/net/tcp. @returns the inode of the socket at `near` that is connected to `far` */
export function inodeOf(table: string, near: Endpoint, far: Endpoint): string | undefined {
  const start = `: ${kernelText(near)} ${kernelText(far)} `;
  const at = table.indexOf(start);
  if (at === -1) return undefined;
  const line = table.slice(at, table.indexOf("\n", at));
  return line.trim().split(/\s+/)[9];
}

function hasSocket(pid: number, inode: string): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((fd) => {
      try {
        return readlinkSync(`${folder}/${fd}`) === `socket:[${inode}]`;
      } catch {
        return false; // closed meanwhile
      }
    });
  } catch {
    return false; // the process is gone
  }
}

/**
 * @param near the end of the connection that was opened; `far`: what it was opened to
 * @returns which of the processes opened it; undefined: none of them, or nobody can tell
 */
export function ownerOf(near: Endpoint, far: Endpoint, pids: ReadonlyMap<string, number>): string | undefined {
  let table: string;
  try {
    table = readFileSync("/proc/net/tcp", "latin1");
  } catch {
    return undefined;
  }
  const inode = inodeOf(table, near, far);
  if (inode === undefined) return undefined;
  for (const [name, pid] of pids) if (hasSocket(pid, inode)) return name;
  return undefined;
}
