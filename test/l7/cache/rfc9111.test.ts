/** RFC 9111 by section: what is stored, when it is served, what happens in between. */
import assert from "node:assert/strict";
import test from "node:test";
import { type Fields, fieldOf } from "#l7/message.ts";
import { rule } from "./bed.ts";
import { type Answer, Site } from "./site.ts";

const cc = (value: string): Fields => ["cache-control", value];
const TAG: Fields = ["etag", '"a"'];
const GUARDED = {
  ...rule().guards,
  forwardAuth: { pool: 0, path: "/", timeoutMs: 1, copyToBackend: ["X-User"], copyFromRequest: [] },
};

// ── §3: storing ──────────────────────────────────────────────────────────────────────────────────────────────────

type Stored = { readonly why: string; readonly isStored: boolean; readonly answer: Answer; readonly asks?: Fields };
const STORING: readonly Stored[] = [
  { why: "max-age", isStored: true, answer: { fields: cc("max-age=60") } },
  { why: "s-maxage over max-age=0", isStored: true, answer: { fields: cc("max-age=0, s-maxage=60") } },
  { why: "any status with max-age", isStored: true, answer: { status: 299, fields: cc("max-age=60") } },
  { why: "an error with max-age", isStored: true, answer: { status: 503, fields: cc("max-age=60") } },
  { why: "404 with max-age", isStored: true, answer: { status: 404, fields: cc("max-age=60") } },
  { why: "204 with max-age", isStored: true, answer: { status: 204, fields: cc("max-age=60"), body: "" } },
  { why: "nothing that says how long", isStored: false, answer: {} },
  { why: "no-store", isStored: false, answer: { fields: cc("max-age=60, no-store") } },
  { why: "private", isStored: false, answer: { fields: cc("max-age=60, private") } },
  { why: "private with a field", isStored: true, answer: { fields: [...cc('max-age=60, private="x-a"'), "x-a", "1"] } },
  { why: "private with what is no list", isStored: false, answer: { fields: cc('max-age=60, private="') } },
  { why: "Vary: *", isStored: false, answer: { fields: [...cc("max-age=60"), "vary", "a, *"] } },
  {
    why: "must-understand and a known status",
    isStored: true,
    answer: { fields: cc("max-age=60, must-understand, no-store") },
  },
  {
    why: "must-understand and an unknown status",
    isStored: false,
    answer: { status: 299, fields: cc("max-age=60, must-understand") },
  },
  { why: "no-store hidden in a quoted string", isStored: true, answer: { fields: cc('max-age=60, x="a, no-store"') } },
  { why: "no-store in a second field", isStored: false, answer: { fields: [...cc("max-age=60"), ...cc("No-Store")] } },
  {
    why: "206",
    isStored: false,
    answer: { status: 206, fields: [...cc("max-age=60"), "content-range", "bytes 0-1/9"] },
  },
  { why: "416, of one request", isStored: false, answer: { status: 416, fields: cc("max-age=60") } },
  { why: "400, of one request", isStored: false, answer: { status: 400, fields: cc("max-age=60") } },
  { why: "431, of one request", isStored: false, answer: { status: 431, fields: cc("max-age=60") } },
  { why: "Set-Cookie", isStored: false, answer: { fields: [...cc("max-age=60"), "set-cookie", "a=b"] } },
  {
    why: "Set-Cookie that is said to be public",
    isStored: true,
    answer: { fields: [...cc("public, max-age=60"), "set-cookie", "a=b"] },
  },
  { why: "Authorization", isStored: false, answer: { fields: cc("max-age=60") }, asks: ["authorization", "x"] },
  {
    why: "Authorization and public",
    isStored: true,
    answer: { fields: cc("max-age=60, public") },
    asks: ["authorization", "x"],
  },
  {
    why: "Authorization and s-maxage",
    isStored: true,
    answer: { fields: cc("s-maxage=60") },
    asks: ["authorization", "x"],
  },
  {
    why: "Authorization and must-revalidate",
    isStored: true,
    answer: { fields: cc("max-age=60, must-revalidate") },
    asks: ["authorization", "x"],
  },
  { why: "no-store of the request", isStored: false, answer: { fields: cc("max-age=60") }, asks: cc("no-store") },
  { why: "max-age that is no number", isStored: false, answer: { fields: cc("max-age=6O") } },
  { why: "max-age below 0", isStored: false, answer: { fields: cc("max-age=-1") } },
  { why: "max-age in quotes", isStored: true, answer: { fields: cc('max-age="60"') } },
  { why: "two max-age, one of them 0", isStored: false, answer: { fields: cc("max-age=60, max-age=0") } },
];
for (const { why, isStored, answer, asks = [] } of STORING)
  test(`§3: ${why}: ${isStored ? "stored" : "not stored"}`, () => {
    const site = new Site();
    site.answer = answer;
    const first = site.ask(asks);
    assert.equal(first.from, "backend");
    const second = site.ask();
    assert.equal(second.from, isStored ? "memory" : "backend");
    if (isStored) assert.equal(second.body, first.body);
  });

test("§3: a rule that asks who it is stores what says so alone", () => {
  for (const [value, from] of [
    ["max-age=60", "backend"],
    ["max-age=60, public", "memory"],
  ] as const) {
    const site = new Site({}, { guards: GUARDED });
    site.answer = { fields: cc(value) };
    site.ask();
    assert.equal(site.ask().from, from);
  }
});

test("§3.1: fields of one connection, of Age, and those that are named private are not stored", () => {
  const site = new Site();
  site.answer = {
    fields: [
      ...cc('max-age=60, private="x-user, x-b", no-cache=X-C'),
      "x-user",
      "1",
      "x-b",
      "2",
      "x-d",
      "4",
      "proxy-authenticate",
      "x",
    ],
  };
  site.ask();
  assert.equal(site.ask().from, "backend", "no-cache that cannot be read is about everything");
  site.answer = {
    fields: [
      ...cc('max-age=60, private="x-user, x-b"'),
      "x-user",
      "1",
      "x-b",
      "2",
      "x-d",
      "4",
      "proxy-authenticate",
      "x",
    ],
  };
  site.ask();
  const { from, fields } = site.ask();
  assert.equal(from, "memory");
  assert.deepEqual(
    [fieldOf(fields, "x-user"), fieldOf(fields, "x-b"), fieldOf(fields, "x-d"), fieldOf(fields, "proxy-authenticate")],
    [undefined, undefined, "4", undefined],
  );
});

test("§3.3: what was not complete is not stored", () => {
  for (const [octets, ends] of [
    [3, "end"],
    [9, "cancel"],
  ] as const) {
    const site = new Site();
    const lookup = site.lookup();
    assert.ok(lookup.kind === "fetch");
    const answer = lookup.fill.answered({
      status: 200,
      fields: cc("max-age=60"),
      bodyOctets: 9,
      declaredOctets: undefined,
    });
    assert.ok(answer.kind === "send");
    answer.writer!.write(Buffer.alloc(octets));
    answer.writer![ends]();
    assert.equal(site.lookup().kind, "fetch");
    assert.equal(site.cache.stats()[0]!.octets, 0);
  }
});

// ── §4.1: Vary ───────────────────────────────────────────────────────────────────────────────────────────────────

for (const { vary, first, second, isSame } of [
  { vary: "a", first: ["a", "1"], second: ["a", "1"], isSame: true },
  { vary: "a", first: ["a", "1"], second: ["a", "2"], isSame: false },
  { vary: "a", first: ["a", "1"], second: [], isSame: false },
  { vary: "a", first: [], second: ["a", ""], isSame: false },
  { vary: "a, b", first: ["a", "1"], second: ["b", "1"], isSame: false },
  { vary: "a", first: ["a", "1", "a", "2"], second: ["a", "1, 2"], isSame: true },
  { vary: "a", first: ["a", "1,2"], second: ["a", "1, 2"], isSame: false },
  {
    vary: "Accept-Encoding",
    first: ["accept-encoding", "br, gzip"],
    second: ["accept-encoding", "GZIP,br"],
    isSame: true,
  },
  {
    vary: "Accept-Encoding",
    first: ["accept-encoding", "gzip;q=0"],
    second: ["accept-encoding", "gzip"],
    isSame: false,
  },
  { vary: "Cookie", first: ["cookie", "u=1"], second: ["cookie", "u=2"], isSame: false },
  { vary: "X-Forwarded-For", first: [], second: [], isSame: false },
  { vary: "X-User", first: [], second: [], isSame: false },
])
  test(`§4.1: Vary: ${vary} with ${JSON.stringify([first, second])} ${isSame ? "is" : "is not"} the same`, () => {
    const site = new Site({}, { guards: GUARDED });
    site.answer = { fields: [...cc("public, max-age=60"), "vary", vary] };
    site.ask(first);
    assert.equal(site.ask(second).from, isSame ? "memory" : "backend");
  });

test("§4.1: of variants that a request selects the latest is used", () => {
  const site = new Site();
  site.answer = { fields: cc("max-age=600"), body: "of all" };
  site.ask();
  site.clock.advance(10_000);
  site.answer = { fields: [...cc("max-age=600"), "vary", "a"], body: "of a" };
  site.ask(["cache-control", "no-cache", "a", "1"]);
  assert.equal(site.ask(["a", "1"]).body, "of a");
});

// ── §4.2: freshness ──────────────────────────────────────────────────────────────────────────────────────────────

type Fresh = {
  readonly why: string;
  readonly fields: (site: Site) => Fields;
  readonly freshSeconds: number;
  readonly ttlMs?: number;
};
const FRESHNESS: readonly Fresh[] = [
  { why: "max-age", fields: () => cc("max-age=60"), freshSeconds: 60 },
  { why: "max-age and Age", fields: () => [...cc("max-age=60"), "age", "20"], freshSeconds: 40 },
  { why: "max-age and a list of Age", fields: () => [...cc("max-age=60"), "age", "20, 50"], freshSeconds: 40 },
  { why: "an Age that is no number", fields: () => [...cc("max-age=60"), "age", "-1"], freshSeconds: 0 },
  { why: "an old Date", fields: (site) => ["date", site.date(-20), ...cc("max-age=60")], freshSeconds: 40 },
  { why: "a Date ahead", fields: (site) => ["date", site.date(20), ...cc("max-age=60")], freshSeconds: 60 },
  { why: "s-maxage before max-age", fields: () => cc("max-age=600, s-maxage=60"), freshSeconds: 60 },
  {
    why: "max-age before Expires",
    fields: (site) => [...cc("max-age=60"), "expires", site.date(600)],
    freshSeconds: 60,
  },
  { why: "Expires", fields: (site) => ["expires", site.date(60)], freshSeconds: 60 },
  {
    why: "Expires by the backend's clock",
    fields: (site) => ["date", site.date(100), "expires", site.date(160)],
    freshSeconds: 60,
  },
  { why: "Expires: 0", fields: () => ["expires", "0"], freshSeconds: 0 },
  { why: "two Expires", fields: (site) => ["expires", site.date(60), "expires", site.date(60)], freshSeconds: 0 },
  { why: "Expires and the rule's ttl", fields: (site) => ["expires", site.date(60)], freshSeconds: 60, ttlMs: 5_000 },
  { why: "the rule's ttl", fields: () => [], freshSeconds: 5, ttlMs: 5_000 },
  { why: "a tenth since Last-Modified", fields: (site) => ["last-modified", site.date(-1000)], freshSeconds: 100 },
  { why: "a day at most", fields: (site) => ["last-modified", site.date(-1e8)], freshSeconds: 86_400 },
  { why: "Last-Modified ahead", fields: (site) => ["last-modified", site.date(1000)], freshSeconds: 0 },
];
for (const { why, fields, freshSeconds, ttlMs = 0 } of FRESHNESS)
  test(`§4.2: fresh for ${freshSeconds} s by ${why}`, () => {
    const site = new Site({ defaultTtlMs: ttlMs });
    site.answer = { fields: fields(site) };
    site.ask();
    if (freshSeconds > 0) {
      site.clock.advance(freshSeconds * 1000 - 1);
      assert.equal(site.ask().from, "memory");
      site.clock.advance(1);
    }
    assert.notEqual(site.ask().from, "memory");
  });

test("§4.2.3: Age is what it had, the time on the way, and the time here", () => {
  const site = new Site();
  const lookup = site.lookup();
  assert.ok(lookup.kind === "fetch");
  site.clock.advance(2_000);
  const answer = lookup.fill.answered({
    status: 200,
    fields: [...cc("max-age=60"), "age", "10"],
    bodyOctets: 0,
    declaredOctets: undefined,
  });
  assert.ok(answer.kind === "send");
  answer.writer!.end();
  site.clock.advance(3_999);
  const { fields } = site.ask();
  assert.equal(fieldOf(fields, "age"), "15");
  assert.ok(fieldOf(fields, "date") !== undefined);
});

// ── §4.2.4, §5.2.2, RFC 5861: stale ──────────────────────────────────────────────────────────────────────────────

type Stale = {
  readonly why: string;
  readonly control: string;
  readonly grace?: number;
  readonly error?: "stale";
  readonly swr?: "stale";
  readonly asks?: string;
};
const STALE: readonly Stale[] = [
  { why: "nothing allows it", control: "max-age=10" },
  { why: "the configuration does", control: "max-age=10", grace: 60_000, error: "stale", swr: "stale" },
  { why: "the response does on errors", control: "max-age=10, stale-if-error=60", error: "stale" },
  { why: "the response does meanwhile", control: "max-age=10, stale-while-revalidate=60", swr: "stale" },
  {
    why: "for less than it has been stale",
    control: "max-age=10, stale-while-revalidate=1, stale-if-error=1",
    grace: 60_000,
  },
  {
    why: "must-revalidate forbids it",
    control: "max-age=10, must-revalidate, stale-while-revalidate=60, stale-if-error=60",
    grace: 60_000,
  },
  { why: "proxy-revalidate forbids it", control: "max-age=10, proxy-revalidate", grace: 60_000 },
  { why: "no-cache forbids it", control: "max-age=10, no-cache", grace: 60_000 },
  { why: "s-maxage forbids it", control: "s-maxage=10", grace: 60_000 },
  {
    why: "s-maxage with a time of grace",
    control: "s-maxage=10, stale-while-revalidate=60, stale-if-error=60",
    error: "stale",
    swr: "stale",
  },
  { why: "the client wants it fresh", control: "max-age=10", grace: 60_000, asks: "max-age=100" },
  { why: "the client takes it", control: "max-age=10", asks: "max-stale", error: "stale", swr: "stale" },
  { why: "the client takes it if it is not too stale", control: "max-age=10", asks: "max-stale=4" },
  {
    why: "the client takes it, but the response does not allow it",
    control: "max-age=10, must-revalidate",
    asks: "max-stale",
  },
];
for (const { why, control, grace = 0, error, swr, asks } of STALE)
  for (const backend of ["down", "failing", "up"] as const)
    test(`§4.2.4: stale, backend ${backend}: ${why}`, () => {
      const site = new Site({ staleIfErrorMs: grace, staleWhileRevalidateMs: grace });
      site.answer = { fields: [...cc(control), ...TAG], body: "old" };
      site.ask();
      site.clock.advance(15_000);
      site.answer =
        backend === "down" ? "down" : backend === "failing" ? { status: 503, body: "error" } : { body: "new" };
      const got = site.ask(asks === undefined ? [] : cc(asks));
      const isStale = (backend === "up" ? undefined : error) === "stale" || swr === "stale";
      assert.equal(got.body, isStale ? "old" : backend === "up" ? "new" : backend === "failing" ? "error" : "");
      if (isStale) assert.equal(got.hit!.outcome, "stale");
    });

test("RFC 5861 §3: one request fetches a new one in the background, and all others are served", () => {
  const site = new Site();
  site.answer = { fields: [...cc("max-age=10, stale-while-revalidate=60"), ...TAG], body: "old" };
  site.ask();
  site.clock.advance(15_000);
  const { refresh } = site.ask(["if-none-match", '"other"', "range", "bytes=0-0"]).hit!;
  assert.equal(site.ask().hit!.refresh, undefined);
  site.answer = { fields: cc("max-age=10"), body: "new" };
  site.settle(refresh!, ["if-none-match", '"other"', "range", "bytes=0-0", "a", "1"]);
  assert.deepEqual(site.seen.at(-1)!.fields, ["a", "1", "if-none-match", '"a"']);
  assert.equal(site.ask().body, "new");
  assert.equal(site.seen.length, 2);
});

test("RFC 5861 §3: after a refresh that failed the next request tries again", () => {
  const site = new Site();
  site.answer = { fields: cc("max-age=10, stale-while-revalidate=60"), body: "old" };
  site.ask();
  site.clock.advance(15_000);
  site.answer = "down";
  site.settle(site.ask().hit!.refresh!);
  assert.ok(site.ask().hit!.refresh !== undefined);
});

// ── §5.2.1: directives of requests ───────────────────────────────────────────────────────────────────────────────

for (const { asks, from } of [
  { asks: cc("max-age=30"), from: "memory" },
  { asks: cc("max-age=19"), from: "backend" },
  { asks: cc("max-age=0"), from: "backend" },
  { asks: cc("min-fresh=40"), from: "memory" },
  { asks: cc("min-fresh=41"), from: "backend" },
  { asks: cc("no-cache"), from: "backend" },
  { asks: cc("no-store"), from: "backend" },
  { asks: ["pragma", "no-cache"], from: "backend" },
  { asks: ["pragma", "no-cache", "cache-control", "x"], from: "memory" },
  { asks: cc("only-if-cached"), from: "memory" },
  { asks: cc("only-if-cached, no-cache"), from: "cache itself" },
  { asks: cc("max-age=x"), from: "backend" },
] as const)
  test(`§5.2.1: 20 s after max-age=60, ${JSON.stringify(asks)} is answered from ${from}`, () => {
    const site = new Site();
    site.answer = { fields: cc("max-age=60") };
    site.ask();
    site.clock.advance(20_000);
    assert.equal(site.ask([...asks]).from, from);
  });

test("§5.2.1.7: only-if-cached is answered 504 where there is nothing", () =>
  assert.equal(new Site().ask(cc("only-if-cached")).status, 504));

// ── §4.3: validation ─────────────────────────────────────────────────────────────────────────────────────────────

test("§4.3.1: our own conditions take the place of the client's", () => {
  const site = new Site();
  const changed = site.date(-5);
  site.answer = { fields: [...cc("max-age=0"), ...TAG, "last-modified", changed] };
  site.ask();
  site.ask(["if-none-match", '"mine"', "range", "bytes=0-1", "if-range", '"mine"', "a", "1"]);
  assert.deepEqual(site.seen[1]!.fields, ["a", "1", "if-none-match", '"a"', "if-modified-since", changed]);
});

test("§4.3.2: conditions for the origin alone go there", () => {
  const site = new Site();
  site.answer = { fields: [...cc("max-age=60"), ...TAG] };
  site.ask();
  for (const name of ["if-match", "if-unmodified-since"]) assert.equal(site.ask([name, '"a"']).from, "backend");
});

test("§4.3.4: a 304 changes the fields, and the response is fresh again", () => {
  const site = new Site();
  site.answer = {
    fields: [...cc("max-age=10"), ...TAG, "x-a", "1", "x-b", "1", "content-encoding", "br"],
    body: "body",
  };
  site.ask();
  site.clock.advance(15_000);
  site.answer = { status: 304, fields: [...cc("max-age=20"), ...TAG, "x-a", "2", "x-a", "3", "content-encoding", "x"] };
  const got = site.ask();
  assert.deepEqual(
    [
      got.status,
      got.body,
      got.hit!.outcome,
      fieldOf(got.fields, "x-b"),
      fieldOf(got.fields, "content-encoding"),
      fieldOf(got.fields, "age"),
    ],
    [200, "body", "revalidated", "1", "br", "0"],
  );
  site.clock.advance(19_999);
  const again = site.ask();
  assert.equal(again.from, "memory");
  assert.deepEqual(
    again.fields.filter((_, at) => again.fields[at - 1] === "x-a"),
    ["2", "3"],
  );
});

for (const [why, fields] of [
  ["with another strong tag", [...cc("max-age=60"), "etag", '"b"']],
  ["that says no-store", cc("no-store")],
  ["that says private", cc("private")],
  ["that varies by something else", [...cc("max-age=60"), "vary", "a"]],
] as const)
  test(`§4.3.4: after a 304 ${why} it is not stored any more`, () => {
    const site = new Site();
    site.answer = { fields: [...cc("max-age=10"), ...TAG], body: "body" };
    site.ask();
    site.clock.advance(15_000);
    site.answer = { status: 304, fields: [...fields] };
    assert.equal(site.ask().body, "body");
    site.answer = { body: "new" };
    assert.equal(site.ask().body, "new");
  });

for (const [why, head, left] of [
  ["the same tag", { fields: [...cc("max-age=60"), ...TAG] }, "memory"],
  ["another tag", { fields: [...cc("max-age=60"), "etag", '"b"'] }, "backend"],
  ["another status", { status: 404, fields: cc("max-age=60") }, "backend"],
] as const)
  test(`§4.3.5: a HEAD with ${why}: the next GET comes from ${left}`, () => {
    const site = new Site();
    site.answer = { fields: [...cc("max-age=10"), ...TAG], body: "" };
    site.ask();
    site.clock.advance(15_000);
    site.answer = { ...head, fields: [...head.fields] };
    const got = site.ask([], { method: "HEAD" });
    assert.deepEqual([got.from, site.seen.at(-1)!.method, site.seen.at(-1)!.fields], ["backend", "HEAD", []]);
    assert.equal(site.ask().from, left);
  });

// ── §4.4: invalidation ───────────────────────────────────────────────────────────────────────────────────────────

for (const { why, method, status, fields, gone } of [
  { why: "a POST that succeeded", method: "POST", status: 200, fields: [], gone: ["/a"] },
  { why: "a redirect", method: "PUT", status: 303, fields: [], gone: ["/a"] },
  { why: "a method that nobody knows", method: "FROB", status: 200, fields: [], gone: ["/a"] },
  { why: "a POST that failed", method: "POST", status: 500, fields: [], gone: [] },
  { why: "a POST that was refused", method: "POST", status: 403, fields: [], gone: [] },
  { why: "OPTIONS", method: "OPTIONS", status: 200, fields: [], gone: [] },
  { why: "Location", method: "POST", status: 201, fields: ["location", "/b?x=1"], gone: ["/a", "/b?x=1"] },
  {
    why: "Content-Location, relative",
    method: "POST",
    status: 200,
    fields: ["content-location", "b?x=1"],
    gone: ["/a", "/b?x=1"],
  },
  {
    why: "Location of the same origin",
    method: "POST",
    status: 201,
    fields: ["location", "http://WWW.example:80/b?x=1"],
    gone: ["/a", "/b?x=1"],
  },
  {
    why: "Location of another origin",
    method: "POST",
    status: 201,
    fields: ["location", "https://www.example/b?x=1"],
    gone: ["/a"],
  },
  { why: "a Location that is none", method: "POST", status: 201, fields: ["location", "http://["], gone: ["/a"] },
])
  test(`§4.4: ${why} makes ${gone.join(" and ") || "nothing"} invalid`, () => {
    const site = new Site();
    for (const target of ["/a", "/b?x=1"])
      for (const a of ["1", "2"]) {
        site.answer = { fields: [...cc("max-age=60"), "vary", "a"] };
        site.ask(["a", a], { target });
      }
    site.answer = { status, fields };
    site.ask([], { target: "/a", method, bodyOctets: 3 });
    for (const target of ["/a", "/b?x=1"])
      for (const a of ["1", "2"])
        assert.equal(site.lookup(["a", a], { target }).kind === "serve", !gone.includes(target), `${target} ${a}`);
    assert.deepEqual(
      site.invalid,
      gone.map((target) => `http://www.example${target}`),
    );
  });

test("§4.4: what was fetched while a write went on is not stored", () => {
  const site = new Site();
  const lookup = site.lookup();
  assert.ok(lookup.kind === "fetch");
  site.answer = { fields: cc("max-age=60") };
  site.ask([], { method: "POST" });
  const answer = lookup.fill.answered({
    status: 200,
    fields: cc("max-age=60"),
    bodyOctets: 0,
    declaredOctets: undefined,
  });
  assert.ok(answer.kind === "send");
  answer.writer?.end();
  assert.equal(site.lookup().kind, "fetch");
});
