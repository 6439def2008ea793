/**
 * What proves names to an ACME authority over HTTP (RFC 8555 §8.3): read by HTTP listeners before any of their rules.
 * @module
 */

const PREFIX = "/.well-known/acme-challenge/";

export type HttpChallenges = {
  /** What is answered with 200 as `application/octet-stream`; undefined: the request goes the way of all others. */
  answerOf(path: string): string | undefined;
  /** Key authorizations by token, all that there are now. */
  set(tokens: Readonly<Record<string, string>>): void;
};

export function createHttpChallenges(): HttpChallenges {
  let byToken = new Map<string, string>();
  return {
    answerOf: (path) =>
      byToken.size > 0 && path.startsWith(PREFIX) ? byToken.get(path.slice(PREFIX.length)) : undefined,
    set(tokens) {
      byToken = new Map(Object.entries(tokens));
    },
  };
}
