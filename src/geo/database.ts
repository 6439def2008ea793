/**
 * A MaxMind-format database, opened, validated and taken apart: search tree and distinct places (or AS numbers).
 *
 * Owns:    the memory form of a database. Reader: `geo/build.ts`, `geo/fingerprint.ts`. It lives only while maps are built.
 * Accepts: any MaxMind DB whose records have `continent.code`, `country.iso_code` or `location` (City, Country and
 *          larger products, other makers' too), or `autonomous_system_number`. Anything doubtful is refused whole.
 * @module
 */
import { readFileSync } from "node:fs";
import { Reader } from "mmdb-lib";
import { RhumbError } from "#base/errors.ts";
import { formatIp } from "#base/ip.ts";
import { createSeededRng } from "#base/rng.ts";
import { createMmdbValues, MmdbFault, type MmdbMetadata, readMmdbMetadata } from "#geo/mmdb-format.ts";

export type GeoPlace = {
  /** Two-letter codes as the database writes them; empty when it does not say. */
  readonly continent: string;
  readonly country: string;
  /** Degrees; NaN when it does not say. */
  readonly latitude: number;
  readonly longitude: number;
};
export const NO_PLACE: GeoPlace = { continent: "", country: "", latitude: Number.NaN, longitude: Number.NaN };

/**
 * A search tree. A reference ≥ 0 is the index in `children` of a pair (bit 0, bit 1); a negative one is a leaf:
 * ~reference = index of its value; 0: nothing is known. The IPv4 networks are cut out of the IPv6 tree, and so are the
 * aliases that makers lay from ::ffff:0:0/96, 2001::/32 and 2002::/16 to them.
 */
export type GeoTree = {
  readonly children: Int32Array;
  readonly ipv4Root: number;
  readonly ipv6Root: number;
  /** Networks with a value. */
  readonly networks: number;
};

type Opened = { readonly file: string; readonly type: string; readonly builtAtMs: number; readonly tree: GeoTree };
/** `places[0]` is `NO_PLACE`. */
export type PlaceDatabase = Opened & { readonly places: readonly GeoPlace[] };
/** `asns[0]` is 0. */
export type AsnDatabase = Opened & { readonly asns: readonly number[] };

/** Reads the record at an offset. @returns the index of its value, or 0 when it has none of the wanted fields */
type RecordReader = (at: number) => number;

function readTree(bytes: Buffer, metadata: MmdbMetadata, readRecord: RecordReader): GeoTree {
  const { nodeCount, recordBits, ipVersion, dataStart, dataEnd, treeOctets } = metadata;
  const children = new Int32Array(nodeCount * 2);
  const parents = new Uint8Array(nodeCount);
  const valueOfOffset = new Map<number, number>();
  const nodeOctets = recordBits / 4;

  const reference = (record: number): number => {
    if (record < nodeCount) {
      parents[record] = Math.min(2, parents[record]! + 1);
      return record * 2;
    }
    if (record === nodeCount) return ~0;
    const at = record - nodeCount + treeOctets;
    let value = valueOfOffset.get(at);
    if (value === undefined) {
      if (at < dataStart || at >= dataEnd) throw new MmdbFault(`its search tree points outside of the data (${at})`);
      value = readRecord(at);
      valueOfOffset.set(at, value);
    }
    return ~value;
  };
  for (let node = 0; node < nodeCount; node++) {
    const at = node * nodeOctets;
    let left: number;
    let right: number;
    if (recordBits === 24) {
      left = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
      right = (bytes[at + 3]! << 16) | (bytes[at + 4]! << 8) | bytes[at + 5]!;
    } else if (recordBits === 28) {
      // The octet in the middle holds the high four bits of both.
      const middle = bytes[at + 3]!;
      left = ((middle & 0xf0) << 20) | (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
      right = ((middle & 0x0f) << 24) | (bytes[at + 4]! << 16) | (bytes[at + 5]! << 8) | bytes[at + 6]!;
    } else {
      left = bytes.readUInt32BE(at);
      right = bytes.readUInt32BE(at + 4);
    }
    children[node * 2] = reference(left);
    children[node * 2 + 1] = reference(right);
  }

  let ipv4Root = 0;
  let ipv6Root = ~0;
  if (ipVersion === 6) {
    ipv6Root = 0;
    let edge = 0;
    let depth = 0;
    for (; depth < 96 && ipv4Root >= 0; depth++) {
      edge = ipv4Root;
      ipv4Root = children[edge]!;
    }
    if (ipv4Root < 0 && depth === 96) children[edge] = ~0;
    if (ipv4Root === 0) throw new MmdbFault("its search tree has a circle");
    if (ipv4Root > 0) {
      for (let at = 0; at < children.length; at++) if (children[at] === ipv4Root) children[at] = ~0;
      parents[ipv4Root / 2] = 1;
    }
  }
  if (parents[0] !== 0) throw new MmdbFault("its search tree has a circle");
  for (let node = 1; node < nodeCount; node++)
    if (parents[node]! > 1) throw new MmdbFault(`node ${node} of its search tree has two parents`);
  const networks = countNetworks(children, ipv4Root, 32) + countNetworks(children, ipv6Root, 128);
  return { children, ipv4Root, ipv6Root, networks };
}

/** Every node has one parent by now, so this ends. */
function countNetworks(children: Int32Array, root: number, addressBits: number): number {
  let networks = 0;
  // One open sibling per level at most.
  const references = new Int32Array(addressBits + 2);
  const depths = new Uint8Array(addressBits + 2);
  references[0] = root;
  for (let open = 1; open > 0; ) {
    open--;
    const reference = references[open]!;
    const depth = depths[open]!;
    if (reference < 0) {
      if (reference !== ~0) networks++;
      continue;
    }
    if (depth === addressBits) throw new MmdbFault(`its search tree is deeper than ${addressBits} bits`);
    references[open] = children[reference + 1]!;
    references[open + 1] = children[reference]!;
    depths[open] = depth + 1;
    depths[open + 1] = depth + 1;
    open += 2;
  }
  return networks;
}

/** How many random networks a second reader must see as we do. */
const CROSS_CHECKS = 64;

/** Descends at random to networks with a value and lets `isSame` compare what `mmdb-lib` says there. */
function crossCheck(bytes: Buffer, tree: GeoTree, isSame: (value: number, record: unknown) => boolean): void {
  const reader = new Reader(bytes);
  const rng = createSeededRng(tree.networks);
  for (let check = 0; check < CROSS_CHECKS; check++) {
    const isIpv6 = tree.ipv4Root === ~0 || (tree.ipv6Root !== ~0 && check % 2 === 1);
    const address = new Uint8Array(isIpv6 ? 16 : 4);
    let reference = isIpv6 ? tree.ipv6Root : tree.ipv4Root;
    for (let bit = 0; reference >= 0; bit++) {
      const choice = rng() < 0.5 ? 0 : 1;
      if (choice === 1) address[bit >>> 3]! |= 0x80 >>> (bit & 7);
      reference = tree.children[reference + choice]!;
    }
    if (reference === ~0) continue;
    if (!isSame(~reference, reader.get(formatIp(address))))
      throw new MmdbFault(`a second reader (mmdb-lib) sees another record for ${formatIp(address)}`);
  }
}

/** @throws RhumbError RHUMB_GEO_UNREADABLE */
export function readDatabaseFile(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    const reason = isMissing ? "there is no such file" : cause instanceof Error ? cause.message : cause;
    throw new RhumbError("RHUMB_GEO_UNREADABLE", `${file}: ${reason}`, { cause });
  }
}

function open<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof RhumbError) throw cause;
    // Also what mmdb-lib throws, such as a RangeError of the stack.
    throw new RhumbError("RHUMB_GEO_BROKEN", `${file}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

function refuseUnless(file: string, metadata: MmdbMetadata, networks: number, values: number, wanted: string): void {
  const type = metadata.databaseType === "" ? "without a name" : metadata.databaseType;
  if (networks > 0 && values > 1) return;
  const isEmpty = metadata.dataEnd - metadata.dataStart === 0;
  throw isEmpty
    ? new RhumbError("RHUMB_GEO_EMPTY", `${file}: no network has a record`)
    : new RhumbError("RHUMB_GEO_WRONG_KIND", `${file}: its type is ${type}, and no record has ${wanted}`);
}

/**
 * Opens a City or Country database.
 * @param file where it is from, for messages and `info`
 * @throws RhumbError RHUMB_GEO_UNREADABLE, _BROKEN, _EMPTY or _WRONG_KIND, with file and reason
 */
export const openPlaceDatabase = (file: string, bytes: Buffer = readDatabaseFile(file)): PlaceDatabase =>
  open(file, () => readPlaces(bytes, file));

function readPlaces(bytes: Buffer, file: string): PlaceDatabase {
  const metadata = readMmdbMetadata(bytes);
  const values = createMmdbValues(bytes, metadata.dataStart, metadata.dataEnd);
  const places: GeoPlace[] = [NO_PLACE];
  const placeOfKey = new Map<string, number>();
  /** Countries and continents are shared by pointers: each is read once. */
  const codes = new Map<number, string>();
  const readCode = (at: number, field: string): string => {
    const target = values.target(at);
    let code = codes.get(target);
    if (code === undefined) {
      code = "";
      values.eachField(at, (key, valueAt) => {
        if (key === field) code = values.text(valueAt);
      });
      if (code !== "" && !/^[A-Z]{2}$/.test(code)) throw new MmdbFault(`${JSON.stringify(code)} is not a ${field}`);
      codes.set(target, code);
    }
    return code;
  };
  const readRecord: RecordReader = (at) => {
    let continent = "";
    let country = "";
    let latitude = Number.NaN;
    let longitude = Number.NaN;
    values.eachField(at, (key, valueAt) => {
      if (key === "continent") continent = readCode(valueAt, "code");
      else if (key === "country") country = readCode(valueAt, "iso_code");
      else if (key === "location")
        values.eachField(valueAt, (name, realAt) => {
          if (name === "latitude") latitude = values.real(realAt);
          else if (name === "longitude") longitude = values.real(realAt);
        });
    });
    if (Math.abs(latitude) > 90 || Math.abs(longitude) > 180)
      throw new MmdbFault(`${latitude}, ${longitude} is no place on the Earth`);
    if (Number.isNaN(latitude) !== Number.isNaN(longitude)) throw new MmdbFault("a location has only one coordinate");
    if (continent === "" && country === "" && Number.isNaN(latitude)) return 0;
    const key = `${continent}/${country}/${latitude}/${longitude}`;
    let place = placeOfKey.get(key);
    if (place === undefined) {
      place = places.push({ continent, country, latitude, longitude }) - 1;
      placeOfKey.set(key, place);
    }
    return place;
  };
  const tree = readTree(bytes, metadata, readRecord);
  refuseUnless(file, metadata, tree.networks, places.length, "a continent, a country or a location");
  crossCheck(bytes, tree, (value, record) => {
    const seen = record as {
      continent?: { code?: string };
      country?: { iso_code?: string };
      location?: GeoPlace;
    } | null;
    const place = places[value]!;
    return (
      place.continent === (seen?.continent?.code ?? "") &&
      place.country === (seen?.country?.iso_code ?? "") &&
      Object.is(place.latitude, seen?.location?.latitude ?? Number.NaN) &&
      Object.is(place.longitude, seen?.location?.longitude ?? Number.NaN)
    );
  });
  return { file, type: metadata.databaseType, builtAtMs: metadata.builtAtMs, tree, places };
}

/**
 * Opens an ASN (or ISP) database.
 * @throws RhumbError as `openPlaceDatabase`
 */
export const openAsnDatabase = (file: string, bytes: Buffer = readDatabaseFile(file)): AsnDatabase =>
  open(file, () => readAsns(bytes, file));

function readAsns(bytes: Buffer, file: string): AsnDatabase {
  const metadata = readMmdbMetadata(bytes);
  const values = createMmdbValues(bytes, metadata.dataStart, metadata.dataEnd);
  const asns: number[] = [0];
  const indexOfAsn = new Map<number, number>([[0, 0]]);
  const readRecord: RecordReader = (at) => {
    let asn = 0;
    values.eachField(at, (key, valueAt) => {
      if (key === "autonomous_system_number") asn = values.integer(valueAt);
    });
    if (asn > 0xffff_ffff) throw new MmdbFault(`${asn} is no AS number`);
    let index = indexOfAsn.get(asn);
    if (index === undefined) {
      index = asns.push(asn) - 1;
      indexOfAsn.set(asn, index);
    }
    return index;
  };
  const tree = readTree(bytes, metadata, readRecord);
  refuseUnless(file, metadata, tree.networks, asns.length, "an autonomous_system_number");
  crossCheck(bytes, tree, (value, record) => {
    const seen = record as { autonomous_system_number?: number } | null;
    return asns[value] === (seen?.autonomous_system_number ?? 0);
  });
  return { file, type: metadata.databaseType, builtAtMs: metadata.builtAtMs, tree, asns };
}
