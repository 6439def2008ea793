/**
 * The networks of autonomous systems, out of an ASN database.
 *
 * Units:   networks are cut to /24 and /48: no client is told apart by more.
 * @module
 */
import type { AsnDatabase } from "#geo/database.ts";
import { MAX_SYSTEM_NETWORKS, type ShortNetwork } from "#geo/learned-latency.ts";

/**
 * One walk over the whole database, whatever is wanted.
 * @returns by AS number, in the order of addresses; at most `MAX_SYSTEM_NETWORKS` each
 */
export function findSystemNetworks(
  { tree, asns }: Pick<AsnDatabase, "tree" | "asns">,
  wanted: ReadonlySet<number>,
): ReadonlyMap<number, readonly ShortNetwork[]> {
  const found = new Map<number, ShortNetwork[]>();
  const note = (reference: number, network: ShortNetwork): void => {
    const asn = asns[~reference]!;
    if (!wanted.has(asn)) return;
    const networks = found.get(asn);
    if (!networks) found.set(asn, [network]);
    else if (networks.length < MAX_SYSTEM_NETWORKS) networks.push(network);
  };
  /** The first value below a pair: what a /24 that is divided counts as. */
  const firstBelow = (reference: number): number => {
    const open = [reference];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (next < 0 && next !== ~0) return next;
      if (next >= 0) open.push(tree.children[next + 1]!, tree.children[next]!);
    }
    return ~0;
  };
  const visit = (reference: number, isIpv6: number, bits: number, high: number, low: number): void => {
    if (reference === ~0) return;
    const maxBits = isIpv6 === 1 ? 48 : 24;
    if (reference < 0 || bits === maxBits) {
      note(reference < 0 ? reference : firstBelow(reference), { isIpv6, bits, high, low });
      return;
    }
    visit(tree.children[reference]!, isIpv6, bits + 1, high, low);
    const one = tree.children[reference + 1]!;
    if (bits < 32) visit(one, isIpv6, bits + 1, (high | (1 << (31 - bits))) >>> 0, low);
    else visit(one, isIpv6, bits + 1, high, low | (1 << (47 - bits)));
  };
  visit(tree.ipv4Root, 0, 0, 0, 0);
  visit(tree.ipv6Root, 1, 0, 0, 0);
  return found;
}
