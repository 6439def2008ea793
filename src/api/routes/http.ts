/** Routes of what HTTP and TLS add to the balancer: its cache, rules and certificates. @module */
import { z } from "zod";
import { changesOf, viewsOf } from "#api/balancer-parts.ts";
import { ApiError } from "#api/problem-details.ts";
import { defineRoute, type Route, type RouteContext } from "#api/route.ts";
import * as schemas from "#api/schemas-http.ts";

export function httpRoutes(context: RouteContext): Route[] {
  return [
    defineRoute({
      method: "GET",
      url: "/cache",
      role: "read",
      tag: "Balancer",
      summary: "The HTTP cache by store, summed over the workers",
      response: z.array(schemas.cacheSchema),
      handle: () => viewsOf(context).cache(),
    }),
    defineRoute({
      method: "POST",
      url: "/cache/purge",
      role: "operate",
      tag: "Balancer",
      summary: "Drop responses from the HTTP cache of all workers",
      body: schemas.purgeSchema,
      response: schemas.purgedSchema,
      subject: ({ body }) => JSON.stringify(body),
      handle: async ({ body: { all: _, ...what }, actor }) => {
        const purged = await changesOf(context).purgeCache(what, actor!);
        return { purged, says: `${purged} dropped` };
      },
    }),
    defineRoute({
      method: "GET",
      url: "/rules",
      role: "read",
      tag: "Balancer",
      summary: "Rules of HTTP listeners in the order in which they are asked",
      query: z.strictObject({ listener: z.string().max(63).optional() }),
      response: z.array(schemas.ruleSchema),
      handle: ({ query: { listener } }) => {
        const views = viewsOf(context);
        if (listener !== undefined && !views.listeners().some(({ name }) => name === listener))
          throw new ApiError("RHUMB_API_NOT_FOUND", `listener ${listener}`);
        return views.rules().filter((rule) => listener === undefined || rule.listener === listener);
      },
    }),
    defineRoute({
      method: "GET",
      url: "/certificates",
      role: "read",
      tag: "Balancer",
      summary: "Certificates that are served, and those that an ACME authority is asked for",
      response: schemas.certificatesSchema,
      handle: () => viewsOf(context).certificates(),
    }),
  ];
}
