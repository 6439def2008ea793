/**
 * One zone from outside: the delegation at its parent, each of its servers, their serials.
 * @module
 */
import { askParent, type Parent } from "#app/doctor/ask-parent.ts";
import { askServer, type Server } from "#app/doctor/ask-servers.ts";
import { judgeDelegation, judgeNameServers, type NameServer } from "#app/doctor/delegation-rules.ts";
import { type Finding, warning } from "#app/doctor/finding.ts";
import type { Lookups } from "#app/doctor/resolver.ts";
import { judgeAnswer, judgeSerials, type ServerAnswer } from "#app/doctor/server-rules.ts";
import type { ZoneFacts, ZonesFacts } from "#app/doctor/zone-facts.ts";

const DNS_PORT = 53;
export type ZoneReport = {
  readonly findings: readonly Finding[];
  /** Where the world asks for this zone. */
  readonly servers: readonly Server[];
};

/** @param onThisNode what this node's own listeners answered for the zone */
export async function checkZoneOutside(
  zone: ZoneFacts,
  zones: ZonesFacts,
  lookups: Lookups,
  onThisNode: readonly ServerAnswer[],
): Promise<ZoneReport> {
  const findings: Finding[] = [];
  let parent: Parent | undefined;
  const own: NameServer[] = [];
  const unresolved = new Set<string>();
  const addressesOf = async (name: string): Promise<readonly string[]> => {
    const ours = zones.addressesOf(name);
    if (ours) return ours;
    try {
      return await lookups.addresses(name);
    } catch {
      unresolved.add(name);
      return [];
    }
  };
  for (const name of zone.nameServers) own.push({ name, addresses: await addressesOf(name) });
  try {
    parent = await askParent(zone.apex, lookups);
  } catch (error) {
    findings.push(
      warning(
        "delegation",
        `The delegation of ${zone.name} was not checked: ${(error as Error).message}`,
        "Name a resolver that this machine may ask: rhumb doctor --resolver 9.9.9.9",
      ),
    );
  }
  if (parent) findings.push(...judgeDelegation({ apex: zone.name, own, parent: parent.name, answers: parent.answers }));
  // What the resolver failed to say is no fault of the name server.
  findings.push(
    ...judgeNameServers(zone.name, own).filter(
      ({ says }) => ![...unresolved].some((name) => says.startsWith(`${name},`)),
    ),
  );

  const servers = new Map<string, Server>();
  const add = (name: string, addresses: readonly string[]): void => {
    for (const address of addresses) {
      const key = `${name} ${address}`;
      servers.set(key, { name, address, port: DNS_PORT });
    }
  };
  for (const { name, addresses } of own) add(name, addresses);
  for (const answer of parent?.answers ?? []) {
    if (answer.kind !== "delegation") continue;
    for (const { name, addresses } of answer.servers) {
      const isOwn = zone.nameServers.includes(name);
      add(name, addresses.length > 0 || isOwn ? addresses : await addressesOf(name));
    }
  }
  const answers = await Promise.all([...servers.values()].map((server) => askServer(server, zone.apex)));
  findings.push(...answers.map((answer) => judgeAnswer("servers", zone.name, answer)));
  const isNew = ({ address, port }: ServerAnswer): boolean =>
    !answers.some((answer) => answer.address === address && answer.port === port);
  findings.push(...judgeSerials(zone.name, zone.serial, [...answers, ...onThisNode.filter(isNew)]));
  return { findings, servers: [...servers.values()] };
}
