/**
 * What beacons say → medians over networks, by autonomous system and country. Pure.
 *
 * Owns:    what networks said last. A network has one voice, however often it speaks: the median of its own last
 *          `KEPT_VALUES`. An aggregate speaks when `MIN_NETWORKS` networks do, and says the median of their voices: whoever
 *          wants to move it must speak from as many networks as all others together.
 * Bounds:  `MAX_GROUPS` pairs of an aggregate and a region, `MAX_NETWORKS` voices each. A full one takes a newcomer in the
 *          place of a voice that fell silent, never of one that is fresh: a flood displaces nobody.
 * Units:   Unix ms; ms of round trips in, µs out.
 * @module
 */
import { medianOf } from "#rum/median.ts";
import type { LatencyShare } from "#state/shared.ts";

export const MIN_NETWORKS = 5;
/** After this a measurement counts for half. */
export const HALF_LIFE_MS = 1_800_000;
/** Samples, those of long ago counted for less, below which an aggregate says nothing. */
export const MIN_SAMPLES = 20;
/** A voice that was silent so long is not heard any more. */
const SILENT_MS = 2 * HALF_LIFE_MS;
const KEPT_VALUES = 9;
export const MAX_NETWORKS = 64;
export const MAX_GROUPS = 4_096;
/** A newcomer may take the place of who was silent for so long. */
const STALE_MS = HALF_LIFE_MS / 2;

/** Where a client is, as databases say: 0 and empty where they do not. */
export type ClientPlace = { readonly asn: number; readonly country: string };
type Voice = { values: number[]; samples: number; atMs: number };
type Group = { readonly name: string; readonly region: string; readonly voices: Map<string, Voice>; atMs: number };

export type BeaconAggregate = {
  /** @param network `networkOf()` of the client. @returns whether it was taken */
  add(place: ClientPlace, network: string, region: string, ms: number, atMs: number): boolean;
  /** What may be said of aggregates now. Forgets what has fallen silent. */
  rows(nowMs: number): LatencyShare["rows"];
  size(): { readonly groups: number; readonly voices: number };
};

const decay = (ageMs: number): number => 2 ** (-Math.max(0, ageMs) / HALF_LIFE_MS);

/** @returns the key whose entry is the oldest, if that is stale */
function stalest(entries: ReadonlyMap<string, { readonly atMs: number }>, nowMs: number): string | undefined {
  let oldest: string | undefined;
  let oldestAtMs = nowMs - STALE_MS;
  for (const [key, { atMs }] of entries) {
    if (atMs >= oldestAtMs) continue;
    oldest = key;
    oldestAtMs = atMs;
  }
  return oldest;
}

export function createBeaconAggregate(): BeaconAggregate {
  const groups = new Map<string, Group>();

  function groupOf(name: string, region: string, nowMs: number): Group | undefined {
    const key = `${name} ${region}`;
    const known = groups.get(key);
    if (known) return known;
    if (groups.size >= MAX_GROUPS) {
      const gone = stalest(groups, nowMs);
      if (gone === undefined) return undefined;
      groups.delete(gone);
    }
    const group: Group = { name, region, voices: new Map(), atMs: nowMs };
    groups.set(key, group);
    return group;
  }
  function voiceOf({ voices }: Group, network: string, nowMs: number): Voice | undefined {
    const known = voices.get(network);
    if (known) return known;
    if (voices.size >= MAX_NETWORKS) {
      const gone = stalest(voices, nowMs);
      if (gone === undefined) return undefined;
      voices.delete(gone);
    }
    const voice: Voice = { values: [], samples: 0, atMs: nowMs };
    voices.set(network, voice);
    return voice;
  }

  return {
    add({ asn, country }, network, region, ms, atMs) {
      if (asn === 0) return false;
      const group = groupOf(country === "" ? `AS${asn}` : `AS${asn}-${country}`, region, atMs);
      const voice = group && voiceOf(group, network, atMs);
      if (!group || !voice) return false;
      voice.samples = voice.samples * decay(atMs - voice.atMs) + 1;
      voice.values.push(ms);
      if (voice.values.length > KEPT_VALUES) voice.values.shift();
      voice.atMs = atMs;
      group.atMs = atMs;
      return true;
    },
    rows(nowMs) {
      const rows: LatencyShare["rows"][number][] = [];
      for (const [key, group] of groups) {
        for (const [network, { atMs }] of group.voices) if (nowMs - atMs > SILENT_MS) group.voices.delete(network);
        if (group.voices.size === 0) groups.delete(key);
        if (group.voices.size < MIN_NETWORKS) continue;
        const voices = [...group.voices.values()];
        // One network may not make up for the silence of the others.
        const samples = voices.reduce(
          (sum, voice) => sum + Math.min(KEPT_VALUES, voice.samples * decay(nowMs - voice.atMs)),
          0,
        );
        if (samples < MIN_SAMPLES) continue;
        const ms = medianOf(voices.map(({ values }) => medianOf([...values])));
        rows.push({
          network: group.name,
          region: group.region,
          by: "beacons",
          rttMicros: Math.round(ms * 1_000),
          samples: Math.round(samples),
          ageMs: Math.max(0, nowMs - group.atMs),
        });
      }
      return rows;
    },
    size: () => ({
      groups: groups.size,
      voices: [...groups.values()].reduce((sum, { voices }) => sum + voices.size, 0),
    }),
  };
}
