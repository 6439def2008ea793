/**
 * Clients of an HTTP listener come back to their backend, by cookie, by a field, by address: what is set and what is not, and
 * what becomes of them in each state that a backend can be in (docs/sticky-sessions.md has the same table).
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import test, { type TestContext } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import type { PoolSpec, StickySpec } from "#state/balancer.ts";
import type { StickyCookieSpec } from "#state/http.ts";
import { until } from "../net/bed.ts";
import { publish, type StateName } from "../pool/pool-fixture.ts";
import { stickyBySource } from "../pool/specs.ts";
import {
  type Answer,
  type Asked,
  type Handler,
  HTTP_DEFAULTS,
  type HttpBed,
  type HttpBedOptions,
  openHttp,
} from "./http-bed.ts";

const KEYS = [{ id: "k1", secret: "s".repeat(32) }];
const cookieSpec = (changes: Partial<StickyCookieSpec> = {}): StickyCookieSpec => ({
  name: "rhumb",
  keys: KEYS,
  isSecure: "auto",
  sameSite: "Lax",
  path: "/",
  domain: undefined,
  ...changes,
});
const byCookie = (changes: Partial<StickySpec> = {}): StickySpec => ({
  ...stickyBySource(),
  by: "cookie",
  cookie: cookieSpec(),
  ...changes,
});
const byHeader = (changes: Partial<StickySpec> = {}): StickySpec => ({
  ...stickyBySource(),
  by: { header: "x-session" },
  ...changes,
});

/** Says who it is, and which cookies it got. */
const named =
  (name: string): Handler =>
  (request, response) =>
    response.end(`${name} ${request.headers.cookie ?? "-"}`);
const NAMES = ["a", "b", "c"];
/** Three backends in turn. */
const openSticky = (t: TestContext, sticky: StickySpec, more: HttpBedOptions = {}): Promise<HttpBed> =>
  openHttp(t, { handlers: NAMES.map(named), ...more, pool: { algorithm: "round_robin", sticky, ...more.pool } });

const setCookie = ({ headers }: Answer): string | undefined => headers["set-cookie"]?.[0];
/** As a client sends it back. */
const cookieOf = (answer: Answer): string => setCookie(answer)!.split(";")[0]!;
const nameOf = ({ body }: Answer): string => body.split(" ")[0]!;

/** A browser: it keeps the last cookie. */
function browser(bed: HttpBed, headers: Record<string, string> = {}) {
  let cookie: string | undefined;
  return async (path = "/", asked: Asked = {}): Promise<Answer> => {
    const answer = await bed.ask(path, {
      ...asked,
      headers: { ...headers, ...asked.headers, ...(cookie && { cookie }) },
    });
    if (setCookie(answer)) cookie = cookieOf(answer);
    return answer;
  };
}

// ── what drain and the like mean to each kind ────────────────────────────────────────────────────────────────────

const KINDS: Readonly<Record<string, (changes?: Partial<StickySpec>) => StickySpec>> = {
  cookie: byCookie,
  header: byHeader,
  source: stickyBySource,
};
type Cell = {
  readonly state: string;
  readonly isKept: boolean;
  readonly to?: StateName | readonly [StateName, number];
  readonly sticky?: Partial<StickySpec>;
  readonly pool?: (name: string) => Partial<PoolSpec>;
};
const CELLS: readonly Cell[] = [
  { state: "weight 0", to: ["active", 0], isKept: true },
  { state: "drain", to: "drain", isKept: false },
  { state: "drain with duringDrain", to: "drain", sticky: { duringDrain: true }, isKept: true },
  { state: "maint with duringDrain", to: "maint", sticky: { duringDrain: true }, isKept: false },
  { state: "down", to: "down", isKept: false },
  { state: "ejected", to: "ejected", isKept: false },
  { state: "unknown", to: "unknown", isKept: false },
  { state: "removed", isKept: false },
];
for (const [kind, sticky] of Object.entries(KINDS))
  for (const { state, to, isKept, sticky: changes } of CELLS)
    test(`a client by ${kind} ${isKept ? "keeps" : "loses"} a backend that is: ${state}`, async (t) => {
      const bed = await openSticky(t, sticky(changes));
      const ask = browser(bed, { "x-session": "s1" });
      const had = nameOf(await ask());
      assert.equal(nameOf(await ask()), had);
      const states = bed.backends.map(({ spec }) => [spec.target, "active"] as const);
      const row = NAMES.indexOf(had);
      if (to === undefined) {
        const left = bed.backends.filter((_, index) => index !== row).map(({ spec }) => spec);
        bed.apply({ pool: { algorithm: "round_robin", sticky: sticky(changes), backends: left } });
      } else publish(bed.table, { ...Object.fromEntries(states), [row]: to });
      const next = await ask();
      assert.equal(nameOf(next) === had, isKept);
      assert.equal(setCookie(next) !== undefined, kind === "cookie" && !isKept, "a new cookie for a new backend alone");
      for (let count = 0; count < 4; count++) assert.equal(nameOf(await ask()), nameOf(next), "and stays there");
    });

// ── cookies ──────────────────────────────────────────────────────────────────────────────────────────────────────

test("a response with a cookie of ours is private; one without is as the backend made it", async (t) => {
  const cached: Handler = (_request, response) => {
    response.setHeader("cache-control", "public, max-age=60");
    response.end("a");
  };
  const bed = await openSticky(t, byCookie(), { handlers: [cached] });
  const ask = browser(bed);
  assert.equal((await ask()).headers["cache-control"], "public, max-age=60, private");
  const second = await ask();
  assert.equal(setCookie(second), undefined);
  assert.equal(second.headers["cache-control"], "public, max-age=60");
});

test("rules that edit responses leave cookies of ours, and what keeps them from shared caches", async (t) => {
  const edits = { set: { "cache-control": "public, max-age=9" }, remove: ["set-cookie"] };
  const chatty: Handler = (_request, response) => {
    response.setHeader("set-cookie", "theirs=1");
    response.end("a");
  };
  const bed = await openSticky(t, byCookie(), { handlers: [chatty], rules: [{ pool: "web", response: edits }] });
  const { headers } = await bed.ask("/");
  assert.equal(headers["set-cookie"]!.length, 1);
  assert.match(headers["set-cookie"]![0]!, /^rhumb=v1\./);
  assert.equal(headers["cache-control"], "public, max-age=9, private");
});

test("what our own cache stores has no cookie of ours, and what is fetched for it takes none along", async (t) => {
  const seen: (string | undefined)[] = [];
  const cached: Handler = (request, response) => {
    seen.push(request.headers.cookie);
    response.setHeader("cache-control", "max-age=0, stale-while-revalidate=60");
    response.setHeader("etag", '"1"');
    response.end("a");
  };
  const rules = [
    {
      split: { parts: { web: 1 }, sticky: { cookie: "part", ttl: "1m" } },
      cache: { maxObject: "1KiB" },
    },
  ];
  const bed = await openSticky(t, byCookie(), { handlers: [cached], rules });
  const first = await bed.ask("/");
  assert.equal(first.headers["set-cookie"]?.length, 2, "of the split and of the pool, for who asked");
  assert.equal(first.headers["cache-control"], "max-age=0, stale-while-revalidate=60, private");

  // Whoever comes next gets the stored one, and begins another fetch beside it.
  const cookie = first.headers["set-cookie"]!.map((one) => one.split(";")[0]).join("; ");
  const again = await bed.ask("/", { headers: { cookie: `own=1; ${cookie}` } });
  assert.equal(again.headers["set-cookie"], undefined);
  assert.equal(again.headers["cache-control"], "max-age=0, stale-while-revalidate=60");
  await until(() => seen.length === 2);
  assert.match(seen[1]!, /^own=1; part=web$/);
  const other = await bed.ask("/");
  assert.equal(other.headers["set-cookie"]?.length, 1, "the part alone: no backend was asked for this client");
  assert.match(other.headers["cache-control"]!, /, private$/);
});

test("a WebSocket gets a cookie with its 101, and the next one comes to the same backend", async (t) => {
  const bed = await openSticky(t, byCookie(), { handlers: NAMES.map(named) });
  for (const [index, { server }] of bed.backends.entries()) {
    const sockets = new WebSocketServer({ server });
    sockets.on("connection", (socket) => socket.send(NAMES[index]!));
    t.after(() => sockets.close());
  }
  async function open(headers: Record<string, string>): Promise<{ name: string; cookie: string | undefined }> {
    const socket = new WebSocket(`ws://127.0.0.1:${bed.port}/`, { headers });
    const upgraded = once(socket, "upgrade");
    const message = once(socket, "message");
    const [response] = await upgraded;
    const [data] = await message;
    socket.close();
    await once(socket, "close");
    return { name: String(data), cookie: response.headers["set-cookie"]?.[0].split(";")[0] };
  }
  const first = await open({});
  assert.match(first.cookie!, /^rhumb=v1\./);
  for (let count = 0; count < 3; count++)
    assert.deepEqual(await open({ cookie: first.cookie! }), { name: first.name, cookie: undefined });
});

test("a request that is tried again tells its client who answered, not who did not", async (t) => {
  const bed = await openSticky(t, byCookie());
  const ask = browser(bed);
  const had = nameOf(await ask());
  bed.backends[NAMES.indexOf(had)]!.kill();
  const next = await ask();
  assert.equal(next.status, 200);
  assert.notEqual(nameOf(next), had);
  assert.ok(setCookie(next));
  for (let count = 0; count < 3; count++) assert.equal(nameOf(await ask()), nameOf(next));
  assert.ok(bed.count("http_retries") > 0);
});

test("one bad cookie before ours does not cost a client its backend", async (t) => {
  const bed = await openSticky(t, byCookie());
  const first = await bed.ask("/");
  for (let count = 0; count < 3; count++) {
    const again = await bed.ask("/", { headers: { cookie: `rhumb=v1.planted; ${cookieOf(first)}; own=1` } });
    assert.equal(again.body, `${nameOf(first)} own=1`);
    assert.equal(setCookie(again), undefined);
  }
});

test("a forged cookie, one of another key and one of a pool of another name are replaced by a good one", async (t) => {
  const bed = await openSticky(t, byCookie());
  const good = cookieOf(await bed.ask("/"));
  bed.apply({
    pool: {
      algorithm: "round_robin",
      sticky: byCookie({ cookie: cookieSpec({ keys: [{ id: "k1", secret: "t".repeat(32) }] }) }),
    },
  });
  for (const cookie of [good, `${good.slice(0, -1)}_`, "rhumb=", "rhumb=v1.k1.000000.zzzzzz.AAAAAAAAAAAAAAAAAAAAAA"]) {
    const answer = await bed.ask("/", { headers: { cookie } });
    assert.match(setCookie(answer)!, /^rhumb=v1\.k1\./, cookie);
    assert.equal(answer.body.split(" ")[1], "-", "the backend does not see it");
  }
});

test("a split by cookie and sticky pools behind it: a client keeps its part, and its backend there", async (t) => {
  const rules = [{ split: { parts: { web: 50, canary: 50 }, sticky: { cookie: "part", ttl: "1m" } } }];
  // `web` has a and b; api has c, canary has d.
  const bed = await openHttp(t, {
    handlers: ["a", "b", "c", "d"].map(named),
    web: 2,
    rules,
    pool: { algorithm: "round_robin", sticky: byCookie() },
  });
  const seen = new Set<string>();
  for (let client = 0; client < 30; client++) {
    const first = await bed.ask("/");
    const cookies = first.headers["set-cookie"]!.map((one) => one.split(";")[0]);
    assert.equal(cookies.length, 2);
    seen.add(nameOf(first));
    const again = await bed.ask("/", { headers: { cookie: cookies.join("; ") } });
    assert.equal(nameOf(again), nameOf(first));
    assert.equal(again.headers["set-cookie"], undefined);
  }
  assert.deepEqual([...seen].sort(), ["a", "b", "d"]);
});

// ── by header ────────────────────────────────────────────────────────────────────────────────────────────────────

test("clients by header: one backend each whatever their address is; without the field, or with an empty one, by address", async (t) => {
  const bed = await openSticky(t, byHeader(), {
    http: { trusted: ["127.0.0.0/8"], forwarded: { ...HTTP_DEFAULTS.forwarded, hops: 1 } },
  });
  const ask = async (session: string | undefined, from = "192.0.2.1"): Promise<string> =>
    nameOf(
      await bed.ask("/", {
        headers: { ...(session !== undefined && { "x-session": session }), "x-forwarded-for": from },
      }),
    );
  const first = await Promise.all(Array.from({ length: 12 }, (_, index) => ask(`s${index}`)));
  assert.equal(new Set(first).size, 3);
  for (const [index, name] of first.entries()) assert.equal(await ask(`s${index}`, `192.0.2.${index}`), name);
  const plain: string[] = [];
  for (let index = 1; index <= 6; index++) plain.push(await ask(undefined, `198.51.100.${index}`));
  assert.equal(new Set(plain).size, 3);
  for (const [index, name] of plain.entries()) assert.equal(await ask("", `198.51.100.${index + 1}`), name);
});

test("a client whose backend is full is sent to another one, and stays there", async (t) => {
  let release = (): void => {};
  const slow: Handler = (_request, response) => {
    release = () => response.end("a -");
  };
  const bed = await openSticky(t, byHeader(), {
    handlers: [slow, named("b")],
    backend: { maxConnections: 1 },
    pool: { algorithm: "first" },
  });
  const headers = { "x-session": "s1" };
  const first = bed.ask("/", { headers });
  await until(() => bed.backends[0]!.seen.length === 1);
  assert.equal(nameOf(await bed.ask("/", { headers })), "b");
  release();
  assert.equal(nameOf(await first), "a");
  assert.equal(nameOf(await bed.ask("/", { headers })), "b");
});
