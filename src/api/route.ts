/**
 * One route of the API as data: the server registers it, OpenAPI describes it, tests walk over all of them.
 * @module
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import type { AuditLog } from "#api/audit-log.ts";
import type { Auth, Role } from "#api/auth.ts";
import type { EventRing } from "#api/event-ring.ts";
import type { Actor, Commands, QueryView, Views } from "#api/views.ts";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { ControlSnapshot } from "#state/snapshot.ts";

/** What the routes work with. */
export type RouteContext = {
  readonly views: Views;
  readonly commands: Commands;
  readonly events: EventRing;
  /** Sampled queries. */
  readonly queries: EventRing<QueryView>;
  readonly audit: AuditLog;
  readonly auth: Auth;
  readonly clock: Clock;
  readonly log: Log;
  control(): ControlSnapshot;
  /** Guards against guessed tokens; keyed by the peer's address. */
  readonly guesses: import("#api/rate-limit.ts").RateLimit;
  readonly probes: import("#api/rate-limit.ts").RateLimit;
  /** Called when the API closes: long answers must end. @returns a function that takes it back */
  onClose(end: () => void): () => void;
};

export type Input<Params, Query, Body> = {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** Undefined on public routes. */
  readonly actor: Actor | undefined;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
};

export type Route = {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: string;
  readonly role: Role;
  readonly tag: string;
  readonly summary: string;
  readonly params: z.ZodType | undefined;
  readonly query: z.ZodType | undefined;
  readonly body: z.ZodType | undefined;
  /** Status of success and its shape; a text instead of a shape is the media type of what is not JSON. */
  readonly status: number;
  readonly response: z.ZodType | string | undefined;
  readonly bodyLimitOctets: number | undefined;
  /** Programs call it every second: it leaves no line in the audit log, but where its caller may not. */
  readonly isRoutine: boolean;
  /** Names what the audit log says that the command was about. */
  readonly subject: ((input: Input<never, never, never>) => string) | undefined;
  readonly handle: (input: Input<never, never, never>) => unknown;
};

type Output<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;

/** Types `handle` after the schemas; what it returns is sent as JSON, undefined for nothing. */
export function defineRoute<
  Params extends z.ZodType | undefined = undefined,
  Query extends z.ZodType | undefined = undefined,
  Body extends z.ZodType | undefined = undefined,
>(route: {
  method: Route["method"];
  url: string;
  role: Role;
  tag: string;
  summary: string;
  params?: Params;
  query?: Query;
  body?: Body;
  status?: number;
  response?: z.ZodType | string;
  bodyLimitOctets?: number;
  isRoutine?: boolean;
  subject?: (input: Input<Output<Params>, Output<Query>, Output<Body>>) => string;
  handle: (input: Input<Output<Params>, Output<Query>, Output<Body>>) => unknown;
}): Route {
  const { params, query, body, response, status = 200, bodyLimitOctets, subject, isRoutine = false } = route;
  return { ...route, params, query, body, response, status, bodyLimitOctets, subject, isRoutine } as Route;
}
