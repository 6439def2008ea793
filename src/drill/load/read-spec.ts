/**
 * The order of a load process, read from JSON. What is in it besides is not looked at: the runner may have more to say of a place.
 * @module
 */
import { z } from "zod";
import { RhumbError } from "#base/errors.ts";
import type { LoadSpec } from "#drill/load/protocol.ts";
import { CONTINENTS } from "#drill/stage.ts";

const rate = z.number().min(0).max(10_000);
const endpoint = z.object({ address: z.union([z.ipv4(), z.ipv6()]), port: z.number().int().min(1).max(65_535) });

const loadSpec: z.ZodType<LoadSpec> = z.object({
  place: z.object({
    continent: z.enum(CONTINENTS),
    network: z.string(),
    resolvers: z.array(endpoint),
    isResolver: z.boolean(),
    ways: z.record(z.string(), endpoint),
    anycast: endpoint.optional() as unknown as z.ZodType<LoadSpec["place"]["anycast"]>,
  }),
  seed: z.number().int(),
  name: z.string().min(1),
  dns: z.object({
    clients: z.number().int().min(1).max(1_000_000),
    qps: rate,
    stretchTtl: z.number().min(0).max(1),
  }),
  http: z.object({
    rps: rate,
    keepAlive: z.boolean(),
    retries: z.number().int().min(0).max(10),
    port: z.number().int().min(1).max(65_535),
  }),
  anycastRps: rate,
  watch: z.array(z.object({ node: z.string(), at: endpoint })),
  regions: z.record(z.string(), z.string()),
});

/** @throws RhumbError `RHUMB_DRILL_LOAD`, which names what is wrong */
export function readLoadSpec(text: string): LoadSpec {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new RhumbError("RHUMB_DRILL_LOAD", "the first line of the input is not JSON");
  }
  const read = loadSpec.safeParse(json);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  throw new RhumbError("RHUMB_DRILL_LOAD", `${issue?.path.join(".") || "the order"}: ${issue?.message}`);
}
