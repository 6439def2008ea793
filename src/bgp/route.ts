/**
 * Routes as commands of ExaBGP 4.2, and what it answers about them.
 *
 * ExaBGP finds commands by a part of the line: the community name `graceful-shutdown` in an announcement ends the whole
 * program, for it has "shutdown" in it (tried with 4.2.21). So communities always go out as numbers.
 *
 * An AS path that a command gives is sent as it is. Towards another AS it therefore begins with our own; towards our own AS
 * (iBGP) it stays empty, as one's own AS in a path is a loop, and preference (RFC 4271 §5.1.5) says what the path cannot.
 * @module
 */
import type { PrefixSpec } from "#state/anycast.ts";

/** RFC 8326 §5: routers that know it give such a route the lowest preference. */
export const GRACEFUL_SHUTDOWN = "65535:0";

/** A neighbour that ExaBGP has configured. */
export type Neighbour = { readonly address: string; readonly localAs: number; readonly peerAs: number | null };

export type Announced = { readonly neighbour: string; readonly prefix: string };

/** @param drainPrepend undefined: not draining */
export function announceCommands(
  spec: PrefixSpec,
  drainPrepend: number | undefined,
  neighbours: readonly Neighbour[],
): readonly string[] {
  const isDraining = drainPrepend !== undefined;
  const communities = isDraining ? [...spec.communities, GRACEFUL_SHUTDOWN] : spec.communities;
  const times = spec.prepend + (drainPrepend ?? 0);
  const route = (neighbour: Neighbour | undefined): string => {
    const isInternal = neighbour !== undefined && neighbour.peerAs === neighbour.localAs;
    const path =
      times > 0 && neighbour !== undefined && !isInternal
        ? ` as-path [ ${Array(times + 1)
            .fill(neighbour.localAs)
            .join(" ")} ]`
        : "";
    return [
      `announce route ${spec.prefix} next-hop ${spec.nextHop}`,
      path,
      spec.med === undefined ? "" : ` med ${spec.med}`,
      isDraining && isInternal ? " local-preference 0" : "",
      communities.length > 0 ? ` community [ ${communities.join(" ")} ]` : "",
      spec.largeCommunities.length > 0 ? ` large-community [ ${spec.largeCommunities.join(" ")} ]` : "",
    ].join("");
  };
  const commands = neighbours.map(route);
  if (new Set(commands).size <= 1) return [commands[0] ?? route(undefined)];
  return neighbours.map((neighbour, index) => `neighbor ${neighbour.address} ${commands[index]}`);
}

export const withdrawCommand = (prefix: string): string => `withdraw route ${prefix}`;

/** `show adj-rib out`: `neighbor 192.0.2.1 ipv4 unicast 203.0.113.1/32 next-hop self`. */
export function parseAdjRib(lines: readonly string[]): Announced[] | undefined {
  const announced: Announced[] = [];
  for (const line of lines) {
    const [, neighbour, prefix] = /^neighbor (\S+) ipv[46] unicast (\S+)/.exec(line) ?? [];
    if (neighbour !== undefined && prefix !== undefined) announced.push({ neighbour, prefix });
    else if (!line.startsWith("neighbor ")) return undefined;
  }
  return announced;
}

/** `show neighbor extensive`: every one that is configured, established or not. */
export function parseNeighbours(lines: readonly string[]): Neighbour[] {
  const neighbours: Neighbour[] = [];
  let address: string | undefined;
  for (const line of lines) {
    address = /^Neighbor (\S+)/.exec(line)?.[1] ?? address;
    const [, local, peer] = /^\s+AS\s+(\d+)\s+(\d+|n\/a)/.exec(line) ?? [];
    if (address === undefined || local === undefined) continue;
    neighbours.push({ address, localAs: Number(local), peerAs: peer === "n/a" ? null : Number(peer) });
    address = undefined;
  }
  return neighbours;
}

export type Session = { readonly neighbour: string; readonly asn: number; readonly upMs: number };

/**
 * `show neighbor summary`: those that are established, `192.0.2.1  65000  1 day, 0:00:25 established  3  2`.
 * @returns undefined where it is not that answer: the answers have got out of step with the commands
 */
export function parseSummary(lines: readonly string[]): Session[] | undefined {
  if (!lines[0]?.startsWith("Peer ")) return undefined;
  return lines.slice(1).flatMap((line) => {
    const [, neighbour, asn, days, hours, minutes, seconds] =
      /^(\S+)\s+(\d+)\s+(?:(\d+) days?, )?(\d+):(\d\d):(\d\d)\s+established\b/.exec(line) ?? [];
    if (neighbour === undefined) return [];
    const upSeconds = ((Number(days ?? 0) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds);
    return [{ neighbour, asn: Number(asn), upMs: upSeconds * 1_000 }];
  });
}
