/**
 * `world:` of a drill: how the stage differs from what it is by default. Defaults are the product's own, where a drill of a
 * minute can live with them.
 * @module
 */
import { z } from "zod";
import { RhumbError } from "#base/errors.ts";
import { doc, durationMs, integer } from "#base/field.ts";

export const worldSchema = z.strictObject({
  interval: doc(durationMs("200ms", "1m").prefault("5s"), "Interval of the probes of regions."),
  timeout: doc(durationMs("100ms", "30s").prefault("2s"), "Their time-out."),
  downSpan: doc(durationMs("0s", "1m").prefault("2s"), "Failures span so long at least until the region is down."),
  ttl: doc(
    z
      .strictObject({
        min: doc(integer(1, 3_600).default(1), "While something is about to change."),
        max: doc(integer(1, 3_600).default(5), "Else."),
      })
      .prefault({}),
    "Of answers, in seconds.",
  ),
  capacity: doc(integer(1, 1_000_000).default(1_000), "Requests per second that each region declares."),
  failback: doc(
    z
      .strictObject({
        hold: doc(durationMs("0s", "1h").prefault("5s"), "A region that was down stays out for so long."),
        up: doc(integer(1, 100).default(5), "Successes in a row until it is up."),
        ramp: doc(z.array(integer(1, 100)).min(1).default([100]), "Percent of its clients, step by step."),
      })
      .prefault({}),
    "How a region comes back.",
  ),
  nodes: doc(integer(1, 3).default(3), "DNS nodes: ns1 in Europe, ns2 in America, ns3 in Asia."),
  steer: doc(
    z.unknown().default(["healthy", { shed: { low: "70%", high: "90%" } }, "geo", "nearest", { first: 1 }]),
    "`steer:` of the service www, as zones/services.yaml takes it.",
  ),
  services: doc(
    z.record(z.string().regex(/^[a-z][a-z0-9-]*$/), z.record(z.string(), z.unknown())).default({}),
    "More services, by the name below demo.example that they answer for.",
  ),
});
export type World = z.output<typeof worldSchema>;

/** @throws RhumbError `RHUMB_DRILL_STAGE`, which names all keys that are wrong */
export function readWorld(input: Readonly<Record<string, unknown>>): World {
  const read = worldSchema.safeParse(input);
  if (read.success) return read.data;
  const says = read.error.issues.map(({ path, message }) => `world.${path.join(".")}: ${message}`).join("; ");
  throw new RhumbError("RHUMB_DRILL_STAGE", says.replaceAll("world.: ", "world: "));
}
