/**
 * Two network namespaces joined by a veth pair, the wire on which packets pass a network driver: `server` and `client`, with an
 * `eth0` each. Removed at the end, however this process ends, with the processes that still run in them.
 *
 * Offloads stay as the system sets them: a client's UDP checksum is then unfinished on the wire, as between containers.
 */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync } from "node:fs";
import { loadNative, type Native } from "#base/native/load.ts";

export const SERVER = { 4: "10.89.0.1", 6: "fd89::1" } as const;
export const CLIENT = { 4: "10.89.0.2", 6: "fd89::2" } as const;
export const INTERFACE = "eth0";
export type Place = "server" | "client";
const PLACES: readonly Place[] = ["server", "client"];
const CLONE_NEWNET = 0x40000000; // linux/sched.h

type Setns = Native & { setns(descriptor: number, kind: number): number };

export type VethBed = {
  /** A command as it runs at a place. */
  within(place: Place, command: readonly string[]): string[];
  /** A shell script at a place. @returns what it printed @throws with what it said when it fails */
  shell(place: Place, script: string): string;
  /**
   * Runs `body` in a place's network: sockets that it opens lie there for good. While it waits, whatever else this thread
   * does is there as well.
   */
  inside<Result>(place: Place, body: () => Result): Result;
  start(place: Place, command: readonly string[], options?: SpawnOptions): ChildProcess;
  mac(place: Place): string;
  close(): Promise<void>;
};

/** Why there can be no bed here, or false; in CI a fault instead of a reason to skip. */
export function withoutVeth(): string | false {
  if (process.env["CI"] !== undefined) return false;
  const name = `rhumb-veth-${process.pid}-try`;
  const { status, stderr, error } = spawnSync("ip", ["netns", "add", name], { encoding: "utf8" });
  spawnSync("ip", ["netns", "delete", name]);
  return status !== 0 && `no network namespaces here: ${error?.message ?? stderr.trim()}`;
}

function sh(script: string): string {
  const { status, stdout, stderr } = spawnSync("sh", ["-ec", script], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${script}\n${stderr}${stdout}`);
  return stdout;
}

/** Of processes that were killed, or fell over, and could not remove theirs. */
function removeLeftovers(): void {
  const { stdout } = spawnSync("ip", ["netns", "list"], { encoding: "utf8" });
  for (const [name, pid] of (stdout ?? "").matchAll(/^rhumb-veth-(\d+)-\S+/gm))
    if (!existsSync(`/proc/${pid}`)) spawnSync("ip", ["netns", "delete", name]);
}

let beds = 0;

/**
 * @param options.queues of each end, for receiving and for sending
 * @param options.isStatic each end knows the other's MAC, so that nothing but the load is on the wire
 * @throws Error where this user may make no namespaces
 */
export function createVethBed(options: { queues?: number; isStatic?: boolean } = {}): VethBed {
  const { queues = 1, isStatic = false } = options;
  const calls = loadNative<Setns>({ setns: "int setns(int, int)" }, "setns");
  if (typeof calls === "string") throw new Error(`no namespaces: ${calls}`);
  removeLeftovers();
  const prefix = `rhumb-veth-${process.pid}-${beds++}`;
  const ns = (place: Place): string => `${prefix}-${place}`;
  const descriptors = new Map<Place, number>();
  const children: ChildProcess[] = [];

  const goTo = (descriptor: number): void => {
    if (calls.setns(descriptor, CLONE_NEWNET) !== 0) throw new Error(`setns: errno ${calls.errno()}`);
  };
  const remove = (): void => {
    for (const place of PLACES) {
      const { stdout } = spawnSync("ip", ["netns", "pids", ns(place)], { encoding: "utf8" });
      const pids = (stdout ?? "").split("\n").filter((pid) => pid !== "" && Number(pid) !== process.pid);
      if (pids.length > 0) spawnSync("kill", ["-KILL", ...pids]);
      spawnSync("ip", ["netns", "delete", ns(place)]);
    }
  };
  const endedFromOutside = (): void => process.exit(1);
  process.on("exit", remove);
  process.on("SIGTERM", endedFromOutside);
  process.on("SIGINT", endedFromOutside);

  const bed: VethBed = {
    within: (place, command) => ["ip", "netns", "exec", ns(place), ...command],
    shell(place, script) {
      const [program = "", ...args] = bed.within(place, ["sh", "-ec", script]);
      const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
      if (status !== 0) throw new Error(`at ${place}: ${script}\n${stderr}${stdout}`);
      return stdout;
    },
    inside(place, body) {
      const before = openSync("/proc/thread-self/ns/net", "r");
      const goBack = (): void => {
        goTo(before);
        closeSync(before);
      };
      goTo(descriptors.get(place)!);
      let result: ReturnType<typeof body>;
      try {
        result = body();
      } catch (error) {
        goBack();
        throw error;
      }
      if (result instanceof Promise) return result.finally(goBack) as typeof result;
      goBack();
      return result;
    },
    start(place, command, spawnOptions = {}) {
      const [program = "", ...args] = bed.within(place, command);
      const child = spawn(program, args, spawnOptions);
      children.push(child);
      return child;
    },
    mac: (place) => bed.shell(place, `cat /sys/class/net/${INTERFACE}/address`).trim(),
    async close() {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const ended = once(child, "exit");
        child.kill("SIGKILL");
        await ended;
      }
      for (const descriptor of descriptors.values()) closeSync(descriptor);
      remove();
      process.off("exit", remove);
      process.off("SIGTERM", endedFromOutside);
      process.off("SIGINT", endedFromOutside);
    },
  };

  try {
    for (const place of PLACES) {
      sh(`ip netns add ${ns(place)}; ip -n ${ns(place)} link set lo up`);
      descriptors.set(place, openSync(`/run/netns/${ns(place)}`, "r"));
    }
    const many = `numrxqueues ${queues} numtxqueues ${queues}`;
    sh(
      `ip -n ${ns("server")} link add ${INTERFACE} ${many} type veth peer name ${INTERFACE} ${many} netns ${ns("client")}`,
    );
    for (const place of PLACES) {
      const { 4: v4, 6: v6 } = place === "server" ? SERVER : CLIENT;
      sh(`ip -n ${ns(place)} address add ${v4}/24 dev ${INTERFACE}
ip -n ${ns(place)} address add ${v6}/64 dev ${INTERFACE} nodad
ip -n ${ns(place)} link set ${INTERFACE} up`);
    }
    if (isStatic) {
      for (const [at, other, addresses] of [
        ["server", "client", CLIENT],
        ["client", "server", SERVER],
      ] as const) {
        for (const address of Object.values(addresses))
          sh(`ip -n ${ns(at)} neigh replace ${address} lladdr ${bed.mac(other)} dev ${INTERFACE} nud permanent`);
      }
    }
  } catch (error) {
    remove();
    throw error;
  }
  return bed;
}
