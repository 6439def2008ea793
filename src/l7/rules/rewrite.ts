/**
 * The target that a backend gets, where a rule changes it.
 *
 * Owns:    rule R40 of rewrites: what is changed is the path that the rules saw, encoded anew; the query stays as it was
 *          sent. Without a rewrite the target goes on as it came.
 * @module
 */
import { compilePattern } from "#base/pattern.ts";
import type { HttpRequest } from "#l7/request.ts";
import { compileTemplate, encodePath } from "#l7/rules/template.ts";
import type { RewriteSpec } from "#state/http.ts";

const asSent = ({ head }: HttpRequest): string => head.target;

/** @returns the new path, decoded; undefined: it stays */
function pathChange(spec: RewriteSpec): (request: HttpRequest) => string | undefined {
  const to = compileTemplate(spec.to);
  switch (spec.kind) {
    case "path":
      return (request) => to(request, request.captures);
    case "prefix": {
      const { from } = spec;
      return (request) =>
        request.path.startsWith(from) ? to(request, request.captures) + request.path.slice(from.length) : undefined;
    }
    case "regex": {
      const pattern = compilePattern(spec.from);
      return (request) => {
        const { path } = request;
        const match = pattern.exec(path);
        return match && path.slice(0, match.start) + to(request, match.groups) + path.slice(match.end);
      };
    }
    default:
      return spec satisfies never;
  }
}

export function compileRewrite(spec: RewriteSpec | undefined): (request: HttpRequest) => string {
  if (!spec) return asSent;
  const change = pathChange(spec);
  return (request) => {
    const path = change(request);
    if (path === undefined) return request.head.target;
    const at = request.head.target.indexOf("?");
    const query = at < 0 ? "" : request.head.target.slice(at);
    // `/api` → `/` of `/api/x` leaves two slashes; a path that begins with them would name a host elsewhere.
    return encodePath(`/${path.replace(/^\/+/, "")}`) + query;
  };
}
