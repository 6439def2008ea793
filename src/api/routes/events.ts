/** GET /events: what happens on this node, as a list or as server-sent events. @module */
import { z } from "zod";
import type { NumberedEvent } from "#api/event-ring.ts";
import { createStreams, lastIdOf } from "#api/event-stream.ts";
import { defineRoute, type Route, type RouteContext } from "#api/route.ts";

const frame = ({ id, event }: NumberedEvent): string =>
  `id: ${id}\nevent: ${event.kind}\ndata: ${JSON.stringify({ id, ...event })}\n\n`;

export function eventRoutes(context: RouteContext): Route[] {
  const { events } = context;
  const stream = createStreams(context, events);
  return [
    defineRoute({
      method: "GET",
      url: "/events",
      role: "read",
      tag: "Look",
      summary: "Events as they happen (server-sent events); the last ones as a list with Accept: application/json",
      query: z.strictObject({
        after: z.string().max(64).optional().describe("Like Last-Event-ID: replay what came after this id"),
      }),
      response: "text/event-stream",
      handle: ({ request, reply, query }) => {
        const lastId = lastIdOf(request, query.after);
        if (request.headers.accept?.includes("application/json")) {
          const list = lastId === undefined ? events.list() : events.since(lastId).events;
          return list.map(({ id, event }) => ({ id, ...event }));
        }
        return stream(reply, { lastId, frame });
      },
    }),
  ];
}
