/**
 * Mode `nft` as a table of family `inet`: the first packet of a flow chooses, conntrack keeps what it chose. It also holds
 * what the other modes need of the IP layer.
 *
 * Owns:    text alone.
 * @module
 */
import {
  accessRules,
  block,
  elementLines,
  endpointMap,
  endpointSet,
  FAMILIES,
  groupChain,
  ipWord,
  isWildcard,
  type Lines,
  limitRules,
  limitSets,
  limitsChain,
  listenerChain,
  slotMap,
  spreadChain,
  text,
} from "./render-parts.ts";
import type { Family, KernelGroup, KernelListener, RulesetInput, Service } from "./ruleset.ts";

export function renderNat({ nft, groups }: RulesetInput, all: readonly Service[]): string {
  const services = all.filter(({ group }) => group.mode === "nft");
  const nat = groups.filter(({ mode }) => mode === "nft");
  const stateless = all.filter(({ group }) => group.mode === "nft-stateless");
  if (services.length === 0 && stateless.length === 0) return "";
  /** Whose backends send their answers through this host as their router. */
  const routed = nft.masquerade ? stateless : [...services, ...stateless];
  const guarded = services.filter(isGuarded);
  const dispatched = services.filter(({ group }) => isServing(group));
  const lines = [
    ...FAMILIES.flatMap((family) => [
      ...serviceMaps("services", family, dispatched, ({ group }) => groupChain(group)),
      ...serviceMaps("guards", family, guarded, ({ listener }) => listenerChain(listener)),
      ...endpointsOf(`backends${family}`, family, services),
      ...endpointsOf(`stateless${family}`, family, stateless),
      ...addressesOf(family, routed),
    ]),
    ...nat.flatMap(slotMap),
    ...guarded.flatMap(limitSets),
    ...nat.filter(isServing).flatMap((group) => [...backendChains(group), ...spreadChain(group)]),
    ...guarded.flatMap(guardChains),
    ...hook("guard", "filter", "prerouting", "mangle", dispatch("guards", guarded, "ct state new ")),
    ...hook("prerouting", "nat", "prerouting", "dstnat", dispatch("services", dispatched, "")),
    ...hook("raw", "filter", "prerouting", "raw", notrack(stateless)),
    // The user's own filter may drop all the same: accept ends the chains of this hook in our table only.
    ...hook("forward", "filter", "forward", "filter", ["ct state established,related accept", "ct status dnat accept"]),
    ...hook("redirects", "filter", "output", "filter", noRedirects(routed)),
    ...(nft.masquerade ? hook("postrouting", "nat", "postrouting", "srcnat", masquerade(services)) : []),
  ];
  return text(block(`table inet ${nft.table}`, lines));
}

const isServing = (group: KernelGroup): boolean => group.spread.kind !== "refuse";

/** Whether something is asked of a new flow before it is sent on. Rejecting is a matter of filter chains, not of nat. */
const isGuarded = ({ listener: { access, limits }, group }: Service): boolean =>
  access.length > 0 ||
  limits.acceptPerSecond > 0 ||
  limits.clientPerSecond > 0 ||
  limits.clientConnections > 0 ||
  !isServing(group);

const hook = (name: string, type: string, at: string, priority: string, rules: Lines): string[] =>
  rules.length === 0
    ? []
    : block(`chain ${name}`, [`type ${type} hook ${at} priority ${priority}; policy accept;`, ...rules]);

/** Named addresses in one map, wildcard listeners in another that is asked for addresses of this machine. */
function serviceMaps(
  name: string,
  family: Family,
  services: readonly Service[],
  chain: (service: Service) => string,
): string[] {
  const own = services.filter(({ listener }) => listener.family === family);
  const verdict = (service: Service): string => `goto ${chain(service)}`;
  const named = own.filter(({ listener }) => !isWildcard(listener));
  const local = own.filter(({ listener }) => isWildcard(listener));
  return [
    ...(named.length > 0
      ? endpointMap(
          `${name}${family}`,
          family,
          named.map((service) => `${endpoint(service.listener)} : ${verdict(service)}`),
        )
      : []),
    ...(local.length > 0
      ? block(`map ${name}-local${family}`, [
          "type inet_proto . inet_service : verdict",
          "elements = {",
          ...local.map(
            (service, index) =>
              `\t${service.listener.protocol} . ${service.listener.port} : ${verdict(service)}${index < local.length - 1 ? "," : ""}`,
          ),
          "}",
        ])
      : []),
  ];
}
const endpoint = ({ address, protocol, port }: KernelListener): string => `${address} . ${protocol} . ${port}`;

function dispatch(name: string, services: readonly Service[], condition: string): string[] {
  return FAMILIES.flatMap((family) => {
    const own = services.filter(({ listener }) => listener.family === family);
    const ip = ipWord(family);
    return [
      ...(own.some(({ listener }) => !isWildcard(listener))
        ? [`${condition}${ip} daddr . meta l4proto . th dport vmap @${name}${family}`]
        : []),
      ...(own.some(({ listener }) => isWildcard(listener))
        ? [
            `${condition}meta nfproto ipv${family} fib daddr type local meta l4proto . th dport vmap @${name}-local${family}`,
          ]
        : []),
    ];
  });
}

/** Where flows of these services may lead. */
function endpointsOf(name: string, family: Family, services: readonly Service[]): string[] {
  const own = new Set(
    services
      .filter(({ group }) => group.family === family)
      .flatMap(({ listener, group }) =>
        group.backends.map(({ address, port }) => `${address} . ${listener.protocol} . ${port}`),
      ),
  );
  return own.size === 0 ? [] : endpointSet(name, family, [...own].sort());
}

const addressesOf = (family: Family, services: readonly Service[]): string[] => {
  const own = services.filter(({ group }) => group.family === family);
  const addresses = new Set(own.flatMap(({ group }) => group.backends.map(({ address }) => address)));
  if (addresses.size === 0) return [];
  return block(`set routed${family}`, [`type ipv${family}_addr`, ...elementLines([...addresses].sort())]);
};

const backendChains = (group: KernelGroup): string[] =>
  group.backends.flatMap(({ chain, address, port }) =>
    block(`chain ${chain}`, [
      "counter",
      group.family === 4
        ? `meta l4proto { tcp, udp } dnat ip to ${address}:${port}`
        : `meta l4proto { tcp, udp } dnat ip6 to [${address}]:${port}`,
    ]),
  );

/** Access first; who is allowed goes on to the limits. */
const guardChains = (service: Service): string[] => [
  ...block(`chain ${limitsChain(service.listener)}`, [
    ...limitRules(service, ""),
    ...(isServing(service.group) ? [] : ["meta l4proto tcp reject with tcp reset", "reject"]),
  ]),
  ...block(`chain ${listenerChain(service.listener)}`, [
    ...accessRules(service),
    `goto ${limitsChain(service.listener)}`,
  ]),
];

/** What comes back from backends of stateless mode is no flow that conntrack has seen begin. */
const notrack = (stateless: readonly Service[]): string[] =>
  FAMILIES.filter((family) => hasBackends(stateless, family)).map(
    (family) => `${ipWord(family)} saddr . meta l4proto . th sport @stateless${family} notrack`,
  );
/**
 * In one network with its clients, a backend must not be told of the shorter way: its answers would reach clients from an
 * address that they did not ask. (IPv4 has a sysctl for this, IPv6 has none.)
 */
const noRedirects = (routed: readonly Service[]): string[] =>
  FAMILIES.filter((family) => hasBackends(routed, family)).map((family) =>
    family === 4 ? "ip daddr @routed4 icmp type redirect drop" : "ip6 daddr @routed6 icmpv6 type nd-redirect drop",
  );
const masquerade = (services: readonly Service[]): string[] =>
  FAMILIES.filter((family) => hasBackends(services, family)).map(
    (family) => `ct status dnat ${ipWord(family)} daddr . meta l4proto . th dport @backends${family} masquerade`,
  );
const hasBackends = (services: readonly Service[], family: Family): boolean =>
  services.some(({ group }) => group.family === family && group.backends.length > 0);
