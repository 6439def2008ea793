/**
 * One response in the cache: what came, and what follows from it for its use.
 *
 * Owns:    its age and how long it may be served. The store owns where it stands.
 * Units:   ms of the steady clock, but for `dateMs` and `changedMs` (Unix); octets.
 * @module
 */
import type { CodedBodies } from "#l7/cache/coded-bodies.ts";
import { type Directives, MAX_SECONDS, parseDirectives } from "#l7/cache/directives.ts";
import { initialAgeMs, type Lifetime, lifetimeOf } from "#l7/cache/freshness.ts";
import { formatHttpDate, parseHttpDate } from "#l7/cache/http-date.ts";
import { storedFields } from "#l7/cache/storable.ts";
import { type Fields, fieldOf, listOf, type ResponseHead } from "#l7/message.ts";
import type { CacheSpec } from "#state/http.ts";

/** What an object costs beside its body and its texts: objects, arrays, its place in the map. Measured, rounded up. */
const OBJECT_OCTETS = 1024;

/** When a response came: by both clocks, and how long after its request was sent. */
export type Arrival = { readonly unixMs: number; readonly steadyMs: number; readonly delayMs: number };

/** Where a response belongs: the URL, who asked by which rule and pool, and the fields that it varies by. */
export type Place = {
  readonly key: string;
  readonly scope: string;
  readonly pool: string;
  readonly varies: readonly string[];
  readonly selector: string;
};

export class StoredResponse {
  readonly place: Place;
  readonly status: number;
  /** Who asked was known: RFC 9111 §3.5 holds for it as long as it is stored. */
  readonly isAuthorized: boolean;
  fields: Fields = [];
  body: readonly Uint8Array[] = [];
  bodyOctets = 0;
  directives: Readonly<Directives>;
  lifetime: Lifetime;
  etag: string | undefined;
  lastModified: string | undefined;
  changedMs: number | undefined;
  dateMs = 0;
  tags: readonly string[] = [];
  /** The body compressed, since it is stored. */
  coded: CodedBodies | undefined;
  /** What it counts for in its store. */
  octets = 0;
  isStored = false;
  /** Used since the hand of the store came by. */
  isVisited = false;
  newer: StoredResponse | undefined;
  older: StoredResponse | undefined;
  readonly #spec: CacheSpec;
  #initialAgeMs = 0;
  #cameMs = 0;

  constructor(place: Place, head: ResponseHead, spec: CacheSpec, arrival: Arrival, isAuthorized: boolean) {
    this.place = place;
    this.status = head.status;
    this.isAuthorized = isAuthorized;
    this.#spec = spec;
    this.directives = parseDirectives(listOf(head.fields, "cache-control"));
    this.lifetime = { ms: 0, isExplicit: false };
    this.update(head.fields, arrival);
  }

  /** New fields, of a response that came just now or of a 304. */
  update(fields: readonly string[], arrival: Arrival): void {
    this.directives = parseDirectives(listOf(fields, "cache-control"));
    const date = parseHttpDate(fieldOf(fields, "date") ?? "", arrival.unixMs);
    this.dateMs = date ?? arrival.unixMs;
    this.lifetime = lifetimeOf(this.status, fields, this.directives, this.dateMs, this.#spec.defaultTtlMs);
    this.#initialAgeMs = initialAgeMs(fields, this.dateMs, arrival.unixMs, arrival.delayMs);
    this.#cameMs = arrival.steadyMs;
    this.fields = storedFields(fields, this.directives);
    // RFC 9110 §6.6.1: who stores a response without a date says when it came.
    if (fieldOf(this.fields, "date") === undefined) this.fields.push("date", formatHttpDate(arrival.unixMs));
    this.etag = fieldOf(this.fields, "etag");
    this.lastModified = fieldOf(this.fields, "last-modified");
    this.changedMs = parseHttpDate(this.lastModified ?? "", arrival.unixMs);
    this.tags = tagsOf(this.fields);
  }

  setBody(body: readonly Uint8Array[], octets: number): void {
    this.body = body;
    this.bodyOctets = octets;
  }

  /** What it would count for with so many octets of body. */
  weigh(bodyOctets: number): number {
    let octets =
      OBJECT_OCTETS + bodyOctets + (this.coded?.octets ?? 0) + this.place.key.length + this.place.selector.length;
    for (const text of this.fields) octets += text.length + 16;
    return octets;
  }

  ageMs(steadyMs: number): number {
    return this.#initialAgeMs + Math.max(0, steadyMs - this.#cameMs);
  }

  /** How long it is fresh yet; below 0: how long it has been stale. */
  leftMs(steadyMs: number): number {
    return this.lifetime.ms - this.ageMs(steadyMs);
  }

  get hasValidator(): boolean {
    return this.etag !== undefined || this.changedMs !== undefined;
  }

  /** Whether it may never be served stale, whatever a request or the configuration says (RFC 9111 §4.2.4). */
  get isStrict(): boolean {
    return this.directives.noCache || this.directives.mustRevalidate || this.directives.proxyRevalidate;
  }

  /** For how long after its end it may be served while a newer one is fetched. */
  get staleWhileRevalidateMs(): number {
    return this.#grace(this.directives.staleWhileRevalidate, this.#spec.staleWhileRevalidateMs);
  }

  /** For how long after its end it may be served where the backend fails. */
  get staleIfErrorMs(): number {
    return this.#grace(this.directives.staleIfError, this.#spec.staleIfErrorMs);
  }

  /** Of use to somebody at some time. */
  isUseful(steadyMs: number): boolean {
    if (this.hasValidator || (this.leftMs(steadyMs) > 0 && !this.directives.noCache)) return true;
    return this.leftMs(steadyMs) + Math.max(this.staleIfErrorMs, this.staleWhileRevalidateMs) > 0;
  }

  #grace(toldSeconds: number | undefined, configuredMs: number): number {
    if (this.isStrict) return 0;
    // s-maxage asks for revalidation (RFC 9111 §5.2.2.10), unless the same response names a time of grace (RFC 5861).
    if (toldSeconds !== undefined) return Math.min(toldSeconds, MAX_SECONDS) * 1000;
    return this.directives.sMaxAge === undefined ? configuredMs : 0;
  }
}

/** Names by which a response can be purged: `Surrogate-Key` parts them by spaces, `Cache-Tag` by commas. */
function tagsOf(fields: readonly string[]): readonly string[] {
  const keys = listOf(fields, "surrogate-key");
  const tags = listOf(fields, "cache-tag");
  if (keys === undefined && tags === undefined) return [];
  return `${keys ?? ""},${tags ?? ""}`.split(/[\s,]+/).filter((tag) => tag !== "");
}
