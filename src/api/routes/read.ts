/** Routes that only look: status, regions, services, health, explain, audit, latency, metrics. @module */
import { z } from "zod";
import { ApiError } from "#api/problem-details.ts";
import { defineRoute, type Route, type RouteContext } from "#api/route.ts";
import * as schemas from "#api/schemas.ts";
import { rumSchema } from "#api/schemas-latency.ts";
import { loadSchema } from "#api/schemas-load.ts";
import { parseTime } from "#api/time.ts";

const byId = z.object({ id: z.string().max(253) });
const byName = z.object({ name: z.string().max(253) });
const tag = "Look";

export function readRoutes({ views, audit, clock }: RouteContext): Route[] {
  return [
    defineRoute({
      method: "GET",
      url: "/status",
      role: "read",
      tag,
      summary: "What this node is, runs and serves, and its alarms",
      response: schemas.statusSchema,
      handle: () => views.status(),
    }),
    defineRoute({
      method: "GET",
      url: "/regions",
      role: "read",
      tag,
      summary: "All regions with verdict, next possible change, override and load",
      response: z.array(schemas.regionSchema),
      handle: () => views.regions(),
    }),
    defineRoute({
      method: "GET",
      url: "/regions/:id",
      role: "read",
      tag,
      summary: "One region",
      params: byId,
      response: schemas.regionSchema,
      handle: async ({ params }) => {
        const region = (await views.regions()).find(({ id }) => id === params.id);
        if (!region) throw new ApiError("RHUMB_API_NOT_FOUND", `region ${params.id}`);
        return region;
      },
    }),
    defineRoute({
      method: "GET",
      url: "/services",
      role: "read",
      tag,
      summary: "All services with their regions and filters",
      response: z.array(schemas.serviceSchema),
      handle: () => views.services(),
    }),
    defineRoute({
      method: "GET",
      url: "/services/:name",
      role: "read",
      tag,
      summary: "One service",
      params: byName,
      response: schemas.serviceSchema,
      handle: async ({ params }) => {
        const service = (await views.services()).find(({ name }) => name === params.name);
        if (!service) throw new ApiError("RHUMB_API_NOT_FOUND", `service ${params.name}`);
        return service;
      },
    }),
    defineRoute({
      method: "GET",
      url: "/services/:name/classes",
      role: "read",
      tag,
      summary: "The classes of clients that a service answers most, and the regions they get",
      params: byName,
      query: schemas.serviceClassesQuerySchema,
      response: schemas.serviceClassesSchema,
      handle: async ({ params, query }) => {
        const classes = await views.serviceClasses(params.name, query.top);
        if (!classes) throw new ApiError("RHUMB_API_NOT_FOUND", `service ${params.name}`);
        return classes;
      },
    }),
    defineRoute({
      method: "GET",
      url: "/health",
      role: "read",
      tag,
      summary: "Health of every target, regions and their addresses",
      response: z.array(schemas.targetHealthSchema),
      handle: () => views.health(),
    }),
    defineRoute({
      method: "GET",
      url: "/vantages",
      role: "read",
      tag,
      summary: "Who probes and votes, and whose votes count",
      response: z.array(schemas.vantageSchema),
      handle: () => views.vantages(),
    }),
    defineRoute({
      method: "GET",
      url: "/explain",
      role: "read",
      tag,
      summary: "Why a client gets the answer it gets, filter by filter",
      query: schemas.explainQuerySchema,
      response: schemas.explainSchema,
      handle: ({ query }) => {
        const atMs = query.at === undefined ? clock.nowMs() : parseTime(query.at);
        if (atMs === undefined) {
          throw new ApiError(
            "RHUMB_API_INPUT",
            `at: ${query.at} is neither a time such as 2027-01-01T00:00:00Z nor Unix ms`,
          );
        }
        const { name, type, from, resolver } = query;
        return views.explain({ name, type: type.toUpperCase(), from, resolver, atMs });
      },
    }),
    defineRoute({
      method: "GET",
      url: "/latency",
      role: "read",
      tag,
      summary: "Measured round trips per client network",
      response: schemas.latencySchema,
      handle: () => views.latency(),
    }),
    defineRoute({
      method: "GET",
      url: "/rum",
      role: "read",
      tag,
      summary: "Beacons of pages that came to this node, and what they say of round trips",
      response: rumSchema,
      handle: () => views.rum(),
    }),
    defineRoute({
      method: "GET",
      url: "/load",
      role: "read",
      tag,
      summary:
        "Load of regions as balancers report it, what it is going to be, and the plan that spreads clients by it",
      response: loadSchema,
      handle: () => views.load(),
    }),
    defineRoute({
      method: "GET",
      url: "/audit",
      role: "operate",
      tag,
      summary: "Who changed what through this API, newest first",
      response: z.array(schemas.auditEntrySchema),
      handle: () => audit.list(),
    }),
    defineRoute({
      method: "GET",
      url: "/metrics",
      role: "read",
      tag,
      summary: "Metrics in Prometheus text format; docs/metrics.md lists them",
      response: "text/plain",
      handle: async ({ reply }) => {
        const { contentType, text } = await views.metrics();
        reply.header("content-type", contentType);
        return text;
      },
    }),
    defineRoute({
      method: "GET",
      url: "/healthz",
      role: "public",
      tag: "Probes",
      summary: "The process lives",
      response: z.object({ isAlive: z.boolean() }),
      handle: () => ({ isAlive: true }),
    }),
    defineRoute({
      method: "GET",
      url: "/readyz",
      role: "public",
      tag: "Probes",
      summary: "200 when this node serves and no operator drains it, else 503 and why not",
      query: z.strictObject({
        pools: z.string().max(1_000).optional().describe("Each of these must have a healthy backend, such as web,mail"),
      }),
      response: schemas.readinessSchema,
      handle: async ({ query, reply }) => {
        const readiness = await views.readiness(query.pools?.split(",") ?? []);
        if (!readiness.isReady) reply.code(503);
        return readiness;
      },
    }),
  ];
}
