/**
 * A network for tests of VIPs: two balancer nodes with the real keepalived and `rhumb start`, two backends and a client,
 * each in a namespace of its own, on one bridge. Both nodes are configured by the templates of deploy/keepalived/.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { childEnv } from "../cli/rhumb.ts";
import { projectFolder } from "./running.ts";
import type { Asked } from "./vip-client.ts";

export const NODES = ["lb1", "lb2"] as const;
export type NodeName = (typeof NODES)[number];
export const VIPS = ["10.79.0.100", "10.79.0.101"] as const;
const BACKENDS = { b1: "10.79.0.21", b2: "10.79.0.22" } as const;
const OWN = { lb1: "10.79.0.11", lb2: "10.79.0.12" } as const;
const CLIENT = "10.79.0.31";
const TOKEN = "token-of-the-vip-lab-0001";

const RHUMB_YAML = `version: 1
node: lb
control: { listen: "127.0.0.1:8053", tokens: { ops: { token: "file:token", role: admin } } }
cluster: { state: state/ }
balancer:
  region: here
  workers: 1
  drain: 5s
  listeners:
${VIPS.map((vip, index) => `    web${index}: { listen: "${vip}:80", protocol: tcp, pool: web }`).join("\n")}
  pools:
    web:
      check: { kind: tcp, interval: 300ms, timeout: 200ms, downSpan: 0s, thresholds: { down: 2, up: 1, ok: 1 } }
      backends: [${Object.values(BACKENDS)
        .map((address) => `"${address}:80"`)
        .join(", ")}]
`;

export type VipLab = {
  /** Starts rhumb on a node; resolves when its control API answers. */
  startRhumb(node: NodeName): Promise<void>;
  /** Resolves when the process has ended; after SIGUSR2 another one goes on. */
  signalRhumb(node: NodeName, signal: NodeJS.Signals): Promise<void>;
  /** SIGSTOP: it exists, and does nothing, until SIGCONT. */
  pauseRhumb(node: NodeName): void;
  resumeRhumb(node: NodeName): void;
  /** `rhumb WORDS` against the control API of a node. */
  rhumb(node: NodeName, ...words: string[]): void;
  /** With a template of deploy/keepalived/ whose values are replaced. */
  startKeepalived(node: NodeName, template: string, values: Readonly<Record<string, string | number>>): Promise<void>;
  stopKeepalived(node: NodeName, signal: NodeJS.Signals): Promise<void>;
  /** Who has the VIP now: more than one for a moment where it moves. */
  holders(vip: string): NodeName[];
  /** A shell script in a namespace. @returns what it printed */
  shell(place: string, script: string): string;
  /** What the notify script wrote on a node. */
  notified(node: NodeName): string[];
  /** Every outcome of the client so far, oldest first. */
  readonly asked: readonly Asked[];
  startClient(vips: readonly string[]): Promise<void>;
  /** Waits until `fits`. @throws after half a minute, with what keepalived and rhumb said */
  until(says: string, fits: () => boolean): Promise<void>;
  close(): Promise<void>;
};

function mustRun(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", env: childEnv() });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}\n${stderr}${stdout}`);
  return stdout;
}

export async function createVipLab(): Promise<VipLab> {
  const places = ["switch", ...NODES, ...Object.keys(BACKENDS), "client"];
  const ns = (place: string): string => `rhumbvip${process.pid}-${place}`;
  const shell = (place: string, script: string): string =>
    mustRun("ip", "netns", "exec", ns(place), "sh", "-ec", script);
  // keepalived runs scripts only from folders that nobody but root writes to: /tmp is none.
  const folder = mkdtempSync("/run/rhumb-vip-");
  mustRun("chmod", "755", folder);
  const scripts = join(folder, "scripts");
  const notifyFile = (node: NodeName): string => join(folder, node, "notify");
  let said = "";
  const children = new Map<string, ChildProcess>();

  const end = async (name: string, signal: NodeJS.Signals): Promise<void> => {
    const child = children.get(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  };
  const remove = (): void => {
    for (const place of places) {
      // What children have left behind: a process that took over from another, a connection that stays.
      const { stdout } = spawnSync("ip", ["netns", "pids", ns(place)], { encoding: "utf8" });
      const pids = stdout.split("\n").filter(Boolean);
      if (pids.length > 0) spawnSync("kill", ["-KILL", ...pids]);
      spawnSync("ip", ["netns", "delete", ns(place)]);
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const close = async (): Promise<void> => {
    // keepalived ends its own children when it is asked to end, and leaves them when it is killed.
    await Promise.all(NODES.map((node) => end(`keepalived ${node}`, "SIGTERM")));
    await Promise.all([...children.keys()].map((name) => end(name, "SIGKILL")));
    remove();
    process.off("exit", remove);
    process.off("SIGTERM", endedFromOutside);
  };
  // A test file that is ended from outside must leave no namespaces either.
  const endedFromOutside = (): void => process.exit(1);
  process.on("exit", remove);
  process.on("SIGTERM", endedFromOutside);

  const start = async (
    name: string,
    place: string,
    command: readonly string[],
    ready: RegExp | undefined,
    cwd = "/",
  ): Promise<ChildProcess> => {
    const child = spawn("ip", ["netns", "exec", ns(place), ...command], {
      cwd,
      env: childEnv(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.set(name, child);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        output += `${line}\n`;
        if (ready) said += `${name}: ${line}\n`;
        if (ready?.test(output)) resolve();
      });
    }
    child.once("exit", (code) => reject(new Error(`${name} ended with ${code}:\n${output}`)));
    if (ready) await promise;
    else promise.catch(() => {});
    return child;
  };

  try {
    for (const place of places) {
      mustRun("ip", "netns", "add", ns(place));
      mustRun("ip", "-n", ns(place), "link", "set", "lo", "up");
    }
    shell("switch", "ip link add br0 type bridge; ip link set br0 up");
    const addresses = { ...OWN, ...BACKENDS, client: CLIENT };
    for (const [place, address] of Object.entries(addresses)) {
      mustRun(
        "ip",
        "-n",
        ns(place),
        "link",
        "add",
        "eth0",
        "type",
        "veth",
        "peer",
        "name",
        place,
        "netns",
        ns("switch"),
      );
      shell("switch", `ip link set ${place} master br0 up`);
      shell(place, `ip address add ${address}/24 dev eth0; ip link set eth0 up`);
    }
    // rhumb listens on VIPs that are not here.
    for (const node of NODES) shell(node, "echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind");
    cpSync(join(projectFolder, "deploy/keepalived"), scripts, { recursive: true });
    for (const node of NODES) {
      mkdirSync(join(folder, node));
      writeFileSync(join(folder, node, "rhumb.yaml"), RHUMB_YAML);
      writeFileSync(notifyFile(node), "");
      mustRun("chmod", "666", notifyFile(node));
      writeFileSync(join(folder, node, "token"), TOKEN, { mode: 0o600 });
    }
    for (const name of Object.keys(BACKENDS)) {
      const program = [process.execPath, join(import.meta.dirname, "nft-responder.ts"), name];
      await start(name, name, program, /ready/);
    }
  } catch (fault) {
    await close();
    throw fault;
  }

  const asked: Asked[] = [];
  return {
    shell,
    asked,
    async startRhumb(node) {
      const program = [process.execPath, join(projectFolder, "bin/rhumb"), "start", "-c", "rhumb.yaml"];
      await start(`rhumb ${node}`, node, program, /Control API on/, join(folder, node));
    },
    signalRhumb: (node, signal) => end(`rhumb ${node}`, signal),
    pauseRhumb: (node) => void children.get(`rhumb ${node}`)!.kill("SIGSTOP"),
    resumeRhumb: (node) => void children.get(`rhumb ${node}`)!.kill("SIGCONT"),
    rhumb: (node, ...words) =>
      void mustRun(
        "ip",
        ...["netns", "exec", ns(node), process.execPath, join(projectFolder, "bin/rhumb"), ...words],
        ...["--token", TOKEN],
      ),
    async startKeepalived(node, template, values) {
      const peer = NODES.find((other) => other !== node)!;
      const all = { INTERFACE: "eth0", OWN: OWN[node], PEER: OWN[peer], ...values };
      let text = readFileSync(join(scripts, template), "utf8");
      for (const [name, value] of Object.entries(all)) {
        if (!text.includes(`\n$${name}=`)) throw new Error(`${template} has no $${name}`);
        text = text.replace(new RegExp(`^\\$${name}=.*$`, "m"), () => `$${name}=${value}`);
      }
      text = text
        .replaceAll("/usr/local/lib/rhumb", scripts)
        .replaceAll("rhumb-notify", `rhumb-notify --file ${notifyFile(node)}`);
      const file = join(folder, node, "keepalived.conf");
      writeFileSync(file, text);
      const pid = join(folder, node, "keepalived.pid");
      const words = ["--dont-fork", "--log-console", "--vrrp", "-f", file, "-p", pid, "-r", `${pid}.vrrp`];
      await start(`keepalived ${node}`, node, ["keepalived", ...words], /Startup complete/);
    },
    stopKeepalived: (node, signal) => end(`keepalived ${node}`, signal),
    holders: (vip) =>
      NODES.filter((node) =>
        mustRun("ip", "-n", ns(node), "-o", "address", "show", "dev", "eth0").includes(` ${vip}/`),
      ),
    notified: (node) => readFileSync(notifyFile(node), "utf8").split("\n").filter(Boolean),
    async startClient(vips) {
      const program = [process.execPath, join(import.meta.dirname, "vip-client.ts"), ...vips];
      const child = await start("client", "client", program, undefined);
      createInterface({ input: child.stdout! }).on("line", (line) => asked.push(JSON.parse(line)));
      await once(child.stdout!, "data");
    },
    async until(says, fits) {
      const deadlineMs = performance.now() + 30_000;
      while (!fits()) {
        if (performance.now() > deadlineMs) throw new Error(`never: ${says}\n${said}`);
        await sleep(25);
      }
    },
    close,
  };
}
