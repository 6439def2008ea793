/**
 * Sessions of TLS 1.2 clients that take no tickets, by their session id: least recently used goes first.
 *
 * Owns:    the sessions of one worker. OpenSSL checks which listener they belong to and how old they are.
 * Never:   keeps those of TLS 1.3 or of tickets, which nobody asks for by id.
 * @module
 */

export type SessionCache = {
  put(id: Uint8Array, session: Buffer): void;
  get(id: Uint8Array): Buffer | undefined;
  size(): number;
  /** How many it keeps; also for drivers whose library keeps them by itself. */
  readonly max: number;
};

/** One is about 1.5 KB where clients show certificates, else 150 octets. */
export const DEFAULT_MAX_SESSIONS = 10_000;

/** `SEQUENCE { INTEGER 1, INTEGER version, … }` (OpenSSL's SSL_SESSION_ASN1), lengths of one to three octets. */
function isTls13(session: Buffer): boolean {
  const at = session[1]! < 0x80 ? 2 : 2 + (session[1]! & 0x7f);
  return session[at + 3] === 0x02 && session[at + 4] === 2 && session[at + 6] === 0x04;
}

export function createSessionCache(maxSessions = DEFAULT_MAX_SESSIONS): SessionCache {
  const sessions = new Map<string, Buffer>(); // in the order of their last use
  const keyOf = (id: Uint8Array): string => Buffer.from(id.buffer, id.byteOffset, id.length).toString("latin1");
  return {
    put(id, session) {
      if (isTls13(session)) return;
      const key = keyOf(id);
      sessions.delete(key);
      sessions.set(key, session);
      if (sessions.size > maxSessions) sessions.delete(sessions.keys().next().value!);
    },
    get(id) {
      const key = keyOf(id);
      const session = sessions.get(key);
      if (session === undefined) return undefined;
      sessions.delete(key);
      sessions.set(key, session);
      return session;
    },
    size: () => sessions.size,
    max: maxSessions,
  };
}
