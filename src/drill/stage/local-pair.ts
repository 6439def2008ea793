/**
 * The pair of the stage `local`: network namespaces, doors, and the real keepalived beside each of the two balancers.
 *
 * Owns:    a folder below /run: keepalived runs scripts only from folders that nobody but root writes to, and the path of
 *          a socket is short.
 * Never:   touches the host's network. The keeper removes all of it when the runner is gone.
 * @module
 */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { RhumbError } from "#base/errors.ts";
import { findProgram } from "#drill/stage/needs.ts";
import { BRIDGE, doorsOf, keepalivedConfig, type PairPlan, PREFIX_LENGTH } from "#drill/stage/pair.ts";
import type { Plan } from "#drill/stage/plan.ts";
import type { Command, Processes } from "#drill/stage/processes.ts";

export type LocalPair = {
  /** The networks, and the doors: before anything runs in there. */
  open(): Promise<void>;
  startKeepalived(): Promise<void>;
  /** @returns the command as it is started in the network of a node of the pair, or of its backends; else as it is */
  inside(place: string, command: Command): Command;
  /** Who has the address: none or both for a moment when it moves. */
  holders(): readonly string[];
  /** keepalived gives the address up and ends what it has started. */
  close(): Promise<void>;
};

const keepalivedOf = (node: string): string => `keepalived-${node}`;

function must(program: string, ...words: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(findProgram(program) ?? program, words, { encoding: "utf8" });
  if (status !== 0)
    throw new RhumbError(
      "RHUMB_DRILL_STAGE",
      `${program} ${words.join(" ")}: ${stderr || stdout || "it cannot be run"}`,
    );
  return stdout;
}

export function createLocalPair(options: {
  readonly plan: Plan;
  readonly pair: PairPlan;
  readonly processes: Processes;
  readonly projectFolder: string;
}): LocalPair {
  const { plan, pair, processes, projectFolder } = options;
  const ip = findProgram("ip")!;
  const folder = mkdtempSync("/run/rhumb-drill-");
  const nodes = Object.keys(pair.own);
  const networkOf = (place: string): string => `${basename(folder)}-${place}`;
  const placeOf = (name: string): string | undefined =>
    name in pair.own ? name : name.startsWith(`backend-${pair.region}-`) ? BRIDGE : undefined;
  const into = (place: string, command: Command): Command => ({
    ...command,
    words: [ip, "netns", "exec", networkOf(place), ...command.words],
  });
  const shell = (place: string, script: string): void =>
    void must("ip", "netns", "exec", networkOf(place), "sh", "-ec", script);

  function makeNetworks(): void {
    for (const place of [BRIDGE, ...nodes]) {
      const name = networkOf(place);
      // Told before it is made: nothing is left when we are killed in between.
      processes.atEnd(["sh", "-c", `kill -KILL $(${ip} netns pids ${name}); ${ip} netns delete ${name}`]);
      must("ip", "netns", "add", name);
      must("ip", "-n", name, "link", "set", "lo", "up");
    }
    const addresses = [pair.bridge, ...pair.backends];
    shell(
      BRIDGE,
      [
        "ip link add br0 type bridge; ip link set br0 up",
        ...addresses.map((address) => `ip address add ${address}/${PREFIX_LENGTH} dev br0`),
      ].join("; "),
    );
    for (const [index, [node, address]] of Object.entries(pair.own).entries()) {
      const port = `node${index + 1}`;
      const peer = ["peer", "name", port, "netns", networkOf(BRIDGE)];
      must("ip", "-n", networkOf(node), "link", "add", "eth0", "type", "veth", ...peer);
      shell(BRIDGE, `ip link set ${port} master br0 up`);
      shell(node, `ip address add ${address}/${PREFIX_LENGTH} dev eth0; ip link set eth0 up`);
      // The one that waits listens on the VIP as well.
      shell(node, "echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind");
    }
  }

  return {
    async open() {
      processes.atEnd(["rm", "-rf", folder]);
      chmodSync(folder, 0o755); // scripts run as nobody
      makeNetworks();
      cpSync(join(projectFolder, "deploy/keepalived"), join(folder, "scripts"), { recursive: true });
      const program = join(import.meta.dirname, "door-process.ts");
      const doors = Object.entries(doorsOf(plan, pair, folder)).map(([place, list]) => {
        const words = [process.execPath, program, JSON.stringify(list)] as const;
        const command: Command = { name: `door-${place}`, words: [...words], cwd: folder, hears: true };
        return place === "host" ? command : into(place, command);
      });
      await Promise.all(doors.map((command) => processes.start(command)));
    },
    async startKeepalived() {
      const template = readFileSync(join(projectFolder, "deploy/keepalived/pair.conf"), "utf8");
      const commands = nodes.map((name) => {
        const { api } = plan.members.find((member) => member.name === name)!;
        const file = join(folder, `${name}.conf`);
        const notes = join(folder, `${name}.notes`);
        writeFileSync(notes, "");
        chmodSync(notes, 0o666);
        writeFileSync(file, keepalivedConfig(template, pair, { name, api, scripts: join(folder, "scripts"), notes }));
        const pid = join(folder, `${name}.pid`);
        const words = ["--dont-fork", "--log-console", "--vrrp", "-f", file, "-p", pid, "-r", `${pid}.vrrp`] as const;
        return into(name, {
          name: keepalivedOf(name),
          words: [findProgram("keepalived")!, ...words],
          cwd: folder,
          ready: /Startup complete/,
        });
      });
      await Promise.all(commands.map((command) => processes.start(command)));
    },
    inside(name, command) {
      const place = placeOf(name);
      return place === undefined ? command : into(place, command);
    },
    holders: () =>
      nodes.filter((node) =>
        must("ip", "-n", networkOf(node), "-o", "address", "show", "dev", "eth0").includes(` ${pair.vip}/`),
      ),
    async close() {
      await Promise.all(nodes.map((node) => processes.end(keepalivedOf(node), "SIGTERM")));
    },
  };
}
