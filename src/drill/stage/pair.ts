/**
 * Two balancers of one region that share an address by VRRP, as docs/high-availability.md has it. Each has a network
 * namespace of its own, because an address moves between interfaces and not between processes; a third one has the bridge
 * between them, their clients' end of it and the backends. Pure, but for the port it is given.
 *
 * Nothing of this is in the host's network: what comes in and goes out does so through doors (`door-process.ts`), at the
 * addresses on loopback where it would be without a pair.
 * @module
 */
import type { Door } from "#drill/stage/door-process.ts";
import type { Plan, RegionName } from "#drill/stage/plan.ts";
import type { Endpoint } from "#drill/stage.ts";

export type PairPlan = {
  readonly region: RegionName;
  /** Both balancers, by their nodes' names, and where each is on the bridge. */
  readonly own: Readonly<Record<string, string>>;
  /** Of the bridge: who comes to the VIP comes from there. */
  readonly bridge: string;
  readonly vip: string;
  readonly backends: readonly [string, string];
  /** Where the VIP's listener is reached on loopback. */
  readonly web: Endpoint;
};

/** The demo's and the tests' other networks are elsewhere; in a namespace of its own it is in nobody's way. */
const NETWORK = "10.79.0";
export const PREFIX_LENGTH = 24;
export const BRIDGE = "bridge";

export const planPair = (region: RegionName, nodes: readonly [string, string], web: Endpoint): PairPlan => ({
  region,
  own: { [nodes[0]]: `${NETWORK}.11`, [nodes[1]]: `${NETWORK}.12` },
  bridge: `${NETWORK}.1`,
  vip: `${NETWORK}.100`,
  backends: [`${NETWORK}.21`, `${NETWORK}.22`],
  web,
});

/** Doors by the place whose side they are of: `host`, `BRIDGE`, and each of the two nodes. */
export function doorsOf(plan: Plan, pair: PairPlan, folder: string): Readonly<Record<string, readonly Door[]>> {
  const doors: Record<string, Door[]> = { host: [], [BRIDGE]: [] };
  const into = (place: string, from: Endpoint, to: Endpoint): void => {
    const path = `${folder}/${from.port}`;
    doors["host"]!.push({ listen: from, to: path });
    doors[place]!.push({ listen: path, to });
  };
  into(BRIDGE, pair.web, { address: pair.vip, port: plan.httpPort });
  for (const { name, api } of plan.members) {
    if (!(name in pair.own)) continue;
    doors[name] = [];
    into(name, api, api);
    for (const { id, listen } of plan.links) {
      if (!id.startsWith(`${name}>`)) continue;
      const path = `${folder}/${listen.port}`;
      doors[name].push({ listen, to: path });
      doors["host"]!.push({ listen: path, to: listen });
    }
  }
  return doors;
}

/**
 * keepalived.conf of one of the two, from the template of deploy/keepalived. Pure.
 *
 * @param scripts folder of rhumb-check and rhumb-notify; @param notes file to which each move is written
 */
export function keepalivedConfig(
  template: string,
  { own, vip }: PairPlan,
  { name, api, scripts, notes }: { name: string; api: Endpoint; scripts: string; notes: string },
): string {
  const peer = Object.keys(own).find((other) => other !== name)!;
  const values = { INTERFACE: "eth0", OWN: own[name]!, PEER: own[peer]!, VIP: `${vip}/${PREFIX_LENGTH}` };
  return Object.entries(values)
    .reduce((text, [key, value]) => text.replace(new RegExp(`^\\$${key}=.*$`, "m"), () => `$${key}=${value}`), template)
    .replaceAll(/rhumb-check (alive|ready)/g, (words) => `${words} ${api.address} ${api.port}`)
    .replaceAll("rhumb-notify", () => `rhumb-notify --file ${notes}`)
    .replaceAll("/usr/local/lib/rhumb", () => scripts);
}
