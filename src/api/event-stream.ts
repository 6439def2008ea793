/**
 * Server-sent events (WHATWG HTML §9.2) out of an event ring. A reader that comes back with Last-Event-ID gets what it
 * missed; one that does not read is cut off, so that it costs no memory and comes back by itself.
 *
 * Owns:    the open streams of one route, and their number.
 * @module
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { EventRing, NumberedEvent } from "#api/event-ring.ts";
import { ApiError } from "#api/problem-details.ts";
import type { RouteContext } from "#api/route.ts";
import type { Timer } from "#base/clock.ts";

const HEARTBEAT_MS = 15_000;
const MAX_STREAMS = 128;
const MAX_UNREAD_OCTETS = 256 * 1_024;

/** The id after which a reader wants to go on: as a browser says it, or as `after` in the query. */
export function lastIdOf(request: FastifyRequest, after: string | undefined): string | undefined {
  const header = request.headers["last-event-id"];
  return (typeof header === "string" ? header : undefined) ?? after;
}

export type Stream<Event> = (
  reply: FastifyReply,
  options: {
    readonly lastId: string | undefined;
    readonly frame: (event: NumberedEvent<Event>) => string;
    /** Which events go into this stream. */
    readonly isWanted?: (event: Event) => boolean;
  },
) => void;

/** @returns what answers a request with a stream. @throws ApiError RHUMB_API_BUSY */
export function createStreams<Event>(
  { clock, log, onClose }: Pick<RouteContext, "clock" | "log" | "onClose">,
  events: EventRing<Event>,
): Stream<Event> {
  let streams = 0;
  return (reply, { lastId, frame, isWanted = () => true }) => {
    if (streams >= MAX_STREAMS) {
      throw new ApiError("RHUMB_API_BUSY", `${MAX_STREAMS} event streams are open`, {
        headers: { "retry-after": "10" },
      });
    }
    reply.hijack();
    const response = reply.raw;
    response.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      "content-type": "text/event-stream; charset=utf-8",
      "x-accel-buffering": "no",
    });
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
    const tell = (numbered: NumberedEvent<Event>): void => {
      if (isWanted(numbered.event)) write(frame(numbered));
    };
    const beat = (): void => {
      write(": still here\n\n");
      heartbeat = clock.after(HEARTBEAT_MS, beat);
    };
    write(`retry: 2000\n\n`);
    const missed = lastId === undefined ? { events: [], isComplete: true } : events.since(lastId);
    if (!missed.isComplete) write("event: gap\ndata: {}\n\n");
    for (const event of missed.events) tell(event);
    const unsubscribe = events.subscribe(tell);
    const forget = onClose(() => response.end());
    heartbeat = clock.after(HEARTBEAT_MS, beat);
    response.once("close", () => {
      streams--;
      heartbeat?.cancel();
      unsubscribe();
      forget();
    });
  };
}
