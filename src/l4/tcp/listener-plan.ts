/**
 * What a listener's settings mean for one connection, made ready once per configuration: connections keep the plan that
 * they were accepted under. Its pools are objects, not indices, which mean something else in the next configuration.
 * @module
 */
import { parseCidr, parseIp, unmapIp } from "#base/ip.ts";
import { createNetworkList, NO_RULE } from "#base/network-list.ts";
import { createSniRouter } from "#l4/tcp/sni-route.ts";
import { type AccessList, createAccessList } from "#pool/access-list.ts";
import type { Places } from "#pool/place.ts";
import type { ListenerSpec } from "#state/balancer.ts";
import type { TlsContexts } from "#tls/contexts.ts";

export type ListenerPlan = {
  readonly spec: ListenerSpec;
  readonly isAllowed: AccessList;
  /** Whether this peer begins with a PROXY header. */
  isTrusted(address: string): boolean;
  /** Where no name decides; undefined: such clients are refused. */
  readonly places: Places | undefined;
  /** @returns where the client is to go; undefined: it is refused */
  route(client: { readonly serverName: string | undefined; readonly alpn: readonly string[] }): Places | undefined;
  /** Of `tls` listeners. */
  readonly tls: TlsContexts | undefined;
};

/** @param placesAt places at the pool with this index */
export function createListenerPlan(
  spec: ListenerSpec,
  placesAt: (pool: number) => Places,
  tls: TlsContexts | undefined,
): ListenerPlan {
  const places = spec.pool === undefined ? undefined : placesAt(spec.pool);
  const routed = new Map(spec.sni.map(({ pool }) => [pool, placesAt(pool)]));
  const route = createSniRouter(spec.sni);
  return {
    spec,
    isAllowed: createAccessList(spec.access),
    isTrusted: trustOf(spec.proxyProtocol?.trusted ?? []),
    places,
    route(client) {
      const pool = route(client);
      return pool === undefined ? places : routed.get(pool);
    },
    tls,
  };
}

function trustOf(networks: readonly string[]): (address: string) => boolean {
  if (networks.length === 0) return () => false;
  const list = createNetworkList(networks.map(parseCidr).filter((network) => network !== undefined));
  return (text) => {
    const parsed = parseIp(text);
    if (!parsed) return false;
    const address = unmapIp(parsed);
    return list.find(address, address.length === 16) !== NO_RULE;
  };
}
