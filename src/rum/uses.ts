/**
 * How often tokens were used, and by whom those that name no network: a copied one says no more than its first user could.
 *
 * Owns:    two generations of what was seen, each as long as a token lives. What is older is forgotten with its generation,
 *          and has expired by then.
 * @module
 */
import { TOKEN_LIFE_MS } from "#rum/token.ts";

/** A page that measures once a minute for as long as its token lives, and then some. */
const MAX_USES = 16;
/** Tokens in one generation; more than come in at the highest rate that can be configured are refused. */
export const MAX_TOKENS = 200_000;

type Use = { count: number; readonly network: string };

export type Uses = {
  /** @returns whether this use counts */
  take(id: string, network: string, nowMs: number): boolean;
  size(): number;
};

export function createUses(maxTokens = MAX_TOKENS): Uses {
  let young = new Map<string, Use>();
  let old = new Map<string, Use>();
  let turnedAtMs = 0;
  return {
    take(id, network, nowMs) {
      // A minute more than they live: clocks of those who make tokens may be ahead.
      if (nowMs - turnedAtMs > TOKEN_LIFE_MS + 60_000) {
        old = nowMs - turnedAtMs > 2 * (TOKEN_LIFE_MS + 60_000) ? new Map() : young;
        young = new Map();
        turnedAtMs = nowMs;
      }
      const known = young.get(id) ?? old.get(id);
      if (known) return known.network === network && ++known.count <= MAX_USES;
      if (young.size >= maxTokens) return false;
      young.set(id, { count: 1, network });
      return true;
    },
    size: () => young.size + old.size,
  };
}
