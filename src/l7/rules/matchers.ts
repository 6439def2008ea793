/**
 * What a rule asks of a request besides host and path, as functions that are made once.
 * @module
 */
import { parseCidr, parseIp, unmapIp } from "#base/ip.ts";
import { createNetworkList, NO_RULE } from "#base/network-list.ts";
import { compilePattern } from "#base/pattern.ts";
import { listOf } from "#l7/message.ts";
import type { HttpRequest } from "#l7/request.ts";
import { type Claims, claimValues } from "#l7/rules/claims.ts";
import type { BodyMatch, MatchSpec, ValueMatch } from "#state/http.ts";

export type Test = (request: HttpRequest) => boolean;

function holds({ kind, value }: ValueMatch): (text: string) => boolean {
  switch (kind) {
    case "present":
      return () => true;
    case "exact":
      return (text) => text === value;
    case "prefix":
      return (text) => text.startsWith(value);
    case "suffix":
      return (text) => text.endsWith(value);
    case "contains":
      return (text) => text.includes(value);
    case "regex": {
      const pattern = compilePattern(value);
      return (text) => pattern.test(text);
    }
    default:
      return kind satisfies never;
  }
}

function valueTest(match: ValueMatch, read: (request: HttpRequest, name: string) => string | undefined): Test {
  const { name, isNegated } = match;
  const test = holds(match);
  return (request) => {
    const text = read(request, name);
    return (text !== undefined && test(text)) !== isNegated;
  };
}

export function sourceTest(networks: readonly string[]): (address: string) => boolean {
  const list = createNetworkList(networks.flatMap((network) => parseCidr(network) ?? []));
  return (address) => {
    const zone = address.indexOf("%");
    const parsed = parseIp(zone < 0 ? address : address.slice(0, zone));
    if (!parsed) return false;
    const bytes = unmapIp(parsed);
    return list.find(bytes, bytes.length === 16) !== NO_RULE;
  };
}

/** All that can be said of a request at once; cheap ones first. */
export function compileTests(match: MatchSpec): readonly Test[] {
  const tests: Test[] = [];
  const { methods, sources } = match;
  if (methods.length > 0) tests.push(({ head }) => methods.includes(head.method));
  if (sources.length > 0) {
    const isInside = sourceTest(sources);
    tests.push(({ client }) => isInside(client));
  }
  for (const one of match.headers) tests.push(valueTest(one, readField));
  for (const one of match.cookies) tests.push(valueTest(one, (request, name) => request.cookieOf(name)));
  for (const one of match.query) tests.push(valueTest(one, (request, name) => request.queryOf(name)));
  return tests;
}
const readField = ({ head }: HttpRequest, name: string): string | undefined =>
  name === "host" ? head.authority : listOf(head.fields, name);

/** Claims that are lists match by any of their entries. @returns undefined: nothing is asked of claims */
export function compileClaims(match: MatchSpec): ((claims: Claims | undefined) => boolean) | undefined {
  if (match.claims.length === 0) return undefined;
  const tests = match.claims.map((one) => ({ one, test: holds(one) }));
  return (claims) =>
    claims !== undefined && tests.every(({ one, test }) => claimValues(claims, one.name).some(test) !== one.isNegated);
}

/** @returns whether this body matches; undefined or longer than `maxOctets`: it does not */
export function compileBody({ maxOctets, contains, json }: BodyMatch): (body: Uint8Array | undefined) => boolean {
  const wanted = contains === undefined ? undefined : Buffer.from(contains);
  return (body) => {
    if (body === undefined || body.length > maxOctets) return false;
    const octets = Buffer.from(body.buffer, body.byteOffset, body.length);
    if (wanted) return octets.includes(wanted);
    try {
      const value: unknown = JSON.parse(octets.toString("utf8"));
      if (typeof value !== "object" || value === null || json === undefined) return false;
      return claimValues(value as Claims, json.path).includes(json.value);
    } catch {
      return false;
    }
  };
}
