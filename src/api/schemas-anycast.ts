/**
 * What a node announces by BGP, as the API shows it (`state/anycast.ts`).
 * @module
 */
import { z } from "zod";

const atMs = z.number().describe("Unix time in ms");

export const anycastSchema = z
  .object({
    isConfigured: z.boolean().describe("False: this node has no section `anycast:`, and everything else is empty"),
    exabgp: z.object({
      isAnswering: z.boolean(),
      says: z.string(),
      answeredAtMs: atMs.nullable(),
      version: z.string().nullable(),
    }),
    guard: z.object({
      isReading: z.boolean().nullable().describe("Does the guard read the heartbeat? null: nobody knows"),
      says: z.string(),
    }),
    selfCheck: z.object({ isOk: z.boolean(), sinceMs: atMs, says: z.string() }).nullable(),
    peers: z.array(
      z.object({
        neighbour: z.string(),
        isEstablished: z.boolean(),
        asn: z.number().int().nullable(),
        upSinceMs: atMs.nullable(),
      }),
    ),
    prefixes: z.array(
      z.object({
        prefix: z.string(),
        phase: z.enum(["starting", "ready", "advertised", "draining", "withdrawn"]),
        sinceMs: atMs,
        says: z.string().describe("Why it is so"),
        announced: z
          .object({ route: z.string(), atMs })
          .nullable()
          .describe("What ExaBGP has acknowledged; null: nothing"),
        heldUntilMs: atMs.nullable().describe("Held down until then"),
        flaps: z.number().int().describe("Withdrawals that nobody planned"),
        advertisers: z.array(z.string()).describe("Nodes that announce it, by their records"),
      }),
    ),
  })
  .meta({ id: "Anycast" });

export const newWithdrawalSchema = z.strictObject({
  reason: z.string().trim().min(1).max(500).describe("Why; everybody sees it"),
});
