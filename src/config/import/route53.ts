/**
 * A hosted zone of Route 53 → a zone file, and services, regions and checks for what has a routing policy.
 * @module
 */
import { createDraft, type ZoneLine } from "#config/import/draft.ts";
import { numberOf, textOf } from "#config/import/json-lines.ts";
import { createNotes, type Notes, quoted } from "#config/import/notes.ts";
import { createRegions } from "#config/import/regions.ts";
import { readHealthChecks } from "#config/import/route53-health.ts";
import { type RecordSet, readRecordSets } from "#config/import/route53-read.ts";
import { makeService, policyOf } from "#config/import/route53-steer.ts";
import { type Imported, settle } from "#config/import/settle.ts";
import type { Sources } from "#config/import/sources.ts";
import { createNames } from "#config/import/words.ts";

/** Placeholder of the documentation network (RFC 5737), as `rhumb init` writes it. */
const NAME_SERVER = "192.0.2.53";
const ADDRESSES = ["A", "AAAA"];
const isBelow = (name: string, zone: string): boolean => name === zone || name.endsWith(`.${zone}`);

/** The zone by its SOA record, else its NS record, else what all names end in. */
function zoneOf(sets: readonly RecordSet[], notes: Notes): string {
  const soa =
    sets.find(({ type }) => type === "SOA") ??
    sets.filter(({ type }) => type === "NS").sort((a, b) => a.name.length - b.name.length)[0];
  if (soa) return soa.name;
  const [first, ...others] = sets.map(({ name }) => name.split(".").reverse());
  let shared = first!;
  for (const labels of others) {
    const end = shared.findIndex((label, index) => label !== labels[index]);
    if (end >= 0) shared = shared.slice(0, end);
  }
  const isWhole = sets.every(({ name }) => name.split(".").length === shared.length);
  const guess = (isWhole && shared.length > 2 ? shared.slice(0, -1) : shared).toReversed().join(".");
  notes.changed(
    sets[0]!.at,
    `No SOA record says which zone it is; ${quoted(guess)} is taken`,
    "Rename the zone file if it is another",
  );
  return guess;
}

/** Where a name has several values by policy and rhumb steers none of it: the one that most clients got. */
function standIn(sets: readonly RecordSet[], notes: Notes): RecordSet {
  const rank = (set: RecordSet): number =>
    textOf(set.fields["Failover"]) === "PRIMARY" ? 1e6 : (numberOf(set.fields["Weight"]) ?? 0);
  const chosen = sets.toSorted((a, b) => rank(b) - rank(a))[0]!;
  for (const set of sets) {
    if (set === chosen && sets.length > 1)
      notes.changed(
        set.at,
        `Only addresses are steered, not ${set.type}: all clients get this one`,
        "Steer the name that it leads to",
      );
    else if (set !== chosen)
      notes.leftOut(
        set.at,
        `Only addresses are steered, not ${set.type}: all clients get that of ${quoted(chosen.id ?? "")}`,
        "Steer the name that it leads to",
      );
  }
  return chosen;
}

export function importRoute53(sources: Sources): Imported {
  const notes = createNotes();
  const draft = createDraft("Route 53");
  const all = readRecordSets(sources, notes);
  if (all.length === 0) return settle(draft, notes);
  const zone = zoneOf(all, notes);
  const sets = all.filter((set) => {
    if (!isBelow(set.name, zone))
      notes.leftOut(set.at, `It is not of the zone ${quoted(zone)}`, "Import each zone by itself");
    return isBelow(set.name, zone);
  });
  const relative = (name: string): string => (name === zone ? "@" : name.slice(0, -zone.length - 1));
  const serviceNames = createNames();
  const checks = readHealthChecks(sources, draft, notes);
  const regions = createRegions(draft, notes);
  const lines: ZoneLine[] = [];
  /** A and AAAA of an alias are one record here. */
  const aliases = new Set<string>();

  const aliasTarget = ({ alias = "" }: RecordSet): string =>
    alias
      .toLowerCase()
      .replace(/\.$/, "")
      .replace(/^dualstack\./, "");
  const byName = Map.groupBy(sets, ({ name }) => name);
  const isOurs = (set: RecordSet): boolean => byName.has(aliasTarget(set));
  const tellAlias = (set: RecordSet): void =>
    notes.leftOut(
      set.at,
      `The addresses of ${quoted(aliasTarget(set))} are AWS' to know`,
      "Give it addresses of its own (a region), or a CNAME below the apex",
    );
  const resolve = (set: RecordSet): readonly string[] | undefined => {
    const found = byName
      .get(aliasTarget(set))
      ?.find(({ type, id, alias }) => type === set.type && id === undefined && alias === undefined);
    if (found) return found.values;
    if (isOurs(set))
      notes.leftOut(
        set.at,
        `${quoted(aliasTarget(set))} is itself steered or an alias; services do not stand inside of each other`,
        "Write a `fallback:` or a chain of filters",
      );
    else tellAlias(set);
    return undefined;
  };

  /** Names whose addresses a service makes. */
  const steered = new Set<string>();
  for (const [name, here] of byName) {
    const dynamic = here.filter((set) => set.id !== undefined && ADDRESSES.includes(set.type));
    if (dynamic.length === 0) continue;
    const service = serviceNames.fresh(relative(name) === "@" ? "apex" : relative(name).replace("*", "wildcard"));
    const ttl = makeService(service, dynamic, { draft, regions, checks, resolve, notes });
    if (ttl === undefined) continue;
    steered.add(name);
    lines.push({ text: `${relative(name)} ${ttl} STEER ${service}`, at: dynamic[0]!.at });
  }
  for (const [name, here] of byName) {
    for (const [type, same] of Map.groupBy(here, (set) => set.type)) {
      if (ADDRESSES.includes(type) && steered.has(name)) {
        for (const { at, id } of same)
          if (id === undefined)
            notes.leftOut(at, "The name is steered, which makes all of its addresses", "Add the addresses to regions");
        continue;
      }
      const plain = same.filter(({ id }) => id === undefined);
      const routed = same.filter(({ id }) => id !== undefined);
      if (ADDRESSES.includes(type) && routed.length > 0) continue;
      // All values of a multivalue answer are one record set.
      const chosen = routed.every((set) => policyOf(set) === "multivalue") ? routed : [standIn(routed, notes)];
      for (const set of [...plain, ...chosen]) addLines(set);
    }
  }

  function addLines(set: RecordSet): void {
    const { name, type, at, ttl, values } = set;
    if (set.healthCheck !== undefined && set.id === undefined)
      notes.leftOut(
        at,
        "A record without a policy has nothing to fall back to: it is not probed",
        "Steer it by a service",
      );
    if (set.alias !== undefined) {
      if (!isOurs(set) || !ADDRESSES.includes(type)) tellAlias(set);
      else if (!aliases.has(name)) {
        aliases.add(name);
        lines.push({ text: `${relative(name)} ALIAS ${relative(aliasTarget(set))}`, at });
      }
      return;
    }
    if (name === zone && (type === "SOA" || type === "NS")) {
      notes.changed(
        at,
        `The ${type} record names the servers of Route 53; those of your own nodes are written`,
        `Write their names and addresses; ${NAME_SERVER} stands for the first`,
      );
      return;
    }
    for (const value of values) lines.push({ text: `${relative(name)} ${ttl ?? 300} ${type} ${value}`, at });
  }

  const at = all[0]!.at;
  const hasServer = sets.some(({ name }) => name === `ns1.${zone}`);
  draft.dns.zones.set(zone, [
    { text: "$TTL 300", at },
    { text: "@ SOA ns1 hostmaster 1 3600 600 604800 60", at },
    { text: "@ NS ns1", at },
    ...(hasServer ? [] : [{ text: `ns1 A ${NAME_SERVER}`, at }]),
    ...lines,
  ]);
  return lines.length === 0 ? settle(createDraft("Route 53"), notes) : settle(draft, notes);
}
