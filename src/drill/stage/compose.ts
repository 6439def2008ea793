/**
 * The stage `compose`: the containers of docker-compose.yml, with a real network between them: real routers, real
 * resolvers, packets that go where BGP leads them. A stage that somebody has started already is used, and left running.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { fileURLToPath } from "node:url";
import { parseEnv } from "node:util";
import { RhumbError } from "#base/errors.ts";
import { eventsOf, regionsUp, wordsOf } from "#drill/node-api.ts";
import { type ComposeWorld, perform, whyNot } from "#drill/stage/compose-actions.ts";
import { type Asker, findCompose, listContainers, must, openAsker, run } from "#drill/stage/compose-docker.ts";
import {
  type ComposeNet,
  clientOf,
  clientPlaces,
  DNS_NODES,
  dnsOf,
  PLACES,
  routerOf,
  stageRegions,
} from "#drill/stage/compose-layout.ts";
import { readRoute } from "#drill/stage/compose-routes.ts";
import type { RouteNow, Stage } from "#drill/stage.ts";
import type { StageOptions } from "#drill/stages.ts";

const PROJECT_FOLDER = fileURLToPath(new URL("../../..", import.meta.url));
const START_TIMEOUT_MS = 180_000;
const LOOK_MS = 500;
/** For so long a node does not take another region for down than the one that just was (ruling 14). */
const BLAST_BUDGET_MS = 60_000;
const UP_TIMEOUT_MS = 900_000; // the first `up` builds images

/** Keys of `world:` as the stage `local` takes them, and the variable of docker-compose.yml that each sets. */
const WORLD_KEYS: Readonly<Record<string, { readonly variable: string; readonly unit: string }>> = {
  interval: { variable: "RHUMB_INTERVAL", unit: "" },
  "ttl.min": { variable: "RHUMB_TTL_MIN", unit: "s" },
  "ttl.max": { variable: "RHUMB_TTL", unit: "s" },
  capacity: { variable: "RHUMB_CAPACITY", unit: "rps" },
};

function environmentOf(world: StageOptions["world"]): Readonly<Record<string, string>> {
  const defaults = parseEnv(readFileSync(join(PROJECT_FOLDER, ".env"), "utf8")) as Record<string, string>;
  const { ttl = {}, ...rest } = world;
  const ofTtl = Object.entries(ttl as object).map(([key, value]) => [`ttl.${key}`, value] as const);
  const own = [...Object.entries(rest), ...ofTtl].map(([key, value]) => {
    const known = WORLD_KEYS[key];
    if (known && (typeof value === "string" || typeof value === "number"))
      return [known.variable, `${value}${known.unit}`];
    const keys = Object.keys(WORLD_KEYS).join(", ");
    throw new RhumbError("RHUMB_DRILL_STAGE", `compose has no ${key} in its world: it knows ${keys}`);
  });
  return { ...defaults, ...(process.env as Record<string, string>), ...Object.fromEntries(own) };
}

/** @throws RhumbError `RHUMB_DRILL_STAGE` where `world` has a key that the stage does not know */
export function createComposeStage({ world, folder, log }: StageOptions): Stage {
  const env = environmentOf(world);
  const project = env["COMPOSE_PROJECT_NAME"] ?? "rhumb";
  const capacity = Number.parseFloat(env["RHUMB_CAPACITY"] ?? "1000");
  const addresses: ComposeNet = { net: env["RHUMB_NET"]!, vip: env["RHUMB_VIP"]!, capacityRps: capacity };
  const { net, vip } = addresses;

  let compose: readonly string[] = [];
  let wasRunning = false;
  let token = "";
  const ids = new Map<string, string>();
  const askers = new Map<string, Asker>();
  let statesBefore = new Map<string, string>();
  let wordsBefore: readonly string[] = [];

  const container = (service: string): string => {
    const id = ids.get(service);
    if (id === undefined) throw new RhumbError("RHUMB_DRILL_STAGE", `no container of ${service} was made`);
    return id;
  };
  const nodes = () =>
    DNS_NODES.map((node) => ({
      name: node.name,
      dns: dnsOf(net, node),
      api: `https://${net}.${node.api}:8053`,
      token,
    }));
  const apis = (): Readonly<Record<string, string>> => ({
    ...Object.fromEntries(nodes().map(({ name, api }) => [name, api])),
    ...Object.fromEntries(PLACES.map(({ region, number }) => [`lb-${region}`, `https://${net}.9.2${number}:8054`])),
  });
  const composeWorld: ComposeWorld = {
    net,
    network: (name) => `${project}_${name}`,
    container,
    async api(node, method, path, body) {
      const response = await fetch(new URL(path, apis()[node]), {
        method,
        headers: { authorization: `Bearer ${token}`, ...(body && { "content-type": "application/json" }) },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(5_000),
      });
      const text = await response.text();
      if (response.ok) return text === "" ? undefined : JSON.parse(text);
      throw new RhumbError("RHUMB_DRILL_STEP", `${node} answers ${method} ${path} with ${response.status}: ${text}`);
    },
  };

  /** What is not as it should be before a drill; empty: all serves. */
  async function missing(): Promise<string[]> {
    const wanted = PLACES.map(({ region }) => region);
    const ofNodes = await Promise.all(
      nodes().map(async (node) => {
        const up = await regionsUp(node).catch(() => undefined);
        if (!up) return [`${node.name} does not answer`];
        return wanted.filter((region) => !up.includes(region)).map((region) => `${node.name} does not serve ${region}`);
      }),
    );
    const now = await routes();
    const astray = PLACES.flatMap((place) => {
      const route = now.find(({ router }) => router === routerOf(place));
      return route?.region === place.region ? [] : [`${routerOf(place)} has no route to ${vip} by ${place.region}`];
    });
    return [...ofNodes.flat(), ...astray];
  }

  const routes = (): Promise<RouteNow[]> =>
    Promise.all(
      PLACES.map(async (place) => readRoute(routerOf(place), (await askers.get(routerOf(place))?.ask()) ?? "")),
    );

  const words = async (): Promise<string[]> =>
    (await Promise.all(nodes().map((node) => wordsOf(node).catch(() => [])))).flat().map(({ says }) => says);

  const states = async (): Promise<Map<string, string>> =>
    new Map((await listContainers(project)).map(({ service, state }) => [service, state]));

  /** Until when some node holds back its verdicts, because a region has just been down. Unix time in ms. */
  async function heldUntilMs(): Promise<number> {
    const events = await Promise.all(nodes().map((node) => eventsOf(node, undefined).catch(() => [])));
    const downs = events
      .flat()
      .map(({ event }) => event)
      .filter(({ kind, severity }) => kind === "health.transition" && (severity === "warning" || severity === "alarm"));
    return Math.max(0, ...downs.map(({ atMs }) => atMs + BLAST_BUDGET_MS));
  }

  async function trust(): Promise<void> {
    const authority = await must(["docker", "exec", container("ns1"), "cat", "/stage/keys/ca.pem"]);
    token = (await must(["docker", "exec", container("ns1"), "cat", "/stage/keys/token"])).trim();
    setDefaultCACertificates([...getCACertificates("default"), authority]);
  }

  async function lastWords(): Promise<string> {
    const stopped = [...(await states())].filter(([, state]) => state !== "running").map(([service]) => service);
    const said = await Promise.all(
      stopped.map(async (service) => {
        const { output, errors } = await run(["docker", "logs", "--tail", "3", container(service)]);
        return `${service} has ended: ${`${output}${errors}`.trim()}`;
      }),
    );
    return said.join("; ");
  }

  return {
    name: "compose",
    regions: stageRegions(addresses),
    clients: clientPlaces(addresses),
    routers: PLACES.map(routerOf),
    get nodes() {
      return nodes();
    },

    async start() {
      compose = (await findCompose()) ?? [];
      if (compose.length === 0)
        throw new RhumbError("RHUMB_DRILL_STAGE", "neither `docker compose` nor docker-compose is here");
      wasRunning = [...(await states()).values()].includes("running");
      const file = ["-f", join(PROJECT_FOLDER, "docker-compose.yml"), "--project-directory", PROJECT_FOLDER];
      compose = [...compose, ...file, "-p", project];
      await must([...compose, "up", "-d"], { env, timeoutMs: UP_TIMEOUT_MS });
      for (const { service, id } of await listContainers(project)) ids.set(service, id);
      await trust();
      for (const place of PLACES)
        askers.set(
          routerOf(place),
          openAsker(container(routerOf(place)), `birdc -r -s /run/bird/bird.ctl show route for ${vip} all`),
        );
      const until = performance.now() + START_TIMEOUT_MS;
      for (let left = await missing(); left.length > 0; left = await missing()) {
        if (performance.now() > until)
          throw new RhumbError("RHUMB_DRILL_STAGE", `${left.join(", ")}. ${await lastWords()}`);
        await sleep(LOOK_MS);
      }
      await sleep(Math.max(0, (await heldUntilMs()) - Date.now()));
      statesBefore = await states();
      wordsBefore = await words();
      log.info({ project, net }, "the compose stage serves");
    },
    can: whyNot,
    perform: (step) => perform(step, composeWorld),
    routes,
    loadCommand: ({ continent }) => ["docker", "exec", "-i", container(clientOf(continent)), "rhumb"],
    async differences() {
      const now = await states();
      const stateOf = [...statesBefore].filter(([service, state]) => now.get(service) !== state);
      const said = (await words()).filter((word) => !wordsBefore.includes(word));
      return [
        ...stateOf.map(([service, state]) => `${service} is ${now.get(service) ?? "gone"}, was ${state}`),
        ...said,
        ...(await missing()),
      ];
    },
    async stop() {
      for (const asker of askers.values()) asker.close();
      if (compose.length === 0) return;
      const { output, errors } = await run([...compose, "logs", "--no-color", "--tail", "2000"], { env });
      writeFileSync(join(folder, "containers.log"), output + errors);
      if (!wasRunning) await run([...compose, "down", "--volumes", "--timeout", "1"], { env, timeoutMs: 120_000 });
    },
  };
}
