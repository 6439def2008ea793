/**
 * Anycast on the stage `local`: an ExaBGP beside each balancer, a BIRD on each continent, and the anycast address of each
 * continent's clients, which leads where that continent's router says. BGP decides; the relays forward.
 * @module
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "#base/log.ts";
import { type BirdSocket, birdConfig, openBird, speakerOf } from "#drill/stage/bird.ts";
import { findProgram } from "#drill/stage/needs.ts";
import type { ExabgpPipes } from "#drill/stage/node-files.ts";
import { asOfRegion, asOfRouter, type Plan, REGION_PLACES, type RegionName, routerOf } from "#drill/stage/plan.ts";
import type { Processes } from "#drill/stage/processes.ts";
import type { RelayClient } from "#drill/stage/relay-client.ts";
import { CONTINENTS, type Continent, type RouteNow } from "#drill/stage.ts";

/** How soon forwarding follows the routers: their own way into the kernel takes about as long. */
const FOLLOW_MS = 25;

export const exabgpOf = (region: RegionName): string => `exabgp-${region}`;

export type LocalBgp = {
  pipes(region: RegionName): ExabgpPipes;
  startRouters(): Promise<void>;
  startExabgp(region: RegionName): Promise<void>;
  /** From now on the relays lead where routers say. */
  follow(relay: RelayClient): void;
  routes(): readonly RouteNow[];
  close(): void;
};

export type LocalBgpOptions = {
  readonly plan: Plan;
  readonly processes: Processes;
  readonly folder: string;
  readonly projectFolder: string;
  readonly log: Log;
};

/** exabgp.conf of a region, from the template of deploy/exabgp. Pure. */
export function exabgpConfig(
  template: string,
  plan: Plan,
  region: RegionName,
  guard: string,
  heartbeat: string,
): string {
  const { continent } = REGION_PLACES[region];
  const own = speakerOf(plan, region);
  return template
    .replace(/run \S+ \S+;/, () => `run ${guard} ${heartbeat};`)
    .replaceAll(/\bLOCAL_AS\b/g, String(asOfRegion(region)))
    .replaceAll(/\bPEER_AS\b/g, String(asOfRouter(continent)))
    .replaceAll(/\bROUTER_ID\b/g, own)
    .replaceAll(
      /^(\s*)local-address LOCAL;/gm,
      (_, indent: string) => `${indent}local-address ${own};\n${indent}connect ${plan.bgp.port};`,
    )
    .replaceAll(/^neighbor PEER /gm, () => `neighbor ${plan.bgp.routers[continent]} `);
}

export function createLocalBgp({ plan, processes, folder, projectFolder, log }: LocalBgpOptions): LocalBgp {
  const deploy = join(projectFolder, "deploy/exabgp");
  const now = new Map<Continent, RouteNow>();
  const sockets = new Map<Continent, BirdSocket>();
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const root = (region: RegionName): string => join(folder, exabgpOf(region));
  // ExaBGP looks in the system's own folders first: the name must be nobody else's.
  const pipeName = (region: RegionName): string => `rhumb-drill-${region}-${plan.bgp.port}`;
  const pipes = (region: RegionName): ExabgpPipes => {
    const run = join(root(region), "run/exabgp");
    return {
      in: join(run, `${pipeName(region)}.in`),
      out: join(run, `${pipeName(region)}.out`),
      heartbeatPath: join(run, "rhumb.heartbeat"),
    };
  };
  async function look(continent: Continent, relay: RelayClient): Promise<void> {
    const router = routerOf(continent);
    const route = await sockets
      .get(continent)!
      .bestRoute()
      .catch(() => ({ region: null, path: "" }));
    const before = now.get(continent);
    now.set(continent, { router, ...route });
    if (before?.region === route.region || isClosed) return;
    const region = route.region as RegionName | null;
    const to = region === null ? null : plan.near(continent, region);
    await relay.change([`${continent}>anycast`], { to });
  }
  return {
    pipes,
    async startRouters() {
      await Promise.all(
        CONTINENTS.map(async (continent) => {
          const name = routerOf(continent);
          const own = join(folder, name);
          mkdirSync(own, { recursive: true });
          writeFileSync(join(own, "bird.conf"), birdConfig(plan, continent));
          const socket = join(own, "ctl");
          const words = [
            findProgram("bird")!,
            "-f",
            "-c",
            join(own, "bird.conf"),
            "-s",
            socket,
            "-P",
            join(own, "pid"),
          ];
          await processes.start({ name, words: words as [string, ...string[]], cwd: own, ready: /Started/ });
          sockets.set(continent, openBird(socket));
        }),
      );
    },
    async startExabgp(region) {
      const { in: input, out, heartbeatPath } = pipes(region);
      mkdirSync(join(root(region), "run/exabgp"), { recursive: true });
      for (const pipe of [input, out]) spawnSync("mkfifo", ["-m", "600", pipe]);
      const conf = join(root(region), "exabgp.conf");
      const template = readFileSync(join(deploy, "exabgp.conf"), "utf8");
      writeFileSync(conf, exabgpConfig(template, plan, region, join(deploy, "rhumb-guard"), heartbeatPath));
      const env = readFileSync(join(deploy, "exabgp.env"), "utf8")
        .replace(/^pipename = .*$/m, () => `pipename = '${pipeName(region)}'`)
        .replace(/^drop = .*$/m, "drop = false");
      writeFileSync(join(root(region), "exabgp.env"), env);
      chmodSync(conf, 0o600);
      const words = ["--root", root(region), "--env", join(root(region), "exabgp.env"), conf];
      await processes.start({
        name: exabgpOf(region),
        words: [findProgram("exabgp")!, ...words],
        cwd: root(region),
        ready: /loaded new configuration successfully/i,
      });
    },
    follow(relay) {
      const turn = async (): Promise<void> => {
        await Promise.all(CONTINENTS.map((continent) => look(continent, relay))).catch((error: unknown) =>
          log.warn({ error }, "The relays do not follow the routers"),
        );
        if (!isClosed) timer = setTimeout(turn, FOLLOW_MS);
      };
      void turn();
    },
    routes: () =>
      CONTINENTS.map((continent) => now.get(continent) ?? { router: routerOf(continent), region: null, path: "" }),
    close() {
      isClosed = true;
      clearTimeout(timer);
      for (const socket of sockets.values()) socket.close();
    },
  };
}
