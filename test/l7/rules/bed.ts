/** Test helper: requests, rules written as an operator writes them, and a worker's environment for them. */
import { createSeededRng } from "#base/rng.ts";
import { compileRule } from "#config/compile-rule.ts";
import type { ConfigFiles } from "#config/files.ts";
import { orderRules } from "#config/order-rules.ts";
import type { Subrequest } from "#l7/context.ts";
import { fieldOf, type Reply, type RequestHead } from "#l7/message.ts";
import { type RequestView, viewRequest } from "#l7/request-view.ts";
import type { PoolRef, Route, Router } from "#l7/route.ts";
import { ruleDefaultsSchema, ruleSchema } from "#l7/rules/config.ts";
import { createRouter, type RuleEnv } from "#l7/rules/create-router.ts";
import { createRateLimitsMemory } from "#l7/rules/rate-limits.ts";
import type { Arrived } from "#net/arrival.ts";
import type { RuleSpec } from "#state/http.ts";

export const POOLS = ["web", "api", "canary", "auth"];
export const NOW_MS = Date.UTC(2026, 0, 1);

export type Asked = {
  readonly method?: string;
  readonly target?: string;
  readonly host?: string;
  readonly scheme?: "http" | "https";
  readonly fields?: Readonly<Record<string, string>>;
  readonly source?: string;
  readonly body?: string;
  readonly tls?: Arrived["tls"];
};

export function ask(asked: Asked = {}): RequestView {
  const head: RequestHead = {
    version: "1.1",
    method: asked.method ?? "GET",
    target: asked.target ?? "/",
    scheme: asked.scheme ?? "http",
    authority: asked.host ?? "www.example",
    fields: Object.entries(asked.fields ?? {}).flat(),
    bodyOctets: asked.body === undefined ? 0 : Buffer.byteLength(asked.body),
    expectsContinue: false,
    upgrade: undefined,
    takesTrailers: false,
  };
  const source = { address: asked.source ?? "192.0.2.1", port: 1 };
  const arrived = { source, destination: source, tls: asked.tls } as Arrived;
  const view = viewRequest(head, arrived, {
    trust: { isTrusted: () => false, clientOf: (peer) => peer },
    keepsRequestId: false,
    newRequestId: () => "id-1",
  });
  if (!view) throw new Error(`${head.target} has no one meaning`);
  return view;
}

export type Env = RuleEnv & { readonly found: (rule: string, what: string) => void };
export type BedOptions = {
  readonly defaults?: unknown;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly subrequest?: Subrequest;
  readonly env?: Partial<RuleEnv>;
};

export const poolRef = (name: string): PoolRef => ({ spec: { name } }) as PoolRef;
const REFS = POOLS.map(poolRef);

export function specsOf(rules: readonly unknown[], { defaults = {}, secrets = {} }: BedOptions = {}): RuleSpec[] {
  const files = { secrets: new Map(Object.entries(secrets).map(([key, value]) => [key, { value }])) };
  const context = {
    files: files as unknown as ConfigFiles,
    poolIndex: (name: string) => POOLS.indexOf(name),
    defaults: ruleDefaultsSchema.parse(defaults),
  };
  return orderRules(
    rules.map((value, index) => {
      const rule = ruleSchema.parse(value);
      return { rule, spec: compileRule(rule, index, context) };
    }),
  );
}

export function envOf(options: BedOptions = {}): RuleEnv {
  return {
    pool: (index) => REFS[index]!,
    rateLimits: createRateLimitsMemory(),
    listener: 0,
    subrequest: options.subrequest ?? (() => Promise.resolve({ fault: "nobody is there" })),
    waiting: () => undefined,
    rng: createSeededRng(1),
    unixMs: () => NOW_MS,
    ...options.env,
  };
}

export const routerOf = (rules: readonly unknown[], options: BedOptions = {}): Router =>
  createRouter(specsOf(rules, options), envOf(options));

/** Asks as an exchange does, body included. */
export async function routeOf(router: Router, request: RequestView, body?: string): Promise<Route | undefined> {
  let routed = await router.route(request);
  if (routed && "body" in routed) {
    const octets = Buffer.from(body ?? "");
    request.body = octets.length > routed.body ? undefined : octets;
    request.isBodyKnown = true;
    routed = await router.route(request);
    if (routed && "body" in routed) throw new Error("the body was asked for twice");
  }
  return routed;
}

/** The rule that has a request, by name. */
export async function nameOf(router: Router, asked: Asked = {}): Promise<string | undefined> {
  return (await routeOf(router, ask(asked), asked.body))?.spec.name;
}

/** What the guards of the only rule say. */
export async function guarded(route: Route, request: RequestView, nowMs = 0): Promise<Reply | undefined> {
  for (const guard of route.guards) {
    const reply = await guard(request, nowMs);
    if (reply) return reply;
  }
  return undefined;
}
export async function statusOf(router: Router, asked: Asked = {}, nowMs = 0): Promise<number> {
  const request = ask(asked);
  const route = await routeOf(router, request, asked.body);
  if (!route) return 404;
  return (await guarded(route, request, nowMs))?.status ?? 200;
}
export const headerOf = (reply: Reply | undefined, name: string): string | undefined =>
  reply && fieldOf(reply.fields, name);
