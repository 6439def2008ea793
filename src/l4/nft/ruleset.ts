/**
 * The nftables script of kernel mode: what listeners and groups of backends are, as text.
 *
 * Owns:    tables of our own name in the families `inet` (DNAT by conntrack) and `netdev` (stateless and DSR, before
 *          conntrack), replaced whole in one transaction: `nft -f` applies all of a file or nothing.
 * Never:   reads state, or touches tables of others. The same input gives the same octets on every node.
 * Source:  shapes of the rules: wiki.nftables.org (load balancing), `net/netfilter/nft_hash.c`, KEP-3866.
 * @module
 */
import type { ListenerLimits, NftSpec, PoolMode } from "#state/balancer.ts";
import { renderNat } from "./render-nat.ts";
import { renderNetdev } from "./render-netdev.ts";

export type Family = 4 | 6;

/** How new flows are spread over a group. */
export type Spread =
  /** Nobody serves: flows are refused. */
  | { readonly kind: "refuse" }
  | { readonly kind: "single"; readonly backend: number }
  /** By turns through `order`, or at random; each turn an index into the backends. */
  | { readonly kind: "turns"; readonly order: readonly number[] }
  | { readonly kind: "random"; readonly weights: readonly number[] }
  /** By a hash of the client into a table of slots, each an index into the backends. */
  | {
      readonly kind: "hash";
      readonly slots: Uint16Array | Uint32Array;
      /** Octets of the client's address that count. */
      readonly octets: number;
      /** Whether the client's port counts as well: one flow, one backend; else one client, one backend. */
      readonly withPort: boolean;
    };

export type KernelBackend = {
  /** Name of its chain, such as `to.web.1a2b3c`; unique within the ruleset. */
  readonly chain: string;
  readonly address: string;
  readonly port: number;
  /** Of stateless and DSR. */
  readonly mac: string | undefined;
};

/** The backends of one pool and address family. */
export type KernelGroup = {
  /** `web.v4`: name of its chain and of its map. */
  readonly name: string;
  readonly family: Family;
  readonly mode: Exclude<PoolMode, "proxy">;
  readonly backends: readonly KernelBackend[];
  readonly spread: Spread;
};

export type KernelListener = {
  readonly name: string;
  readonly family: Family;
  /** `0.0.0.0` and `::`: every address of this machine; of mode `nft` alone. */
  readonly address: string;
  readonly port: number;
  readonly protocol: "tcp" | "udp";
  readonly access: readonly { readonly network: string; readonly action: "allow" | "deny" }[];
  readonly limits: Pick<ListenerLimits, "acceptPerSecond" | "clientConnections" | "clientPerSecond" | "clientBurst">;
  /** Name of its group. */
  readonly group: string;
};

export type RulesetInput = {
  readonly nft: NftSpec;
  /** MAC address of `nft.device`: source of the frames that stateless and DSR send. */
  readonly deviceMac: string | undefined;
  readonly listeners: readonly KernelListener[];
  readonly groups: readonly KernelGroup[];
};

/** Listeners with the group they lead to; both renderers take those of their modes. */
export type Service = { readonly listener: KernelListener; readonly group: KernelGroup };

/** Removes both tables, whether they are there or not: `delete` alone fails where there is none. */
export const removalScript = (table: string): string =>
  ["inet", "netdev"].map((family) => `table ${family} ${table}\ndelete table ${family} ${table}\n`).join("");

export function renderRuleset(input: RulesetInput): string {
  const groups = new Map(input.groups.map((group) => [group.name, group]));
  const services = input.listeners.flatMap((listener): Service[] => {
    const group = groups.get(listener.group);
    return group ? [{ listener, group }] : [];
  });
  const isNat = (service: Service): boolean => service.group.mode === "nft";
  return [
    removalScript(input.nft.table),
    renderNat(input, services),
    renderNetdev(
      input,
      services.filter((service) => !isNat(service)),
    ),
  ].join("");
}
