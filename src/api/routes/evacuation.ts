/** Routes by which a region is evacuated in order and brought back. @module */
import { z } from "zod";
import { ApiError } from "#api/problem-details.ts";
import { defineRoute, type Route, type RouteContext } from "#api/route.ts";
import { evacuationSchema, newEvacuationSchema, resumeSchema } from "#api/schemas-evacuation.ts";

const byRegion = z.object({ id: z.string().max(63) });
const subject = ({ params }: { readonly params: { readonly id: string } }): string => `region/${params.id}`;
const SHARED = { role: "operate", tag: "Evacuation", params: byRegion, response: evacuationSchema } as const;

export function evacuationRoutes({ views, commands }: RouteContext): Route[] {
  return [
    defineRoute({
      method: "GET",
      url: "/evacuations",
      role: "read",
      tag: "Evacuation",
      summary: "Evacuations of regions, those that are over for a day",
      response: z.array(evacuationSchema),
      handle: () => views.evacuations(),
    }),
    defineRoute({
      ...SHARED,
      method: "GET",
      url: "/evacuations/:id",
      role: "read",
      summary: "The evacuation of one region: its step, what it waits for, its history and drain curve",
      handle: async ({ params }) => {
        const found = (await views.evacuations()).find(({ region }) => region === params.id);
        if (!found) throw new ApiError("RHUMB_API_NOT_FOUND", `evacuation of ${params.id}`);
        return found;
      },
    }),
    defineRoute({
      ...SHARED,
      method: "POST",
      url: "/regions/:id/evacuate",
      summary: "Leave a region in order: DNS, the tail of its clients, its balancers, its prefixes",
      body: newEvacuationSchema,
      status: 202,
      subject: ({ params, body }) => `region/${params.id}${body.force ? " by force" : ""}: ${body.reason}`,
      handle: ({ params, body, actor }) => commands.evacuate({ ...body, region: params.id }, actor!),
    }),
    defineRoute({
      ...SHARED,
      method: "POST",
      url: "/regions/:id/return",
      summary: "Bring a region back, from wherever its evacuation stands, in the reverse order",
      status: 202,
      subject,
      handle: ({ params, actor }) => commands.returnRegion(params.id, actor!),
    }),
    defineRoute({
      ...SHARED,
      method: "POST",
      url: "/regions/:id/stop",
      summary: "Let an evacuation or a return stand where it is",
      subject,
      handle: ({ params, actor }) => commands.stopEvacuation(params.id, actor!),
    }),
    defineRoute({
      ...SHARED,
      method: "POST",
      url: "/regions/:id/resume",
      summary: "Have an evacuation or a return go on, led by this node",
      body: resumeSchema,
      subject: ({ params, body }) => `region/${params.id}${body.force ? " by force" : ""}`,
      handle: ({ params, body, actor }) => commands.resumeEvacuation(params.id, body.force, actor!),
    }),
  ];
}
