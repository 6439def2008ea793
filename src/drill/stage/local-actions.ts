/**
 * What a step does to the processes and ways of the stage `local`, and how it is undone.
 *
 * Owns:    the table of what the stage can do.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RhumbError } from "#base/errors.ts";
import { targetKind } from "#drill/actions.ts";
import type { Action, Step } from "#drill/scenario.ts";
import { createApi } from "#drill/stage/api.ts";
import type { BackendMood } from "#drill/stage/backend-process.ts";
import { exabgpOf, type LocalBgp } from "#drill/stage/local-bgp.ts";
import type { LocalPair } from "#drill/stage/local-pair.ts";
import { DATABASE_FILE } from "#drill/stage/node-files.ts";
import { BACKENDS, balancerOf, balancersOf, type Plan, REGIONS, type RegionName, waysOf } from "#drill/stage/plan.ts";
import type { Command, Processes } from "#drill/stage/processes.ts";
import type { RelayClient } from "#drill/stage/relay-client.ts";
import { clockEnvironment, setClock } from "#drill/stage/skewed-clock.ts";
import type { Undo } from "#drill/stage.ts";

/** A stage that runs. */
export type LocalWorld = {
  readonly plan: Plan;
  readonly processes: Processes;
  readonly relay: RelayClient;
  readonly pair: LocalPair | undefined;
  readonly folder: string;
  readonly token: string;
  /** Path of bin/rhumb. */
  readonly rhumb: string;
  /** Writes another capacity into the configuration of a region's balancer. */
  declare(region: RegionName, capacityRps: number): void;
};
type Here = LocalWorld & { readonly bgp: LocalBgp | undefined };

export const redisCommand = ({ plan, folder }: LocalWorld): Command => ({
  name: "redis",
  words: ["redis-server", "--port", String(plan.redis!.port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
  cwd: folder,
  ready: /Ready to accept/,
});
export const backendName = (region: string, number: number | string): string => `backend-${region}-${number}`;
const inside = ({ pair }: LocalWorld, command: Command): Command => pair?.inside(command.name, command) ?? command;

export function backendCommand(here: LocalWorld, region: RegionName, number: number): Command {
  const { plan, folder } = here;
  const { address, port } = plan.backends[region][number - 1]!;
  const program = join(import.meta.dirname, "backend-process.ts");
  const words = [program, region, String(number), address, String(port)];
  const name = backendName(region, number);
  return inside(here, { name, words: [process.execPath, ...words], cwd: folder, hears: true });
}
export function nodeCommand(here: LocalWorld, name: string): Command {
  const { plan, folder, rhumb } = here;
  return inside(here, {
    name,
    words: [process.execPath, rhumb, "start", "-c", "rhumb.yaml"],
    cwd: join(folder, name),
    ready: /Control API on/,
    ...(plan.hasClocks && plan.dns[name] ? { env: clockEnvironment(join(folder, name)) } : {}),
  });
}

type Act = (step: Step, here: Here) => Promise<Undo>;

/** Of two balancers the one that has the VIP. */
function activeOf({ plan, pair }: LocalWorld, region: RegionName): string {
  const [holder] = plan.pair?.region === region ? (pair?.holders() ?? []) : [];
  return holder ?? balancerOf(region);
}

/** Processes at a target, those first that others stand on. */
function commandsAt(target: string, here: LocalWorld): Command[] {
  const [kind, name = "", number] = target.split("/");
  const region = name as RegionName;
  if (kind === "node") return [nodeCommand(here, name)];
  if (kind === "backend") return [backendCommand(here, region, Number(number))];
  if (kind === "balancer") return [nodeCommand(here, activeOf(here, region))];
  const balancers = balancersOf(here.plan, region).map((each) => nodeCommand(here, each));
  return [...BACKENDS.map((each) => backendCommand(here, region, each)), ...balancers];
}

const kill: Act = async ({ target }, here) => {
  const commands = commandsAt(target, here);
  await Promise.all(commands.map(({ name }) => here.processes.end(name)));
  return async () => {
    for (const command of commands) await here.processes.start(command);
  };
};

const pause: Act = async ({ target }, here) => {
  const commands = commandsAt(target, here);
  const tell = (signal: NodeJS.Signals): void => {
    for (const { name } of commands) here.processes.signal(name, signal);
  };
  tell("SIGSTOP");
  return async () => tell("SIGCONT");
};

const places = (plan: Plan, target: string): string[] => {
  const [kind, name = ""] = target.split("/");
  return kind === "region" ? [name, ...balancersOf(plan, name as RegionName)] : [kind === "redis" ? "redis" : name];
};
const partition: Act = async ({ target }, { plan, relay }) => {
  const ways = waysOf(plan, ...places(plan, target));
  await relay.change(ways, { passage: "cut" });
  return () => relay.change(ways, { passage: "open" });
};

/** Backends of a region, or one of them. */
const mood =
  (change: (step: Step) => Partial<BackendMood>, usual: Partial<BackendMood>): Act =>
  async (step, here) => {
    const commands = commandsAt(step.target, here).filter(({ hears }) => hears);
    for (const { name } of commands) here.processes.send(name, change(step));
    return async () => {
      for (const { name } of commands) if (here.processes.isRunning(name)) here.processes.send(name, usual);
    };
  };

/** Down and up until it is healed, or as often as was asked. */
const flap: Act = async (step, here) => {
  const { upMs, downMs, times } = step.options as Record<string, number>;
  const over = new AbortController();
  const wait = (ms: number) => sleep(ms, undefined, { signal: over.signal }).catch(() => {});
  const flapping = (async () => {
    for (let turn = 0; turn < times! && !over.signal.aborted; turn++) {
      const undo = await kill(step, here);
      await wait(downMs!);
      await undo();
      await wait(upMs!);
    }
  })();
  flapping.catch(() => {});
  return async () => {
    over.abort();
    await flapping;
  };
};

const apiOf = ({ plan, token }: Here, name: string) =>
  createApi(name, plan.members.find((member) => member.name === name)!.api, token);
const REASON = "drill";

const drain: Act = async (step, here) => {
  const { target, options } = step;
  if (targetKind(target) === "backend") return drainBackend(step, here);
  const api = apiOf(here, "ns1");
  const weightPercent = Math.round(Number(options["share"] ?? 0) * 100);
  const body = { target, verb: "drain", weightPercent, reason: REASON };
  const { id } = await api.call<{ id: string }>("POST", "/overrides", body);
  return async () => void (await api.call("DELETE", `/overrides/${encodeURIComponent(id)}`));
};

/**
 * Demand for a region that is `factor` times what it can carry: its balancer says from now on that it carries no more than
 * that part of what it is asked now. Clients stay as they are: what one more client would change is what is looked at.
 */
const overload: Act = async ({ target, options }, here) => {
  const region = target.split("/")[1] as RegionName;
  const { regions } = await apiOf(here, "ns1").call<{ regions: { region: string; measuredRps: number | null }[] }>(
    "GET",
    "/load",
  );
  const measuredRps = regions.find((one) => one.region === region)?.measuredRps ?? 0;
  const capacityRps = Math.max(1, Math.round(measuredRps / Number(options["factor"])));
  here.declare(region, capacityRps);
  const balancers = balancersOf(here.plan, region);
  const reload = (): Promise<unknown> =>
    Promise.all(balancers.map((name) => apiOf(here, name).call("POST", "/config/reload", {})));
  await reload();
  return async () => {
    here.declare(region, here.plan.world.capacity);
    await reload();
  };
};

/** The geo database of a node is cut in half, as a copy that broke off, and the node is told to read it. */
const staleMap: Act = async ({ target }, here) => {
  const [kind, name] = target.split("/");
  const nodes = kind === "nodes" ? Object.keys(here.plan.dns) : [name!];
  const read = (node: string): Promise<unknown> => apiOf(here, node).ask("POST", "/geo/reload", { force: false });
  const whole = new Map<string, Buffer>();
  for (const node of nodes) {
    const file = join(here.folder, node, DATABASE_FILE);
    const octets = readFileSync(file);
    whole.set(file, octets);
    writeFileSync(file, octets.subarray(0, octets.length / 2));
  }
  // Whether a node takes it is what the drill shows: fresh answers tell.
  await Promise.all(nodes.map(read));
  return async () => {
    for (const [file, octets] of whole) writeFileSync(file, octets);
    await Promise.all(nodes.map(read));
  };
};

/** A backend is drained by all balancers of its region, a region by the nodes that steer to it. */
const drainBackend: Act = async (step, here) => {
  const names = balancersOf(here.plan, step.target.split("/")[1] as RegionName);
  const undo = await Promise.all(names.map((name) => drainBackendAt(name, step, here)));
  return async () => void (await Promise.all(undo.map((each) => each())));
};
async function drainBackendAt(balancer: string, { target, options }: Step, here: Here): Promise<Undo> {
  const [, region = "", number] = target.split("/");
  const { address, port } = here.plan.backends[region as RegionName][Number(number) - 1]!;
  const api = apiOf(here, balancer);
  const backends = await api.call<{ backend_id: string; address: string; port: number }[]>("GET", "/backends");
  const id = backends.find((one) => one.address === address && one.port === port)?.backend_id;
  if (id === undefined) throw new RhumbError("RHUMB_DRILL_STEP", `${target}: its balancer knows no such backend`);
  const path = `/backends/${encodeURIComponent(id)}/state`;
  const weight = Math.round(Number(options["share"] ?? 0) * 100);
  await api.call("PUT", path, { state: "drain", weight_percent: weight, reason: REASON });
  return async () => void (await api.call("PUT", path, { state: "ready" }));
}

const LOOK_MS = 200;
const evacuate: Act = async ({ target }, here) => {
  const api = apiOf(here, "ns1");
  const region = target.split("/")[1]!;
  await api.call("POST", `/regions/${region}/evacuate`, { reason: REASON });
  return async () => {
    await api.call("POST", `/regions/${region}/return`, {});
    for (;;) {
      const { step } = await api.call<{ step: string }>("GET", `/evacuations/${region}`);
      if (step === "serving") return;
      await sleep(LOOK_MS);
    }
  };
};

const withdraw: Act = async ({ target }, here) => {
  const api = apiOf(here, balancerOf(target.split("/")[1] as RegionName));
  await api.call("POST", "/anycast/withdraw", { reason: REASON });
  return async () => void (await api.call("POST", "/anycast/announce", {}));
};

const killExabgp: Act = async ({ target }, { processes, bgp }) => {
  const region = target.split("/")[1] as RegionName;
  await processes.end(exabgpOf(region));
  return () => bgp!.startExabgp(region);
};

const killRedis: Act = async (_, here) => {
  await here.processes.end("redis");
  return () => here.processes.start(redisCommand(here));
};

const sickVantage: Act = async ({ target }, { plan, relay }) => {
  const name = target.split("/")[1]!;
  const ways = plan.links.map(({ id }) => id).filter((id) => REGIONS.some((region) => id === `${name}>${region}`));
  await relay.change(ways, { passage: "cut" });
  return () => relay.change(ways, { passage: "open" });
};

const skewClock: Act = async ({ target, options }, { folder }) => {
  const own = join(folder, target.split("/")[1]!);
  setClock(own, Number(options["ms"]));
  return async () => setClock(own, 0);
};

/** A push that must be refused; one that is taken is a failure of the step, and is rolled back. */
const badConfig: Act = async ({ target, options }, here) => {
  const api = apiOf(here, target.split("/")[1]!);
  const text =
    options["change"] === "empty"
      ? "$ORIGIN demo.example.\n@ 60 SOA ns1 hostmaster 2 3600 600 86400 60\n@ 60 NS ns1\nns1 60 A 192.0.2.53\n"
      : "www 5 STEER nowhere\n";
  const body = { files: { "zones/demo.example.zone": text }, partial: true, reason: REASON };
  const { status } = await api.ask("PUT", "/config?dryRun=false", body);
  if (status >= 200 && status < 300)
    throw new RhumbError("RHUMB_DRILL_STEP", `${target} took a configuration that it should have refused`);
  return async () => {};
};

/** One after the other; the next when the one before serves. */
const upgrade: Act = async ({ target }, here) => {
  const [kind, name = ""] = target.split("/");
  const members = here.plan.members.filter(({ name: node, region }) => {
    if (kind === "nodes") return region === undefined;
    if (kind === "balancers") return region !== undefined;
    return kind === "node" ? node === name : region === name;
  });
  for (const { name: node, region } of members) {
    // A balancer hands its listeners to the one after it (SIGUSR2); a DNS node is left to the others while it restarts.
    if (region !== undefined) {
      await here.processes.handOver(node);
      continue;
    }
    await here.processes.end(node, "SIGTERM");
    await here.processes.start(nodeCommand(here, node));
  }
  return async () => {};
};

const TABLE: Partial<Readonly<Record<Action, Act>>> = {
  kill,
  pause,
  partition,
  slow: mood(({ options }) => ({ delayMs: Number(options["ms"]) }), { delayMs: 0 }),
  "error-rate": mood(({ options }) => ({ errorShare: Number(options["share"]) }), { errorShare: 0 }),
  flap,
  overload,
  "stale-map": staleMap,
  drain,
  evacuate,
  withdraw,
  "kill-exabgp": killExabgp,
  "kill-redis": killRedis,
  "sick-vantage": sickVantage,
  "bad-config": badConfig,
  "lose-node": kill,
  "skew-clock": skewClock,
  upgrade,
};

/** @returns why it cannot be done here; undefined: it can */
export function whyNot({ action, target }: Step, plan: Plan): string | undefined {
  if (action === "heal") return undefined;
  if (plan.pair && plan.hasAnycast) return "a pair with keepalived has no ExaBGP here: leave out one of these needs";
  if (!TABLE[action]) return "there is no way to do it on loopback";
  if (action === "skew-clock" && !plan.hasClocks) return "the drill does not say `needs: [faketime]`";
  const kind = targetKind(target);
  const [, name = "", number] = target.split("/");
  const isNode = kind === "node" || kind === "vantage";
  if (isNode) return plan.dns[name] ? undefined : `there is no node ${name}: ${Object.keys(plan.dns).join(", ")}`;
  if (kind === "redis") return plan.hasRedis ? undefined : "the drill does not need redis, so there is none";
  if (kind === "nodes" || kind === "balancers") return undefined;
  if (!(REGIONS as readonly string[]).includes(name)) return `there is no region ${name}: ${REGIONS.join(", ")}`;
  if (kind === "backend" && number !== "1" && number !== "2") return `there is no backend ${number}: 1, 2`;
  return undefined;
}

export function perform(step: Step, world: LocalWorld, bgp: LocalBgp | undefined): Promise<Undo> {
  const act = TABLE[step.action];
  if (!act) throw new RhumbError("RHUMB_DRILL_CANNOT", `${step.action} ${step.target}`);
  return act(step, { ...world, bgp });
}
