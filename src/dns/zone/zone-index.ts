/**
 * The records of a zone by owner name, for the rules that look at more than one record.
 *
 * Owns:   grouping and ancestors. A name's key is its lower-case wire form as a string of octets, so that the key of
 *         its parent is a tail of it. Not for serving: that is the zone image.
 * @module
 */
import { LOWER, MAX_NAME_OCTETS } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import type { ZoneRecord } from "#dns/zone/record.ts";

export type ZoneNode = { readonly key: string; readonly owner: Uint8Array; readonly records: ZoneRecord[] };

export type ZoneIndex = {
  readonly apexKey: string;
  /** By key, in the order of the file; owners outside of the zone are not in it. */
  readonly nodes: ReadonlyMap<string, ZoneNode>;
  readonly outside: readonly ZoneRecord[];
  /** Keys of the names below the apex that have NS records. */
  readonly cuts: ReadonlySet<string>;
};

const scratch = Buffer.alloc(MAX_NAME_OCTETS);

/** @param name wire name, from `offset` on to its root label */
export function nameKey(name: Uint8Array, offset = 0): string {
  let at = offset;
  for (let length = name[at]!; length !== 0; length = name[at]!) at += 1 + length;
  const octets = at + 1 - offset;
  for (let index = 0; index < octets; index++) scratch[index] = LOWER[name[offset + index]!]!;
  return scratch.toString("latin1", 0, octets);
}

/** Key of the name without its first label; "" above the root. */
export const parentKey = (key: string): string => key.slice(1 + key.charCodeAt(0));

export function indexZone(records: readonly ZoneRecord[], apex: Uint8Array): ZoneIndex {
  const apexKey = nameKey(apex);
  const nodes = new Map<string, ZoneNode>();
  const outside: ZoneRecord[] = [];
  const cuts = new Set<string>();
  let lastOwner: Uint8Array | undefined;
  let node: ZoneNode | undefined;
  for (const record of records) {
    if (record.owner !== lastOwner) {
      lastOwner = record.owner;
      const key = nameKey(record.owner);
      node = nodes.get(key);
      if (!node && isInZone(key, apexKey)) {
        node = { key, owner: record.owner, records: [] };
        nodes.set(key, node);
      }
    }
    if (!node) {
      outside.push(record);
      continue;
    }
    node.records.push(record);
    if (record.type === TYPE.NS && node.key !== apexKey) cuts.add(node.key);
  }
  return { apexKey, nodes, outside, cuts };
}

/** Whether the name of `key` is the apex or below it. */
export function isInZone(key: string, apexKey: string): boolean {
  if (!key.endsWith(apexKey)) return false;
  for (; key.length > apexKey.length; key = parentKey(key));
  return key.length === apexKey.length;
}

/**
 * The zone cut nearest to the apex that `key` lies at or below: from there on down another zone has the say.
 * @returns its key, or undefined
 */
export function cutAbove(index: ZoneIndex, key: string): string | undefined {
  if (index.cuts.size === 0) return undefined;
  let found: string | undefined;
  for (; key.length > index.apexKey.length; key = parentKey(key)) if (index.cuts.has(key)) found = key;
  return found;
}

export const hasType = (node: ZoneNode | undefined, type: number): boolean =>
  node?.records.some((record) => record.type === type) ?? false;
