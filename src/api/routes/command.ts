/** Routes that change something: overrides, failback, latency, probes, notifiers, the demo. @module */
import { isIP } from "node:net";
import { z } from "zod";
import { ApiError } from "#api/problem-details.ts";
import { defineRoute, type Route, type RouteContext } from "#api/route.ts";
import * as schemas from "#api/schemas.ts";
import { UNTIL_CLEARED_MS } from "#state/snapshot.ts";

const byId = z.object({ id: z.string().max(253) });
const byRegion = z.object({ region: z.string().max(63) });
const DEFAULT_OVERRIDE_MS = 4 * 3_600_000; // ruling 22

export function commandRoutes(context: RouteContext): Route[] {
  const { views, commands, clock, probes } = context;

  async function mustBeRegion(id: string): Promise<void> {
    if (!(await views.regions()).some((region) => region.id === id))
      throw new ApiError("RHUMB_API_NOT_FOUND", `region ${id}`);
  }

  const overrides = [
    defineRoute({
      method: "GET",
      url: "/overrides",
      role: "read",
      tag: "Overrides",
      summary: "Overrides in the order in which they apply; the last match wins",
      response: z.array(schemas.overrideSchema),
      handle: () => views.overrides(),
    }),
    defineRoute({
      method: "POST",
      url: "/overrides",
      role: "operate",
      tag: "Overrides",
      summary: "Say that a target is up, down or draining, whatever the probes say",
      body: schemas.newOverrideSchema,
      status: 201,
      response: schemas.overrideSchema,
      subject: ({ body }) => `${body.verb} ${body.target}${body.force ? " by force" : ""}`,
      handle: ({ body, actor }) => {
        const { forMs, untilMs, owner, ...rest } = body;
        if (forMs !== undefined && untilMs !== undefined)
          throw new ApiError("RHUMB_API_INPUT", "give forMs or untilMs, not both");
        const endMs = untilMs === null ? UNTIL_CLEARED_MS : (untilMs ?? clock.nowMs() + (forMs ?? DEFAULT_OVERRIDE_MS));
        if (endMs <= clock.nowMs()) throw new ApiError("RHUMB_API_INPUT", `untilMs: ${endMs} is in the past`);
        return commands.setOverride({ ...rest, owner: owner ?? actor!.name, untilMs: endMs }, actor!);
      },
    }),
    defineRoute({
      method: "DELETE",
      url: "/overrides/:id",
      role: "operate",
      tag: "Overrides",
      summary: "End an override of the API; those of files end in the file",
      params: byId,
      response: schemas.overrideSchema,
      subject: ({ params }) => params.id,
      handle: async ({ params, actor }) => {
        const cleared = await commands.clearOverride(params.id, actor!);
        if (!cleared) throw new ApiError("RHUMB_API_NOT_FOUND", `override ${params.id} that was set through the API`);
        return cleared;
      },
    }),
    defineRoute({
      method: "POST",
      url: "/regions/:id/failback",
      role: "operate",
      tag: "Overrides",
      summary: "Approve the return of a region whose failback is manual",
      params: byId,
      response: schemas.failbackSchema,
      subject: ({ params }) => `region/${params.id}`,
      handle: async ({ params, actor }) => {
        await mustBeRegion(params.id);
        return commands.approveFailback(params.id, actor!);
      },
    }),
  ];

  const others = [
    defineRoute({
      method: "PUT",
      url: "/latency",
      role: "operate",
      tag: "Measurements",
      summary: "Feed measured round trips per client network",
      body: schemas.newLatencySchema,
      response: schemas.latencySchema,
      bodyLimitOctets: 8 * 1_048_576,
      subject: ({ body }) => `${body.entries.length} networks`,
      handle: ({ body, actor }) => commands.setLatency(body, actor!),
    }),
    defineRoute({
      method: "POST",
      url: "/geo/reload",
      role: "operate",
      tag: "Measurements",
      summary: "Read the geo databases again; with force, also one that lost much of what the one in use has",
      body: schemas.newGeoReloadSchema,
      response: schemas.geoReloadSchema,
      subject: ({ body }) => (body.force ? "forced" : "files"),
      handle: ({ body, actor }) => commands.reloadGeo(body.force, actor!),
    }),
    defineRoute({
      method: "POST",
      url: "/probe",
      role: "operate",
      tag: "Measurements",
      summary: "Ask a name server over UDP and TCP from here, and say what came back",
      body: schemas.newProbeSchema,
      response: schemas.probeSchema,
      subject: ({ body }) => `${body.address}:${body.port}`,
      handle: async ({ body, actor }) => {
        if (isIP(body.address) === 0)
          throw new ApiError("RHUMB_API_INPUT", `address: ${body.address} is not an IP address`);
        // Not a port scanner on somebody's behalf: DNS alone, and a few a minute.
        const ownPorts = (await views.status()).listen.map(({ port }) => port);
        if (body.port !== 53 && !ownPorts.includes(body.port)) {
          throw new ApiError("RHUMB_API_INPUT", `port: ${body.port} is neither 53 nor one that this node listens on`);
        }
        const waitMs = probes.waitMs(actor!.name);
        if (waitMs > 0) {
          const headers = { "retry-after": String(Math.ceil(waitMs / 1_000)) };
          throw new ApiError("RHUMB_API_BUSY", "probes", { headers });
        }
        probes.take(actor!.name);
        return commands.probe(body);
      },
    }),
    defineRoute({
      method: "POST",
      url: "/notify/test",
      role: "operate",
      tag: "Measurements",
      summary: "Send a test message to one notifier, or to all",
      body: z.strictObject({ name: z.string().max(63).optional() }),
      response: z.array(z.object({ name: z.string(), isDelivered: z.boolean(), says: z.string() })),
      subject: ({ body }) => body.name ?? "all",
      handle: ({ body, actor }) => commands.testNotify(body.name, actor!),
    }),
    ...(["kill", "heal"] as const).map((verb) =>
      defineRoute({
        method: "POST",
        url: `/demo/:region/${verb}`,
        role: "operate",
        tag: "Demo",
        summary:
          verb === "kill"
            ? "Kill the processes of a demo region, or of one backend: eu-west, eu-west/1"
            : "Start what is not running of a demo region, or one backend, again",
        params: byRegion,
        response: schemas.demoSchema,
        subject: ({ params }) => `region/${params.region}`,
        handle: async ({ params, actor }) => {
          if (!commands.demo)
            throw new ApiError("RHUMB_API_NOT_FOUND", "demo here: this node runs a real configuration");
          await mustBeRegion(params.region.split("/")[0]!);
          return commands.demo[verb](params.region, actor!);
        },
      }),
    ),
  ];

  return [...overrides, ...others];
}
