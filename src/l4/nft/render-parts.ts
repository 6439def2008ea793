/**
 * Pieces of nftables text that both tables need: blocks, maps of services, the choice of a backend, access and limits.
 *
 * Owns:    text alone; lines come without indentation and `block()` indents what it encloses.
 * @module
 */
import { HASH_SEED } from "./jhash.ts";
import type { Family, KernelGroup, KernelListener, Service } from "./ruleset.ts";

export type Lines = readonly string[];

export const block = (head: string, lines: Lines): string[] => [
  `${head} {`,
  ...lines.map((line) => (line === "" ? "" : `\t${line}`)),
  "}",
];
export const text = (lines: Lines): string => `${lines.join("\n")}\n`;

export const FAMILIES: readonly Family[] = [4, 6];
/** Words of a family: `ip daddr`, `ip6 daddr`. */
export const ipWord = (family: Family): string => (family === 4 ? "ip" : "ip6");
const addressType = (family: Family): string => (family === 4 ? "ipv4_addr" : "ipv6_addr");

export const listenerChain = (listener: KernelListener): string => `listener.${listener.name}`;
export const groupChain = (group: KernelGroup): string => `pool.${group.name}`;
const slotsMap = (group: KernelGroup): string => `slots.${group.name}`;

export const isWildcard = ({ address }: Pick<KernelListener, "address">): boolean =>
  address === "0.0.0.0" || address === "::";

/** A map of (address, protocol, port) to verdicts. */
export const endpointMap = (name: string, family: Family, elements: Lines): string[] =>
  block(`map ${name}`, [
    `type ${addressType(family)} . inet_proto . inet_service : verdict`,
    ...elementLines(elements),
  ]);
export const endpointSet = (name: string, family: Family, elements: Lines): string[] =>
  block(`set ${name}`, [`type ${addressType(family)} . inet_proto . inet_service`, ...elementLines(elements)]);

export const elementLines = (elements: Lines): string[] =>
  elements.length === 0
    ? []
    : [
        "elements = {",
        ...elements.map((element, index) => `\t${element}${index < elements.length - 1 ? "," : ""}`),
        "}",
      ];

/** Slots of a hash table, eight on a line: 65,537 lines would help nobody. */
const SLOTS_A_LINE = 8;

/** Rows of a map of slots, by table of slots: a change of one pool must not cost those of all others again. */
const writtenRows = new WeakMap<object, { readonly chains: string; readonly rows: Lines }>();

function slotRows(slots: Uint16Array | Uint32Array, chains: Lines): Lines {
  const before = writtenRows.get(slots);
  if (before?.chains === chains.join()) return before.rows;
  const verdicts = chains.map((chain) => ` : goto ${chain}`);
  const rows: string[] = [];
  for (let at = 0; at < slots.length; at += SLOTS_A_LINE) {
    const end = Math.min(at + SLOTS_A_LINE, slots.length);
    let row = `${at}${verdicts[slots[at]!]!}`;
    for (let slot = at + 1; slot < end; slot++) row += `, ${slot}${verdicts[slots[slot]!]!}`;
    rows.push(row);
  }
  writtenRows.set(slots, { chains: chains.join(), rows });
  return rows;
}

/** The map from a slot to the chain of its backend, where the group spreads by hash. */
export function slotMap(group: KernelGroup): string[] {
  const { spread, backends } = group;
  if (spread.kind !== "hash") return [];
  const chains = backends.map(({ chain }) => chain);
  // The type of a hash has no name of its own; `typeof` takes it from an expression that is like it.
  return block(`map ${slotsMap(group)}`, [
    "typeof numgen inc mod 2 : verdict",
    `size ${spread.slots.length}`,
    ...elementLines(slotRows(spread.slots, chains)),
  ]);
}

/** The chain that sends a new flow (stateless: a packet) to the chain of one backend. */
export function spreadChain(group: KernelGroup): string[] {
  return block(`chain ${groupChain(group)}`, spreadRules(group));
}

function spreadRules(group: KernelGroup): string[] {
  const { spread, backends } = group;
  const chain = (index: number): string => `goto ${backends[index]!.chain}`;
  switch (spread.kind) {
    case "refuse":
      return ["meta l4proto tcp reject with tcp reset", "reject"];
    case "single":
      return [chain(spread.backend)];
    case "turns":
      return [vmap(`numgen inc mod ${spread.order.length}`, ranges(spread.order.map((index) => [index, 1])), chain)];
    case "random": {
      const total = spread.weights.reduce((sum, weight) => sum + weight, 0);
      return [
        vmap(`numgen random mod ${total}`, ranges(spread.weights.map((weight, index) => [index, weight])), chain),
      ];
    }
    case "hash":
      return [
        `jhash ${hashKey(group.family, spread)} mod ${spread.slots.length} seed ${SEED} vmap @${slotsMap(group)}`,
      ];
    default:
      return spread satisfies never;
  }
}
const SEED = `0x${HASH_SEED.toString(16)}`;

/** Where the source address lies in the header, in bits: a part of it can be named as raw octets alone. */
const SOURCE_AT_BITS = { 4: 96, 6: 64 } as const;
const ADDRESS_OCTETS = { 4: 4, 6: 16 } as const;

function hashKey(family: Family, spread: { readonly octets: number; readonly withPort: boolean }): string {
  const isWhole = spread.octets === ADDRESS_OCTETS[family];
  const address = isWhole ? `${ipWord(family)} saddr` : `@nh,${SOURCE_AT_BITS[family]},${spread.octets * 8}`;
  return spread.withPort ? `${address} . th sport` : address;
}

type Range = { readonly first: number; readonly last: number; readonly index: number };
/** Neighbouring ranges of the same backend are one. */
function ranges(widths: readonly (readonly [index: number, width: number])[]): Range[] {
  const found: Range[] = [];
  let first = 0;
  for (const [index, width] of widths) {
    const before = found.at(-1);
    const last = first + width - 1;
    if (before?.index === index) found[found.length - 1] = { ...before, last };
    else if (width > 0) found.push({ first, last, index });
    first += width;
  }
  return found;
}
const vmap = (key: string, of: readonly Range[], verdict: (index: number) => string): string =>
  `${key} vmap { ${of
    .map(({ first, last, index }) => `${first === last ? first : `${first}-${last}`} : ${verdict(index)}`)
    .join(", ")} }`;

/** Access list: the first match decides; no match: allowed. */
export const accessRules = ({ listener }: Service): string[] =>
  listener.access
    .filter(({ network }) => network.includes(":") === (listener.family === 6))
    .map(
      ({ network, action }) =>
        `${ipWord(listener.family)} saddr ${network} ${action === "deny" ? "drop" : `goto ${limitsChain(listener)}`}`,
    );
export const limitsChain = (listener: KernelListener): string => `limits.${listener.name}`;

/** IPv6 clients are told apart by their /64, as in the relay. */
const clientOf = (family: Family): string => (family === 4 ? "ip saddr" : "ip6 saddr & ffff:ffff:ffff:ffff::");

/** Sets that remember clients, for the limits of `listener`. */
export function limitSets({ listener }: Service): string[] {
  const { limits, family, name } = listener;
  const set = (of: string, more: Lines): string[] =>
    block(`set ${of}.${name}`, [`type ${addressType(family)}`, "size 65536", ...more]);
  return [
    ...(limits.clientPerSecond > 0 ? set("rate", ["flags dynamic,timeout", "timeout 1m"]) : []),
    ...(limits.clientConnections > 0 ? set("count", ["flags dynamic"]) : []),
  ];
}

/** Rules that drop the new flows above the limits. @param isNew matches what begins a flow; empty: asked for before */
export function limitRules({ listener }: Service, isNew: string): string[] {
  const { limits, family, name } = listener;
  const client = clientOf(family);
  const rules: string[] = [];
  if (limits.acceptPerSecond > 0)
    rules.push(`limit rate over ${limits.acceptPerSecond}/second burst ${limits.acceptPerSecond} packets drop`);
  if (limits.clientPerSecond > 0) {
    const burst = Math.max(1, limits.clientBurst);
    rules.push(
      `update @rate.${name} { ${client} limit rate over ${limits.clientPerSecond}/second burst ${burst} packets } drop`,
    );
  }
  if (limits.clientConnections > 0)
    rules.push(`add @count.${name} { ${client} ct count over ${limits.clientConnections} } drop`);
  return rules.map((rule) => `${isNew}${rule}`);
}
