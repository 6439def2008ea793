/**
 * What databases and overrides say of one address: for `rhumb geo lookup`, explain and the API, never for answers.
 *
 * Owns:    the way from an address to a `Location` for people; the map (`geo/build.ts`) goes the same way for networks.
 * @module
 */
import { type AsnResponse, type CityResponse, Reader } from "mmdb-lib";
import { formatCidr, formatIp, maskIp, unmapIp } from "#base/ip.ts";
import { type GeoPlace, NO_PLACE } from "#geo/database.ts";
import type { Location } from "#geo/location.ts";
import { createOverlay } from "#geo/overlay.ts";
import type { GeoOverride } from "#state/snapshot.ts";

export type GeoLookup = {
  readonly address: string;
  /** IPv4 address inside a v4-mapped or 6to4 address: that is the one looked up. */
  readonly looksUp: string;
  /** The database's own network around the address, and its record; undefined when it has none. */
  readonly network: string | undefined;
  readonly record: CityResponse | undefined;
  readonly asnNetwork: string | undefined;
  readonly asnRecord: AsnResponse | undefined;
  /** With the override that wins. */
  readonly location: Location;
  /** Why there is no record, where that is not simply because the database has none. */
  readonly note: string | undefined;
};

export type GeoLookupSources = {
  /** Whole files that `openPlaceDatabase` and `openAsnDatabase` have accepted. */
  readonly places: Buffer | undefined;
  readonly asns: Buffer | undefined;
  readonly overrides: readonly GeoOverride[];
};

/** @returns a function from 4 or 16 octets to what is known of them */
export function createGeoLookup(sources: GeoLookupSources): (address: Uint8Array) => GeoLookup {
  const places = sources.places && new Reader<CityResponse>(sources.places);
  const asns = sources.asns && new Reader<AsnResponse>(sources.asns);
  const overlay = createOverlay(sources.overrides, []);

  return (given) => {
    const unmapped = unmapIp(given);
    const is6to4 = unmapped.length === 16 && unmapped[0] === 0x20 && unmapped[1] === 0x02;
    const address = is6to4 ? unmapped.slice(2, 6) : unmapped;
    const entry = overlay.entryOf(address);
    const isPlaceless = entry.pin === "teredo" || entry.pin === "mapped";
    const found = isPlaceless ? undefined : find(places, address);
    const foundAsn = isPlaceless ? undefined : find(asns, address);
    const place: GeoPlace = found
      ? {
          continent: found.record.continent?.code ?? "",
          country: found.record.country?.iso_code ?? "",
          latitude: found.record.location?.latitude ?? Number.NaN,
          longitude: found.record.location?.longitude ?? Number.NaN,
        }
      : NO_PLACE;
    return {
      address: formatIp(given),
      looksUp: formatIp(address),
      network: found?.network,
      record: found?.record,
      asnNetwork: foundAsn?.network,
      asnRecord: foundAsn?.record,
      location: overlay.locate(place, foundAsn?.record.autonomous_system_number ?? 0, entry),
      note: is6to4
        ? "a 6to4 address: looked up by the IPv4 address inside it"
        : entry.pin === "teredo"
          ? "a Teredo address: it names a relay, not the client's place"
          : undefined,
    };
  };
}

function find<T extends CityResponse | AsnResponse>(
  reader: Reader<T> | undefined,
  address: Uint8Array,
): { readonly network: string; readonly record: T } | undefined {
  // For an IPv6 address an IPv4 database would give the record of some unrelated IPv4 address.
  if (!reader || (reader.metadata.ipVersion === 4 && address.length === 16)) return undefined;
  const [record, bits] = reader.getWithPrefixLength(formatIp(address));
  return record === null ? undefined : { record, network: formatCidr({ bytes: maskIp(address, bits), bits }) };
}
