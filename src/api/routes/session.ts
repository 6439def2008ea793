/**
 * The dashboard's login: a token once, then a cookie that scripts cannot read and other sites cannot send.
 * @module
 */
import { z } from "zod";
import { ApiError } from "#api/problem-details.ts";
import { guesserKey } from "#api/rate-limit.ts";
import { defineRoute, type Route, type RouteContext } from "#api/route.ts";

const sessionSchema = z.object({
  name: z.string(),
  role: z.enum(["read", "operate", "admin"]),
  csrf: z.string().nullable().describe("Send it as X-CSRF-Token with every change; null outside a session"),
});

/** Cookies know no ports, so the name does: two nodes on one machine keep their sessions apart. */
export const sessionCookieName = (localPort: number | undefined): string => `rhumb_session_${localPort ?? 0}`;

export function readCookie(header: string | undefined, name: string): string | undefined {
  for (const part of header?.split(";") ?? []) {
    const equals = part.indexOf("=");
    if (equals > 0 && part.slice(0, equals).trim() === name) return part.slice(equals + 1).trim();
  }
  return undefined;
}

export function sessionRoutes({ auth, guesses, control }: RouteContext): Route[] {
  const cookie = (localPort: number | undefined, value: string, maxAgeSeconds: number): string =>
    `${sessionCookieName(localPort)}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeSeconds}${control().tls ? "; Secure" : ""}`;
  return [
    defineRoute({
      method: "POST",
      url: "/session",
      role: "public",
      tag: "Session",
      summary: "Log in to the dashboard with a token",
      body: z.strictObject({ token: z.string().min(1).max(1_024) }),
      status: 201,
      response: sessionSchema,
      subject: () => "login",
      handle: ({ body, request, reply }) => {
        const session = auth.openSession(body.token);
        if (!session) {
          guesses.take(guesserKey(request.socket.remoteAddress));
          throw new ApiError("RHUMB_API_TOKEN", "the token is not known");
        }
        reply.header("set-cookie", cookie(request.socket.localPort, session.id, 43_200));
        return { name: session.name, role: session.role, csrf: session.csrf };
      },
    }),
    defineRoute({
      method: "GET",
      url: "/session",
      role: "read",
      tag: "Session",
      summary: "Who I am",
      response: sessionSchema,
      handle: ({ actor, request }) => {
        const id = readCookie(request.headers.cookie, sessionCookieName(request.socket.localPort));
        const session = actor!.via === "session" && id !== undefined ? auth.findSession(id) : undefined;
        return { name: actor!.name, role: actor!.role, csrf: session?.csrf ?? null };
      },
    }),
    defineRoute({
      method: "DELETE",
      url: "/session",
      role: "read",
      tag: "Session",
      summary: "Log out",
      status: 204,
      subject: () => "logout",
      handle: ({ request, reply }) => {
        const id = readCookie(request.headers.cookie, sessionCookieName(request.socket.localPort));
        if (id !== undefined) auth.closeSession(id);
        reply.header("set-cookie", cookie(request.socket.localPort, "", 0));
        return undefined;
      },
    }),
  ];
}
