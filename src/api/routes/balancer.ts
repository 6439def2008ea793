/**
 * Routes of the balancer: backends, algorithm, pools, listeners.
 *
 * Owns:    the published contract: POST /backends 201, DELETE 200 with `drained_connections`, GET …/health, PUT
 *          /config/algorithm. Answers of what can be changed carry an ETag; a change that sends it back as If-Match is
 *          refused with 412 when somebody else was faster.
 * @module
 */
import { z } from "zod";
import { changesOf, viewsOf } from "#api/balancer-parts.ts";
import { ApiError } from "#api/problem-details.ts";
import { defineRoute, type Route, type RouteContext } from "#api/route.ts";
import * as schemas from "#api/schemas-balancer.ts";

const byId = z.object({ id: z.string().max(64) });
const byName = z.object({ name: z.string().max(63) });

type Headers = { readonly headers: Readonly<Record<string, string | readonly string[] | undefined>> };
type Reply = { header(name: string, value: string): unknown };

/** The tag that the caller's change rests on; undefined: on whatever there is. */
function expected(request: Headers): string | undefined {
  const value = request.headers["if-match"];
  if (value === undefined || value === "*") return undefined;
  const tag = /^"([^"]*)"$/.exec(String(value))?.[1];
  if (tag === undefined) throw new ApiError("RHUMB_API_INPUT", `If-Match: ${String(value)} is not one quoted tag`);
  return tag;
}

export function balancerRoutes(context: RouteContext): Route[] {
  const look = () => viewsOf(context);
  const change = () => changesOf(context);
  const tagged = <Body>(reply: Reply, body: Body): Body => {
    reply.header("etag", `"${look().version()}"`);
    return body;
  };
  const backendOf = (id: string) => {
    const found = look()
      .backends()
      .find(({ backend_id }) => backend_id === id);
    if (!found) throw new ApiError("RHUMB_API_NOT_FOUND", `backend ${id}`);
    return found;
  };
  const poolOf = (name: string) => {
    const found = look()
      .pools()
      .find((pool) => pool.name === name || pool.pool_id === name);
    if (!found) throw new ApiError("RHUMB_API_NOT_FOUND", `pool ${name}`);
    return found;
  };
  /** Which pool a request is about that may leave it out. */
  const chosenPool = (name: string | undefined): string => {
    const pools = look().pools();
    if (name === undefined) {
      if (pools.length === 1) return pools[0]!.name;
      const names = pools.map((pool) => pool.name).join(", ") || "none yet";
      throw new ApiError("RHUMB_API_INPUT", `body.pool: say which one of: ${names}`);
    }
    const found = pools.find((pool) => pool.name === name || pool.pool_id === name);
    if (!found) throw new ApiError("RHUMB_API_INPUT", `body.pool: there is no pool ${name}`);
    return found.name;
  };

  return [
    defineRoute({
      method: "GET",
      url: "/backends",
      role: "read",
      tag: "Balancer",
      summary: "Backends of all pools, or of one",
      query: z.strictObject({ pool: z.string().max(63).optional() }),
      response: z.array(schemas.backendSchema),
      handle: ({ query, reply }) => {
        const pool = query.pool === undefined ? undefined : poolOf(query.pool).name;
        return tagged(
          reply,
          look()
            .backends()
            .filter((backend) => pool === undefined || backend.pool === pool),
        );
      },
    }),
    defineRoute({
      method: "POST",
      url: "/backends",
      role: "operate",
      tag: "Balancer",
      summary: "Add a backend; it is checked at once, and serves when it has passed",
      body: schemas.newBackendSchema,
      status: 201,
      response: schemas.backendSchema,
      subject: ({ body }) => `${body.address} port ${body.port}`,
      handle: async ({ body, actor, request, reply }) => {
        const pool = chosenPool(body.pool);
        const added = await change().addBackend({ ...body, pool }, expected(request), actor!);
        reply.header("location", `/backends/${added.backend_id}`);
        return tagged(reply, added);
      },
    }),
    defineRoute({
      method: "GET",
      url: "/backends/:id",
      role: "read",
      tag: "Balancer",
      summary: "One backend",
      params: byId,
      response: schemas.backendSchema,
      handle: ({ params, reply }) => tagged(reply, backendOf(params.id)),
    }),
    defineRoute({
      method: "PATCH",
      url: "/backends/:id",
      role: "operate",
      tag: "Balancer",
      summary: "Change a backend's weight, limit, tier or zone, or take it out of use without removing it",
      params: byId,
      body: schemas.backendPatchSchema,
      response: schemas.backendSchema,
      subject: ({ params, body }) => `${params.id} ${JSON.stringify(body)}`,
      handle: async ({ params, body, actor, request, reply }) => {
        const { backend_id } = backendOf(params.id);
        return tagged(reply, await change().patchBackend(backend_id, body, expected(request), actor!));
      },
    }),
    defineRoute({
      method: "DELETE",
      url: "/backends/:id",
      role: "operate",
      tag: "Balancer",
      summary: "Remove a backend: no new connections at once; those in progress may finish",
      params: byId,
      response: schemas.removedBackendSchema,
      subject: ({ params }) => params.id,
      handle: async ({ params, actor, request, reply }) => {
        const { backend_id } = backendOf(params.id);
        return tagged(reply, await change().removeBackend(backend_id, expected(request), actor!));
      },
    }),
    defineRoute({
      method: "GET",
      url: "/backends/:id/health",
      role: "read",
      tag: "Balancer",
      summary: "Why a backend is healthy or not: checks, failures, ejection, override",
      params: byId,
      response: schemas.backendHealthSchema,
      handle: ({ params }) => look().backendHealth(backendOf(params.id).backend_id),
    }),
    defineRoute({
      method: "PUT",
      url: "/backends/:id/state",
      role: "operate",
      tag: "Balancer",
      summary: "ready, drain (no new clients) or maint (nobody), as HAProxy's `set server state`",
      params: byId,
      body: schemas.backendStateSchema,
      response: schemas.backendSchema,
      subject: ({ params, body }) => `${params.id} ${body.state}`,
      handle: ({ params, body, actor }) => change().setState(backendOf(params.id).backend_id, body, actor!),
    }),
    defineRoute({
      method: "PUT",
      url: "/config/algorithm",
      role: "operate",
      tag: "Balancer",
      summary: "How a pool chooses; for new connections at once, those that live stay",
      body: schemas.algorithmSchema,
      response: schemas.poolSchema,
      subject: ({ body }) => `${body.pool ?? "the pool"}: ${body.algorithm}`,
      handle: async ({ body, actor, request, reply }) => {
        const pool = chosenPool(body.pool);
        return tagged(reply, await change().setAlgorithm({ ...body, pool }, expected(request), actor!));
      },
    }),
    defineRoute({
      method: "GET",
      url: "/pools",
      role: "read",
      tag: "Balancer",
      summary: "Pools",
      response: z.array(schemas.poolSchema),
      handle: ({ reply }) => tagged(reply, look().pools()),
    }),
    defineRoute({
      method: "GET",
      url: "/pools/:name",
      role: "read",
      tag: "Balancer",
      summary: "One pool",
      params: byName,
      response: schemas.poolSchema,
      handle: ({ params, reply }) => tagged(reply, poolOf(params.name)),
    }),
    defineRoute({
      method: "PUT",
      url: "/pools/:name",
      role: "admin",
      tag: "Balancer",
      summary:
        "Add a pool, or change settings of one: the keys of rhumb.yaml, merged over what is there; null removes a key",
      params: byName,
      body: z.record(z.string(), z.unknown()),
      response: schemas.poolSchema,
      subject: ({ params, body }) => `${params.name}: ${Object.keys(body).join(", ") || "nothing"}`,
      handle: async ({ params, body, actor, request, reply }) =>
        tagged(reply, await change().putPool(params.name, body, expected(request), actor!)),
    }),
    defineRoute({
      method: "DELETE",
      url: "/pools/:name",
      role: "admin",
      tag: "Balancer",
      summary: "Remove what the API changed of a pool: one of a file is as the file says again, one of the API is gone",
      params: byName,
      response: z.object({ name: z.string(), says: z.string() }),
      subject: ({ params }) => params.name,
      handle: async ({ params, actor, request, reply }) => {
        const { name } = poolOf(params.name);
        return tagged(reply, await change().removePool(name, expected(request), actor!));
      },
    }),
    defineRoute({
      method: "GET",
      url: "/listeners",
      role: "read",
      tag: "Balancer",
      summary: "Listeners with their counters",
      response: z.array(schemas.listenerSchema),
      handle: () => look().listeners(),
    }),
    defineRoute({
      method: "GET",
      url: "/stats",
      role: "read",
      tag: "Balancer",
      summary: "Workers, listeners, pools and backends in one",
      response: schemas.balancerStatsSchema,
      handle: () => look().stats(),
    }),
  ];
}
