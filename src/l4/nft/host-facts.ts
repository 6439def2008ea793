/**
 * What kernel mode must know of this host: MAC addresses of its own device and of backends, and whether it forwards.
 *
 * Owns:    the words for `ip`, and the last MAC address known of each backend: the kernel forgets neighbours it does not
 *          talk to.
 * @module
 */
import { createSocket } from "node:dgram";
import type { Clock } from "#base/clock.ts";
import { formatIp, parseIp } from "#base/ip.ts";
import type { Family } from "./ruleset.ts";
import { faultOf, type Run } from "./run.ts";

export async function deviceMac(run: Run, device: string): Promise<string> {
  const ran = await run("ip", ["-j", "link", "show", "dev", device]);
  if (ran.code !== 0) throw faultOf("ip", ran);
  const [link] = JSON.parse(ran.out) as [{ readonly address: string }];
  return link.address;
}

/** @returns whether packets of others are passed on */
export async function isForwarding(run: Run, family: Family): Promise<boolean> {
  const file = family === 4 ? "ipv4/ip_forward" : "ipv6/conf/all/forwarding";
  return (await run("cat", [`/proc/sys/net/${file}`])).out.trim() !== "0";
}

export type Neighbours = {
  macOf(address: string): string | undefined;
  /**
   * Reads the neighbour table; who is not in it is sent a datagram, so that the kernel asks for its address.
   * @param waitMs how long an answer may take
   * @returns whether anything has changed
   */
  refresh(device: string, addresses: readonly string[], waitMs: number): Promise<boolean>;
};

/** Between two looks while we wait for an answer. */
const LOOK_MS = 100;

export function createNeighbours(run: Run, clock: Clock, poke: (address: string) => void): Neighbours {
  const macs = new Map<string, string>();
  const canonical = (address: string): string => formatIp(parseIp(address) ?? new Uint8Array(4));

  async function read(device: string): Promise<boolean> {
    const ran = await run("ip", ["-j", "neigh", "show", "dev", device]);
    if (ran.code !== 0) throw faultOf("ip", ran);
    let isChanged = false;
    for (const { dst, lladdr } of JSON.parse(ran.out || "[]") as { readonly dst: string; readonly lladdr?: string }[]) {
      if (lladdr === undefined || macs.get(canonical(dst)) === lladdr) continue;
      macs.set(canonical(dst), lladdr);
      isChanged = true;
    }
    return isChanged;
  }
  const macOf = (address: string): string | undefined => macs.get(canonical(address));

  return {
    macOf,
    async refresh(device, addresses, waitMs) {
      let isChanged = await read(device);
      const missing = () => addresses.filter((address) => macOf(address) === undefined);
      for (const address of missing()) poke(address);
      for (let leftMs = waitMs; leftMs > 0 && missing().length > 0; leftMs -= LOOK_MS) {
        await new Promise<void>((resume) => clock.after(LOOK_MS, resume));
        isChanged = (await read(device)) || isChanged;
      }
      return isChanged;
    },
  };
}

/** Discard (RFC 863): nobody needs to listen there. */
const DISCARD_PORT = 9;

/** Sends one octet; what becomes of it does not matter, only that the kernel asks who has the address. */
export function pokeByUdp(address: string): void {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("error", () => {});
  socket.send("\0", DISCARD_PORT, address, () => socket.close());
}
