/**
 * Who holds a port: for messages that say more than "address already in use". Linux only, as far as /proc is readable.
 * @module
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { isIPv4 } from "node:net";

export type PortOwner = { readonly pid: number; readonly name: string };

/** As the kernel prints it: the four octets as one word of the machine's order, on all that Node runs on the reversed one. */
const hexOf = (ipv4: string): string =>
  Buffer.from(ipv4.split(".").reverse().map(Number)).toString("hex").toUpperCase();

/** Whether a local address of /proc/net stands in the way of `address`: the same one, or all addresses. */
function isInTheWay(local: string, address: string | undefined): boolean {
  if (address === undefined || !isIPv4(address)) return true;
  return /^0+$/.test(local) || local.endsWith(hexOf(address)); // at the end: also as IPv4-mapped IPv6
}

/** Inodes of the sockets that are bound to `port`, listening in the case of TCP. */
function inodesAt(protocol: "udp" | "tcp", port: number, address: string | undefined): Set<string> {
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
      const [local, localPort] = columns[1]?.split(":") ?? [];
      if (local === undefined || localPort !== hexPort || !isInTheWay(local, address)) continue;
      if (protocol === "tcp" && columns[3] !== "0A") continue;
      inodes.add(`socket:[${columns[9]}]`);
    }
  }
  return inodes;
}

/**
 * @param address IPv4: sockets of other addresses do not count. Left out, or IPv6: all do
 * @returns the first process found with a socket on `port`, or undefined when there is none that we may look into
 */
export function findPortOwner(protocol: "udp" | "tcp", port: number, address?: string): PortOwner | undefined {
  const inodes = inodesAt(protocol, port, address);
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
