/**
 * Who asks: bearer tokens, the dashboard's sessions, roles (ruling 20).
 *
 * Owns:    sessions in memory. Reads: the tokens of the control snapshot, which may change under it.
 * Never:   logs or returns a token. Compares digests of equal length in constant time, and always all of them, so
 *          that time tells nothing about how many characters were right or which name they belong to.
 * @module
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "#base/clock.ts";
import type { ControlSnapshot, TokenRole } from "#state/snapshot.ts";

export type Role = "public" | TokenRole;
const RANK: Record<Role, number> = { public: 0, read: 1, operate: 2, admin: 3 };
export const mayAct = (has: TokenRole, needs: Role): boolean => RANK[has] >= RANK[needs];

export type Identity = { readonly name: string; readonly role: TokenRole };
export type Session = Identity & { readonly id: string; readonly csrf: string };

const SESSION_MAX_MS = 12 * 3_600_000;
const MAX_SESSIONS = 256;
const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** @returns whether two secrets are equal, in a time that depends on neither */
export const isSameSecret = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));

export type Auth = {
  identify(token: string): Identity | undefined;
  openSession(token: string): Session | undefined;
  findSession(id: string): Session | undefined;
  closeSession(id: string): void;
};

export function createAuth(options: { control: () => ControlSnapshot; clock: Clock }): Auth {
  const { control, clock } = options;
  type Kept = Session & { readonly tokenDigest: Buffer; readonly endsAtMs: number };
  const sessions = new Map<string, Kept>();

  function find(given: Buffer): Identity | undefined {
    let found: Identity | undefined;
    for (const { name, token, role } of control().tokens) {
      if (timingSafeEqual(digest(token), given)) found ??= { name, role };
    }
    return found;
  }

  return {
    identify: (token) => find(digest(token)),
    openSession(token) {
      const tokenDigest = digest(token);
      const identity = find(tokenDigest);
      if (!identity) return undefined;
      const id = randomBytes(32).toString("base64url");
      const csrf = randomBytes(32).toString("base64url");
      sessions.set(digest(id).toString("hex"), {
        ...identity,
        id,
        csrf,
        tokenDigest,
        endsAtMs: clock.monotonicMs() + SESSION_MAX_MS,
      });
      if (sessions.size > MAX_SESSIONS) sessions.delete(sessions.keys().next().value!);
      return { ...identity, id, csrf };
    },
    findSession(id) {
      const key = digest(id).toString("hex"); // looked up by digest: the map's timing tells nothing of the id
      const session = sessions.get(key);
      if (!session) return undefined;
      // A session lives no longer than its token: a revoked token ends it, a changed role changes it.
      const identity = clock.monotonicMs() < session.endsAtMs ? find(session.tokenDigest) : undefined;
      if (!identity) {
        sessions.delete(key);
        return undefined;
      }
      return { ...identity, id, csrf: session.csrf };
    },
    closeSession: (id) => void sessions.delete(digest(id).toString("hex")),
  };
}
