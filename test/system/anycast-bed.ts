/**
 * A router and an anycast node, each in a namespace, joined by a switch: BIRD there, here ExaBGP with its guard, `rhumb
 * start`, and a backend behind its listener. ExaBGP and BIRD run with the files of deploy/.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { AnycastView } from "#state/anycast.ts";
import { childEnv } from "../cli/rhumb.ts";
import { projectFolder } from "./running.ts";

export const PREFIX = "203.0.113.1/32";
export const PREFIX6 = "2001:db8:1::1/128";
const PLACES = ["router", "node"] as const;
/** Between them: an end that loses its cable is not seen at the other one, as with a real switch. */
const SWITCH = "switch";
type Place = (typeof PLACES)[number] | typeof SWITCH;
const ADDRESS = { router: "10.88.1.1", node: "10.88.1.2" } as const;
const ADDRESS6 = { router: "fd88:1::1", node: "fd88:1::2" } as const;
/** What is replaced in the files of deploy/, from the view of each end. */
const WORDS: Readonly<Record<(typeof PLACES)[number], Readonly<Record<string, string>>>> = {
  router: { ROUTER_ID: "10.88.1.1", LOCAL_AS: "65000", PEER_AS: "65001", LOCAL: ADDRESS.router, PEER: ADDRESS.node },
  node: { ROUTER_ID: "10.88.1.2", LOCAL_AS: "65001", PEER_AS: "65000", LOCAL: ADDRESS.node, PEER: ADDRESS.router },
};

const RHUMB_YAML = `version: 1
node: lb1
control: { listen: "unix:control.sock" }
cluster: { state: state/ }
balancer:
  region: here
  workers: 1
  drain: 0s
  listeners: { web: { listen: "203.0.113.1:80", protocol: http, pool: web } }
  pools:
    web:
      check: { kind: tcp, interval: 200ms, timeout: 200ms, downSpan: 0s, thresholds: { down: 1, up: 1, ok: 1 } }
      backends: ["127.0.0.1:9001"]
anycast:
  exabgp: { in: run/exabgp.in, out: run/exabgp.out }
  prefixes:
    - { prefix: ${PREFIX}, med: 100, communities: ["65000:1"], largeCommunities: ["65000:1:2"], minAdvertisers: 0 }
    - { prefix: "${PREFIX6}", nextHop: "${ADDRESS6.node}", minAdvertisers: 0 }
  drain: { wait: 2s }
  holdDown: { base: 1s }
`;

export type Route = { readonly prefix: string; readonly text: string };

export type AnycastBed = Awaited<ReturnType<typeof createAnycastBed>>;

function mustRun(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", env: childEnv() });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}\n${stderr}${stdout}`);
  return stdout;
}

export async function createAnycastBed() {
  const ns = (place: Place): string => `rhumbbgp${process.pid}-${place}`;
  const folder = mkdtempSync("/run/rhumb-bgp-");
  const file = (name: string): string => join(folder, name);
  const children = new Map<string, ChildProcess>();
  let said = "";

  const remove = (): void => {
    for (const place of [...PLACES, SWITCH] as const) {
      const { stdout } = spawnSync("ip", ["netns", "pids", ns(place)], { encoding: "utf8" });
      const pids = stdout.split("\n").filter(Boolean);
      if (pids.length > 0) spawnSync("kill", ["-KILL", ...pids]);
      spawnSync("ip", ["netns", "delete", ns(place)]);
    }
    rmSync(folder, { recursive: true, force: true });
  };
  // A test file that is ended from outside must leave no namespaces either.
  const endedFromOutside = (): void => process.exit(1);
  process.on("exit", remove);
  process.on("SIGTERM", endedFromOutside);

  async function start(name: string, place: Place, command: readonly string[], ready?: RegExp): Promise<void> {
    const child = spawn("ip", ["netns", "exec", ns(place), ...command], {
      cwd: folder,
      env: childEnv(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.set(name, child);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on("line", (line) => {
        if (name !== "backend") said += `${name}: ${line}\n`;
        output += `${line}\n`;
        if (ready?.test(output)) resolve();
      });
    child.once("exit", (code) => reject(new Error(`${name} ended with ${code}:\n${output}`)));
    if (ready) await promise;
    else promise.catch(() => {}); // what it does not do is waited for by its effect
  }
  const signal = async (name: string, which: NodeJS.Signals): Promise<void> => {
    const child = children.get(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(which);
    if (which !== "SIGSTOP" && which !== "SIGCONT") await ended;
  };
  const withWords = (text: string, place: (typeof PLACES)[number]): string => {
    let filled = text;
    for (const [word, value] of Object.entries(WORDS[place]))
      filled = filled.replaceAll(new RegExp(`\\b${word}\\b`, "g"), value);
    return filled;
  };
  const deployed = (name: string): string => readFileSync(join(projectFolder, "deploy", name), "utf8");
  /** Comments name the words as well. */
  const uncommented = (text: string): string => text.replace(/^\s*#.*$/gm, "");

  const bed = {
    /** What the router has of our prefixes. */
    routes(): Route[] {
      const { stdout } = spawnSync("birdc", ["-s", file("bird.ctl"), "show", "route", "all"], { encoding: "utf8" });
      return [PREFIX, PREFIX6].flatMap((prefix) => {
        const at = stdout.indexOf(`${prefix} `);
        return at < 0 ? [] : [{ prefix, text: stdout.slice(at).split(/\n(?=\S)/)[0]! }];
      });
    },
    has: (...prefixes: readonly string[]): boolean => {
      const known = bed.routes().map(({ prefix }) => prefix);
      return known.length === prefixes.length && prefixes.every((prefix) => known.includes(prefix));
    },
    startExabgp: () =>
      start(
        "exabgp",
        "node",
        ["exabgp", "--root", folder, "--env", file("exabgp.env"), file("exabgp.conf")],
        /rhumb-guard: reads/,
      ),
    startRhumb: () =>
      start(
        "rhumb",
        "node",
        [process.execPath, join(projectFolder, "bin/rhumb"), "start", "-c", "rhumb.yaml"],
        /Control API on/,
      ),
    startBackend: () =>
      start("backend", "node", ["python3", "-u", "-m", "http.server", "9001", "--bind", "127.0.0.1"], /Serving/),
    startBfd: () => start("bfd", "node", ["bird", "-f", "-c", file("bfd.conf"), "-s", file("bfd.ctl")]),
    isBfdUp: (): boolean =>
      / Up /.test(spawnSync("birdc", ["-s", file("bird.ctl"), "show", "bfd", "sessions"], { encoding: "utf8" }).stdout),
    signal,
    /** The guard that ExaBGP runs now. */
    guardPid(): number {
      const pids = mustRun("ip", "netns", "pids", ns("node")).split("\n").filter(Boolean);
      const guard = pids.find((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, "utf8")
            .split("\0")
            .includes(join(projectFolder, "deploy/exabgp/rhumb-guard"));
        } catch {
          return false;
        }
      });
      return Number(guard ?? 0);
    },
    cable(state: "up" | "down"): void {
      mustRun("ip", "-n", ns("node"), "link", "set", "eth0", state);
      if (state === "up")
        mustRun("ip", "-n", ns("node"), "address", "replace", `${ADDRESS6.node}/64`, "dev", "eth0", "nodad");
    },
    async ask(method = "GET", path = "/anycast", body?: object): Promise<AnycastView> {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const asked = request({
        socketPath: file("control.sock"),
        method,
        path,
        headers: text === undefined ? {} : { "content-type": "application/json", "content-length": text.length },
      });
      asked.on("response", async (response) => resolve((await response.toArray()).join("")));
      asked.on("error", reject);
      asked.end(text);
      return JSON.parse(await promise);
    },
    /** Waits until `fits`. @returns ms from `fromMs` @throws after half a minute, with what everybody said */
    async until(says: string, fits: () => boolean | Promise<boolean>, fromMs = performance.now()): Promise<number> {
      const deadlineMs = performance.now() + 30_000;
      while (!(await fits())) {
        if (performance.now() > deadlineMs) throw new Error(`never: ${says}\n${JSON.stringify(bed.routes())}\n${said}`);
        await sleep(10);
      }
      return Math.round(performance.now() - fromMs);
    },
    said: () => said,
    async close(): Promise<void> {
      for (const name of children.keys()) {
        await signal(name, "SIGCONT");
        await signal(name, "SIGKILL");
      }
      remove();
      process.off("exit", remove);
      process.off("SIGTERM", endedFromOutside);
    },
  };

  try {
    for (const place of [...PLACES, SWITCH] as const) {
      mustRun("ip", "netns", "add", ns(place));
      mustRun("ip", "-n", ns(place), "link", "set", "lo", "up");
    }
    mustRun("ip", "-n", ns(SWITCH), "link", "add", "br0", "type", "bridge");
    mustRun("ip", "-n", ns(SWITCH), "link", "set", "br0", "up");
    for (const place of PLACES) {
      const other = ["peer", "name", place, "netns", ns(SWITCH)];
      mustRun("ip", "-n", ns(place), "link", "add", "eth0", "type", "veth", ...other);
      mustRun("ip", "-n", ns(SWITCH), "link", "set", place, "master", "br0", "up");
      mustRun("ip", "-n", ns(place), "address", "add", `${ADDRESS[place]}/24`, "dev", "eth0");
      mustRun("ip", "-n", ns(place), "address", "add", `${ADDRESS6[place]}/64`, "dev", "eth0", "nodad");
      mustRun("ip", "-n", ns(place), "link", "set", "eth0", "up");
    }
    mustRun("ip", "-n", ns("node"), "address", "add", PREFIX, "dev", "lo");
    mustRun("mkdir", file("run"), file("state"));
    mustRun("mkfifo", "-m", "600", file("run/exabgp.in"), file("run/exabgp.out"));
    writeFileSync(file("rhumb.yaml"), RHUMB_YAML);
    writeFileSync(
      file("bird.conf"),
      withWords(uncommented(deployed("bird/router.conf")), "router").replace(
        "connect retry time 5",
        "connect retry time 1",
      ),
    );
    writeFileSync(file("bfd.conf"), withWords(uncommented(deployed("bird/bfd-host.conf")), "node"));
    const guard = join(projectFolder, "deploy/exabgp/rhumb-guard");
    writeFileSync(
      file("exabgp.conf"),
      withWords(uncommented(deployed("exabgp/exabgp.conf")), "node")
        .replace("/etc/exabgp/rhumb-guard", guard)
        .replace("/run/exabgp/", file("run/")),
    );
    writeFileSync(file("exabgp.env"), deployed("exabgp/exabgp.env").replace("user = 'exabgp'", "user = 'root'"));
    await start("bird", "router", ["bird", "-f", "-c", file("bird.conf"), "-s", file("bird.ctl")]);
    await bed.startBackend();
    await bed.startExabgp();
    await bed.startRhumb();
  } catch (fault) {
    await bed.close();
    throw fault;
  }
  return bed;
}
