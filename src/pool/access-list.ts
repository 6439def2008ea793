/**
 * Who may connect to a listener: rules by network, first match wins, no match is allowed.
 *
 * Owns:    nothing but the list. A question costs the bits of the address, not the number of rules.
 * @module
 */
import { parseCidr, parseIp, unmapIp } from "#base/ip.ts";
import { createNetworkList, NO_RULE } from "#base/network-list.ts";
import type { ListenerSpec } from "#state/balancer.ts";

/** @param address as a socket or a PROXY header gives it; IPv4 mapped into IPv6 counts as IPv4 */
export type AccessList = (address: string) => boolean;

/** Rules were checked when the configuration was; a network that is none matches nobody. Text that is no address is denied. */
export function createAccessList(rules: ListenerSpec["access"]): AccessList {
  if (rules.length === 0) return () => true;
  const list = createNetworkList(rules.map(({ network }) => parseCidr(network) ?? NOWHERE));
  const isAllowed = rules.map(({ action }) => action === "allow");
  return (address) => {
    const zone = address.indexOf("%");
    const parsed = parseIp(zone < 0 ? address : address.slice(0, zone));
    if (!parsed) return false;
    const bytes = unmapIp(parsed);
    const rule = list.find(bytes, bytes.length === 16);
    return rule === NO_RULE || isAllowed[rule]!;
  };
}

const NOWHERE = { bytes: new Uint8Array(16).fill(0xff), bits: 128 }; // all ones: a multicast address is no source
