/**
 * Measured latency from three sources as one set of lines: operators (`PUT /latency`), connections of balancers, beacons of
 * pages. Pure.
 *
 * Owns:    precedence. Of a network and region the better source is used, also where the other speaks of a part of the
 *          network: what an operator says of a /20 is not undone by a /24 that pages speak of.
 * Units:   µs, Unix ms.
 * @module
 */
import { parseCidr } from "#base/ip.ts";
import type { RttColumns } from "#geo/rtt-map.ts";
import { HEARSAY } from "#state/client-map.ts";
import type { LatencySource } from "#state/shared.ts";

/** What a node learnt, of one network or autonomous system. */
export type LearnedLatency = {
  /** `198.51.100.0/24`, `2001:db8:1::/48`, `AS64500`, or `AS64500-DE`: its networks in one country. */
  readonly network: string;
  readonly region: string;
  readonly rttMicros: number;
  readonly by: LatencySource;
  readonly atMs: number;
};

/** First 48 bits of a network, no wider than /24 or /48. */
export type ShortNetwork = {
  readonly isIpv6: number;
  readonly bits: number;
  readonly high: number;
  readonly low: number;
};
type Line = ShortNetwork & { readonly region: number; readonly rttMicros: number; readonly atMs: number };

/** So many lines of one autonomous system: the largest have tens of thousands of networks, and more say no more. */
export const MAX_SYSTEM_NETWORKS = 20_000;

/** @returns undefined where it is no network */
export function shortNetwork(text: string): ShortNetwork | undefined {
  const cidr = parseCidr(text);
  if (!cidr) return undefined;
  const isIpv6 = cidr.bytes.length === 16;
  const bytes = new Uint8Array(6);
  bytes.set(cidr.bytes.subarray(0, isIpv6 ? 6 : 3));
  const view = new DataView(bytes.buffer);
  return {
    isIpv6: isIpv6 ? 1 : 0,
    bits: Math.min(cidr.bits, isIpv6 ? 48 : 24),
    high: view.getUint32(0),
    low: view.getUint16(4),
  };
}

/** `AS64500-DE` → its number and country; undefined where it is a network. */
export function systemOf(text: string): { readonly asn: number; readonly country: string } | undefined {
  const match = /^AS([1-9][0-9]{0,9})(?:-([A-Z]{2}))?$/.exec(text);
  return match ? { asn: Number(match[1]), country: match[2] ?? "" } : undefined;
}

const maskOf = (bits: number): number => (bits === 0 ? 0 : (-1 << (32 - Math.min(32, bits))) >>> 0);

/** Networks of which something is said, by region and width. */
function createCoverage() {
  const widths = new Map<number, Set<string>>();
  const keyOf = (region: number, isIpv6: number, high: number, low: number): string =>
    `${region} ${isIpv6} ${high} ${low}`;
  return {
    add({ region, isIpv6, bits, high, low }: Omit<Line, "rttMicros" | "atMs">): void {
      const ofWidth = widths.get(bits) ?? new Set<string>();
      widths.set(bits, ofWidth);
      ofWidth.add(keyOf(region, isIpv6, high, low));
    },
    /** Whether this network, or one that it is a part of, is there. */
    has({ region, isIpv6, bits, high, low }: Omit<Line, "rttMicros" | "atMs">): boolean {
      for (const [width, keys] of widths) {
        if (width > bits) continue;
        const shortHigh = (high & maskOf(width)) >>> 0;
        const shortLow = width <= 32 ? 0 : low & (0xffff << (48 - width)) & 0xffff;
        if (keys.has(keyOf(region, isIpv6, shortHigh, shortLow))) return true;
      }
      return false;
    },
  };
}

/**
 * @param operators what `PUT /latency` brought
 * @param networksOf the networks of an autonomous system, as far as they are known
 * @returns lines in which no better source is hidden behind a worse one; wide ones and narrow ones mixed
 */
export function layLatency(
  operators: RttColumns,
  learned: readonly LearnedLatency[],
  networksOf: (asn: number, country: string) => readonly ShortNetwork[],
): RttColumns {
  const regionIds = [...operators.regionIds];
  const numberOf = new Map(regionIds.map((id, number) => [id, number]));
  const coverage = createCoverage();
  for (let line = 0; line < operators.count; line++)
    coverage.add({
      isIpv6: operators.isIpv6[line]!,
      bits: operators.bits[line]!,
      high: operators.high[line]!,
      low: operators.low[line]!,
      region: operators.region[line]!,
    });
  const lines: Line[] = [];
  for (const by of ["connections", "beacons"] as const) {
    const added: Line[] = [];
    const newest = new Map<string, number>();
    for (const row of learned) {
      if (row.by !== by) continue;
      let region = numberOf.get(row.region);
      if (region === undefined) {
        region = regionIds.push(row.region) - 1;
        numberOf.set(row.region, region);
      }
      const system = systemOf(row.network);
      const one = system ? undefined : shortNetwork(row.network);
      const networks = system ? networksOf(system.asn, system.country) : one ? [one] : [];
      // The shortest time is 1 µs: 0 means "not measured".
      const rttMicros = Math.max(1, Math.min(60_000_000, row.rttMicros)) + (by === "beacons" ? HEARSAY : 0);
      for (const network of networks) {
        const line = { ...network, region, rttMicros, atMs: row.atMs };
        if (coverage.has(line)) continue;
        const key = `${region} ${network.isIpv6} ${network.bits} ${network.high} ${network.low}`;
        const before = newest.get(key);
        if (before === undefined) newest.set(key, added.push(line) - 1);
        else if (added[before]!.atMs <= line.atMs) added[before] = line;
      }
    }
    for (const line of added) coverage.add(line);
    lines.push(...added);
  }
  return append(operators, regionIds, lines);
}

function append(first: RttColumns, regionIds: readonly string[], lines: readonly Line[]): RttColumns {
  const count = first.count + lines.length;
  const widen = <T extends Uint8Array | Uint16Array | Uint32Array | Float64Array>(
    wide: T,
    narrow: T,
    field: keyof Line,
  ): T => {
    wide.set(narrow.subarray(0, first.count));
    for (const [at, line] of lines.entries()) wide[first.count + at] = line[field];
    return wide;
  };
  return {
    count,
    regionIds,
    isIpv6: widen(new Uint8Array(count), first.isIpv6, "isIpv6"),
    bits: widen(new Uint8Array(count), first.bits, "bits"),
    high: widen(new Uint32Array(count), first.high, "high"),
    low: widen(new Uint16Array(count), first.low, "low"),
    region: widen(new Uint16Array(count), first.region, "region"),
    rttMicros: widen(new Uint32Array(count), first.rttMicros, "rttMicros"),
    atMs: widen(new Float64Array(count), first.atMs, "atMs"),
  };
}
