/**
 * The order in which rules are asked: by `priority`, lowest first; of the same priority what is more specific first; then
 * as they stand in the file. Rules without a priority come after all that have one, as they stand.
 * @module
 */
import type { RuleConfig } from "#l7/rules/config.ts";
import type { MatchSpec, PathMatch, RuleSpec } from "#state/http.ts";

const PATH_RANK: Record<PathMatch["kind"], number> = { exact: 3, segment: 2, regex: 1, prefix: 1 };
const hostRank = (host: string): number => (host.startsWith("*") ? host.length : 1_000 + host.length);
const pathRank = ({ kind, value }: PathMatch): number => PATH_RANK[kind] * 10_000 + value.length;
/** A rule is as specific as the least specific of its alternatives. */
const least = <T>(list: readonly T[], rank: (one: T) => number): number =>
  list.length === 0 ? 0 : Math.min(...list.map(rank));

/** Host before path before the number of other conditions. */
function specificity(match: MatchSpec): readonly number[] {
  const { headers, cookies, query, claims, methods, sources, body } = match;
  const others =
    headers.length +
    cookies.length +
    query.length +
    claims.length +
    Number(methods.length > 0) +
    Number(sources.length > 0);
  return [least(match.hosts, hostRank), least(match.paths, pathRank), others + Number(body !== undefined)];
}

function compareSpecific(a: MatchSpec, b: MatchSpec): number {
  const [left, right] = [specificity(a), specificity(b)];
  for (const [index, rank] of left.entries()) if (rank !== right[index]) return right[index]! - rank;
  return 0;
}

export function orderRules(rules: readonly { readonly rule: RuleConfig; readonly spec: RuleSpec }[]): RuleSpec[] {
  return [...rules]
    .sort((a, b) => {
      const [left, right] = [a.rule.priority, b.rule.priority];
      if (left === undefined || right === undefined) return Number(left === undefined) - Number(right === undefined);
      return left - right || compareSpecific(a.spec.match, b.spec.match);
    })
    .map(({ spec }) => spec);
}
