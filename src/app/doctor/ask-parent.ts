/**
 * Finds the servers of a zone's parent, and asks them for the delegation.
 * @module
 */
import type { ParentAnswer } from "#app/doctor/delegation-rules.ts";
import type { Lookups } from "#app/doctor/resolver.ts";
import { askDns } from "#cli/dns-client.ts";
import type { DnsResponse } from "#cli/dns-message.ts";
import { formatName, parentName, parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";

const TIMEOUT_MS = 1_500;
const TRIES = 2;
/** Of thirteen servers of a top-level domain, these are enough to see one that lags behind. */
const MAX_SERVERS = 4;

export type Parent = { readonly name: string; readonly answers: readonly ParentAnswer[] };

/**
 * @param apex wire name
 * @throws Error when the resolver cannot say who serves the parent
 */
export async function askParent(apex: Uint8Array, lookups: Lookups): Promise<Parent> {
  let name = parentName(apex);
  let servers = await lookups.nameServers(formatName(name));
  // The zone above need not be the next label: `a.b.example.` may be cut out of `example.` itself.
  while (servers.length === 0 && name.length > 1) {
    name = parentName(name);
    servers = await lookups.nameServers(formatName(name));
  }
  const answers = await Promise.all(
    servers
      .sort()
      .slice(0, MAX_SERVERS)
      .map((server) => askServer(server, apex, lookups)),
  );
  return { name: formatName(name), answers };
}

async function askServer(server: string, apex: Uint8Array, lookups: Lookups): Promise<ParentAnswer> {
  let says = "it has no address";
  try {
    // IPv4 comes first: not every machine has IPv6.
    for (const address of (await lookups.addresses(server)).slice(0, 2)) {
      try {
        return await askAddress(server, address, apex);
      } catch (error) {
        says = (error as Error).message;
      }
    }
  } catch (error) {
    says = (error as Error).message;
  }
  return { kind: "silent", server, says };
}

/** Over UDP, again when it got lost, and over TCP when it was cut short. @throws Error in a few words */
async function askUntilAnswered(address: string, port: number, name: Uint8Array, type: number): Promise<DnsResponse> {
  const ask = { address, port, name, type, timeoutMs: TIMEOUT_MS };
  for (let left = TRIES; ; left--) {
    try {
      const { response } = await askDns({ ...ask, isTcp: false });
      if (!response.flags.includes("tc")) return response;
      return (await askDns({ ...ask, isTcp: true })).response;
    } catch (error) {
      if (left <= 1) throw error;
    }
  }
}

async function askAddress(server: string, address: string, apex: Uint8Array): Promise<ParentAnswer> {
  const [response, ds] = await Promise.all([
    askUntilAnswered(address, 53, apex, TYPE.NS),
    askUntilAnswered(address, 53, apex, TYPE.DS),
  ]);
  const hasDs = ds.answer.some(({ type }) => type === "DS");
  return readDelegation(response, formatName(apex).toLowerCase(), server, hasDs);
}

/** A referral has the NS set of the zone in its authority section (RFC 1034 §4.3.2, step 3b). */
export function readDelegation(response: DnsResponse, apex: string, server: string, hasDs: boolean): ParentAnswer {
  const isCut = ({ owner, type }: { owner: string; type: string }): boolean =>
    type === "NS" && owner.toLowerCase() === apex;
  if (response.answer.some(isCut)) return { kind: "same-server", server, hasDs };
  const names = response.authority.filter(isCut).map(({ rdata }) => canonicalName(rdata));
  if (names.length === 0) return { kind: "not-delegated", server, rcode: response.rcode };
  const servers = names.map((name) => ({
    name,
    addresses: response.additional
      .filter(({ owner, type }) => owner.toLowerCase() === name && (type === "A" || type === "AAAA"))
      .map(({ rdata }) => rdata),
  }));
  return { kind: "delegation", server, servers, hasDs };
}

export const canonicalName = (text: string): string => {
  const name = parseName(text);
  return typeof name === "number" ? text.toLowerCase() : formatName(name).toLowerCase();
};
