/**
 * The rules of a listener, made ready once per configuration: which of them has a request.
 *
 * Owns:    the order of questions. The first rule in the order of the configuration that matches has the request; a rule
 *          before it that needs the body or a token that was not seen yet holds the answer up, one after it does not.
 * @module
 */
import type { Rng } from "#base/rng.ts";
import type { Subrequest } from "#l7/context.ts";
import type { HttpRequest } from "#l7/request.ts";
import type { PoolRef, Route, Routed, Router } from "#l7/route.ts";
import type { Claims } from "#l7/rules/claims.ts";
import { createRoute } from "#l7/rules/create-route.ts";
import { type Entry, RuleIndex } from "#l7/rules/index-table.ts";
import { compileBody, compileClaims, compileTests, type Test } from "#l7/rules/matchers.ts";
import type { RateLimits } from "#l7/rules/rate-limits.ts";
import { createTokens, type TokenVerifier } from "#l7/rules/tokens.ts";
import type { RuleSpec } from "#state/http.ts";

/** What rules need of the worker that they run in. */
export type RuleEnv = {
  pool(index: number): PoolRef;
  /** Shared by all workers. */
  readonly rateLimits: RateLimits;
  /** Number of the listener in shared tables. */
  readonly listener: number;
  readonly subrequest: Subrequest;
  /** So much more (or less) is awaited of the event loop. */
  waiting(change: number): void;
  readonly rng: Rng;
  /** Unix ms: tokens end by it. */
  unixMs(): number;
  /** A WAF found something; one that is not enforced lets it pass. */
  found?(rule: string, what: string): void;
  /** A guard other than a rate limit has refused a request. */
  denied?(by: "access" | "waf" | "auth"): void;
  /** A request was over a rate limit. */
  limited?(rule: string): void;
};

type Rule = {
  readonly route: Route;
  readonly tests: readonly Test[];
  readonly body: ((body: Uint8Array | undefined) => boolean) | undefined;
  readonly claims: ((claims: Claims | undefined) => boolean) | undefined;
  readonly tokens: TokenVerifier | undefined;
  /** Whether anything of it says `$1`: where groups lie costs more than whether there is a match. */
  readonly usesGroups: boolean;
};
/** What tokens that had to be verified turned out to say. */
type Verified = Map<TokenVerifier, Claims | undefined>;

const NONE = Number.MAX_SAFE_INTEGER;

class RuleRouter implements Router {
  readonly #rules: readonly Rule[];
  readonly #index: RuleIndex;
  readonly #maxBodyOctets: number;
  readonly #visit = (entries: readonly Entry[]): void => this.#scan(entries);
  // Of the question under way; there is one at a time.
  #request!: HttpRequest;
  #verified: Verified | undefined;
  #best: number = NONE;
  #pattern: Entry["pattern"];
  /** The first rule that matches but for what is not known yet. */
  #pending: number = NONE;

  constructor(specs: readonly RuleSpec[], env: RuleEnv) {
    const tokens = createTokens(env);
    this.#rules = specs.map((spec) => ({
      route: createRoute(spec, env, tokens),
      tests: compileTests(spec.match),
      body: spec.match.body && compileBody(spec.match.body),
      claims: compileClaims(spec.match),
      tokens: spec.match.jwt && tokens(spec.match.jwt),
      usesGroups: usesGroups(spec),
    }));
    this.#index = new RuleIndex(specs.map(({ match }) => match));
    this.#maxBodyOctets = Math.max(0, ...specs.map(({ match }) => match.body?.maxOctets ?? 0));
  }

  route(request: HttpRequest): Routed | Promise<Routed> {
    return this.#ask(request, undefined);
  }

  #ask(request: HttpRequest, verified: Verified | undefined): Routed | Promise<Routed> {
    this.#request = request;
    this.#verified = verified;
    this.#best = NONE;
    this.#pending = NONE;
    this.#index.visit(request.host, request.path, this.#visit);
    if (this.#pending < this.#best) return this.#learn(this.#rules[this.#pending]!, request, verified);
    if (this.#best === NONE) return undefined;
    const { route, tokens, usesGroups } = this.#rules[this.#best]!;
    request.claims = tokens && this.#claimsOf(tokens);
    if (usesGroups && this.#pattern) request.captures = this.#pattern.exec(request.path)?.groups ?? [];
    return route;
  }

  /** Of what `pending` waits for: the token first, as it costs nobody any patience. */
  #learn({ tokens, body }: Rule, request: HttpRequest, verified: Verified | undefined): Routed | Promise<Routed> {
    if (!tokens || verified?.has(tokens) || tokens.known(request) !== undefined)
      return body ? { body: this.#maxBodyOctets } : undefined;
    const learned: Verified = verified ?? new Map();
    return tokens.verify(request).then((claims) => {
      learned.set(tokens, claims);
      return this.#ask(request, learned);
    });
  }

  #claimsOf(tokens: TokenVerifier): Claims | undefined {
    return this.#verified?.has(tokens) ? this.#verified.get(tokens) : (tokens.known(this.#request) ?? undefined);
  }

  #scan(entries: readonly Entry[]): void {
    const request = this.#request;
    for (const { rule, pattern } of entries) {
      if (rule >= this.#best) return;
      const { tests, tokens, claims, body } = this.#rules[rule]!;
      if (pattern && !pattern.test(request.path)) continue;
      if (!passes(tests, request)) continue;
      let isKnown = true;
      if (claims && tokens) {
        const known = this.#verified?.has(tokens) ? (this.#verified.get(tokens) ?? null) : tokens.known(request);
        if (known === undefined) isKnown = false;
        else if (!claims(known ?? undefined)) continue;
      }
      if (body) {
        if (!request.isBodyKnown && request.head.bodyOctets !== 0) isKnown = false;
        else if (!body(request.body)) continue;
      }
      if (isKnown) {
        this.#best = rule;
        this.#pattern = pattern;
        return;
      }
      this.#pending = Math.min(this.#pending, rule);
    }
  }
}

const usesGroups = ({ action, rewrite, requestHeaders, responseHeaders }: RuleSpec): boolean =>
  /\$[0-9]/.test(JSON.stringify([action, rewrite, requestHeaders, responseHeaders]));

function passes(tests: readonly Test[], request: HttpRequest): boolean {
  for (const test of tests) if (!test(request)) return false;
  return true;
}

/** @param rules in the order in which they are asked */
export const createRouter = (rules: readonly RuleSpec[], env: RuleEnv): Router => new RuleRouter(rules, env);
