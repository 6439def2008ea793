/**
 * Name and password (RFC 7617): 401 for who has none that is good.
 *
 * Owns:    what was verified: scrypt is slow on purpose, so a pair that was good once is known again by an HMAC with a key
 *          of this process, and the usual request waits for nothing. Unknown names cost as much as wrong passwords.
 * @module
 */
import { createHmac, randomBytes } from "node:crypto";
import { parsePasswordHash, verifyPassword } from "#base/password.ts";
import { ownReply } from "#l7/exchange/own-reply.ts";
import { fieldOf, type Reply } from "#l7/message.ts";
import type { HttpRequest } from "#l7/request.ts";
import type { Guard } from "#l7/route.ts";
import type { RuleEnv } from "#l7/rules/create-router.ts";
import type { BasicAuthSpec } from "#state/http.ts";

const MAX_KNOWN = 4_096;
/** Each costs 16 MiB and 50 ms of a core; more at a time are told to come back. */
const MAX_PENDING = 4;

/** @returns name and password as they were sent */
function readCredentials(request: HttpRequest): string | undefined {
  const field = fieldOf(request.head.fields, "authorization");
  const match = field === undefined ? null : /^basic +([A-Za-z0-9+/=]{1,1024})$/i.exec(field);
  if (!match) return undefined;
  const text = Buffer.from(match[1]!, "base64").toString("utf8");
  return text.includes(":") ? text : undefined;
}

export function basicAuthGuard({ realm, users }: BasicAuthSpec, env: RuleEnv): Guard {
  const hashes = new Map(
    users.flatMap((line) => {
      const colon = line.indexOf(":");
      const hash = parsePasswordHash(line.slice(colon + 1));
      return hash ? [[line.slice(0, colon), hash] as const] : [];
    }),
  );
  /** Of nobody: so that an unknown name takes as long. */
  const nobody = {
    ...([...hashes.values()][0] ?? { cost: 14, blocks: 8, parallel: 1 }),
    salt: randomBytes(16),
    hash: randomBytes(32),
  };
  const secret = randomBytes(32);
  const known = new Set<string>();
  /** By digest: who sends a pair that is being hashed waits for the same answer. */
  const pending = new Map<string, Promise<boolean>>();
  const refusal = (request: HttpRequest): Reply => {
    const reply = ownReply(401, request.requestId);
    reply.fields.push("www-authenticate", `Basic realm="${realm}", charset="UTF-8"`);
    return reply;
  };

  async function isGood(credentials: string, digest: string): Promise<boolean> {
    const colon = credentials.indexOf(":");
    const hash = hashes.get(credentials.slice(0, colon));
    env.waiting(1);
    try {
      const matches = await verifyPassword(credentials.slice(colon + 1), hash ?? nobody);
      if (!matches || !hash) return false;
      if (known.size >= MAX_KNOWN) known.delete(known.values().next().value!);
      known.add(digest);
      return true;
    } finally {
      pending.delete(digest);
      env.waiting(-1);
    }
  }

  return (request) => {
    const credentials = readCredentials(request);
    if (credentials === undefined) return refusal(request);
    const digest = createHmac("sha256", secret).update(credentials).digest("base64");
    if (known.has(digest)) return undefined;
    let answer = pending.get(digest);
    if (!answer) {
      if (pending.size >= MAX_PENDING) return ownReply(503, request.requestId);
      answer = isGood(credentials, digest);
      pending.set(digest, answer);
    }
    return answer.then((good) => (good ? undefined : refusal(request)));
  };
}
