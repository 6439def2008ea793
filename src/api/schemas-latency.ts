/**
 * The shape of what nodes learnt of round trips, as a zod schema.
 * @module
 */
import { z } from "zod";

/** Pages that send beacons to this node. */
export const rumSchema = z.object({
  listens: z.string().nullable().describe("Address and port; null: this node takes no beacons"),
  beacons: z
    .record(z.string(), z.number())
    .describe("Since the start, by what became of them: taken, unplaced, rate, malformed, forged, expired, …"),
  groups: z.number().describe("Pairs of a system in a country and a region of which something was heard"),
  voices: z.number().describe("Networks that are remembered, over all groups"),
  learned: z
    .array(
      z.object({
        network: z.string().describe("AS64500-DE: its networks in one country"),
        region: z.string(),
        rttMs: z.number().describe("Median of the networks' medians"),
        samples: z.number().describe("Those of long ago count for less"),
      }),
    )
    .describe("Groups that say something now: enough networks and samples; the most samples first, at most 1,000"),
});

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
