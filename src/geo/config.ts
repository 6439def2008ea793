/**
 * The `geo:` section of rhumb.yaml, geo-data/regions.yaml and geo-data/overrides.yaml.
 *
 * Reader:  `config/`, which turns them into `GeoSnapshot` and `RegionSpec`.
 * @module
 */

import { z } from "zod";
import {
  asn,
  continent,
  coordinates,
  country,
  doc,
  ipAddress,
  name,
  network,
  path,
  percent,
  requestsPerSecond,
  url,
} from "#base/field.ts";

const live = { reload: "live" } as const;

export const geoSchema = z.strictObject({
  database: doc(
    path().nullable().default(null),
    "MaxMind City or Country database (.mmdb). null: every client is unknown, and services answer in their default order.",
    live,
  ),
  asn: doc(path().nullable().default(null), "MaxMind ASN database (.mmdb).", live),
  regions: doc(path().default("geo-data/regions.yaml"), "The regions.", live),
  overrides: doc(
    path().default("geo-data/overrides.yaml"),
    "What the databases get wrong; the file may be missing.",
    live,
  ),
});

export type GeoConfig = z.output<typeof geoSchema>;

/** One region of geo-data/regions.yaml; its name is the key. */
export const regionSchema = z.strictObject({
  at: doc(coordinates(), "Where the region is: latitude, then longitude.", live),
  continent: doc(continent().optional(), "For the filter `geo` and for fences.", live),
  country: doc(country().optional(), "For the filter `geo` and for fences.", live),
  v4: doc(z.array(ipAddress(4)).max(64).prefault([]), "IPv4 addresses that clients are given.", live),
  v6: doc(z.array(ipAddress(6)).max(64).prefault([]), "IPv6 addresses that clients are given.", live),
  check: doc(
    name("the name of a check").optional(),
    "Check that probes each address. Missing: never probed, counts as up.",
    live,
  ),
  upThreshold: doc(
    percent(1, 100).prefault("50%"),
    "Share of its addresses, per family, that must be up for the region to be up.",
    live,
  ),
  capacity: doc(requestsPerSecond(1, 1e9).optional(), "What the region can take.", live),
  balancer: doc(url("http", "https").optional(), "Control API of the region's balancer.", live),
});
export type RegionConfig = z.output<typeof regionSchema>;

/** One entry of geo-data/overrides.yaml. */
export const geoOverrideSchema = z.strictObject({
  network: doc(network().optional(), "Clients of this network; the most specific wins.", live),
  asn: doc(asn().optional(), "Clients of this autonomous system.", live),
  country: doc(country().optional(), "Clients of this country, as the database says it.", live),
  as: doc(
    z
      .strictObject({
        continent: doc(continent().optional(), "Continent to take them for.", live),
        country: doc(country().optional(), "Country to take them for.", live),
        at: doc(coordinates().optional(), "Place to take them for.", live),
      })
      .optional(),
    "Where such clients are taken to be.",
    live,
  ),
  regions: doc(z.array(name("a region")).min(1).max(64).optional(), "Regions they get, best first.", live),
});
export type GeoOverrideConfig = z.output<typeof geoOverrideSchema>;
