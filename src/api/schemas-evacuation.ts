/**
 * Evacuations of regions, as the API takes and shows them.
 * @module
 */
import { z } from "zod";
import { EVACUATION_STEPS } from "#state/evacuation.ts";

const text = z.string();
const atMs = z.number().describe("Unix time in ms");
const weight = z.number().int().min(0).max(99);
const waitMs = z.number().int().min(0).max(86_400_000);

export const newEvacuationSchema = z.strictObject({
  reason: z.string().trim().min(1).max(500).describe("Why; everybody sees it"),
  force: z
    .boolean()
    .default(false)
    .describe("Also while another evacuation runs, or when the other regions cannot carry it. Stands in the history"),
  weights: z
    .array(weight)
    .min(1)
    .max(10)
    .optional()
    .describe("Percent of its clients that it keeps, step by step; the last is 0. Default 50, 0"),
  weightWaitMs: waitMs.optional().describe("Between two weights; default: the longest ttl.max of its services"),
  tailShare: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe("The tail is over when fewer of its requests are left; default 0.01"),
  tailTimeoutMs: waitMs.optional().describe("Default: twice the longest ttl.max, at least 5 minutes"),
  drainTimeoutMs: waitMs.optional().describe("For its balancers, and then for its prefixes; default 2 minutes"),
  withdraws: z.boolean().optional().describe("Whether its anycast prefixes are withdrawn; default: where it has any"),
});

export const resumeSchema = z.strictObject({
  force: z
    .boolean()
    .default(false)
    .describe("Nodes that say nothing are waited for no more, and prefixes that are not withdrawn stay"),
});

export const evacuationSchema = z
  .object({
    region: text,
    direction: z.enum(["leave", "return"]),
    step: z.enum(EVACUATION_STEPS),
    weight: z.number().describe("Percent of its clients that DNS gives it, while the step is `weight`"),
    isStopped: z.boolean().describe("It stands until resume or return"),
    reason: text,
    owner: text,
    leader: text.describe("The node that takes the next step"),
    startedAtMs: atMs,
    stepAtMs: atMs.describe("Since when it is in this step, and at this weight"),
    orders: z.number().describe("Commands that it has had"),
    terms: z.object({
      weights: z.array(z.number()),
      ramp: z.array(z.number()),
      weightWaitMs: z.number(),
      tailShare: z.number(),
      tailTimeoutMs: z.number(),
      drainTimeoutMs: z.number(),
      withdraws: z.boolean(),
      isForced: z.boolean(),
    }),
    startRps: z
      .number()
      .nullable()
      .describe("Requests per second when it began, probes left out; null: nobody reported"),
    zeroAtMs: atMs.nullable().describe("When its weight became 0"),
    curve: z
      .array(z.object({ afterSeconds: z.number(), share: z.number() }))
      .describe("The measured drain curve: its requests, of what they were, so long after weight 0"),
    history: z.array(z.object({ atMs, step: z.enum(EVACUATION_STEPS), says: text })),
    says: text.describe("What it waits for"),
    nowRps: z.number().nullable(),
    inFlight: z.number().nullable().describe("Requests and connections under way in the region"),
  })
  .meta({ id: "Evacuation" });
