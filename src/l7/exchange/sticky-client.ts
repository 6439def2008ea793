/**
 * A client of a pool with a sticky cookie: whom it had, and what it is told.
 * @module
 */
import type { HttpRequest } from "#l7/request.ts";
import { cookieValues } from "#l7/sticky/own-cookie.ts";
import type { StickyCookie } from "#l7/sticky/sticky-cookie.ts";
import type { BackendSpec } from "#state/balancer.ts";

export class StickyClient {
  readonly cookie: StickyCookie;
  /** Key of the backend that it had, by a cookie that is good. */
  readonly wanted: string | undefined;
  readonly #isOld: boolean;
  readonly #isSecure: boolean;

  /** @param nowMs Unix ms */
  constructor(cookie: StickyCookie, request: HttpRequest, nowMs: number) {
    this.cookie = cookie;
    const client = find(cookie, request, nowMs);
    this.wanted = client?.backend;
    this.#isOld = client?.isOld ?? false;
    this.#isSecure = request.head.scheme === "https";
  }

  /** @returns the field `Set-Cookie` for a response of this backend; undefined: what it has is good */
  cookieFor(backend: BackendSpec | undefined, nowMs: number): string | undefined {
    if (backend === undefined || (backend.key === this.wanted && !this.#isOld)) return undefined;
    return this.cookie.write(backend, this.#isSecure, nowMs);
  }
}

/** The first that is good. */
function find(cookie: StickyCookie, { head }: HttpRequest, nowMs: number): ReturnType<StickyCookie["read"]> {
  for (const value of cookieValues(head.fields, cookie.name)) {
    const client = cookie.read(value, nowMs);
    if (client !== undefined) return client;
  }
  return undefined;
}
