/**
 * The stage `local`: DNS nodes, and regions with a balancer and two backends each, as processes on loopback, with a
 * user-space relay on each way between them.
 * @module
 */
import { randomBytes } from "node:crypto";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { RhumbError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { createPorts } from "#base/ports.ts";
import { regionsUp, wordsOf } from "#drill/node-api.ts";
import type { Need } from "#drill/scenario.ts";
import { regionOn } from "#drill/stage/bird.ts";
import {
  backendCommand,
  type LocalWorld,
  nodeCommand,
  perform,
  redisCommand,
  whyNot,
} from "#drill/stage/local-actions.ts";
import { createLocalBgp } from "#drill/stage/local-bgp.ts";
import { createLocalPair, type LocalPair } from "#drill/stage/local-pair.ts";
import { balancerFiles, DATABASE_FILE, dnsNodeFiles, type Keys } from "#drill/stage/node-files.ts";
import { BACKENDS, balancersOf, type Plan, planStage, REGIONS, type RegionName, routerOf } from "#drill/stage/plan.ts";
import { createProcesses, type Processes } from "#drill/stage/processes.ts";
import { startRelay } from "#drill/stage/relay-client.ts";
import { readWorld } from "#drill/stage/world.ts";
import { CONTINENTS, type Stage } from "#drill/stage.ts";

const PROJECT_FOLDER = fileURLToPath(new URL("../../..", import.meta.url));
const RHUMB = join(PROJECT_FOLDER, "bin/rhumb");
const START_TIMEOUT_MS = 60_000;
const LOOK_MS = 200;

export type LocalStageOptions = {
  /** `world:` of the drill. */
  readonly world: Readonly<Record<string, unknown>>;
  /** A folder that is there and empty; the stage writes below it and removes nothing of it. */
  readonly folder: string;
  readonly log: Log;
  readonly needs: readonly Need[];
};

/** A link, an API or a listener each. */
const PORTS_OF_A_STAGE = 120;

/** @throws RhumbError `RHUMB_DRILL_STAGE` where `world` has a key or value that the stage does not know */
export function createLocalStage(options: LocalStageOptions): Stage {
  const { needs, log } = options;
  const world = readWorld(options.world);
  const folder = resolve(options.folder);
  const ports = createPorts();
  const token = randomBytes(24).toString("base64url");
  // The plan without ports names what there is; its ports are chosen when it starts.
  let plan: Plan = planStage(world, needs, () => 1);
  let processes: Processes | undefined;
  let local: LocalWorld | undefined;
  let before: { running: readonly string[]; words: readonly string[] } = { running: [], words: [] };
  let bgp: ReturnType<typeof createLocalBgp> | undefined;
  let pair: LocalPair | undefined;

  const nodes = () => plan.members.filter(({ region }) => region === undefined);
  const stageNodes = (): Stage["nodes"] =>
    nodes().map(({ name, api }) => ({
      name,
      dns: plan.dns[name]!,
      api: `http://${api.address}:${api.port}`,
      token,
    }));
  const words = async (): Promise<string[]> =>
    (await Promise.all(stageNodes().map((node) => wordsOf(node).catch(() => [])))).flat().map(({ says }) => says);

  function write(name: string, files: Readonly<Record<string, string>>): void {
    for (const [file, text] of Object.entries({ ...files, token: `${token}\n` })) {
      const path = join(folder, name, file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text, { mode: 0o600 });
    }
  }
  function writeAll(keys: Keys): void {
    for (const { name, region } of plan.members) {
      const files =
        region === undefined
          ? dnsNodeFiles(plan, name, keys)
          : balancerFiles(plan, name, keys, { pipes: bgp?.pipes(region), capacityRps: world.capacity });
      write(name, files);
      if (region === undefined) copyFileSync(join(PROJECT_FOLDER, DATABASE_FILE), join(folder, name, DATABASE_FILE));
    }
  }

  /** @returns what does not serve as it should */
  async function missing(): Promise<string[]> {
    const left = await Promise.all(
      stageNodes().map(async (node) => {
        const up = await regionsUp(node).catch(() => undefined);
        if (!up) return [`${node.name} does not answer`];
        return REGIONS.filter((region) => !up.includes(region)).map(
          (region) => `${node.name} does not serve ${region}`,
        );
      }),
    );
    const routes = (bgp?.routes() ?? []).flatMap(({ router, region }, index) =>
      region === regionOn(CONTINENTS[index]!) ? [] : [`${router} leads to ${region ?? "nowhere"}`],
    );
    const holders = pair?.holders() ?? ["it"];
    const vip = holders.length === 1 ? [] : [`${holders.join(" and ") || "nobody"} has the VIP`];
    return [...left.flat(), ...routes, ...vip];
  }

  /** Each node makes its key, and says the public half. */
  async function makeKeys(started: Processes): Promise<Keys> {
    writeAll({});
    const keys = plan.members.map(async ({ name }) => {
      const words = [process.execPath, RHUMB, "cluster", "key", "--json"] as const;
      const out = await started.run({ name: `${name}-key`, words: [...words], cwd: join(folder, name) });
      return [name, (JSON.parse(out) as { key: string }).key] as const;
    });
    return Object.fromEntries(await Promise.all(keys));
  }

  async function startAll(): Promise<void> {
    const taken = await Promise.all(Array.from({ length: PORTS_OF_A_STAGE }, () => ports.take()));
    plan = planStage(world, needs, () => {
      const port = taken.pop();
      if (port === undefined) throw new RhumbError("RHUMB_DRILL_STAGE", "it wants more ports than it has taken");
      return port;
    });
    const started = createProcesses(folder);
    processes = started;
    if (plan.hasAnycast) bgp = createLocalBgp({ plan, processes: started, folder, projectFolder: PROJECT_FOLDER, log });
    const relay = await startRelay(started, folder);
    started.onPid((name, pid) => {
      if (name in plan.dns) void relay.owns(name, pid);
    });
    await relay.open(plan.links);
    if (plan.pair) {
      pair = createLocalPair({ plan, pair: plan.pair, processes: started, projectFolder: PROJECT_FOLDER });
      await pair.open();
    }
    const keys = await makeKeys(started);
    writeAll(keys);
    const declare = (region: RegionName, capacityRps: number): void => {
      for (const name of balancersOf(plan, region))
        write(name, balancerFiles(plan, name, keys, { pipes: bgp?.pipes(region), capacityRps }));
    };
    const running: LocalWorld = { plan, processes: started, relay, pair, folder, token, rhumb: RHUMB, declare };
    local = running;

    if (plan.redis) await started.start(redisCommand(running));
    if (bgp) {
      await bgp.startRouters();
      await Promise.all(REGIONS.map((region) => bgp!.startExabgp(region)));
    }
    for (const region of REGIONS)
      for (const number of BACKENDS) await started.start(backendCommand(running, region, number));
    // Balancers first: the first probe of a DNS node is not to find a region that only just starts.
    for (const isBalancer of [true, false]) {
      const names = plan.members.filter(({ region }) => (region !== undefined) === isBalancer).map(({ name }) => name);
      await Promise.all(names.map((name) => started.start(nodeCommand(running, name))));
    }
    bgp?.follow(relay);
    await pair?.startKeepalived();
    const untilMs = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      const left = await missing();
      if (left.length === 0) break;
      if (Date.now() > untilMs) throw new RhumbError("RHUMB_DRILL_STAGE", left.join("; "));
      await sleep(LOOK_MS);
    }
    before = { running: started.running(), words: await words() };
  }

  return {
    name: "local",
    get regions() {
      return REGIONS.map((id) => ({
        id,
        addresses: [plan.vip[id]],
        port: plan.httpPort,
        capacityRps: world.capacity,
        hasStandBy: plan.pair?.region === id,
      }));
    },
    get nodes() {
      return stageNodes();
    },
    get clients() {
      return CONTINENTS.map((continent) => ({
        continent,
        network: plan.network(continent),
        // The own continent's node first.
        resolvers: nodes()
          .toSorted((a, b) => Number(b.continent === continent) - Number(a.continent === continent))
          .map(({ name }) => plan.near(continent, name)),
        isResolver: false,
        ways: Object.fromEntries(
          REGIONS.map((region) => [`${plan.vip[region]}:${plan.httpPort}`, plan.near(continent, region)]),
        ),
        anycast: plan.hasAnycast ? plan.near(continent, "anycast") : undefined,
      }));
    },
    routers: needs.includes("exabgp") ? CONTINENTS.map(routerOf) : [],
    start: startAll,
    async perform(step) {
      if (!local) throw new RhumbError("RHUMB_DRILL_STAGE", "it was not started");
      return perform(step, local, bgp);
    },
    can: (step) => whyNot(step, plan),
    routes: async () => bgp?.routes() ?? [],
    loadCommand: () => [process.execPath, RHUMB],
    async differences() {
      if (!local) return ["it was not started"];
      const running = local.processes.running();
      const gone = before.running.filter((name) => !running.includes(name)).map((name) => `${name} does not run`);
      const more = running.filter((name) => !before.running.includes(name)).map((name) => `${name} runs`);
      const ways = local.relay.changed().map((id) => `the way ${id} is disturbed`);
      const said = (await words()).filter((says) => !before.words.includes(says));
      return [...gone, ...more, ...ways, ...new Set(said), ...(await missing())];
    },
    async stop() {
      bgp?.close();
      await pair?.close();
      await processes?.close();
      ports.close();
    },
  };
}
