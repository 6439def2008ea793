/**
 * What a step does to the containers, and how it is undone.
 *
 * Owns:    the table of what the compose stage can do. What it cannot, `local` does.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { RhumbError } from "#base/errors.ts";
import { targetKind } from "#drill/actions.ts";
import type { Action, Step } from "#drill/scenario.ts";
import { must } from "#drill/stage/compose-docker.ts";
import { DNS_NODES, PLACES, servicesOf } from "#drill/stage/compose-layout.ts";
import type { Undo } from "#drill/stage.ts";

/** What actions need of a running stage. */
export type ComposeWorld = {
  readonly net: string;
  /** Project and short name of a network: `rhumb_eu`. */
  network(name: string): string;
  /** Id of a service's container. @throws RhumbError `RHUMB_DRILL_STAGE` */
  container(service: string): string;
  /** A request to the control API of a DNS node or a balancer. @throws RhumbError `RHUMB_DRILL_STEP` when it says no */
  api(node: string, method: string, path: string, body?: object): Promise<unknown>;
};

type Act = (step: Step, world: ComposeWorld) => Promise<Undo>;
type Row = { readonly kinds: readonly string[]; readonly act: Act };

const REASON = "drill";
/** The parts of `backend/eu-west/1`. */
const parts = (target: string): string[] => target.split("/");
const placeOf = (region: string) => PLACES.find((place) => place.region === region);

/** Services of a target; empty where it names nobody. */
export function servicesAt(target: string): readonly string[] {
  const [kind, name = "", number] = parts(target);
  if (kind === "redis") return ["redis"];
  if (kind === "node") return DNS_NODES.some((node) => node.name === name) ? [name] : [];
  if (!placeOf(name)) return [];
  if (kind === "region") return servicesOf(name);
  if (kind === "backend") return number === "1" || number === "2" ? [`backend-${name}-${number}`] : [];
  return [`${kind === "balancer" ? "lb" : kind}-${name}`];
}

const containers = (step: Step, world: ComposeWorld): string[] => servicesAt(step.target).map(world.container);

const kill: Act = async (step, world) => {
  const ids = containers(step, world);
  await must(["docker", "kill", ...ids]);
  return async () => void (await must(["docker", "start", ...ids]));
};

const pause: Act = async (step, world) => {
  const ids = containers(step, world);
  await must(["docker", "pause", ...ids]);
  return async () => void (await must(["docker", "unpause", ...ids]));
};

/** Pulls the cable: of a region that of its host, where its balancer and ExaBGP are. */
const partition: Act = async ({ target }, world) => {
  const [kind, name = ""] = parts(target);
  const node = DNS_NODES.find((each) => each.name === name);
  const place = placeOf(name);
  const [service, network, last] =
    kind === "redis"
      ? ["redis", "na", "1.30"]
      : node
        ? [node.name, node.network, node.dns]
        : [`host-${name}`, place!.network, `${place!.number}.20`];
  const cable = [world.network(network), world.container(service)];
  await must(["docker", "network", "disconnect", ...cable]);
  return async () => void (await must(["docker", "network", "connect", "--ip", `${world.net}.${last}`, ...cable]));
};

/** Tells backends how to behave: all of a region, or one. */
const behave =
  (change: (step: Step) => object, usual: object): Act =>
  async (step, world) => {
    const services = servicesAt(step.target).filter((service) => service.startsWith("backend-"));
    const tell = async (behaviour: object): Promise<void> => {
      const program = `await fetch("http://127.0.0.1:9099", { method: "PUT", body: process.argv[1] })`;
      const words = ["node", "--input-type=module", "-e", program, JSON.stringify(behaviour)];
      await Promise.all(services.map((service) => must(["docker", "exec", world.container(service), ...words])));
    };
    await tell(change(step));
    return () => tell(usual);
  };

const drain: Act = async ({ target, options }, world) => {
  const share = Number(options["share"] ?? 0);
  const verb = share > 0 ? `drain=${Math.round(share * 100)}` : "drain";
  const made = (await world.api("ns1", "POST", "/overrides", { target, verb, reason: REASON })) as { id: string };
  return async () => void (await world.api("ns1", "DELETE", `/overrides/${encodeURIComponent(made.id)}`));
};

const EVACUATION_LOOK_MS = 500;
/** A drill is short: it does not wait for the last cached answer, as an operator would. */
const EVACUATION_TERMS = { weights: [50, 0], weightWaitMs: 2_000, tailTimeoutMs: 15_000, drainTimeoutMs: 5_000 };
const evacuate: Act = async ({ target }, world) => {
  const region = parts(target)[1]!;
  await world.api("ns1", "POST", `/regions/${region}/evacuate`, { reason: REASON, ...EVACUATION_TERMS });
  return async () => {
    await world.api("ns1", "POST", `/regions/${region}/return`);
    for (;;) {
      const { step } = (await world.api("ns1", "GET", `/evacuations/${region}`)) as { step: string };
      if (step === "serving") return;
      await sleep(EVACUATION_LOOK_MS);
    }
  };
};

const withdraw: Act = async ({ target }, world) => {
  const balancer = `lb-${parts(target)[1]!}`;
  await world.api(balancer, "POST", "/anycast/withdraw", { reason: REASON });
  return async () => void (await world.api(balancer, "POST", "/anycast/announce"));
};

/** The node's packets to all regions go nowhere: what it sees is its own trouble. A helper in its network does it. */
const sickVantage: Act = async ({ target }, world) => {
  const name = parts(target)[1]!;
  const routes = async (verb: string): Promise<void> => {
    const lines = PLACES.map(({ number }) => `ip route ${verb} blackhole ${world.net}.${number}.20/32`).join(" && ");
    const rights = ["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"];
    const inside = ["--rm", "--network", `container:${world.container(name)}`, ...rights, "--entrypoint", "sh"];
    await must(["docker", "run", ...inside, "rhumb-stage/exabgp", "-c", lines]);
  };
  await routes("add");
  return () => routes("del");
};

const row = (kinds: readonly string[], act: Act): Row => ({ kinds, act });
const TABLE: Partial<Readonly<Record<Action, Row>>> = {
  kill: row(["region", "balancer", "backend", "node"], kill),
  pause: row(["region", "balancer", "backend", "node"], pause),
  partition: row(["region", "node", "redis"], partition),
  slow: row(
    ["region", "backend"],
    behave(({ options }) => ({ delayMs: Number(options["ms"]) }), { delayMs: 0 }),
  ),
  "error-rate": row(
    ["region", "backend"],
    behave(({ options }) => ({ errorShare: Number(options["share"]) }), { errorShare: 0 }),
  ),
  drain: row(["region"], drain),
  evacuate: row(["region"], evacuate),
  withdraw: row(["region"], withdraw),
  "kill-exabgp": row(["exabgp"], kill),
  "kill-redis": row(["redis"], kill),
  "lose-node": row(["node"], kill),
  "sick-vantage": row(["vantage"], sickVantage),
};

/** @returns why the compose stage cannot do a step; undefined: it can */
export function whyNot({ action, target }: Step): string | undefined {
  if (action === "heal") return undefined;
  const known = TABLE[action];
  if (!known) return `containers have no way to ${action}: run it on the stage local`;
  if (!known.kinds.includes(targetKind(target) ?? "")) return `${action} of ${target} is not possible on compose`;
  const isKnown = target.startsWith("vantage/")
    ? DNS_NODES.some(({ name }) => `vantage/${name}` === target)
    : servicesAt(target).length > 0;
  return isKnown ? undefined : `there is no ${target}: nodes are ns1 and ns2, regions us-east, eu-west and ap-south`;
}

export function perform(step: Step, world: ComposeWorld): Promise<Undo> {
  const why = whyNot(step);
  if (why !== undefined) throw new RhumbError("RHUMB_DRILL_CANNOT", why);
  return TABLE[step.action]!.act(step, world);
}
