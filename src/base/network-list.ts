/**
 * A list of networks where the first match wins, as a binary trie: for access lists and for who is never rate limited.
 *
 * Owns:    the trie. Three words a node: child for bit 0, child for bit 1, number of the first rule that covers it.
 * Never:   allocates or makes text in `find`.
 * @module
 */
import { type Cidr, unmapIp } from "#base/ip.ts";

/** Returned where no network of the list holds the address. */
export const NO_RULE = -1;

export type NetworkList = {
  readonly isEmpty: boolean;
  /** @returns the position in the list of the first network that holds the address, or `NO_RULE` */
  find(address: Uint8Array, isIpv6: boolean): number;
};

const WORDS = 3;
const ROOT_IPV4 = 0;
const ROOT_IPV6 = WORDS;
const UNSET = 0x7fffffff;

/** IPv4-mapped networks count as IPv4, because such clients are handed over as IPv4. */
function unmapCidr(cidr: Cidr): Cidr {
  const bytes = cidr.bits >= 96 ? unmapIp(cidr.bytes) : cidr.bytes;
  return bytes === cidr.bytes ? cidr : { bytes, bits: cidr.bits - 96 };
}

export function createNetworkList(networks: readonly Cidr[]): NetworkList {
  const growing: number[] = [0, 0, UNSET, 0, 0, UNSET];
  for (const [rule, network] of networks.entries()) {
    const { bytes, bits } = unmapCidr(network);
    let node = bytes.length === 16 ? ROOT_IPV6 : ROOT_IPV4;
    for (let depth = 0; depth < bits; depth++) {
      const side = node + ((bytes[depth >>> 3]! >>> (7 - (depth & 7))) & 1);
      if (growing[side] === 0) {
        growing[side] = growing.length;
        growing.push(0, 0, UNSET);
      }
      node = growing[side]!;
    }
    growing[node + 2] = Math.min(growing[node + 2]!, rule);
  }
  // Children inherit the first rule of what encloses them, so that a walk only has to read the deepest node it reaches.
  for (let node = 0; node < growing.length; node += WORDS) {
    for (const child of [growing[node]!, growing[node + 1]!]) {
      if (child !== 0) growing[child + 2] = Math.min(growing[child + 2]!, growing[node + 2]!);
    }
  }
  const nodes = Int32Array.from(growing);

  return {
    isEmpty: networks.length === 0,
    find(address, isIpv6) {
      let node = isIpv6 ? ROOT_IPV6 : ROOT_IPV4;
      const bits = isIpv6 ? 128 : 32;
      for (let depth = 0; depth < bits; depth++) {
        const child = nodes[node + ((address[depth >>> 3]! >>> (7 - (depth & 7))) & 1)]!;
        if (child === 0) break;
        node = child;
      }
      const rule = nodes[node + 2]!;
      return rule === UNSET ? NO_RULE : rule;
    },
  };
}
