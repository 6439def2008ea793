/**
 * What the DNS benchmarks serve and ask: one zone of any size, static or steered, and queries for it.
 *
 * Owns:    the zone's text, the regions, the query files in dnsperf's binary form (`dnsperf -B`: each message behind its
 *          length, as over TCP), so that every query may have a client subnet of its own.
 * @module
 */
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { createSeededRng, type Rng } from "#base/rng.ts";
import { ecsData, encodeQuery } from "#dns/wire/encode-query.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";

export const ZONE = "bench.example";
/** Names of a zone where its size is not what is measured. */
export const NAMES = 1_000;
const ECS_OPTION_CODE = 8;
/** Queries in a file at most; dnsperf goes round it. */
const MAX_QUERIES = 1_000_000;
/** Of queries that are not made for each name once. */
const OTHER_QUERIES = 200_000;
const SUBNETS = 1_000;

export type World = {
  /** How many names with one A record each. */
  readonly names: number;
  /** Search nodes of the City database by which the names are steered; undefined: static names. */
  readonly mapNodes: number | undefined;
  /** UDP threads. */
  readonly workers: number;
};
/**
 * `existing`: in random order; `missing`: random names that are not there; `steered`: names in random order with client
 * subnets of a thousand networks, as a server sees that the same resolvers ask again and again; `steered-cold`: with
 * another subnet each time, the worst for the processor's caches.
 */
export type QueryKind = "existing" | "missing" | "steered" | "steered-cold";

/** One in each continent, so that servers that know continents only choose as those do that know distances. */
export const REGIONS = [
  { id: "us-east", at: [39.04, -77.49], continent: "NA", country: "US", address: "198.18.11.1" },
  { id: "eu-west", at: [53.35, -6.26], continent: "EU", country: "IE", address: "198.18.12.1" },
  { id: "ap-south", at: [19.07, 72.88], continent: "AS", country: "IN", address: "198.18.13.1" },
  { id: "sa-east", at: [-23.55, -46.63], continent: "SA", country: "BR", address: "198.18.14.1" },
  { id: "af-south", at: [-33.92, 18.42], continent: "AF", country: "ZA", address: "198.18.15.1" },
  { id: "oc-east", at: [-33.87, 151.21], continent: "OC", country: "AU", address: "198.18.16.1" },
] as const;

export const hostName = (index: number) => `host${index}.${ZONE}`;

/** @param record what stands behind the name in place of an A record, e.g. `30 STEER www` */
export function zoneText(names: number, record?: string): string {
  const lines = [
    `$ORIGIN ${ZONE}.`,
    "$TTL 300",
    "@ IN SOA ns1 hostmaster 1 3600 600 604800 300",
    "@ IN NS ns1",
    "ns1 IN A 192.0.2.53",
  ];
  for (let index = 0; index < names; index++) {
    lines.push(`host${index} ${record ?? `IN A 192.0.2.${1 + (index % 250)}`}`);
  }
  return `${lines.join("\n")}\n`;
}

/** Names in random order, each once, over and over. */
function* shuffled(names: number, rng: Rng): Generator<number> {
  const order = Uint32Array.from({ length: names }, (_, index) => index);
  for (let left = names; left > 1; left--) {
    const other = Math.floor(rng() * left);
    [order[left - 1], order[other]] = [order[other]!, order[left - 1]!];
  }
  for (;;) yield* order;
}

/** Four of five clients have an IPv4 /24, one has an IPv6 /48 of what is given out (2000::/3). */
function randomSubnet(rng: Rng): Uint8Array {
  const isIpv6 = rng() < 0.2;
  const address = Uint8Array.from({ length: isIpv6 ? 16 : 4 }, () => Math.floor(rng() * 256));
  if (isIpv6) address[0] = 0x20 | (address[0]! & 0x1f);
  return ecsData(address, isIpv6 ? 48 : 24);
}

/** Writes queries for `dnsperf -B`: all with EDNS; the same arguments, the same file. */
export function writeQueries(file: string, kind: QueryKind, names: number): void {
  const rng = createSeededRng(names);
  const order = shuffled(names, rng);
  const subnets = Array.from({ length: SUBNETS }, () => randomSubnet(rng));
  const optionsOf: Record<QueryKind, () => { code: number; data: Uint8Array }[]> = {
    existing: () => [],
    missing: () => [],
    steered: () => [{ code: ECS_OPTION_CODE, data: subnets[Math.floor(rng() * SUBNETS)]! }],
    "steered-cold": () => [{ code: ECS_OPTION_CODE, data: randomSubnet(rng) }],
  };
  const count = kind === "existing" ? Math.min(MAX_QUERIES, Math.max(1_000, names)) : OTHER_QUERIES;
  const descriptor = openSync(file, "w");
  let chunk: Uint8Array[] = [];
  for (let index = 0; index < count; index++) {
    const label = hostName(order.next().value as number);
    const name = kind === "missing" ? `x${Math.floor(rng() * 2 ** 32).toString(36)}.${ZONE}` : label;
    const options = optionsOf[kind]();
    const message = encodeQuery(parseName(name) as Uint8Array, TYPE.A, { edns: { options } });
    chunk.push(Uint8Array.of(message.length >>> 8, message.length & 0xff), message);
    if (chunk.length < 20_000 && index + 1 < count) continue;
    writeSync(descriptor, Buffer.concat(chunk));
    chunk = [];
  }
  closeSync(descriptor);
}

/** A query that every server of a world can answer: is it ready? */
export const firstQuery = (): Uint8Array => encodeQuery(parseName(hostName(0)) as Uint8Array, TYPE.A);

/** Static names as dnsperf's text input. */
export function writeTextQueries(file: string, names: number): void {
  writeFileSync(file, Array.from({ length: names }, (_, index) => `${hostName(index)} A\n`).join(""));
}
