/**
 * Hashes of passwords: scrypt (RFC 7914), as `$scrypt$ln=14,r=8,p=1$SALT$HASH` with salt and hash in base64url.
 * @module
 */
import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from "node:crypto";

export type PasswordHash = {
  /** log2 of N. */
  readonly cost: number;
  readonly blocks: number;
  readonly parallel: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
};

/** 16 MiB and about 50 ms: what OWASP asks of passwords that are asked for often. */
const STANDARD = { cost: 14, blocks: 8, parallel: 1 };
const HASH_OCTETS = 32;
const SALT_OCTETS = 16;
/** What one hash may take, so that a file of users cannot take all memory: N = 2^17 with r = 8. */
const MAX_MEMORY = 256 * 1_048_576;

/** @returns undefined: it is no hash of ours, or would take too much memory */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9_-]{8,})\$([A-Za-z0-9_-]{16,})$/.exec(
    text,
  );
  if (!match) return undefined;
  const [cost, blocks, parallel] = match.slice(1, 4).map(Number) as [number, number, number];
  if (cost < 1 || blocks < 1 || parallel < 1 || 128 * 2 ** cost * blocks * 2 > MAX_MEMORY) return undefined;
  return {
    cost,
    blocks,
    parallel,
    salt: Buffer.from(match[4]!, "base64url"),
    hash: Buffer.from(match[5]!, "base64url"),
  };
}

function derive(password: string, salt: Uint8Array, length: number, how: typeof STANDARD): Promise<Buffer> {
  const options: ScryptOptions = { N: 2 ** how.cost, r: how.blocks, p: how.parallel, maxmem: MAX_MEMORY };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize("NFC"), salt, length, options, (error, key) => (error ? reject(error) : resolve(key)));
  });
}

export async function verifyPassword(password: string, known: PasswordHash): Promise<boolean> {
  const key = await derive(password, known.salt, known.hash.length, known);
  return timingSafeEqual(key, known.hash);
}

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_OCTETS);
  const key = await derive(password, salt, HASH_OCTETS, STANDARD);
  const { cost, blocks, parallel } = STANDARD;
  return `$scrypt$ln=${cost},r=${blocks},p=${parallel}$${salt.toString("base64url")}$${key.toString("base64url")}`;
}
