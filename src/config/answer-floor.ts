/**
 * Which answers a new configuration takes away, and how many it changes: the floor below a push (D9). Pure.
 *
 * A name and type that had an answer is asked of the new zones as a resolver would: a wildcard, an alias, a delegation or
 * another zone may give it as well. Steered names answer A where a region of their service, or of its fallback, has an
 * IPv4 address, and AAAA likewise.
 *
 * Never:   looks at health: what is down now is back later, what was removed is not.
 * Bounds:  a zone of more than `MAX_COMPARED_RECORDS` that changed is compared by its steered names alone; a push is never
 *          so large.
 * @module
 */
import type { Problem } from "#base/problem.ts";
import { countText } from "#base/units.ts";
import { formatName } from "#dns/wire/name.ts";
import { createNameKey, type NameKey, readNameKey } from "#dns/wire/name-key.ts";
import { TYPE, typeText } from "#dns/wire/types.ts";
import {
  findRrset,
  IMAGE_TYPE,
  NODE,
  NODE_FLAG,
  NODE_WORDS,
  RECORD,
  RRSET,
  RRSET_WORDS,
  rdataOctetsAt,
} from "#dns/zone/image.ts";
import { createLookup, lookup, MATCH } from "#dns/zone/lookup.ts";
import type { ServiceSpec, Snapshot } from "#state/snapshot.ts";
import type { ZoneImage } from "#state/zone-image.ts";

export const MAX_COMPARED_RECORDS = 100_000;
const SAMPLES = 10;
const FREE_CHANGES = 10;

export type AnswerChange = {
  /** Names and types that had an answer. */
  readonly answers: number;
  /** Of these, that have another one now; TTLs aside. */
  readonly changed: number;
  /** Of these, that have none any more. */
  readonly vanished: number;
  /** Some that vanished, such as `www.example.com. A`. */
  readonly samples: readonly string[];
};

type Family = "v4" | "v6";
const FAMILIES = [
  { type: TYPE.A, family: "v4" },
  { type: TYPE.AAAA, family: "v6" },
] as const;
const latin1 = (octets: Uint8Array): string =>
  Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString("latin1");

/** What a snapshot's services answer. */
function createServices(snapshot: Snapshot) {
  const byName = new Map(snapshot.services.map((service) => [service.name, service]));
  const texts = new Map<string, string>();
  const hasFamily = (name: string, family: Family, depth = 0): boolean => {
    const service = byName.get(name);
    if (!service || depth > byName.size) return false;
    if (service.regions.some(({ region }) => snapshot.regions[region]![family].length > 0)) return true;
    return service.fallback !== undefined && hasFamily(service.fallback, family, depth + 1);
  };
  /** All that its answers follow from, but for health and TTLs. */
  const textOf = ({ regions, chain, fallback, allowEmpty, weightedBy }: ServiceSpec): string =>
    JSON.stringify([
      regions.map(({ region, weight, priority }) => {
        const { id, v4, v6, latitude, longitude } = snapshot.regions[region]!;
        return [id, v4, v6, latitude, longitude, weight, priority];
      }),
      chain,
      fallback,
      allowEmpty,
      weightedBy,
    ]);
  return {
    hasFamily,
    text(name: string): string {
      const service = byName.get(name);
      if (!service) return "";
      const known = texts.get(name) ?? textOf(service);
      texts.set(name, known);
      return known;
    },
  };
}

/** The data of an RRset's records, whatever their order and TTL. */
function rdataText(image: ZoneImage, rrset: number): string {
  const { rrsets, rdata } = image;
  const word = rrset * RRSET_WORDS;
  let at = rrsets[word + RRSET.rdataAt]!;
  const records: string[] = [];
  for (let left = rrsets[word + RRSET.count]!; left > 0; left--) {
    const octets = rdataOctetsAt(rdata, at);
    records.push(latin1(rdata.subarray(at + RECORD.rdata, at + RECORD.rdata + octets)));
    at += RECORD.rdata + octets;
  }
  return JSON.stringify(records.sort());
}

const serviceAt = (image: ZoneImage, node: number): string | undefined => {
  const steer = findRrset(image, node, IMAGE_TYPE.steer);
  return steer < 0 ? undefined : image.services[image.rrsets[steer * RRSET_WORDS + RRSET.service]!];
};

/** What a snapshot answers for a name and type: a text that says what; undefined: nothing. */
function createAnswers(snapshot: Snapshot) {
  const services = createServices(snapshot);
  const zones = new Map((snapshot.dns?.zones ?? []).map((image) => [latin1(image.apex), image]));
  const found = createLookup();
  const textAt = (image: ZoneImage, type: number): string | undefined => {
    const rrset = findRrset(image, found.node, type);
    return rrset < 0 ? undefined : rdataText(image, rrset);
  };
  return {
    zones,
    /** @param key of the name, made with the seed of all zones */
    ask(key: NameKey, type: number): string | undefined {
      for (let label = 0; label <= key.labelCount; label++) {
        const image = zones.get(latin1(key.octets.subarray(key.labelAt[label]!, key.length)));
        if (!image) continue;
        lookup(image, key, found);
        if (found.match === MATCH.missing) return undefined;
        if (found.match === MATCH.referral) return textAt(image, TYPE.NS);
        if (found.match === MATCH.dname) return textAt(image, TYPE.DNAME);
        const text = textAt(image, type) ?? textAt(image, TYPE.CNAME);
        const family = FAMILIES.find((one) => one.type === type)?.family;
        if (text !== undefined || family === undefined) return text;
        const service = serviceAt(image, found.node);
        if (service === undefined) return textAt(image, IMAGE_TYPE.alias);
        return services.hasFamily(service, family) ? services.text(service) : undefined;
      }
      return undefined;
    },
  };
}

/** @returns what `after` does to the answers of `before` */
export function compareAnswers(before: Snapshot, after: Snapshot): AnswerChange {
  const old = createAnswers(before);
  const now = createAnswers(after);
  const key = createNameKey();
  const samples: string[] = [];
  let answers = 0;
  let changed = 0;
  let vanished = 0;
  const compare = (image: ZoneImage, node: number, type: number): void => {
    const was = old.ask(key, type);
    if (was === undefined) return;
    answers++;
    const is = now.ask(key, type);
    if (is === was) return;
    changed++;
    if (is !== undefined) return;
    vanished++;
    if (samples.length < SAMPLES) samples.push(`${nameOf(image, node)} ${typeText(type)}`);
  };
  for (const [apex, image] of old.zones) {
    const other = now.zones.get(apex);
    const isSteeredOnly = other === image || (other !== undefined && image.recordCount > MAX_COMPARED_RECORDS);
    if (isSteeredOnly) answers += image.rrsets.length / RRSET_WORDS;
    for (let node = 0; node < image.nodes.length / NODE_WORDS; node++) {
      const word = node * NODE_WORDS;
      const isChosen = (image.nodes[word + NODE.flags]! & (NODE_FLAG.steer | NODE_FLAG.alias)) !== 0;
      if (isSteeredOnly && !isChosen) continue;
      const nameAt = image.nodes[word + NODE.nameAt]!;
      readNameKey(image.names, nameAt, nameAt + image.nodes[word + NODE.nameOctets]!, image.seed, key);
      if (isChosen) for (const { type } of FAMILIES) compare(image, node, type);
      if (isSteeredOnly) continue;
      const first = image.nodes[word + NODE.firstRrset]!;
      for (let rrset = first; rrset < first + image.nodes[word + NODE.rrsetCount]!; rrset++) {
        const type = image.rrsets[rrset * RRSET_WORDS + RRSET.type]!;
        // The SOA is there or the zone is not. Pseudo-types were looked at.
        if (type !== TYPE.SOA && type <= 0xffff) compare(image, node, type);
      }
    }
  }
  return { answers, changed, vanished, samples };
}

/**
 * What a new configuration does to answers, as problems: errors where it was pushed, warnings where files say so.
 *
 * @param maxChangePercent of the answers that a push may change; fewer than `FREE_CHANGES` always may
 */
export function floorProblems(
  change: AnswerChange,
  { file, severity, maxChangePercent }: Pick<Problem, "file" | "severity"> & { readonly maxChangePercent: number },
): Problem[] {
  const { answers, changed, vanished, samples } = change;
  const at = { file, line: 1, column: 1, path: "", severity };
  const problems: Problem[] = [];
  if (vanished > 0) {
    const more = vanished > samples.length ? ` and ${vanished - samples.length} more` : "";
    problems.push({
      ...at,
      says: `${countText(vanished, "answer")} would vanish: ${samples.join(", ")}${more}`,
      fix: "Keep them, or push with `--break-glass REASON`",
    });
  }
  const percent = answers === 0 ? 0 : Math.round((100 * changed) / answers);
  if (severity === "error" && changed > FREE_CHANGES && percent > maxChangePercent)
    problems.push({
      ...at,
      says: `${changed} of ${answers} answers would change: ${percent} %, more than \`control.maxChange\` allows (${maxChangePercent} %)`,
      fix: "Push it in steps, or with `--break-glass REASON`",
    });
  return problems;
}

function nameOf(image: ZoneImage, node: number): string {
  const at = image.nodes[node * NODE_WORDS + NODE.nameAt]!;
  return formatName(image.names.subarray(at, at + image.nodes[node * NODE_WORDS + NODE.nameOctets]!));
}
