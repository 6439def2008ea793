/**
 * Tokens of requests (JWT, RFC 7519; verified by `jose`), and what was verified already.
 *
 * Owns:    one verifier for each way to verify, shared by the rules that ask for it. A token that was good is known until it
 *          ends, so that only the first request with it waits. Nothing is kept of tokens that were not good.
 * Rule:    RFC 8725: the configuration says which signatures are taken, never the token (`alg: none`, HS256 with a public key
 *          as its secret).
 * @module
 */
import { createPublicKey, type KeyObject, type webcrypto } from "node:crypto";
import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from "jose";
import { fieldOf } from "#l7/message.ts";
import type { HttpRequest } from "#l7/request.ts";
import type { Claims } from "#l7/rules/claims.ts";
import type { JwtSpec } from "#state/http.ts";

export type TokenVerifier = {
  /** @returns what the request's token says; null: it has none, or none that can be good; undefined: `verify` it */
  known(request: HttpRequest): Claims | null | undefined;
  /** Never rejects. @returns undefined: the token is not good */
  verify(request: HttpRequest): Promise<Claims | undefined>;
};
export type Tokens = (spec: JwtSpec) => TokenVerifier;

const MAX_KNOWN = 4_096;
const MAX_TOKEN_CHARACTERS = 8_192;
/** A token without an end is looked at again after so long. */
const ENDLESS_MS = 300_000;
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

function readToken(request: HttpRequest, { from }: JwtSpec): string | undefined {
  const text = "cookie" in from ? request.cookieOf(from.cookie) : fieldOf(request.head.fields, from.header);
  if (text === undefined) return undefined;
  const token = "header" in from ? text.replace(/^bearer +/i, "") : text;
  return token.length <= MAX_TOKEN_CHARACTERS && COMPACT.test(token) ? token : undefined;
}

type Key = { readonly key: KeyObject | Uint8Array; readonly kid: string | undefined };

/** The configuration was checked: what is no key here was one then. */
function keysOf({ algorithms, keys }: JwtSpec): readonly Key[] {
  if (algorithms.includes("HS256")) return keys === "" ? [] : [{ key: new TextEncoder().encode(keys), kid: undefined }];
  if (!keys.startsWith("{"))
    return (keys.match(/-----BEGIN [A-Z ]+-----[^-]+-----END [A-Z ]+-----/g) ?? []).map((pem) => ({
      key: createPublicKey(pem),
      kid: undefined,
    }));
  const { keys: list } = JSON.parse(keys) as { keys: (webcrypto.JsonWebKey & { kid?: string; use?: string })[] };
  return list
    .filter(({ use, kty }) => use !== "enc" && kty !== "oct")
    .map((jwk) => ({ key: createPublicKey({ key: jwk, format: "jwk" }), kid: jwk.kid }));
}

/** What a key can verify: a key of another kind, or another name, is not tried. */
function fits({ key, kid }: Key, header: { readonly alg?: string; readonly kid?: string }): boolean {
  if (kid !== undefined && header.kid !== undefined && kid !== header.kid) return false;
  if (key instanceof Uint8Array) return header.alg === "HS256";
  const { asymmetricKeyType: kind, asymmetricKeyDetails: details } = key;
  if (header.alg === "RS256" || header.alg === "PS256") return kind === "rsa";
  return header.alg === "ES256" ? kind === "ec" && details?.namedCurve === "prime256v1" : kind === "ed25519";
}

/** @param env.waiting counts what is awaited of the event loop */
export function createTokens(env: { waiting(change: number): void; unixMs(): number }): Tokens {
  const verifiers = new Map<string, TokenVerifier>();
  return (spec) => {
    const name = JSON.stringify(spec);
    let verifier = verifiers.get(name);
    if (!verifier) {
      verifier = createVerifier(spec, env);
      verifiers.set(name, verifier);
    }
    return verifier;
  };
}

function createVerifier(spec: JwtSpec, env: Parameters<typeof createTokens>[0]): TokenVerifier {
  const { algorithms, issuer, audience, leewayMs } = spec;
  const keys = keysOf(spec);
  const known = new Map<string, { readonly claims: Claims; readonly endsMs: number }>();

  async function payloadOf(token: string): Promise<JWTPayload | undefined> {
    const options = {
      algorithms: [...algorithms],
      clockTolerance: leewayMs / 1_000,
      currentDate: new Date(env.unixMs()),
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
    };
    const header = decodeProtectedHeader(token);
    for (const key of keys) {
      if (!fits(key, header)) continue;
      try {
        return (await jwtVerify(token, key.key, options)).payload;
      } catch (error) {
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
      }
    }
    return undefined;
  }
  async function verify(token: string): Promise<Claims | undefined> {
    env.waiting(1);
    try {
      const claims = await payloadOf(token);
      if (!claims) return undefined;
      const endsMs = claims.exp === undefined ? env.unixMs() + ENDLESS_MS : claims.exp * 1_000 + leewayMs;
      if (known.size >= MAX_KNOWN) known.delete(known.keys().next().value!);
      known.set(token, { claims, endsMs });
      return claims;
    } catch {
      return undefined;
    } finally {
      env.waiting(-1);
    }
  }
  return {
    known(request) {
      const token = readToken(request, spec);
      if (token === undefined) return null;
      const entry = known.get(token);
      if (!entry) return undefined;
      if (entry.endsMs > env.unixMs()) return entry.claims;
      known.delete(token);
      return undefined;
    },
    verify(request) {
      const token = readToken(request, spec);
      return token === undefined ? Promise.resolve(undefined) : verify(token);
    },
  };
}
