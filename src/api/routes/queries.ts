/** GET /queries: the query log, the last samples as JSON or new ones as server-sent events. @module */
import type { NumberedEvent } from "#api/event-ring.ts";
import { createStreams, lastIdOf } from "#api/event-stream.ts";
import { defineRoute, type Route, type RouteContext } from "#api/route.ts";
import { queriesQuerySchema, queryListSchema } from "#api/schemas.ts";
import type { QueryView } from "#api/views.ts";
import { createNameMatcher } from "#base/glob.ts";

const frame = ({ id, event }: NumberedEvent<QueryView>): string =>
  `id: ${id}\nevent: query\ndata: ${JSON.stringify({ id, ...event })}\n\n`;

/** Names with or without their last dot, in any case. */
function matcher(name: string | undefined, rcode: string | undefined): (query: QueryView) => boolean {
  const isName = name === undefined ? undefined : createNameMatcher(name);
  const wanted = rcode?.toUpperCase();
  return (query) =>
    (isName === undefined || (query.name !== null && isName(query.name))) &&
    (wanted === undefined || query.rcode === wanted);
}

export function queryRoutes(context: RouteContext): Route[] {
  const { queries, views } = context;
  const stream = createStreams(context, queries);
  return [
    defineRoute({
      method: "GET",
      url: "/queries",
      role: "operate", // who asked for what is more than how the node does
      tag: "Look",
      summary: "Sampled queries with their answers; as they come with Accept: text/event-stream (server-sent events)",
      query: queriesQuerySchema,
      response: queryListSchema,
      handle: async ({ request, reply, query }) => {
        const lastId = lastIdOf(request, query.after);
        const isWanted = matcher(query.name, query.rcode);
        if (request.headers.accept?.includes("text/event-stream")) return stream(reply, { lastId, frame, isWanted });
        const log = await views.queryLog();
        const list = lastId === undefined ? queries.list() : queries.since(lastId).events;
        const wanted = list.filter(({ event }) => isWanted(event)).map(({ id, event }) => ({ id, ...event }));
        return { ...log, queries: wanted };
      },
    }),
  ];
}
