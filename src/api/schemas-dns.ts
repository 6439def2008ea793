/**
 * Shapes of what the API tells of how DNS is answered.
 * @module
 */
import { z } from "zod";

const text = z.string();

const udpEngineSchema = z
  .object({
    name: text,
    why: text,
    xdp: z
      .object({
        interface: text,
        mode: z
          .enum(["native", "generic"])
          .describe("Native: in the driver; generic: after the kernel has made a packet"),
        programId: z.number().describe("As `bpftool prog` and `ip link` show it"),
        queues: z.array(z.object({ queue: z.number(), counters: z.record(text, z.number()) })),
      })
      .nullable()
      .describe("Null with other engines than xdp"),
  })
  .nullable()
  .describe("The UDP engine in use, and why this one");

/** Of `GET /status`. */
export const dnsStatusFields = {
  engine: udpEngineSchema,
  listen: z.array(z.object({ address: text, port: z.number(), transport: z.enum(["udp", "tcp"]) })),
  workers: z.array(
    z.object({
      id: text,
      kind: z.enum(["udp", "tcp"]),
      state: text,
      generation: text.nullable(),
      restarts: z.number(),
    }),
  ),
};
