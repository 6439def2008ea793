/** A backend and the cache in front of it, without sockets, on a clock that is moved by hand. */
import { createManualClock } from "#base/clock.ts";
import type { CacheFill, CacheHit, CacheLookup, CacheRoute, CacheWaiter, HttpCache } from "#l7/cache/cache.ts";
import { createHttpCache } from "#l7/cache/http-cache.ts";
import { type Fields, fieldOf, type RequestHead } from "#l7/message.ts";
import type { CacheSpec, RuleSpec } from "#state/http.ts";
import { head, request, response, rule, textOf } from "./bed.ts";

export type Answer = { readonly status?: number; readonly fields?: Fields; readonly body?: string };
export type Got = {
  readonly status: number;
  readonly fields: Fields;
  readonly body: string;
  readonly from: "memory" | "backend" | "cache itself";
  readonly hit?: CacheHit;
};
/** What the backend was asked for. */
export type Seen = { readonly method: string; readonly target: string; readonly fields: Fields };

const NOBODY: CacheWaiter = { onCached: () => {} };

export class Site {
  readonly clock = createManualClock(Date.UTC(2026, 0, 1));
  readonly invalid: string[] = [];
  readonly cache: HttpCache = createHttpCache({ clock: this.clock, onInvalidate: (url) => this.invalid.push(url) });
  readonly route: CacheRoute;
  readonly seen: Seen[] = [];
  /** What the backend says; `down`: nothing. */
  answer: Answer | "down" | ((seen: Seen) => Answer | "down") = {};

  constructor(cache: Partial<CacheSpec> = {}, more: Partial<RuleSpec> = {}) {
    this.route = this.cache.route("web", rule(cache, more))!;
  }

  date(secondsAhead = 0): string {
    return new Date(this.clock.nowMs() + secondsAhead * 1000).toUTCString();
  }

  lookup(
    fields: Fields = [],
    more: Partial<RequestHead> = {},
    waiter: CacheWaiter = NOBODY,
    pool = "pool",
  ): CacheLookup {
    return this.route.lookup(request(head(fields, more)), pool, waiter);
  }

  /** One request from its beginning to the end of its response; a refresh in the background is left to the caller. */
  ask(fields: Fields = [], more: Partial<RequestHead> = {}, pool = "pool"): Got {
    const from = head(fields, more);
    const lookup = this.lookup(fields, more, NOBODY, pool);
    switch (lookup.kind) {
      case "serve":
        return gotOf(lookup.hit);
      case "reply":
        return { ...lookup.reply, body: String(lookup.reply.body), from: "cache itself" };
      case "pass":
        return this.fetch(from, undefined);
      case "fetch":
        return this.fetch(from, lookup.fill);
      case "wait":
        throw new Error("nobody else is under way");
    }
  }

  fetch(from: RequestHead, fill: CacheFill | undefined): Got {
    const fields = from.fields.slice();
    fill?.editRequest(fields);
    const said = this.say({ method: fill?.method ?? from.method, target: from.target, fields });
    if (said === "down") {
      const hit = fill?.failed();
      return hit === undefined ? { status: 502, fields: [], body: "", from: "cache itself" } : gotOf(hit);
    }
    const { status, body } = said;
    const hasBody = from.method !== "HEAD" && status !== 304;
    const sent = response(status, said.fields, hasBody ? body.length : 0);
    this.cache.invalidate(from, sent);
    const answer = fill?.answered(sent) ?? { kind: "send", head: sent, writer: undefined };
    if (answer.kind === "serve") return gotOf(answer.hit);
    if (hasBody && body !== "") answer.writer?.write(Buffer.from(body, "latin1"));
    answer.writer?.end();
    return { status, fields: answer.head.fields, body: hasBody ? body : "", from: "backend" };
  }

  /** Ends a refresh as a request of our own would. */
  settle(fill: CacheFill, fields: Fields = []): void {
    const copy = fields.slice();
    fill.editRequest(copy);
    const said = this.say({ method: fill.method, target: "/", fields: copy });
    if (said === "down") fill.settle({ fault: "refused" });
    else fill.settle({ ...said, body: Buffer.from(said.status === 304 ? "" : said.body, "latin1") });
  }

  say(seen: Seen): Required<Answer> | "down" {
    this.seen.push(seen);
    const said = typeof this.answer === "function" ? this.answer(seen) : this.answer;
    if (said === "down") return said;
    const fields = (said.fields ?? []).slice();
    if (fieldOf(fields, "date") === undefined) fields.unshift("date", this.date());
    return { status: said.status ?? 200, fields, body: said.body ?? `answer ${this.seen.length}` };
  }
}

export function gotOf(hit: CacheHit): Got {
  return { status: hit.head.status, fields: hit.head.fields, body: textOf(hit.body), from: "memory", hit };
}
