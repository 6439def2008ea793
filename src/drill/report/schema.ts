/**
 * The shape of a report (`shape.ts`) as a schema: what is read from a file is one, or says where it is not. Unknown keys
 * are left out, so that a later release may add some.
 * @module
 */
import { z } from "zod";
import type { LoadSecond } from "#drill/load/protocol.ts";
import { REPORT_VERSION } from "#drill/report/shape.ts";
import { MEASURES } from "#drill/scenario.ts";
import { CONTINENTS } from "#drill/stage.ts";

const continent = z.enum(CONTINENTS);
const count = z.number().nonnegative();

const second: z.ZodType<LoadSecond> = z.object({
  kind: z.literal("second"),
  atMs: z.number(),
  continent,
  dns: z.object({
    queries: count,
    lost: count,
    answers: z.record(z.string(), count),
    p50Micros: count,
    p99Micros: count,
  }),
  http: z.record(z.string(), z.object({ ok: count, retried: count, lost: count })),
  httpP50Ms: count,
  httpP99Ms: count,
  ttlAge: z.object({ meanMs: count, mostMs: count }),
  anycast: z.record(z.string(), z.object({ ok: count, lost: count })),
  late: count,
});

export const reportSchema = z.object({
  version: z.literal(REPORT_VERSION),
  drill: z.object({ file: z.string(), name: z.string(), shows: z.string(), stage: z.enum(["local", "compose"]) }),
  outcome: z.enum(["passed", "failed", "aborted", "broken"]),
  says: z.string(),
  startedAtMs: z.number(),
  endedAtMs: z.number(),
  machine: z.object({
    cpu: z.string(),
    cores: count,
    kernel: z.string(),
    node: z.string(),
    rhumb: z.string(),
  }),
  regions: z.array(z.string()),
  continents: z.array(continent),
  load: z.object({ qps: count, rps: count, anycastRps: count, stretchTtl: count, clients: count }),
  steps: z.array(
    z.object({
      atMs: z.number(),
      doneAtMs: z.number(),
      action: z.string(),
      target: z.string(),
      isFault: z.boolean(),
      says: z.string(),
    }),
  ),
  seconds: z.array(second),
  routes: z.array(z.object({ atMs: z.number(), router: z.string(), region: z.string().nullable(), path: z.string() })),
  answers: z.array(z.object({ atMs: z.number(), node: z.string(), continent, regions: z.array(z.string()) })),
  events: z.array(
    z.object({
      atMs: z.number(),
      node: z.string(),
      kind: z.string(),
      severity: z.string(),
      subject: z.string(),
      says: z.string(),
    }),
  ),
  measures: z.array(
    z.object({
      measure: z.enum(MEASURES),
      unit: z.enum(["ms", "share", "count"]),
      samples: z.array(z.object({ of: z.string(), value: z.number() })),
      p50: z.number().nullable(),
      p99: z.number().nullable(),
      most: z.number().nullable(),
      bound: z
        .object({ p99: z.number().optional(), max: z.number().optional(), min: z.number().optional() })
        .nullable(),
      isMet: z.boolean().nullable(),
    }),
  ),
  drainCurve: z.array(z.object({ afterMs: z.number(), share: z.number() })),
  slo: z.object({ requests: count, ok: count, lost: count, availability: z.number(), lostQueries: count }),
  guards: z.array(z.object({ guard: z.string(), limit: z.string(), worst: z.string(), isBroken: z.boolean() })),
  leftOver: z.array(z.string()),
});
