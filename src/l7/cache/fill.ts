/**
 * One request to a backend on behalf of the cache, from its fields to the end of its body.
 *
 * Owns:    conditions of our own, what a 304 or an error means for what is stored, the new response until it is complete.
 * Units:   ms of the steady clock; octets.
 * @module
 */
import { BodyCopy } from "#l7/cache/body-copy.ts";
import type { Bucket, Flight, Landing } from "#l7/cache/bucket.ts";
import type { CacheAnswer, CacheFill, CacheHit } from "#l7/cache/cache.ts";
import { type Forwarded, forwardStatus, hitStatus } from "#l7/cache/cache-status.ts";
import { hitOf } from "#l7/cache/hit.ts";
import { selectorOf, varyNames } from "#l7/cache/key.ts";
import { isStorable, updatedFields } from "#l7/cache/storable.ts";
import { type Arrival, StoredResponse } from "#l7/cache/stored-response.ts";
import type { SubrequestResult } from "#l7/context.ts";
import { type Fields, fieldOf, listOf, type RequestHead, type ResponseHead, removeField } from "#l7/message.ts";
import type { BodyFilter } from "#l7/route.ts";
import type { CacheSpec } from "#state/http.ts";

/** What a fill knows of its rule. */
export type FillTerms = {
  readonly bucket: Bucket;
  readonly spec: CacheSpec;
  readonly scope: string;
  readonly maxObjectOctets: number;
  readonly clock: { nowMs(): number; monotonicMs(): number };
  /** Names of fields that we write by ourselves: a response that varies by them is not stored. */
  readonly unkeyed: ReadonlySet<string>;
};

/** What a fill knows of its request. */
export type FillRequest = {
  readonly head: RequestHead;
  readonly key: string;
  readonly pool: string;
  readonly isAuthorized: boolean;
  /** The client accepts no stale response, whatever happens. */
  readonly isExacting: boolean;
  readonly why: Forwarded;
  readonly isCollapsed: boolean;
  /** A request of our own: it leaves out what the client asked for of its own copy. */
  readonly isBackground: boolean;
};

const CONDITIONS = ["if-none-match", "if-modified-since", "if-range", "range"] as const;

export class Fill implements CacheFill, BodyFilter {
  readonly method: "GET" | "HEAD";
  readonly #terms: FillTerms;
  readonly #request: FillRequest;
  readonly #stored: StoredResponse | undefined;
  readonly #flight: Flight | undefined;
  readonly #startedMs: number;
  #isInvalidated = false;
  #isOver = false;
  #response: StoredResponse | undefined;
  #copy: BodyCopy | undefined;

  constructor(terms: FillTerms, request: FillRequest, stored: StoredResponse | undefined, flight: Flight | undefined) {
    this.#terms = terms;
    this.#request = request;
    this.#stored = stored;
    this.#flight = flight;
    this.method = request.head.method === "HEAD" && !request.isBackground ? "HEAD" : "GET";
    this.#startedMs = terms.clock.monotonicMs();
    terms.bucket.fills.add(this);
  }

  get key(): string {
    return this.#request.key;
  }

  /** What comes is not stored: it was changed, or purged, while it was fetched. */
  invalidate(): void {
    this.#isInvalidated = true;
  }

  /** Whether a 304 will be about what is stored, not about the client's copy. */
  get #isConditional(): boolean {
    return this.method === "GET" && this.#stored?.hasValidator === true;
  }

  editRequest(fields: Fields): void {
    if (!this.#isConditional && !this.#request.isBackground) return;
    for (const name of CONDITIONS) removeField(fields, name);
    const stored = this.#stored;
    if (stored === undefined || !this.#isConditional) return;
    if (stored.etag !== undefined) fields.push("if-none-match", stored.etag);
    if (stored.changedMs !== undefined) fields.push("if-modified-since", stored.lastModified!);
  }

  answered(head: ResponseHead): CacheAnswer {
    const { clock, bucket } = this.#terms;
    const steadyMs = clock.monotonicMs();
    const arrival = { unixMs: clock.nowMs(), steadyMs, delayMs: steadyMs - this.#startedMs };
    const stored = this.#stored;
    if (stored !== undefined) {
      if (isFailure(head.status)) {
        const hit = this.#staleInstead(steadyMs, head.status);
        if (hit !== undefined) {
          this.#end("failed");
          return { kind: "serve", hit };
        }
      }
      if (head.status === 304 && this.#isConditional)
        return { kind: "serve", hit: this.#confirmed(stored, head, arrival) };
      if (this.method === "HEAD" && head.status === 200) this.#compareHead(stored, head, arrival);
    }
    const response = this.#storable(head, arrival);
    if (response === undefined) {
      // What is stored was to be replaced by this.
      if (
        stored !== undefined &&
        this.method === "GET" &&
        head.status < 500 &&
        head.status !== 206 &&
        head.status !== 304
      )
        bucket.store.remove(stored);
      this.#end("useless", head.status < 500);
      return this.#send(head, undefined);
    }
    this.#response = response;
    this.#copy = new BodyCopy(bucket.store, this.#terms.maxObjectOctets, head.bodyOctets);
    return this.#send(head, this);
  }

  failed(): CacheHit | undefined {
    if (this.#isOver) return undefined;
    const hit = this.#staleInstead(this.#terms.clock.monotonicMs(), undefined);
    this.#end("failed");
    return hit;
  }

  abandon(): void {
    this.#handOver();
  }

  settle(result: SubrequestResult): void {
    if ("fault" in result) {
      this.failed();
      return;
    }
    const { status, fields, body } = result;
    const answer = this.answered({ status, fields, bodyOctets: body.length, declaredOctets: undefined });
    if (answer.kind === "serve" || answer.writer === undefined) return;
    if (body.length > 0) answer.writer.write(body);
    answer.writer.end();
  }

  // ── the body on its way ──────────────────────────────────────────────────────────────────────────────────────

  write(octets: Uint8Array): boolean {
    this.#copy?.write(octets);
    return true;
  }

  end(): void {
    if (this.#isOver) return;
    const octets = this.#copy!.octets;
    const body = this.#copy!.end();
    const response = this.#response!;
    let isStored = false;
    if (body !== undefined && !this.#isInvalidated) {
      response.setBody(body, octets);
      if (this.#stored !== undefined) this.#terms.bucket.store.remove(this.#stored);
      isStored = this.#terms.bucket.store.add(response);
    }
    this.#end(isStored ? "stored" : "useless", !isStored);
  }

  room(): void {}

  cancel(): void {
    if (this.#isOver) return;
    this.#copy?.drop();
    this.#handOver();
  }

  // ── what it means ────────────────────────────────────────────────────────────────────────────────────────────

  #storable(head: ResponseHead, arrival: Arrival): StoredResponse | undefined {
    const { spec, scope, unkeyed, maxObjectOctets, bucket } = this.#terms;
    const { key, pool, head: request, isAuthorized } = this.#request;
    if (this.#isInvalidated || this.method !== "GET" || head.bodyOctets > maxObjectOctets) return undefined;
    const varies = varyNames(head.fields);
    if (varies === undefined || varies.some((name) => unkeyed.has(name))) return undefined;
    const place = { key, scope, pool, varies, selector: selectorOf(varies, request.fields) };
    const response = new StoredResponse(place, head, spec, arrival, isAuthorized);
    const asked = { method: this.method, isAuthorized, hasNoStore: false };
    if (!isStorable(asked, head, response.directives, response.lifetime)) return undefined;
    if (!response.isUseful(arrival.steadyMs) || response.weigh(0) > bucket.store.maxOctets) return undefined;
    return response;
  }

  /** RFC 9111 §4.3.4. */
  #confirmed(stored: StoredResponse, head: ResponseHead, arrival: Arrival): CacheHit {
    const { bucket } = this.#terms;
    const etag = fieldOf(head.fields, "etag");
    const vary = listOf(stored.fields, "vary");
    const isOther = etag !== undefined && !etag.startsWith("W/") && etag !== stored.etag;
    if (isOther) bucket.store.remove(stored);
    else {
      stored.update(updatedFields(stored.fields, head.fields), arrival);
      this.#keepOrNot(stored, listOf(stored.fields, "vary") === vary);
    }
    bucket.revalidated++;
    const status = this.#status(304, false);
    const hit = hitOf(stored, this.#request.head, arrival.steadyMs, "revalidated", status, undefined);
    this.#end(stored.isStored ? "stored" : "useless");
    return hit;
  }

  /** A HEAD tells whether what is stored is still the same (RFC 9111 §4.3.5); one without anything to compare tells nothing. */
  #compareHead(stored: StoredResponse, head: ResponseHead, arrival: Arrival): void {
    const { store } = this.#terms.bucket;
    let same = 0;
    let others = 0;
    for (const name of ["etag", "last-modified", "vary"]) {
      const value = fieldOf(head.fields, name);
      if (value === undefined) continue;
      if (value !== fieldOf(stored.fields, name)) others++;
      else if (name !== "vary") same++;
    }
    if (head.declaredOctets !== undefined) {
      if (head.declaredOctets === stored.bodyOctets) same++;
      else others++;
    }
    if (others > 0) store.remove(stored);
    else if (same > 0) {
      stored.update(updatedFields(stored.fields, head.fields), arrival);
      this.#keepOrNot(stored, true);
    }
  }

  /** New fields may forbid what the old ones allowed. */
  #keepOrNot(stored: StoredResponse, isSameVary: boolean): void {
    const { store } = this.#terms.bucket;
    const isAuthorized = stored.isAuthorized || this.#request.isAuthorized;
    const asked = { method: "GET", isAuthorized, hasNoStore: false };
    if (isSameVary && isStorable(asked, stored, stored.directives, stored.lifetime)) store.reweigh(stored);
    else store.remove(stored);
  }

  #staleInstead(steadyMs: number, status: number | undefined): CacheHit | undefined {
    const stored = this.#stored;
    // What was taken out meanwhile was taken out for a reason: a write, a purge, another answer.
    if (stored?.isStored !== true || this.#request.isExacting || !mayServeOnError(stored, steadyMs)) return undefined;
    this.#terms.bucket.stale++;
    const text = this.#terms.spec.addsStatus
      ? `${hitStatus(stored.leftMs(steadyMs))}; detail=${status === undefined ? "unreachable" : "stale-if-error"}`
      : undefined;
    return hitOf(stored, this.#request.head, steadyMs, "stale", text, undefined);
  }

  #send(head: ResponseHead, writer: BodyFilter | undefined): CacheAnswer {
    const status = this.#status(undefined, writer !== undefined);
    if (status === undefined) return { kind: "send", head, writer };
    const fields = head.fields.slice();
    fields.push("cache-status", status);
    return { kind: "send", head: { ...head, fields }, writer };
  }

  #status(forwarded: number | undefined, isStored: boolean): string | undefined {
    const { why, isCollapsed } = this.#request;
    return this.#terms.spec.addsStatus ? forwardStatus(why, forwarded, isStored, isCollapsed) : undefined;
  }

  /** @param marks nobody is to wait for this URL for a while */
  #end(landing: Landing, marks = false): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { bucket, clock } = this.#terms;
    bucket.fills.delete(this);
    if (this.#flight === undefined) return;
    if (marks) bucket.mark(this.#flight.key, clock.monotonicMs());
    bucket.land(this.#flight, landing);
  }

  #handOver(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#terms.bucket.fills.delete(this);
    if (this.#flight !== undefined) this.#terms.bucket.handOver(this.#flight);
  }
}

/** RFC 5861 §4. */
const isFailure = (status: number): boolean => status === 500 || (status >= 502 && status <= 504);

export const mayServeOnError = (stored: StoredResponse, steadyMs: number): boolean =>
  stored.leftMs(steadyMs) + stored.staleIfErrorMs > 0 && !stored.directives.noCache;
