/**
 * A network for kernel mode: namespaces for a client, two balancers (one relays, one has the kernel forward) and two web
 * servers, on one bridge.
 *
 * Packets that reach a balancer are worked on by the balancers' core, all others by the load's (receive packet steering):
 * what forwarding costs then shows in how busy that core is, whether a process does it or the kernel.
 * @module
 */
import { spawnSync } from "node:child_process";
import { atEnd } from "./at-end.ts";
import { BALANCER_CORE, LOAD_CORE } from "./balancer-measure.ts";

export const RELAY = "10.77.0.2";
/** Lies on the balancer whose kernel forwards; nobody listens there. */
export const VIP = "10.77.0.100";
const KERNEL = "10.77.0.1";
const CLIENT = "10.78.0.10";
export const BACKENDS = { b1: "10.77.0.11", b2: "10.77.0.12" } as const;
export type Place = "client" | "relay" | "kernel" | keyof typeof BACKENDS;
const PLACES: readonly Place[] = ["client", "relay", "kernel", "b1", "b2"];

export type L4Lab = {
  /** A command as it runs in a namespace. */
  within(place: Place, command: readonly string[]): string[];
  remove(): void;
};

function sh(script: string): void {
  const { status, stderr } = spawnSync("sh", ["-ec", script], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${script}\n${stderr}`);
}

/** @throws Error where this user may make no namespaces */
export function createLab(): L4Lab {
  const prefix = `rhumb-l4-${process.pid}`;
  const ns = (place: Place | "switch"): string => `${prefix}-${place}`;
  const removeAll = (): void => {
    for (const place of ["switch", ...PLACES] as const) spawnSync("ip", ["netns", "delete", ns(place)]);
  };
  const forget = atEnd(removeAll);
  const inside = (place: Place | "switch", script: string): void => sh(`ip netns exec ${ns(place)} sh -ec '${script}'`);
  const remove = (): void => {
    removeAll();
    forget();
  };
  try {
    for (const place of ["switch", ...PLACES] as const)
      sh(`ip netns add ${ns(place)}; ip -n ${ns(place)} link set lo up`);
    inside("switch", "ip link add br0 type bridge; ip link set br0 up");
    for (const place of PLACES) {
      const core = place === "relay" || place === "kernel" ? BALANCER_CORE : LOAD_CORE;
      sh(`ip -n ${ns(place)} link add eth0 type veth peer name ${place} netns ${ns("switch")}`);
      inside("switch", `ip link set ${place} master br0 up`);
      inside(
        place,
        `echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter; echo 0 > /proc/sys/net/ipv4/conf/eth0/rp_filter
echo ${(1 << core).toString(16)} > /sys/class/net/eth0/queues/rx-0/rps_cpus
ip link set eth0 up`,
      );
    }
    inside(
      "kernel",
      `ip address add ${KERNEL}/24 dev eth0; ip address add ${VIP}/32 dev eth0; ip route add 10.78.0.0/24 dev eth0
echo 1 > /proc/sys/net/ipv4/ip_forward`,
    );
    inside("relay", `ip address add ${RELAY}/24 dev eth0; ip route add 10.78.0.0/24 dev eth0`);
    // A client with one address runs out of ports: take them all, and again as soon as it is safe (RFC 6191).
    inside(
      "client",
      `ip address add ${CLIENT}/24 dev eth0; ip route add 10.77.0.0/24 dev eth0
echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse; echo "1024 65535" > /proc/sys/net/ipv4/ip_local_port_range`,
    );
    // Answers to the client lead back through the kernel that rewrote the request.
    for (const [place, address] of Object.entries(BACKENDS) as [keyof typeof BACKENDS, string][])
      inside(place, `ip address add ${address}/24 dev eth0; ip route add 10.78.0.0/24 via ${KERNEL} dev eth0`);
    return { within: (place, command) => ["ip", "netns", "exec", ns(place), ...command], remove };
  } catch (error) {
    remove();
    throw error;
  }
}
