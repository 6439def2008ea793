/**
 * A request as rules and headers ask about it (`request.ts`). What costs is worked out when it is first asked for.
 *
 * Owns:    host, path, query and cookies of a request; who the client is; its id.
 * @module
 */
import type { Trust } from "#l7/headers/client-address.ts";
import { isRequestId } from "#l7/headers/request-id.ts";
import { fieldOf, type RequestHead } from "#l7/message.ts";
import { normalisePath } from "#l7/path.ts";
import type { HttpRequest } from "#l7/request.ts";
import { claimText } from "#l7/rules/claims.ts";
import type { Arrived } from "#net/arrival.ts";

/** What a listener's settings say about all of its requests. */
export type RequestTerms = {
  readonly trust: Trust;
  /** Whether ids of trusted peers are kept. */
  readonly keepsRequestId: boolean;
  newRequestId(): string;
};

/** @returns undefined: its path has no one meaning (R40); answer 400 */
export function viewRequest(head: RequestHead, arrived: Arrived, terms: RequestTerms): RequestView | undefined {
  const path = normalisePath(head.target);
  return path === undefined ? undefined : new RequestView(head, arrived, terms, path);
}

export class RequestView implements HttpRequest {
  readonly head: RequestHead;
  readonly arrived: Arrived;
  readonly client: string;
  readonly path: string;
  body: Uint8Array | undefined = undefined;
  isBodyKnown = false;
  claims: Readonly<Record<string, unknown>> | undefined = undefined;
  captures: readonly string[] = NO_CAPTURES;
  private readonly terms: RequestTerms;
  private id: string | undefined = undefined;
  private hostText: string | undefined = undefined;
  private queries: Map<string, string> | undefined = undefined;
  private cookies: Map<string, string> | undefined = undefined;

  constructor(head: RequestHead, arrived: Arrived, terms: RequestTerms, path: string) {
    this.head = head;
    this.arrived = arrived;
    this.terms = terms;
    this.path = path;
    this.client = terms.trust.clientOf(arrived.source.address, head);
  }

  get requestId(): string {
    this.id ??= this.keptId() ?? this.terms.newRequestId();
    return this.id;
  }
  private keptId(): string | undefined {
    if (!this.terms.keepsRequestId || !this.terms.trust.isTrusted(this.arrived.source.address)) return undefined;
    const id = fieldOf(this.head.fields, "x-request-id");
    return id !== undefined && isRequestId(id) ? id : undefined;
  }

  get host(): string {
    this.hostText ??= hostOf(this.head.authority);
    return this.hostText;
  }

  get query(): string {
    const at = this.head.target.indexOf("?");
    return at < 0 ? "" : this.head.target.slice(at + 1);
  }
  /** Decoded as forms are; the first of its name. */
  queryOf(name: string): string | undefined {
    this.queries ??= firstOf(new URLSearchParams(this.query));
    return this.queries.get(name);
  }

  /** As it was sent, without quotes; the first of its name (RFC 6265 §5.4 has more specific paths first). */
  cookieOf(name: string): string | undefined {
    this.cookies ??= firstOf(cookiesOf(this.head.fields));
    return this.cookies.get(name);
  }

  claimOf(name: string): string | undefined {
    return claimText(this.claims, name);
  }
}
const NO_CAPTURES: readonly string[] = [];

/** Without port and the dot of the root, in lower case; an IPv6 address keeps its brackets. */
export function hostOf(authority: string): string {
  const colon = authority.lastIndexOf(":");
  const host = (colon > authority.lastIndexOf("]") ? authority.slice(0, colon) : authority).toLowerCase();
  return host.endsWith(".") ? host.slice(0, -1) : host;
}

function firstOf(pairs: Iterable<readonly [name: string, value: string]>): Map<string, string> {
  const first = new Map<string, string>();
  for (const [name, value] of pairs) if (!first.has(name)) first.set(name, value);
  return first;
}

function* cookiesOf(fields: readonly string[]): Generator<[name: string, value: string]> {
  for (let at = 0; at < fields.length; at += 2) {
    if (fields[at] !== "cookie") continue;
    for (const pair of fields[at + 1]!.split(";")) {
      const equals = pair.indexOf("=");
      if (equals < 0) continue;
      const value = pair.slice(equals + 1).trim();
      yield [
        pair.slice(0, equals).trim(),
        value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value,
      ];
    }
  }
}
