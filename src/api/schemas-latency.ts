/**
 * The shape of what nodes learnt of round trips, as a zod schema.
 * @module
 */
import { z } from "zod";

/** Best first; what has too few samples left is not among them. */
export const learnedLatencySchema = z
  .array(
    z.object({
      network: z.string().describe("198.51.100.0/24, AS64500, or AS64500-DE: its networks in one country"),
      region: z.string(),
      rttMs: z.number(),
      by: z
        .enum(["connections", "beacons"])
        .describe("Handshakes of a balancer's own clients, or pages in browsers; connections go before beacons"),
      atMs: z.number().describe("Unix time in ms of the newest sample"),
    }),
  )
  .describe("What nodes learnt by themselves");
