/** What a response is stored under: nobody gets what was meant for another URL, host, rule or pool. */
import assert from "node:assert/strict";
import test from "node:test";
import { keyOf } from "#l7/cache/key.ts";
import { head, request, rule } from "./bed.ts";
import { Site } from "./site.ts";

const FRESH = { fields: ["cache-control", "max-age=60"] };

for (const [why, first, second, isSame] of [
  ["R45: another host", { authority: "a.example" }, { authority: "b.example" }, false],
  ["R45: another port", { authority: "a.example:8080" }, { authority: "a.example:8081" }, false],
  ["R45: another scheme", { scheme: "http" }, { scheme: "https" }, false],
  ["R45: another query", { target: "/?a=1" }, { target: "/?a=2" }, false],
  ["R45: the same parameters in another order", { target: "/?a=1&b=2" }, { target: "/?b=2&a=1" }, false],
  ["R45: no query", { target: "/" }, { target: "/?" }, false],
  ["R45: another case of the path", { target: "/A" }, { target: "/a" }, false],
  ["another spelling of the path", { target: "/%61" }, { target: "/a" }, false],
  ["dot segments", { target: "/x/../a" }, { target: "/a" }, false],
  ["another case of the host", { authority: "WWW.example" }, { authority: "www.EXAMPLE" }, true],
  ["the scheme's own port", { authority: "www.example:80" }, { authority: "www.example" }, true],
  ["the port of the other scheme", { authority: "www.example:443" }, { authority: "www.example" }, false],
] as const)
  test(`${why} ${isSame ? "is" : "is not"} the same`, () => {
    const site = new Site();
    site.answer = FRESH;
    site.ask([], first);
    assert.equal(site.lookup([], second).kind === "serve", isSame);
  });

for (const [why, more] of [
  ["an authority with a slash", { authority: "a.example/b", target: "/c" }],
  ["an authority with a question mark", { authority: "a.example?b", target: "/c" }],
  ["an authority with user information", { authority: "u@a.example" }],
  ["an authority with white space", { authority: "a.example b" }],
  ["an authority with octets over 0x7f", { authority: "a\xe9.example" }],
  ["an asterisk", { target: "*" }],
  ["a target without a slash", { target: "http://b.example/" }],
] as const)
  test(`R45: ${why} has no key`, () => {
    assert.equal(keyOf(head([], more)), undefined);
    assert.equal(new Site().lookup([], more).kind, "pass");
  });

test("no two requests of different parts have the same key", () => {
  const parts = ["a", "b", ".", ":80", ":443", "/", "?", "&", "//", "%2f", "@", "#", "[", "]", ""];
  const seen = new Map<string, string>();
  for (const scheme of ["http", "https"] as const)
    for (const one of parts)
      for (const two of parts)
        for (const three of parts) {
          const authority = `${one}${two}`;
          for (const target of [`/${three}`, `/${two}${three}`]) {
            const key = keyOf({ scheme, authority, target });
            if (key === undefined) continue;
            const port = scheme === "http" ? /:80$/ : /:443$/;
            const meant = JSON.stringify([scheme, authority.replace(port, ""), target]);
            assert.equal(seen.get(key) ?? meant, meant);
            seen.set(key, meant);
          }
        }
  assert.ok(seen.size > 500);
});

for (const [why, fields] of [
  ["X-Forwarded-Host", ["x-forwarded-host", "evil.example"]],
  ["X-Forwarded-Scheme", ["x-forwarded-scheme", "nothttps"]],
  ["X-Original-URL", ["x-original-url", "/admin"]],
  ["a field that makes the backend answer 400", ["x-oversized", "a".repeat(4_000)]],
] as const)
  test(`a client cannot put an error in the place of a page by ${why}`, () => {
    const site = new Site();
    site.answer = (seen) => (seen.fields.includes(fields[0]) ? { status: 400, ...FRESH, body: "poison" } : FRESH);
    assert.equal(site.ask([...fields]).body, "poison");
    assert.notEqual(site.ask().body, "poison");
  });

test("pools of a split do not answer for each other", () => {
  const site = new Site();
  site.answer = FRESH;
  site.ask([], {}, "blue");
  assert.equal(site.lookup([], {}, undefined, "green").kind, "fetch");
  assert.equal(site.lookup([], {}, undefined, "blue").kind, "serve");
});

test("rules that change the request otherwise do not answer for each other, though they share a store", () => {
  const site = new Site();
  site.answer = FRESH;
  site.ask();
  for (const [why, other, isSame] of [
    ["the same again, as after a reload", {}, true],
    ["another name", { name: "other" }, false],
    ["another rewrite", { rewrite: { kind: "path", to: "/b" } }, false],
    ["another field", { requestHeaders: [{ kind: "set", name: "x-a", value: "1" }] }, false],
  ] as const) {
    const route = site.cache.route("web", rule({}, other))!;
    const lookup = route.lookup(request(head()), "pool", { onCached: () => {} });
    assert.equal(lookup.kind === "serve", isSame, why);
  }
  assert.equal(
    site.cache.route("admin", rule())!.lookup(request(head()), "pool", { onCached: () => {} }).kind,
    "fetch",
  );
});

test("a field that is made for each client is no selector", () => {
  const site = new Site({}, { requestHeaders: [{ kind: "set", name: "X-Tenant", value: "{claim:tenant}" }] });
  site.answer = { fields: ["cache-control", "max-age=60", "vary", "x-tenant"] };
  site.ask();
  assert.equal(site.ask().from, "backend");
});

test("requests with a body, an upgrade or another method pass by", () => {
  const site = new Site();
  site.answer = FRESH;
  site.ask();
  for (const more of [{ bodyOctets: 3 }, { upgrade: "websocket" }, { method: "POST" }, { method: "OPTIONS" }])
    assert.equal(site.lookup([], more).kind, "pass");
});
