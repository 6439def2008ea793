/**
 * Whether a request may pass, before its body is read: Host, Origin, token or session, role, CSRF (ruling 20).
 * @module
 */
import type { X509Certificate } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { type Auth, isSameSecret, mayAct, type Role } from "#api/auth.ts";
import { isOwnHost, isOwnOrigin } from "#api/host-check.ts";
import { ApiError } from "#api/problem-details.ts";
import { guesserKey, type RateLimit } from "#api/rate-limit.ts";
import { readCookie, sessionCookieName } from "#api/routes/session.ts";
import type { Actor } from "#api/views.ts";

export type Peer = {
  readonly isUnix: boolean;
  readonly isTls: boolean;
  readonly certificate: X509Certificate | undefined;
  /** Name of the system user that runs us: nobody else can open a socket of mode 600. */
  readonly userName: string;
};

/** @throws ApiError for a foreign Host or Origin: also on public routes */
export function checkSite(request: FastifyRequest, peer: Peer): void {
  const { host, origin } = request.headers;
  if (!peer.isUnix && !isOwnHost(host, peer.certificate)) throw new ApiError("RHUMB_API_HOST", host ?? "");
  if (!isOwnOrigin(origin, host ?? "", peer.isTls)) throw new ApiError("RHUMB_API_ORIGIN", origin ?? "");
}

/** Who asks, whether or not the role will do. @throws ApiError when nobody we know */
export function identify(request: FastifyRequest, peer: Peer, auth: Auth, guesses: RateLimit): Actor {
  if (peer.isUnix) return { name: peer.userName, role: "admin", via: "socket", remote: "unix" };
  const remote = request.socket.remoteAddress ?? "?";
  const key = guesserKey(request.socket.remoteAddress);
  const headers = { "www-authenticate": 'Bearer realm="rhumb"' };
  const { authorization } = request.headers;
  const sessionId = readCookie(request.headers.cookie, sessionCookieName(request.socket.localPort));

  if (authorization !== undefined) {
    const waitMs = guesses.waitMs(key);
    // Locked out before the token is looked at: else guessing would go on at full speed.
    if (waitMs > 0) {
      throw new ApiError("RHUMB_API_LOCKED", remote, { headers: { "retry-after": String(Math.ceil(waitMs / 1_000)) } });
    }
    const token = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization)?.[1];
    const identity = token === undefined ? undefined : auth.identify(token);
    if (identity) return { ...identity, via: "token", remote };
    guesses.take(key);
    throw new ApiError("RHUMB_API_TOKEN", "the token is not known", { headers });
  }
  const session = sessionId === undefined ? undefined : auth.findSession(sessionId);
  if (!session) throw new ApiError("RHUMB_API_TOKEN", "the request has no token", { headers });
  const given = request.headers["x-csrf-token"];
  if (request.method !== "GET" && (typeof given !== "string" || !isSameSecret(given, session.csrf))) {
    throw new ApiError("RHUMB_API_CSRF", `${request.method} ${request.url}`);
  }
  return { name: session.name, role: session.role, via: "session", remote };
}

export function checkRole(actor: Actor, needs: Role, action: string): void {
  if (!mayAct(actor.role, needs)) {
    throw new ApiError("RHUMB_API_ROLE", `${action} needs ${needs}, ${actor.name} has ${actor.role}`);
  }
}
