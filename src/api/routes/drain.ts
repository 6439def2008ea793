/** Routes by which an operator takes this node out of service and back, without ending it. @module */
import { z } from "zod";
import { defineRoute, type Route, type RouteContext } from "#api/route.ts";
import * as schemas from "#api/schemas.ts";

export function drainRoutes({ commands }: RouteContext): Route[] {
  return [
    defineRoute({
      method: "POST",
      url: "/drain",
      role: "operate",
      tag: "Probes",
      summary: "Have /readyz say no, so that a VIP or a route moves away, and go on serving who comes",
      body: z.strictObject({ reason: z.string().min(1).max(500).optional().describe("Why; everybody sees it") }),
      response: schemas.drainSchema,
      subject: ({ body }) => body.reason ?? "node",
      handle: ({ body, actor }) => commands.startDrain(body.reason, actor!),
    }),
    defineRoute({
      method: "DELETE",
      url: "/drain",
      role: "operate",
      tag: "Probes",
      summary: "End what POST /drain began",
      response: schemas.drainSchema,
      subject: () => "node",
      handle: ({ actor }) => commands.stopDrain(actor!),
    }),
  ];
}
