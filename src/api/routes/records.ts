/**
 * Routes by which nodes tell each other what they share, where there is no Redis. Every record is signed by who made it:
 * the token only lets its bearer speak.
 * @module
 */
import { z } from "zod";
import { ApiError } from "#api/problem-details.ts";
import { createRateLimit } from "#api/rate-limit.ts";
import { defineRoute, type Route, type RouteContext } from "#api/route.ts";
import { MAX_EXCHANGE_OCTETS } from "#state/exchange.ts";
import { RECORD_KINDS } from "#state/shared.ts";

const kinds = z.array(z.enum(RECORD_KINDS)).max(RECORD_KINDS.length);
const lines = (max: number) => z.array(z.string()).max(max);
const MAX_REPORT_OCTETS = 131_072;

const exchangeSchema = z.strictObject({
  copies: lines(10_000).describe("Signed records, each behind its age in ms"),
  signals: lines(100).describe("Signed lines that nobody keeps"),
  kinds: kinds.describe("Kinds of which `digest` names all that the asking node has"),
  digest: z.record(z.string().max(600), z.string().max(128)).describe("Stamp of each record, by kind and key"),
  sums: z.partialRecord(z.enum(RECORD_KINDS), z.string().max(64)).describe("Hash over all stamps of other kinds"),
});
const answerSchema = z.object({
  copies: z.array(z.string()).readonly().describe("What this node has newer"),
  want: z.array(z.string()).readonly().describe("What it lacks or has older"),
  unequal: z.array(z.enum(RECORD_KINDS)).readonly().describe("Kinds whose sums differ"),
});

export function recordRoutes({ commands: { records }, clock }: RouteContext): Route[] {
  if (!records) return [];
  /** Of one peer: a comparison and some pushes a second. */
  const limit = createRateLimit({ clock, burst: 100, refillMs: 20 });
  function take(name: string): void {
    const waitMs = limit.waitMs(name);
    if (waitMs > 0) {
      const headers = { "retry-after": String(Math.ceil(waitMs / 1_000)) };
      throw new ApiError("RHUMB_API_BUSY", `records of ${name}`, { headers });
    }
    limit.take(name);
  }
  return [
    defineRoute({
      method: "POST",
      url: "/records",
      role: "operate",
      tag: "Nodes",
      summary: "Exchange signed records with this node",
      body: exchangeSchema,
      response: answerSchema,
      bodyLimitOctets: MAX_EXCHANGE_OCTETS,
      isRoutine: true,
      handle: ({ body, actor }) => {
        take(actor!.name);
        return records.exchange(body);
      },
    }),
    defineRoute({
      method: "POST",
      url: "/reports",
      role: "operate",
      tag: "Nodes",
      summary: "Take one signed report of a region's balancer",
      body: z.strictObject({ report: z.string().max(MAX_REPORT_OCTETS).describe("The signed line") }),
      status: 202,
      response: z.object({ says: z.string() }),
      bodyLimitOctets: 2 * MAX_REPORT_OCTETS,
      isRoutine: true,
      handle: ({ body, actor }) => {
        take(actor!.name);
        const refused = records.take(body.report);
        if (refused !== undefined) throw new ApiError("RHUMB_API_INPUT", `report: it was refused as ${refused}`);
        return { says: "taken" };
      },
    }),
  ];
}
