/**
 * The operator's word over the database: overrides by network, AS and country, and the networks that fences name.
 *
 * Owns:    the overlay trie, and which override wins: the most specific network, then the AS, then the country.
 * Reader:  `geo/build.ts`; `locate` also serves single look-ups (`rhumb geo lookup`, explain).
 * @module
 */
import { type Cidr, cidrContains, formatCidr, parseCidr } from "#base/ip.ts";
import { continentOfCountry } from "#geo/countries.ts";
import type { GeoPlace } from "#geo/database.ts";
import type { Location } from "#geo/location.ts";
import { createTriePairs, insertNetwork, type TriePairs } from "#geo/trie.ts";
import type { GeoOverride, MapSpec } from "#state/snapshot.ts";

/** What the overlay says of one set of networks. */
export type OverlayEntry = {
  readonly override: GeoOverride | undefined;
  readonly insideFenceNetworks: readonly boolean[];
  /** IPv6 networks that the walk treats apart; see `geo/walk.ts`. */
  readonly pin: "6to4" | "mapped" | "teredo" | undefined;
};

export type Overlay = {
  readonly trie: TriePairs;
  /** A leaf is ~index into `entries`; entry 0 says nothing. */
  readonly ipv4Root: number;
  readonly ipv6Root: number;
  readonly entries: readonly OverlayEntry[];
  /** AS numbers that overrides or fences ask for; all others count as one. */
  readonly askedAsns: ReadonlySet<number>;
  /** Networks that cannot be laid over, with the reason, one sentence each. */
  readonly ignored: readonly string[];
  /** The entry that holds for an address, in the family where its clients are walked. For single look-ups. */
  entryOf(address: Uint8Array): OverlayEntry;
  locate(place: GeoPlace, asn: number, entry: OverlayEntry): Location;
};

type Mark = {
  readonly cidr: Cidr;
  readonly override?: GeoOverride;
  readonly fence?: number;
  readonly pin?: OverlayEntry["pin"];
};

const PIN_6TO4 = parseCidr("2002::/16")!;
/** The block of 48 bits that holds the v4-mapped ::ffff:0:0/96. */
const PIN_MAPPED = parseCidr("::/48")!;
const IPV4_MAPPED = parseCidr("::ffff:0:0/96")!;
/** Teredo (RFC 4380): the client's IPv4 address lies in the last 32 bits, beyond any scope, so its place is unknown. */
const PIN_TEREDO = parseCidr("2001::/32")!;

const liesIn = (cidr: Cidr, outer: Cidr): boolean => cidr.bits >= outer.bits && cidrContains(outer, cidr.bytes);

/** An operator's network in the family where its clients are walked, or a reason why it cannot work. */
function placeNetwork(text: string): Cidr | string {
  const cidr = parseCidr(text);
  if (!cidr) return `${text} is not a network, such as 192.0.2.0/24 or 2001:db8::/32`;
  if (cidr.bytes.length === 4) return cidr;
  if (liesIn(cidr, IPV4_MAPPED)) return { bytes: cidr.bytes.slice(12), bits: cidr.bits - 96 };
  if (liesIn(cidr, PIN_6TO4)) return `${text} lies in 2002::/16 (6to4): name the IPv4 network inside it instead`;
  if (cidr.bits > PIN_MAPPED.bits && liesIn(cidr, PIN_MAPPED)) return `${text} lies in ::/48, which has no clients`;
  return cidr;
}

/** @param fences those of the map specification whose `networks` count; none for single look-ups */
export function createOverlay(overrides: readonly GeoOverride[], fences: MapSpec["fences"]): Overlay {
  const marks: Mark[] = [];
  const ignored: string[] = [];
  const mark = (text: string, what: Omit<Mark, "cidr">): void => {
    const cidr = placeNetwork(text);
    if (typeof cidr === "string") ignored.push(cidr);
    else marks.push({ cidr, ...what });
  };
  const byAsn = new Map<number, GeoOverride>();
  const byCountry = new Map<string, GeoOverride>();
  for (const override of overrides) {
    if (override.network !== undefined) mark(override.network, { override });
    if (override.asn !== undefined) byAsn.set(override.asn, override);
    if (override.country !== undefined) byCountry.set(override.country, override);
  }
  fences.forEach((fence, index) => {
    for (const network of fence.networks) mark(network, { fence: index });
  });
  marks.push({ cidr: PIN_6TO4, pin: "6to4" }, { cidr: PIN_MAPPED, pin: "mapped" }, { cidr: PIN_TEREDO, pin: "teredo" });
  // Wide networks first, so that the narrower lies over the wider; the sort is stable, so that the later line wins.
  marks.sort((a, b) => a.cidr.bits - b.cidr.bits);

  const entries: OverlayEntry[] = [
    { override: undefined, insideFenceNetworks: fences.map(() => false), pin: undefined },
  ];
  const trie = createTriePairs();
  const roots = { 4: ~0, 16: ~0 };
  /** Entries by (entry, fence): a fence may list thousands of networks. */
  const insideFence = new Map<number, number>();
  const layOver = (entryIndex: number, { override, fence, pin }: Mark): number => {
    const entry = entries[entryIndex]!;
    const isNew = override !== undefined || pin !== undefined;
    const memo = isNew ? undefined : entryIndex * fences.length + fence!;
    const known = memo === undefined ? undefined : insideFence.get(memo);
    if (known !== undefined) return known;
    const index =
      entries.push({
        override: override ?? entry.override,
        insideFenceNetworks: entry.insideFenceNetworks.map((isInside, at) => isInside || at === fence),
        pin: pin ?? entry.pin,
      }) - 1;
    if (memo !== undefined) insideFence.set(memo, index);
    return index;
  };
  for (const what of marks) {
    const family = what.cidr.bytes.length === 4 ? 4 : 16;
    // Nothing narrower is in yet, so what stands there is a leaf.
    const update = (leaf: number) => ~layOver(~leaf, what);
    roots[family] = insertNetwork(trie, roots[family], what.cidr.bytes, what.cidr.bits, update);
  }

  return {
    trie,
    ipv4Root: roots[4],
    ipv6Root: roots[16],
    entries,
    askedAsns: new Set([...byAsn.keys(), ...fences.flatMap((fence) => fence.asns)]),
    ignored,
    entryOf(address) {
      let reference = address.length === 4 ? roots[4] : roots[16];
      for (let bit = 0; reference >= 0; bit++)
        reference = trie.child(reference, (address[bit >>> 3]! >>> (7 - (bit & 7))) & 1);
      return entries[~reference]!;
    },
    locate(place, asn, entry) {
      const [override, by] =
        entry.override !== undefined
          ? ([entry.override, "network"] as const)
          : byAsn.has(asn) && asn !== 0
            ? ([byAsn.get(asn)!, "asn"] as const)
            : byCountry.has(place.country)
              ? ([byCountry.get(place.country)!, "country"] as const)
              : ([undefined, undefined] as const);
      const moved = override?.as === undefined ? place : movePlace(place, override.as);
      return {
        isKnown: override !== undefined || asn !== 0 || isPlaceKnown(place),
        continent: moved.continent,
        country: moved.country,
        latitude: moved.latitude,
        longitude: moved.longitude,
        asn,
        preferred: override?.regions ?? [],
        preferredBy: override !== undefined && override.regions.length > 0 ? by : undefined,
        override: override && describeOverride(override),
        insideFenceNetworks: entry.insideFenceNetworks,
      };
    },
  };
}

const isPlaceKnown = (place: GeoPlace): boolean =>
  place.continent !== "" || place.country !== "" || !Number.isNaN(place.latitude);

/** A new country without coordinates must not keep those of the old one: better unknown than on the wrong continent. */
function movePlace(place: GeoPlace, as: NonNullable<GeoOverride["as"]>): GeoPlace {
  const isElsewhere =
    (as.country !== undefined && as.country !== place.country) ||
    (as.continent !== undefined && as.continent !== place.continent);
  const [latitude, longitude] = as.at ?? (isElsewhere ? [Number.NaN, Number.NaN] : [place.latitude, place.longitude]);
  const continent = as.continent ?? (as.country === undefined ? undefined : continentOfCountry(as.country));
  return {
    continent: continent ?? place.continent,
    country: as.country ?? (as.continent === undefined || as.continent === place.continent ? place.country : ""),
    latitude,
    longitude,
  };
}

/** One line, such as `203.0.113.0/25 is taken for EU/DE at 50.1, 8.7` or `AS64500 prefers ap-south, us-east`. */
function describeOverride(override: GeoOverride): string {
  const network = override.network === undefined ? undefined : parseCidr(override.network);
  const who = network
    ? formatCidr(network)
    : override.asn !== undefined
      ? `AS${override.asn}`
      : (override.country ?? override.network ?? "?");
  const says: string[] = [];
  if (override.as) {
    const { continent, country, at } = override.as;
    const name = [continent, country].filter((code) => code !== undefined).join("/");
    says.push(`is taken for ${[name, at ? `at ${at.join(", ")}` : ""].filter(Boolean).join(" ")}`.trim());
  }
  if (override.regions.length > 0) says.push(`prefers ${override.regions.join(", ")}`);
  return `${who} ${says.join(" and ")}`;
}
