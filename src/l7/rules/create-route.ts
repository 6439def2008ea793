/**
 * What one rule means for its requests: guards, action, rewrite and edits, made ready once per configuration.
 * @module
 */
import { ownReply } from "#l7/exchange/own-reply.ts";
import type { Fields, Reply } from "#l7/message.ts";
import { removeField, setField } from "#l7/message.ts";
import type { HttpRequest } from "#l7/request.ts";
import type { Decision, Guard, Route } from "#l7/route.ts";
import type { RuleEnv } from "#l7/rules/create-router.ts";
import { accessGuard } from "#l7/rules/guard-access.ts";
import { basicAuthGuard } from "#l7/rules/guard-basic.ts";
import { forwardAuthGuard } from "#l7/rules/guard-forward.ts";
import { jwtGuard } from "#l7/rules/guard-jwt.ts";
import { rateLimitGuard } from "#l7/rules/guard-rate.ts";
import { wafGuard } from "#l7/rules/guard-waf.ts";
import { compileRewrite } from "#l7/rules/rewrite.ts";
import { createSplit } from "#l7/rules/split.ts";
import { compileTemplate, encodePath, fieldValueOf, type Template } from "#l7/rules/template.ts";
import type { Tokens } from "#l7/rules/tokens.ts";
import type { ActionSpec, GuardsSpec, HeaderEdit, RedirectSpec, RuleSpec } from "#state/http.ts";

type Decide = (request: HttpRequest, nowMs: number) => Decision;

/** Where the query of a target begins, or its end. */
const queryAt = (target: string): number => {
  const at = target.indexOf("?");
  return at < 0 ? target.length : at;
};

function redirectTo({ scheme, host, port, path, keepsQuery }: RedirectSpec): (request: HttpRequest) => string {
  const hostTemplate = host === undefined ? undefined : compileTemplate(host);
  const pathTemplate = path === undefined ? undefined : compileTemplate(path);
  return (request) => {
    const { head, captures } = request;
    const at = queryAt(head.target);
    const query = keepsQuery ? head.target.slice(at) : "";
    // Without an authority a path as it was sent might begin with `//`, which names another host.
    const asked =
      head.target.startsWith("/") && head.authority !== "" ? head.target.slice(0, at) : encodePath(request.path);
    const to = (pathTemplate ? encodePath(pathTemplate(request, captures)) : asked) + query;
    const isElsewhere = hostTemplate !== undefined || port !== undefined || scheme !== undefined;
    const name = hostTemplate ? hostTemplate(request, captures) : isElsewhere ? request.host : head.authority;
    if (name === "") return to.startsWith("//") ? `/${to.replace(/^\/+/, "")}` : to;
    return `${scheme ?? head.scheme}://${name}${port === undefined ? "" : `:${port}`}${to.startsWith("/") ? to : `/${to}`}`;
  };
}

function compileAction(action: ActionSpec, rule: string, env: RuleEnv): Decide {
  switch (action.kind) {
    case "pool": {
      const decision: Decision = { kind: "pool", pool: env.pool(action.pool) };
      return () => decision;
    }
    case "split":
      return createSplit(action, rule, env);
    case "redirect": {
      const locate = redirectTo(action.to);
      return (request) => {
        const location = fieldValueOf(locate(request));
        const reply: Reply =
          location === undefined
            ? ownReply(400, request.requestId)
            : { status: action.status, fields: ["location", location], body: "" };
        return { kind: "reply", reply };
      };
    }
    case "respond": {
      const { status, contentType, body, headers } = action;
      const fields = [...(body === "" ? [] : ["content-type", contentType]), ...headers.flat()];
      return () => ({ kind: "reply", reply: { status, fields: [...fields], body } });
    }
    default:
      return action satisfies never;
  }
}

/**
 * A value that cannot be sent leaves no field: what `set` replaces is gone in any case, so that a client cannot keep its own
 * by spoiling ours.
 */
function compileEdits(edits: readonly HeaderEdit[]): (fields: Fields, request: HttpRequest) => void {
  const compiled = edits.map((edit): { edit: HeaderEdit; value: Template | undefined } => ({
    edit,
    value: edit.kind === "remove" ? undefined : compileTemplate(edit.value),
  }));
  return (fields, request) => {
    for (const { edit, value } of compiled) {
      const text = value && fieldValueOf(value(request, request.captures));
      if (text === undefined || text === "") {
        if (edit.kind !== "add") removeField(fields, edit.name);
      } else if (edit.kind === "set") setField(fields, edit.name, text);
      else fields.push(edit.name, text);
    }
  };
}
const noEdits = (): void => undefined;

/** In the order of `GuardsSpec`. */
function compileGuards(guards: GuardsSpec, rule: string, env: RuleEnv, tokens: Tokens): readonly Guard[] {
  const list: Guard[] = [];
  const add = (by: "access" | "waf" | "auth", guard: Guard): void =>
    void list.push(told(guard, () => env.denied?.(by)));
  if (guards.access.length > 0) add("access", accessGuard(guards.access));
  if (guards.waf)
    add(
      "waf",
      wafGuard(guards.waf, (what) => env.found?.(rule, what)),
    );
  for (const limit of guards.rateLimits) list.push(rateLimitGuard(limit, rule, env));
  if (guards.basicAuth) add("auth", basicAuthGuard(guards.basicAuth, env));
  if (guards.jwt) add("auth", jwtGuard(tokens(guards.jwt)));
  if (guards.forwardAuth) add("auth", forwardAuthGuard(guards.forwardAuth, env));
  return list;
}

/** @param denied is told of each request that the guard answers by itself */
function told(guard: Guard, denied: () => void): Guard {
  const note = (reply: Reply | undefined): Reply | undefined => {
    if (reply !== undefined) denied();
    return reply;
  };
  return (request, nowMs) => {
    const answer = guard(request, nowMs);
    return answer instanceof Promise ? answer.then(note) : note(answer);
  };
}

export function createRoute(spec: RuleSpec, env: RuleEnv, tokens: Tokens): Route {
  const { requestHeaders, responseHeaders, mirror } = spec;
  return {
    spec,
    guards: compileGuards(spec.guards, spec.name, env, tokens),
    decide: compileAction(spec.action, spec.name, env),
    rewrite: compileRewrite(spec.rewrite),
    editRequest: requestHeaders.length === 0 ? noEdits : compileEdits(requestHeaders),
    editsRequest: requestHeaders.length > 0,
    editResponse: responseHeaders.length === 0 ? noEdits : compileEdits(responseHeaders),
    mirror: mirror && env.pool(mirror.pool),
  };
}
