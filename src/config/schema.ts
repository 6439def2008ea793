/**
 * The sections of rhumb.yaml, and the keys that a later release will know.
 *
 * Owns:    which section belongs to which room's schema; the settings page and the JSON schemas are made from here.
 * @module
 */

import { z } from "zod";
import { controlSchema } from "#api/config.ts";
import { doc, name, path } from "#base/field.ts";
import { anycastSchema } from "#bgp/config.ts";
import { clusterSchema } from "#cluster/config.ts";
import type { Path } from "#config/yaml.ts";
import { dnsSchema } from "#dns/config.ts";
import { geoSchema } from "#geo/config.ts";
import { healthSchema } from "#health/config.ts";
import { NOTIFY_SCHEMAS } from "#notify/config.ts";
import { rumSchema } from "#rum/config.ts";

export const NOTIFY_KINDS = Object.keys(NOTIFY_SCHEMAS) as (keyof typeof NOTIFY_SCHEMAS)[];

/** Each section is read by itself, so that a mistake in one does not hide what is wrong with the others. */
export const ROOT_SECTIONS = {
  version: doc(z.literal(1).meta({ expects: "1" }), "Version of the format: 1."),
  node: doc(name("the name of this node"), "Name of this node, unique among the nodes.", { reload: "restart" }),
  dns: doc(dnsSchema.optional(), "Present: this process answers DNS."),
  control: doc(controlSchema.optional(), "Present: this process serves the control API."),
  zones: doc(path().default("zones/"), "Folder of the zone files (`NAME.zone`) and of services.yaml.", {
    reload: "live",
  }),
  geo: doc(geoSchema.prefault({}), "Where clients and regions are."),
  health: doc(healthSchema.prefault({}), "How regions are probed."),
  rum: doc(
    rumSchema.optional(),
    "Present: this process takes beacons, in which pages say how far browsers are from regions.",
  ),
  anycast: doc(
    anycastSchema.optional(),
    "Present: this node announces prefixes by BGP, through an ExaBGP beside it, while it serves.",
  ),
  cluster: doc(clusterSchema.prefault({}), "What nodes share, and where this one keeps its state."),
} as const;

/**
 * `notify:` maps a name to a sink; the schema of a sink depends on its `kind` (`notify/config.ts`). The listeners and
 * pools of `balancer:` are read one by one (`config/parse-balancer.ts`).
 */
export const ROOT_KEYS = [...Object.keys(ROOT_SECTIONS), "balancer", "notify"];

/** Keys that we know, but do not act on yet: better refused than silently without effect. */
export const NOT_SUPPORTED: readonly {
  readonly path: Path;
  readonly fix: string;
}[] = [
  { path: ["dns", "dnssec"], fix: "Remove it; zones are served unsigned" },
  { path: ["dns", "transfer"], fix: "Remove it; copy zone files to every node instead" },
  { path: ["dns", "tsig"], fix: "Remove it; there are no transfers yet" },
  { path: ["dns", "tls"], fix: "Remove it; only UDP and TCP are served" },
  { path: ["dns", "https"], fix: "Remove it; only UDP and TCP are served" },
];
