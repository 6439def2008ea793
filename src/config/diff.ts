/**
 * What differs between two snapshots, one line each, for people: dry runs, events, the history.
 * @module
 */
import { countText } from "#base/units.ts";
import { diffBalancer } from "#config/diff-balancer.ts";
import { byName, diffNamed, equal } from "#config/diff-named.ts";
import type { Snapshot } from "#state/snapshot.ts";
import type { ZoneImage } from "#state/zone-image.ts";

function zoneName(image: ZoneImage): string {
  const labels: string[] = [];
  for (let at = 0; image.apex[at]! > 0; at += image.apex[at]! + 1)
    labels.push(Buffer.from(image.apex.subarray(at + 1, at + 1 + image.apex[at]!)).toString("latin1"));
  return labels.join(".") || ".";
}

function diffZones(before: readonly ZoneImage[], after: readonly ZoneImage[]): string[] {
  const old = new Map(before.map((image) => [zoneName(image), image]));
  const now = new Map(after.map((image) => [zoneName(image), image]));
  const lines: string[] = [];
  for (const [name, image] of now) {
    const previous = old.get(name);
    if (!previous) lines.push(`zone ${name} added: serial ${image.serial}, ${image.recordCount} records`);
    // The zone cache hands out the same image as long as the text is the same.
    else if (previous !== image)
      lines.push(
        `zone ${name} changed: serial ${previous.serial} to ${image.serial}, ${previous.recordCount} to ${image.recordCount} records`,
      );
  }
  for (const name of old.keys()) if (!now.has(name)) lines.push(`zone ${name} removed`);
  return lines;
}

const listenText = (listen: { address: string; port: number } | { socket: string } | undefined): string =>
  listen === undefined ? "nothing" : "socket" in listen ? listen.socket : `${listen.address} port ${listen.port}`;

/** What the engines read once, when they start. */
function diffRestart(before: Snapshot, after: Snapshot): string[] {
  const lines: string[] = [];
  const look = (what: string, old: unknown, now: unknown): void => {
    if (!equal(old, now)) lines.push(`${what} changed: takes effect after a restart`);
  };
  look("node", before.node, after.node);
  look("dns.engine", before.dns?.engine, after.dns?.engine);
  look("dns.interface", before.dns?.interface, after.dns?.interface);
  look("dns.admission", before.dns?.guard.admission, after.dns?.guard.admission);
  look("cluster.state", before.control?.stateFolder, after.control?.stateFolder);
  return lines;
}

const DNS_LIVE_KEYS = [
  "listen",
  "workers",
  "unloadableZones",
  "nsid",
  "queryLog",
  "chaos",
  "ecs",
  "hashPrefix",
  "tcp",
  "guard",
] as const;

/** @returns lines such as `service www changed: chain`; empty when both do the same */
export function diffSnapshots(before: Snapshot | undefined, after: Snapshot): string[] {
  if (!before) {
    const zones = after.dns?.zones.length ?? 0;
    const { listeners, pools } = after.balancer ?? { listeners: [], pools: [] };
    return [
      [
        `first configuration: ${countText(zones, "zone")}`,
        countText(after.services.length, "service"),
        countText(after.regions.length, "region"),
        ...(after.balancer ? [countText(listeners.length, "listener"), countText(pools.length, "pool")] : []),
      ].join(", "),
    ];
  }
  const lines = [
    ...diffNamed(
      "region",
      byName(before.regions, (entry) => entry.id),
      byName(after.regions, (entry) => entry.id),
    ),
    ...diffNamed(
      "service",
      byName(serviceView(before), (entry) => entry.name),
      byName(serviceView(after), (entry) => entry.name),
    ),
    ...diffNamed(
      "check",
      byName(toldChecks(before, after), (entry) => entry.name),
      byName(toldChecks(after, before), (entry) => entry.name),
    ),
    ...diffNamed(
      "override",
      byName(before.health.fileOverrides, (entry) => entry.target),
      byName(after.health.fileOverrides, (entry) => entry.target),
    ),
    ...diffNamed(
      "notifier",
      byName(before.notify, (entry) => entry.name),
      byName(after.notify, (entry) => entry.name),
    ),
    ...diffZones(before.dns?.zones ?? [], after.dns?.zones ?? []),
    ...diffBalancer(before.balancer, after.balancer),
    ...diffRestart(before, after),
  ];
  const look = (what: string, old: unknown, now: unknown): void => {
    if (!equal(old, now)) lines.push(`${what} changed`);
  };
  for (const key of DNS_LIVE_KEYS) look(`dns.${key}`, before.dns?.[key], after.dns?.[key]);
  look("geo.database", [before.geo.database, before.geo.asnDatabase], [after.geo.database, after.geo.asnDatabase]);
  look("geo overrides", before.geo.overrides, after.geo.overrides);
  look("health.quorum", [before.health.vantage, before.health.quorum], [after.health.vantage, after.health.quorum]);
  look("control.listen", listenText(before.control?.listen), listenText(after.control?.listen));
  look("control.tls", before.control?.tls, after.control?.tls);
  look("rum", before.rum, after.rum);
  look("anycast", before.anycast, after.anycast);
  look("control.tokens", before.control?.tokens, after.control?.tokens);
  return lines;
}

/** `web@9001` comes and goes with the backends at that port, which are told of themselves; what changes in it is told. */
function toldChecks(snapshot: Snapshot, other: Snapshot) {
  const known = new Set(other.health.checks.map(({ name }) => name));
  return snapshot.health.checks.filter(({ name }) => !name.includes("@") || known.has(name));
}

/** Services as people know them: regions by name, without numbers that move when another region is added. */
const serviceView = (snapshot: Snapshot) =>
  snapshot.services.map(({ mapId: _mapId, hash: _hash, ...service }) => ({
    ...service,
    regions: service.regions.map((entry) => ({ ...entry, region: snapshot.regions[entry.region]!.id })),
  }));
