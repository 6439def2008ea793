/**
 * GET /events: server-sent events (WHATWG HTML §9.2). A reader that comes back with Last-Event-ID gets what it missed;
 * one that does not read is cut off, so that it costs no memory and comes back by itself.
 * @module
 */
import type { ServerResponse } from "node:http";
import { z } from "zod";
import type { NumberedEvent } from "#api/event-ring.ts";
import { ApiError } from "#api/problem-details.ts";
import { defineRoute, type Route, type RouteContext } from "#api/route.ts";
import type { Timer } from "#base/clock.ts";

const HEARTBEAT_MS = 15_000;
const MAX_STREAMS = 128;
const MAX_UNREAD_OCTETS = 256 * 1_024;

const frame = ({ id, event }: NumberedEvent): string =>
  `id: ${id}\nevent: ${event.kind}\ndata: ${JSON.stringify({ id, ...event })}\n\n`;

export function eventRoutes({ events, clock, log, onClose }: RouteContext): Route[] {
  let streams = 0;

  function stream(response: ServerResponse, lastId: string | undefined): void {
    streams++;
    let heartbeat: Timer | undefined;
    const write = (text: string): void => {
      if (response.destroyed) return;
      response.write(text);
      // The kernel's buffer is full and ours has grown: the reader is too slow, or gone without a word.
      if (response.writableLength > MAX_UNREAD_OCTETS) {
        log.warn({ remote: response.socket?.remoteAddress }, "An event stream is too slow and was closed");
        response.destroy();
      }
    };
    const beat = (): void => {
      write(": still here\n\n");
      heartbeat = clock.after(HEARTBEAT_MS, beat);
    };
    write(`retry: 2000\n\n`);
    const missed = lastId === undefined ? { events: [], isComplete: true } : events.since(lastId);
    if (!missed.isComplete) write("event: gap\ndata: {}\n\n");
    for (const event of missed.events) write(frame(event));
    const unsubscribe = events.subscribe((event) => write(frame(event)));
    const forget = onClose(() => response.end());
    heartbeat = clock.after(HEARTBEAT_MS, beat);
    response.once("close", () => {
      streams--;
      heartbeat?.cancel();
      unsubscribe();
      forget();
    });
  }

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
        const header = request.headers["last-event-id"];
        const lastId = (typeof header === "string" ? header : undefined) ?? query.after;
        if (request.headers.accept?.includes("application/json")) {
          const list = lastId === undefined ? events.list() : events.since(lastId).events;
          return list.map(({ id, event }) => ({ id, ...event }));
        }
        if (streams >= MAX_STREAMS) {
          throw new ApiError("RHUMB_API_BUSY", `${MAX_STREAMS} event streams are open`, {
            headers: { "retry-after": "10" },
          });
        }
        reply.hijack();
        reply.raw.writeHead(200, {
          ...(reply.getHeaders() as Record<string, string>),
          "content-type": "text/event-stream; charset=utf-8",
          "x-accel-buffering": "no",
        });
        stream(reply.raw, lastId);
        return undefined;
      },
    }),
  ];
}
