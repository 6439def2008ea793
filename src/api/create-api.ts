/**
 * The control API: fastify over the routes of `api/routes/`, behind the guard of `api/guard.ts`.
 *
 * Owns:    HTTP, who may do what, the audit log's entries. Reads and commands only through what `app/` hands in.
 * Never:   imports an engine; changes the configuration except by `commands.proposeConfig`.
 * @module
 */
import swagger from "@fastify/swagger";
import Fastify, {
  type FastifyReply,
  type FastifyRequest,
  type InjectOptions,
  type LightMyRequestResponse,
} from "fastify";
import type { z } from "zod";
import type { AuditLog } from "#api/audit-log.ts";
import { createAuth } from "#api/auth.ts";
import type { EventRing } from "#api/event-ring.ts";
import { checkRole, checkSite, identify, type Peer } from "#api/guard.ts";
import { type Listener, openListener } from "#api/listener.ts";
import { swaggerOptions } from "#api/openapi.ts";
import { ApiError, asRhumbError, problemDetails } from "#api/problem-details.ts";
import { createRateLimit, guesserKey } from "#api/rate-limit.ts";
import { defineRoute, type Input, type Route, type RouteContext } from "#api/route.ts";
import { anycastRoutes } from "#api/routes/anycast.ts";
import { balancerRoutes } from "#api/routes/balancer.ts";
import { commandRoutes } from "#api/routes/command.ts";
import { configRoutes } from "#api/routes/config.ts";
import { dashboardRoutes } from "#api/routes/dashboard.ts";
import { drainRoutes } from "#api/routes/drain.ts";
import { evacuationRoutes } from "#api/routes/evacuation.ts";
import { eventRoutes } from "#api/routes/events.ts";
import { httpRoutes } from "#api/routes/http.ts";
import { queryRoutes } from "#api/routes/queries.ts";
import { readRoutes } from "#api/routes/read.ts";
import { recordRoutes } from "#api/routes/records.ts";
import { sessionRoutes } from "#api/routes/session.ts";
import { unsupportedRoutes } from "#api/routes/unsupported.ts";
import type { Actor, Commands, QueryView, Views } from "#api/views.ts";
import { type Clock, systemClock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { userName } from "#base/user-name.ts";
import type { ControlSnapshot } from "#state/snapshot.ts";

const BODY_LIMIT_OCTETS = 256 * 1_024;

export type ApiOptions = {
  readonly control: ControlSnapshot;
  readonly views: Views;
  readonly commands: Commands;
  readonly events: EventRing;
  readonly queries: EventRing<QueryView>;
  readonly audit: AuditLog;
  readonly version: string;
  readonly log: Log;
  readonly clock?: Clock;
  /** Told of each answer, for metrics: route pattern, status, ms. */
  readonly observe?: (method: string, route: string, status: number, durationMs: number) => void;
};

export type Api = {
  /** @returns where it listens, such as `http://127.0.0.1:8053`. @throws RhumbError RHUMB_API_LISTEN and others */
  listen(): Promise<string>;
  /** New tokens hold at once; a new address or certificate is taken before the old one goes, all or nothing. */
  apply(control: ControlSnapshot): Promise<void>;
  /** Lets answers finish for 2 s, ends event streams at once. */
  close(): Promise<void>;
  readonly routes: readonly Route[];
  /** Asks without a socket, as a peer on loopback: for tests. */
  inject(options: InjectOptions): Promise<LightMyRequestResponse>;
};

export function createApi(options: ApiOptions): Api {
  const { views, commands, events, queries, audit, log, clock = systemClock, observe } = options;
  let control = options.control;
  let listener: Listener | undefined;
  const closers = new Set<() => void>();
  const auth = createAuth({ control: () => control, clock });
  const context: RouteContext = {
    views,
    commands,
    events,
    queries,
    audit,
    auth,
    clock,
    log,
    control: () => control,
    guesses: createRateLimit({ clock, burst: 20, refillMs: 3_000 }),
    probes: createRateLimit({ clock, burst: 30, refillMs: 2_000 }),
    onClose(end) {
      closers.add(end);
      return () => closers.delete(end);
    },
  };
  const user = userName();

  const app = Fastify({
    bodyLimit: BODY_LIMIT_OCTETS,
    logger: false,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 512, ignoreTrailingSlash: true },
  });
  app.removeContentTypeParser("text/plain"); // application/json alone: no form of another site can send it unasked
  const openapi = defineRoute({
    method: "GET",
    url: "/openapi.json",
    role: "read", // only the probes and the login answer without a token
    tag: "Look",
    summary: "This description",
    response: "application/json",
    handle: () => app.swagger(),
  });
  const routes: Route[] = [
    ...readRoutes(context),
    ...commandRoutes(context),
    ...configRoutes(context),
    ...drainRoutes(context),
    ...evacuationRoutes(context),
    ...anycastRoutes(context),
    ...balancerRoutes(context),
    ...httpRoutes(context),
    ...eventRoutes(context),
    ...queryRoutes(context),
    ...recordRoutes(context),
    ...sessionRoutes(context),
    ...dashboardRoutes(),
    ...unsupportedRoutes(),
    openapi,
  ];

  const peerOf = (request: FastifyRequest): Peer => ({
    isUnix: listener?.isUnix === true && request.socket.remoteAddress === undefined,
    isTls: "encrypted" in request.socket,
    certificate: listener?.certificate(),
    userName: user,
  });

  function enter(
    request: FastifyRequest,
    reply: FastifyReply,
    actor: Actor | undefined,
    says: { action: string; subject: string; status: number; text: string; diff?: string },
  ): void {
    audit.add({
      atMs: clock.nowMs(),
      name: actor?.name ?? "?",
      role: actor?.role ?? null,
      remote: actor?.remote ?? request.socket.remoteAddress ?? "unix",
      action: says.action,
      subject: says.subject,
      status: reply.raw.headersSent ? reply.statusCode : says.status,
      says: says.text,
      ...(says.diff && { diff: says.diff }),
    });
  }

  async function serve(route: Route, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const action = `${route.method} ${route.url}`;
    const peer = peerOf(request);
    let actor: Actor | undefined;
    let subject = "";
    try {
      actor = actors.get(request);
      const input = parseInput(route, request, reply, actor);
      subject = route.subject?.(input as Input<never, never, never>) ?? "";
      reply.code(route.status);
      const output = await route.handle(input as Input<never, never, never>);
      if (route.method !== "GET" && !route.isRoutine) {
        const known = actor ?? loggedIn(output, peer, request);
        enter(request, reply, known, {
          action,
          subject,
          status: reply.statusCode,
          text: summary(output),
          diff: diffOf(output),
        });
      }
      if (output === undefined && !reply.sent) return reply.send();
      return output;
    } catch (error) {
      const known = asRhumbError(error, action);
      if (route.method !== "GET" && !route.isRoutine) {
        const status = problemDetails(known, "").status;
        enter(request, reply, actor, { action, subject, status, text: known.message });
      }
      throw error;
    }
  }

  const actors = new WeakMap<FastifyRequest, Actor>();
  function admit(route: Route, request: FastifyRequest, reply: FastifyReply): void {
    const peer = peerOf(request);
    checkSite(request, peer);
    if (route.url === "/session" && route.method === "POST") {
      const waitMs = context.guesses.waitMs(guesserKey(request.socket.remoteAddress));
      const headers = { "retry-after": String(Math.ceil(waitMs / 1_000)) };
      if (waitMs > 0) throw new ApiError("RHUMB_API_LOCKED", request.socket.remoteAddress ?? "", { headers });
    }
    if (route.role === "public") return;
    const action = `${route.method} ${route.url}`;
    let actor: Actor | undefined;
    try {
      actor = identify(request, peer, auth, context.guesses);
      checkRole(actor, route.role, action);
      actors.set(request, actor);
    } catch (error) {
      const code = error instanceof RhumbError ? error.code : undefined;
      // A request without any token is a browser's first, or a scanner's: not worth a line.
      const isWorthALine =
        code === "RHUMB_API_ROLE" || code === "RHUMB_API_CSRF" || request.headers.authorization !== undefined;
      if (isWorthALine && code !== "RHUMB_API_LOCKED") {
        const known = asRhumbError(error, action);
        enter(request, reply, actor, {
          action,
          subject: "",
          status: problemDetails(known, "").status,
          text: known.message,
        });
      }
      throw error;
    }
  }

  app.setErrorHandler((error, request, reply) => {
    const action = `${request.method} ${request.url.split("?")[0]}`;
    const known = asRhumbError(error, action, request.headers["content-type"]);
    if (known.code === "RHUMB_API_FAULT")
      log.error({ error, url: request.url }, "A request failed inside the control API");
    const details = problemDetails(known, request.url);
    if (known instanceof ApiError) reply.headers(known.headers);
    return reply.code(details.status).type("application/problem+json").send(JSON.stringify(details));
  });
  app.setNotFoundHandler((request) => {
    const path = request.url.split("?")[0]!;
    const others = routes.filter(({ url }) => patternOf(url).test(path)).map(({ method }) => method);
    if (others.length > 0) {
      const headers = { allow: [...new Set(others)].join(", ") };
      throw new ApiError("RHUMB_API_METHOD", `${request.method} ${path}`, { headers });
    }
    throw new ApiError("RHUMB_API_NOT_FOUND", `route ${path}`);
  });
  app.addHook("onRequest", async (_request, reply) => {
    reply.headers({
      "cache-control": "no-store",
      "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
      "cross-origin-resource-policy": "same-origin",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
    });
  });
  app.addHook("onResponse", async (request, reply) => {
    observe?.(request.method, request.routeOptions.url ?? "none", reply.statusCode, reply.elapsedTime);
  });
  app.register(swagger, swaggerOptions(routes, options.version));
  app.register(async (scope) => {
    for (const route of routes) {
      scope.route({
        method: route.method,
        url: route.url,
        ...(route.bodyLimitOctets === undefined ? {} : { bodyLimit: route.bodyLimitOctets }),
        onRequest: async (request, reply) => admit(route, request, reply),
        handler: (request, reply) => serve(route, request, reply),
      });
    }
  });

  return {
    routes,
    async listen() {
      await app.ready();
      listener = await openListener(control, app.routing);
      return listener.url;
    },
    async apply(next) {
      const isMoved =
        JSON.stringify(next.listen) !== JSON.stringify(control.listen) ||
        (next.tls !== undefined) !== (control.tls !== undefined);
      if (!listener) control = next;
      else if (!isMoved) {
        listener.renewTls(next);
        control = next;
      } else {
        const before = listener;
        listener = await move(before, control, next, app.routing);
        control = next;
      }
    },
    async close() {
      for (const end of closers) end();
      await listener?.close();
      await app.close();
    },
    inject: async (request) => {
      await app.ready();
      return app.inject(request);
    },
  };
}

/** Opens the new address first; where the old one is in its way (same port, wider address), closes that one before. */
async function move(
  before: Listener,
  old: ControlSnapshot,
  next: ControlSnapshot,
  handler: Parameters<typeof openListener>[1],
): Promise<Listener> {
  try {
    const opened = await openListener(next, handler);
    void before.close();
    return opened;
  } catch (error) {
    const isInTheWay = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code === "EADDRINUSE";
    const isSamePort = "port" in old.listen && "port" in next.listen && old.listen.port === next.listen.port;
    if (!isInTheWay || !isSamePort) throw error;
  }
  await before.close();
  try {
    return await openListener(next, handler);
  } catch (error) {
    Object.assign(before, await openListener(old, handler)); // back to where we were; callers keep `before`
    throw error;
  }
}

function parseInput(
  route: Route,
  request: FastifyRequest,
  reply: FastifyReply,
  actor: Actor | undefined,
): Input<unknown, unknown, unknown> {
  const problems: { path: string; says: string }[] = [];
  const parse = (where: string, schema: z.ZodType | undefined, value: unknown): unknown => {
    if (!schema) return undefined;
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    for (const issue of result.error.issues)
      problems.push({ path: [where, ...issue.path].join("."), says: issue.message });
    return undefined;
  };
  const params = parse("path", route.params, request.params);
  const query = parse("query", route.query, request.query);
  const body = parse("body", route.body, request.body);
  if (problems.length > 0) {
    throw new ApiError("RHUMB_API_INPUT", problems.map(({ path, says }) => `${path}: ${says}`).join("; "), {
      problems,
    });
  }
  return { params, query, body, actor, request, reply };
}

/** Who has just logged in: the one command that is given without an actor. */
function loggedIn(output: unknown, peer: Peer, request: FastifyRequest): Actor | undefined {
  const { name, role } = (output ?? {}) as { name?: string; role?: Actor["role"] };
  if (name === undefined || role === undefined) return undefined;
  return { name, role, via: "session", remote: peer.isUnix ? "unix" : (request.socket.remoteAddress ?? "?") };
}

function summary(output: unknown): string {
  const says = (output as { says?: unknown } | undefined)?.says;
  return typeof says === "string" ? says : "done";
}

/** Of a command that changed texts. */
function diffOf(output: unknown): string {
  const { diff, isApplied } = (output ?? {}) as { diff?: unknown; isApplied?: unknown };
  return isApplied === true && typeof diff === "string" ? diff : "";
}

const patternOf = (url: string): RegExp => new RegExp(`^${url.replace(/:[A-Za-z]+/g, "[^/]+")}/?$`);
