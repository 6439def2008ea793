/**
 * A small set of filters before anything reaches a backend: methods, paths that climb, sizes, patterns. 403 for what they
 * find; where they are not enforced it is told alone.
 *
 * Never:   looks into bodies, or replaces a firewall that knows an application.
 * @module
 */
import { compilePattern } from "#base/pattern.ts";
import { ownReply } from "#l7/exchange/own-reply.ts";
import { HEX } from "#l7/http1/grammar.ts";
import type { HttpRequest } from "#l7/request.ts";
import type { Guard } from "#l7/route.ts";
import type { WafSpec } from "#state/http.ts";

/** Two dots that are a whole step of a path, or of a value of the query. */
const CLIMBS = /(?:^|[/\\=&?])\.\.(?:[/\\&?;]|$)/;
const BAD_IN_PATH = /[\\\0]/;

/** Escapes decoded once; what is no escape stays. @param plus whether `+` stands for a space */
function decodeOnce(text: string, plus: boolean): string {
  const spaced = plus ? text.replaceAll("+", " ") : text;
  if (spaced.indexOf("%") < 0) return spaced;
  return spaced.replace(/%[0-9a-fA-F]{2}/g, (coded) =>
    String.fromCharCode(HEX[coded.charCodeAt(1)]! * 16 + HEX[coded.charCodeAt(2)]!),
  );
}

function climbs(target: string): boolean {
  if (target.indexOf("%") < 0 && target.indexOf("..") < 0 && target.indexOf("\\") < 0) return false;
  const end = target.indexOf("?");
  // Decoded twice as well: some backends do.
  for (let text = target, round = 0; round < 3; round++) {
    if (CLIMBS.test(text)) return true;
    if (BAD_IN_PATH.test(end < 0 || round > 0 ? text.split("?", 1)[0]! : text.slice(0, end))) return true;
    text = decodeOnce(text, false);
  }
  return false;
}

function headOctets({ head }: HttpRequest): number {
  let octets = head.method.length + head.target.length;
  for (const text of head.fields) octets += text.length + 2;
  return octets;
}

/** @param found is told what a request was denied for */
export function wafGuard(waf: WafSpec, found: (what: string) => void): Guard {
  const targets = waf.denyTargets.map(compilePattern);
  const fields = new Map<string, ReturnType<typeof compilePattern>[]>();
  for (const { name, pattern } of waf.denyHeaders)
    fields.set(name, [...(fields.get(name) ?? []), compilePattern(pattern)]);

  function look(request: HttpRequest): string | undefined {
    const { head } = request;
    if (waf.methods.length > 0 && !waf.methods.includes(head.method)) return "method";
    if (head.target.length > waf.maxTargetOctets) return "target-size";
    if (headOctets(request) > waf.maxHeadOctets) return "head-size";
    if (waf.deniesTraversal && climbs(head.target)) return "traversal";
    if (targets.length > 0) {
      const query = request.query;
      const text = query === "" ? request.path : `${request.path}?${decodeOnce(query, true)}`;
      for (const pattern of targets) if (pattern.test(text)) return "target";
    }
    if (fields.size > 0)
      for (let at = 0; at < head.fields.length; at += 2)
        for (const pattern of fields.get(head.fields[at]!) ?? NOTHING)
          if (pattern.test(head.fields[at + 1]!)) return "field";
    return undefined;
  }

  return (request) => {
    const what = look(request);
    if (what === undefined) return undefined;
    found(what);
    return waf.isEnforced ? ownReply(403, request.requestId) : undefined;
  };
}
const NOTHING: readonly never[] = [];
