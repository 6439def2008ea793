/**
 * What steering knows of load, as the API shows it: reports, what they make of each region's load, and the spread plan.
 * @module
 */
import { z } from "zod";

const rps = z.number().describe("Requests per second");
const percent = z.number().describe("Percent of capacity");

export const spreadSchema = z.object({
  says: z.string().describe("Why there is no plan; empty where there is one"),
  level: z
    .number()
    .describe("Share of capacity up to which regions are filled; above 1 there is more demand than capacity"),
  isFeasible: z.boolean().describe("No region that can be helped is planned above its capacity"),
  demandRps: rps.describe("What clients of spread services want, as estimated from answers and reports"),
  movedRps: rps.describe("Of it, what does not go to its first choice"),
  groups: z.number().int().describe("Groups of clients that are planned: a class of a service with one first choice"),
  regions: z.array(
    z.object({
      region: z.string(),
      capacityRps: rps.nullable(),
      naturalRps: rps.describe("Wanted of it if nobody were moved"),
      plannedRps: rps.describe("What it gets by the plan"),
      levelWithout: z
        .number()
        .nullable()
        .describe("Level that the others reach when this region is lost; null: not planned yet"),
    }),
  ),
});

export const regionLoadSchema = z.object({
  region: z.string(),
  measuredRps: rps.nullable().describe("Admitted and turned away, of all its balancers; null: none has reported"),
  capacityRps: rps.nullable(),
  capacityFrom: z.enum(["reports", "regions.yaml", "nobody"]),
  measuredPercent: percent.nullable(),
  predictedPercent: percent.nullable().describe("When caches have let go of the answers of before"),
  effectivePercent: percent.describe("What `shed` works on"),
  frozenSinceMs: z.number().nullable().describe("Since when its balancers are silent; null: they report"),
  balancers: z.array(z.object({ node: z.string(), ageMs: z.number(), isSilent: z.boolean() })),
});

export const loadSchema = z
  .object({
    regions: z.array(regionLoadSchema),
    drain: z
      .object({ ttlSeconds: z.number(), stretchingPercent: z.number() })
      .describe(
        "How long caches are believed to keep answers, and the share of load behind those that keep them longer",
      ),
    spread: spreadSchema.nullable().describe("The plan; null on a node without DNS"),
  })
  .meta({ id: "Load" });
