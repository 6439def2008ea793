/**
 * Who holds a port: for messages that say more than "address already in use". Linux only, as far as /proc is readable.
 * @module
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export type PortOwner = { readonly pid: number; readonly name: string };

/** Inodes of the sockets that are bound to `port`, listening in the case of TCP. */
function inodesAt(protocol: "udp" | "tcp", port: number): Set<string> {
  const hexPort = port.toString(16).toUpperCase().padStart(4, "0");
  const inodes = new Set<string>();
  for (const table of [protocol, `${protocol}6`]) {
    let text: string;
    try {
      text = readFileSync(`/proc/net/${table}`, "utf8");
    } catch {
      continue; // no such family here, or no /proc
    }
    // Columns (proc_pid_net(5)): sl, local_address, rem_address, st, …; the tenth is the inode. State 0A is LISTEN.
    for (const line of text.split("\n").slice(1)) {
      const columns = line.trim().split(/\s+/);
      if (!columns[1]?.endsWith(`:${hexPort}`)) continue;
      if (protocol === "tcp" && columns[3] !== "0A") continue;
      inodes.add(`socket:[${columns[9]}]`);
    }
  }
  return inodes;
}

/** @returns the first process found with a socket on `port`, or undefined when there is none that we may look into */
export function findPortOwner(protocol: "udp" | "tcp", port: number): PortOwner | undefined {
  const inodes = inodesAt(protocol, port);
  if (inodes.size === 0) return undefined;
  for (const pid of readdirSync("/proc")) {
    if (!/^[0-9]+$/.test(pid)) continue;
    try {
      for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
        if (!inodes.has(readlinkSync(`/proc/${pid}/fd/${descriptor}`))) continue;
        return { pid: Number(pid), name: readFileSync(`/proc/${pid}/comm`, "utf8").trim() };
      }
    } catch {
      // Another user's process, or one that has just ended.
    }
  }
  return undefined;
}
