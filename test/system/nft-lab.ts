/**
 * A network for tests of kernel mode: namespaces for a client, a balancer and three backends, on one bridge.
 *
 * The client has networks of its own (10.78.0.0/24, fd78::/64), so that backends reach it either through the balancer or
 * straight away, as each mode wants it. The VIP lies on the balancer's eth0, and on the backends' lo.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Run } from "#l4/nft/run.ts";
import { createRun } from "#l4/nft/run.ts";
import type { Flow, Task } from "./nft-client.ts";

export const BALANCER = { 4: "10.77.0.1", 6: "fd77::1" } as const;
export const VIP = { 4: "10.77.0.100", 6: "fd77::100" } as const;
export const BACKENDS = {
  4: ["10.77.0.11", "10.77.0.12", "10.77.0.13"],
  6: ["fd77::11", "fd77::12", "fd77::13"],
} as const;
export const CLIENTS = {
  4: Array.from({ length: 40 }, (_, host) => `10.78.0.${host + 10}`),
  6: Array.from({ length: 40 }, (_, host) => `fd78::${host + 10}`),
} as const;
export const NAMES = ["b1", "b2", "b3"] as const;

type Answer = { tcp: Flow[]; udp: Flow[]; hold: Flow; ask: string; bulk: number };
export type Lab = {
  /** Runs a program in the balancer's namespace. */
  readonly run: Run;
  /** A shell script in a namespace: `client`, `balancer`, `b1`. @returns what it printed */
  shell(place: string, script: string): string;
  client<Of extends Task>(task: Of): Promise<Answer[Of["task"]]>;
  /** Makes the kernel of the balancer ask for a backend's MAC address. */
  poke(address: string): void;
  /** How backends answer clients: through the balancer, or straight away. */
  routeBack(way: "balancer" | "direct"): void;
  close(): Promise<void>;
};

function sh(script: string): string {
  const { status, stdout, stderr } = spawnSync("sh", ["-ec", script], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${script}\n${stderr}`);
  return stdout;
}

export async function createLab(): Promise<Lab> {
  const prefix = `rhumb${process.pid}`;
  const places = ["switch", "balancer", "client", ...NAMES];
  const ns = (place: string): string => `${prefix}-${place}`;
  const shell = (place: string, script: string): string => {
    const { status, stdout, stderr } = spawnSync("ip", ["netns", "exec", ns(place), "sh", "-ec", script], {
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`in ${place}: ${script}\n${stderr}`);
    return stdout;
  };
  const children: ChildProcess[] = [];
  const removeNamespaces = (): void => {
    for (const place of places) spawnSync("ip", ["netns", "delete", ns(place)]);
  };
  const close = async (): Promise<void> => {
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    }
    removeNamespaces();
    process.off("exit", removeNamespaces);
    process.off("SIGTERM", endedFromOutside);
  };
  // A test file that is ended from outside must leave no namespaces either.
  const endedFromOutside = (): void => process.exit(1);
  process.on("exit", removeNamespaces);
  process.on("SIGTERM", endedFromOutside);

  try {
    for (const place of places) sh(`ip netns add ${ns(place)}; ip -n ${ns(place)} link set lo up`);
    shell("switch", "ip link add br0 type bridge; ip link set br0 up");
    for (const place of places.slice(1)) {
      sh(`ip -n ${ns(place)} link add eth0 type veth peer name ${place} netns ${ns("switch")}`);
      shell("switch", `ip link set ${place} master br0 up`);
      shell(
        place,
        `echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_redirects
echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter; echo 0 > /proc/sys/net/ipv4/conf/eth0/rp_filter
ip link set eth0 up`,
      );
    }
    // A VIP that is not deprecated may become the source of what the balancer sends, masqueraded flows among it.
    shell(
      "balancer",
      `ip address add ${BALANCER[4]}/24 dev eth0; ip -6 address add ${BALANCER[6]}/64 dev eth0 nodad
ip address add ${VIP[4]}/32 dev eth0; ip -6 address add ${VIP[6]}/128 dev eth0 nodad preferred_lft 0
ip route add 10.78.0.0/24 dev eth0; ip -6 route add fd78::/64 dev eth0
echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding`,
    );
    shell(
      "client",
      `${CLIENTS[4].map((address) => `ip address add ${address}/24 dev eth0`).join("\n")}
${CLIENTS[6].map((address) => `ip -6 address add ${address}/64 dev eth0 nodad`).join("\n")}
ip route add 10.77.0.0/24 dev eth0; ip -6 route add fd77::/64 dev eth0`,
    );
    NAMES.forEach((name, index) => {
      shell(
        name,
        `echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore; echo 2 > /proc/sys/net/ipv4/conf/all/arp_announce
ip address add ${BACKENDS[4][index]}/24 dev eth0; ip -6 address add ${BACKENDS[6][index]}/64 dev eth0 nodad
ip address add ${VIP[4]}/32 dev lo; ip -6 address add ${VIP[6]}/128 dev lo nodad`,
      );
    });
    const start = async (place: string, file: string, words: readonly string[]): Promise<ChildProcess> => {
      const child = spawn(
        "ip",
        ["netns", "exec", ns(place), process.execPath, join(import.meta.dirname, file), ...words],
        { stdio: ["pipe", "pipe", "inherit"] },
      );
      children.push(child);
      await Promise.race([
        once(child.stdout!, "data"),
        once(child, "exit").then(([code]) => Promise.reject(new Error(`${file} in ${place} ended with ${code}`))),
      ]);
      return child;
    };
    await Promise.all(
      NAMES.map((name, index) =>
        start(name, "nft-responder.ts", [name, BACKENDS[4][index]!, BACKENDS[6][index]!, VIP[4], VIP[6]]),
      ),
    );
    const client = await start("client", "nft-client.ts", []);
    const answers = createInterface({ input: client.stdout! })[Symbol.asyncIterator]();
    const inNamespace = createRun();

    return {
      run: (program, args, input) => inNamespace("ip", ["netns", "exec", ns("balancer"), program, ...args], input),
      shell,
      async client(task) {
        client.stdin!.write(`${JSON.stringify(task)}\n`);
        const { value } = await answers.next();
        return JSON.parse(value as string);
      },
      poke: (address) =>
        void spawnSync("ip", ["netns", "exec", ns("balancer"), "bash", "-c", `echo > /dev/udp/${address}/9`]),
      routeBack(way) {
        const [via4, via6] = way === "balancer" ? [`via ${BALANCER[4]}`, `via ${BALANCER[6]}`] : ["", ""];
        for (const name of NAMES)
          shell(
            name,
            `ip route replace 10.78.0.0/24 ${via4} dev eth0; ip -6 route del fd78::/64 || true; ip -6 route add fd78::/64 ${via6} dev eth0`,
          );
      },
      close,
    };
  } catch (fault) {
    await close();
    throw fault;
  }
}
