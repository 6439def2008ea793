/**
 * The table that `PUT /latency` fills: measured RTT by client network and region, until the map is built from it.
 *
 * Owns:    the entries in memory, as columns of numbers (about 40 octets each). `app/` keeps them over a restart.
 * Shape:   `[{ "network": "198.51.100.0/24", "rttMs": { "eu-west": 23.4, "us-east": 110 } }]`, with an optional
 *          `"atMs"` (Unix ms; now by default). Networks narrower than /24 or /48 count for their whole block.
 * @module
 */
import { combine32 } from "#base/hash.ts";
import { formatCidr, parseCidr } from "#base/ip.ts";
import type { RttColumns } from "#geo/rtt-map.ts";

export type LatencyInput = {
  readonly network: string;
  /** ms per region id. */
  readonly rttMs: Readonly<Record<string, number>>;
  readonly atMs?: number;
};
export type LatencyProblem = { readonly entry: number; readonly says: string };

/** One entry is a network and a region; a million of them take about 40 MB and build in about a second. */
const MAX_LATENCY_ENTRIES = 1_000_000;
/** Measurements are forgotten after a day: routes change. */
export const LATENCY_EXPIRY_MS = 86_400_000;
/** Also what the API takes; a round trip of a minute is no round trip. */
const MAX_RTT_MS = 60_000;

export type LatencyTable = {
  /**
   * Takes all entries or none. The newest measurement of a network and region wins; at the same time, the later entry.
   * @param replace true: the table becomes these entries; false: they are merged in
   * @returns what is wrong with the entries; empty when they were taken
   */
  put(entries: readonly LatencyInput[], replace: boolean, nowMs: number): readonly LatencyProblem[];
  /** Drops what has expired. @returns whether anything was dropped */
  expire(nowMs: number): boolean;
  /** A copy that may cross to another thread. */
  columns(): RttColumns;
  /** Entries: pairs of a network and a region. */
  count(): number;
  list(limit: number): readonly LatencyInput[];
};

type Line = {
  isIpv6: number;
  bits: number;
  high: number;
  low: number;
  region: number;
  rttMicros: number;
  atMs: number;
};

/** @param isRegion whether a region of this id exists */
export function createLatencyTable(isRegion: (id: string) => boolean, maxEntries = MAX_LATENCY_ENTRIES): LatencyTable {
  const regionIds: string[] = [];
  const regionOf = new Map<string, number>();
  let capacity = 1_024;
  let count = 0;
  let isIpv6 = new Uint8Array(capacity);
  let bits = new Uint8Array(capacity);
  let high = new Uint32Array(capacity);
  let low = new Uint16Array(capacity);
  let region = new Uint16Array(capacity);
  let rttMicros = new Uint32Array(capacity);
  let atMs = new Float64Array(capacity);
  /** Open addressing, half full at most: line + 1, or 0. */
  let index = new Uint32Array(capacity * 2);

  const slotOf = (line: Omit<Line, "rttMicros" | "atMs">): number => {
    const mask = index.length - 1;
    let slot = combine32(combine32(line.high, line.low), line.region * 256 + line.bits * 2 + line.isIpv6) & mask;
    for (; index[slot] !== 0; slot = (slot + 1) & mask) {
      const at = index[slot]! - 1;
      const isSame =
        high[at] === line.high &&
        low[at] === line.low &&
        region[at] === line.region &&
        bits[at] === line.bits &&
        isIpv6[at] === line.isIpv6;
      if (isSame) break;
    }
    return slot;
  };
  const lineAt = (at: number): Line => ({
    isIpv6: isIpv6[at]!,
    bits: bits[at]!,
    high: high[at]!,
    low: low[at]!,
    region: region[at]!,
    rttMicros: rttMicros[at]!,
    atMs: atMs[at]!,
  });
  const reindex = (): void => {
    index = new Uint32Array(capacity * 2);
    for (let at = 0; at < count; at++) index[slotOf(lineAt(at))] = at + 1;
  };
  const grow = (): void => {
    capacity *= 2;
    const grown = <T extends Uint8Array | Uint16Array | Uint32Array | Float64Array>(larger: T, old: T): T => {
      larger.set(old);
      return larger;
    };
    isIpv6 = grown(new Uint8Array(capacity), isIpv6);
    bits = grown(new Uint8Array(capacity), bits);
    high = grown(new Uint32Array(capacity), high);
    low = grown(new Uint16Array(capacity), low);
    region = grown(new Uint16Array(capacity), region);
    rttMicros = grown(new Uint32Array(capacity), rttMicros);
    atMs = grown(new Float64Array(capacity), atMs);
    reindex();
  };
  const write = (line: Line): void => {
    let slot = slotOf(line);
    let at = index[slot]! - 1;
    if (at >= 0 && atMs[at]! > line.atMs) return;
    if (at < 0) {
      if (count === capacity) {
        grow();
        slot = slotOf(line);
      }
      at = count++;
      index[slot] = at + 1;
    }
    isIpv6[at] = line.isIpv6;
    bits[at] = line.bits;
    high[at] = line.high;
    low[at] = line.low;
    region[at] = line.region;
    rttMicros[at] = line.rttMicros;
    atMs[at] = line.atMs;
  };
  const parse = (input: LatencyInput, nowMs: number, says: (problem: string) => void): Line[] => {
    const cidr = parseCidr(input.network);
    if (!cidr) {
      says(`${JSON.stringify(input.network)} is not a network, such as 198.51.100.0/24 or 2001:db8:1::/48`);
      return [];
    }
    const { atMs: measuredMs = nowMs } = input;
    if (!Number.isFinite(measuredMs) || measuredMs < 0 || measuredMs > nowMs + 60_000)
      says(`atMs ${measuredMs} is not a Unix time in ms up to now`);
    const isIpv4 = cidr.bytes.length === 4;
    const padded = new Uint8Array(6);
    const width = Math.min(cidr.bits, isIpv4 ? 24 : 48);
    padded.set(cidr.bytes.subarray(0, width === 24 && isIpv4 ? 3 : Math.min(6, cidr.bytes.length)));
    const view = new DataView(padded.buffer);
    return Object.entries(input.rttMs).flatMap(([id, ms]) => {
      if (!isRegion(id)) {
        says(`There is no region ${JSON.stringify(id)}`);
        return [];
      }
      if (!(ms >= 0 && ms <= MAX_RTT_MS)) says(`rttMs of ${id} is ${ms}; it must be from 0 to ${MAX_RTT_MS}`);
      let number = regionOf.get(id);
      if (number === undefined) {
        number = regionIds.push(id) - 1;
        regionOf.set(id, number);
      }
      // 0 means "not measured" in a row, so the shortest time is 1 µs.
      const micros = Math.max(1, Math.round(ms * 1_000));
      const line = { isIpv6: isIpv4 ? 0 : 1, bits: width, high: view.getUint32(0), low: view.getUint16(4) };
      return [{ ...line, region: number, rttMicros: micros, atMs: measuredMs }];
    });
  };

  return {
    put(entries, replace, nowMs) {
      const problems: LatencyProblem[] = [];
      const lines = entries.flatMap((input, entry) => parse(input, nowMs, (says) => problems.push({ entry, says })));
      if (lines.length + (replace ? 0 : count) > maxEntries)
        problems.push({ entry: 0, says: `The table would have more than ${maxEntries} entries; send fewer networks` });
      if (problems.length > 0) return problems;
      if (replace) {
        count = 0;
        reindex();
      }
      for (const line of lines) write(line);
      return [];
    },
    expire(nowMs) {
      const before = count;
      let kept = 0;
      for (let at = 0; at < before; at++) {
        if (atMs[at]! < nowMs - LATENCY_EXPIRY_MS) continue;
        const line = lineAt(at);
        isIpv6[kept] = line.isIpv6;
        bits[kept] = line.bits;
        high[kept] = line.high;
        low[kept] = line.low;
        region[kept] = line.region;
        rttMicros[kept] = line.rttMicros;
        atMs[kept] = line.atMs;
        kept++;
      }
      count = kept;
      if (kept !== before) reindex();
      return kept !== before;
    },
    columns: () => ({
      count,
      regionIds: [...regionIds],
      isIpv6: isIpv6.slice(0, count),
      bits: bits.slice(0, count),
      high: high.slice(0, count),
      low: low.slice(0, count),
      region: region.slice(0, count),
      rttMicros: rttMicros.slice(0, count),
      atMs: atMs.slice(0, count),
    }),
    count: () => count,
    list(limit) {
      const byNetwork = new Map<string, { network: string; rttMs: Record<string, number>; atMs: number }>();
      for (let at = 0; at < count; at++) {
        const line = lineAt(at);
        const bytes = new Uint8Array(line.isIpv6 === 1 ? 16 : 4);
        new DataView(bytes.buffer).setUint32(0, line.high);
        if (line.isIpv6 === 1) new DataView(bytes.buffer).setUint16(4, line.low);
        const network = formatCidr({ bytes, bits: line.bits });
        let entry = byNetwork.get(network);
        if (!entry) {
          if (byNetwork.size === limit) continue;
          entry = { network, rttMs: {}, atMs: 0 };
          byNetwork.set(network, entry);
        }
        entry.rttMs[regionIds[line.region]!] = line.rttMicros / 1_000;
        entry.atMs = Math.max(entry.atMs, line.atMs);
      }
      return [...byNetwork.values()];
    },
  };
}
