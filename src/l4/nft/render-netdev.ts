/**
 * Modes `nft-stateless` and `nft-dsr` as a table of family `netdev`: each packet is hashed as it comes in, before
 * conntrack and routing, and leaves by the same device.
 *
 * Owns:    text alone. A backend's answer to DSR never comes by here; a stateless one is routed as usual and gets its
 *          source rewritten as it leaves, so that nothing need be remembered of clients.
 * Never:   on `lo` in production: `fwd` there loops.
 * @module
 */
import {
  accessRules,
  block,
  elementLines,
  endpointMap,
  FAMILIES,
  groupChain,
  ipWord,
  type Lines,
  limitRules,
  limitSets,
  limitsChain,
  listenerChain,
  slotMap,
  spreadChain,
  text,
} from "./render-parts.ts";
import type { Family, KernelBackend, KernelGroup, RulesetInput, Service } from "./ruleset.ts";

export function renderNetdev({ nft, deviceMac, groups }: RulesetInput, services: readonly Service[]): string {
  const { table, device } = nft;
  if (services.length === 0 || device === undefined || deviceMac === undefined) return "";
  const own = groups.filter((group) => services.some((service) => service.group === group));
  const returning = services.filter(({ group }) => group.mode === "nft-stateless");
  const lines = [
    ...FAMILIES.flatMap((family) => familyMaps(family, services)),
    ...own.flatMap(slotMap),
    ...services.flatMap(limitSets),
    ...own.flatMap((group) => [...backendChains(group, device, deviceMac), ...spreadChain(group)]),
    ...services.flatMap(listenerChains),
    ...returning.flatMap(returnChain),
    ...block("chain ingress", [
      `type filter hook ingress device "${device}" priority filter; policy accept;`,
      ...FAMILIES.flatMap((family) => ingressRules(family, services)),
    ]),
    ...(returning.length > 0
      ? block("chain egress", [
          `type filter hook egress device "${device}" priority filter; policy accept;`,
          ...FAMILIES.filter((family) => answers(returning, family).length > 0).map(
            (family) => `${ipWord(family)} saddr . meta l4proto . th sport vmap @returns${family}`,
          ),
        ])
      : []),
  ];
  return text(block(`table netdev ${table}`, lines));
}

const ofFamily = (services: readonly Service[], family: Family): readonly Service[] =>
  services.filter(({ listener }) => listener.family === family);

function familyMaps(family: Family, services: readonly Service[]): string[] {
  const own = ofFamily(services, family);
  if (own.length === 0) return [];
  const vips = [...new Set(own.map(({ listener }) => listener.address))].sort();
  const returns = answers(own, family);
  return [
    ...block(`set vips${family}`, [`type ipv${family}_addr`, ...elementLines(vips)]),
    ...endpointMap(
      `services${family}`,
      family,
      own.map(
        ({ listener }) =>
          `${listener.address} . ${listener.protocol} . ${listener.port} : goto ${listenerChain(listener)}`,
      ),
    ),
    ...(returns.length > 0 ? endpointMap(`returns${family}`, family, returns) : []),
  ];
}

/**
 * A fragment after the first has no ports, so it would go elsewhere than the first: all are dropped, and path MTU
 * discovery makes the sender send none.
 */
function ingressRules(family: Family, services: readonly Service[]): string[] {
  if (ofFamily(services, family).length === 0) return [];
  const ip = ipWord(family);
  const isFragment = family === 4 ? "ip frag-off & 0x3fff != 0" : "exthdr frag exists";
  return [
    `${ip} daddr @vips${family} ${isFragment} drop`,
    `${ip} daddr . meta l4proto . th dport vmap @services${family}`,
  ];
}

/** What begins a flow, as far as a packet alone can tell. */
const isNew = ({ listener }: Service): string => (listener.protocol === "tcp" ? "tcp flags & (syn | ack) == syn " : "");

const listenerChains = (service: Service): string[] => [
  ...block(`chain ${limitsChain(service.listener)}`, [
    ...limitRules(withoutCounts(service), isNew(service)),
    `goto ${groupChain(service.group)}`,
  ]),
  ...block(`chain ${listenerChain(service.listener)}`, [
    ...accessRules(service),
    `goto ${limitsChain(service.listener)}`,
  ]),
];
/** Without conntrack nobody counts connections, and of UDP nobody tells a first datagram. */
const withoutCounts = ({ listener, group }: Service): Service => {
  const isUdp = listener.protocol === "udp";
  const limits = { ...listener.limits, clientConnections: 0, ...(isUdp && { acceptPerSecond: 0, clientPerSecond: 0 }) };
  return { listener: { ...listener, limits }, group };
};

const backendChains = (group: KernelGroup, device: string, deviceMac: string): string[] =>
  group.backends
    .filter(({ mac }) => mac !== undefined)
    .flatMap((backend) =>
      block(`chain ${backend.chain}`, [
        "counter",
        ...(group.mode === "nft-stateless" ? rewriteDestination(group.family, backend) : []),
        `ether saddr set ${deviceMac} ether daddr set ${backend.mac} fwd to "${device}"`,
      ]),
    );
/** Checksums of both layers are mended by the kernel. */
const rewriteDestination = (family: Family, { address, port }: KernelBackend): Lines => [
  `${ipWord(family)} daddr set ${address}`,
  `tcp dport set ${port}`,
  `udp dport set ${port}`,
];

/** Elements of the map from a backend's answers to the listener that they seem to come from. */
const answers = (services: readonly Service[], family: Family): string[] =>
  ofFamily(services, family)
    .filter(({ group }) => group.mode === "nft-stateless")
    .flatMap(({ listener, group }) =>
      group.backends.map(
        ({ address, port }) => `${address} . ${listener.protocol} . ${port} : goto return.${listener.name}`,
      ),
    );
const returnChain = ({ listener }: Service): string[] =>
  block(`chain return.${listener.name}`, [
    `${ipWord(listener.family)} saddr set ${listener.address}`,
    `${listener.protocol} sport set ${listener.port}`,
  ]);
