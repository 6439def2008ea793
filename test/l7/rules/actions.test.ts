/** What rules do: pools, splits, redirects, answers, rewrites, fields; and that nothing a client sends breaks out of them. */
import assert from "node:assert/strict";
import test from "node:test";
import { isFieldValue, isTarget } from "#l7/http1/grammar.ts";
import { fieldOf } from "#l7/message.ts";
import { type Asked, ask, routeOf, routerOf } from "./bed.ts";

async function decisionOf(rule: object, asked: Asked = {}) {
  const request = ask(asked);
  const route = await routeOf(routerOf([rule]), request);
  assert.ok(route, "no rule matches");
  return { route, request, decision: route.decide(request, 0) };
}
async function replyOf(rule: object, asked: Asked = {}) {
  const { decision } = await decisionOf(rule, asked);
  assert.ok(decision.kind === "reply");
  return decision.reply;
}

for (const [redirect, asked, status, location] of [
  ["https://new.example", { target: "/a%20b?c=d" }, 308, "https://new.example/a%20b?c=d"],
  ["https://new.example:8443/x", { target: "/a?c" }, 308, "https://new.example:8443/x?c"],
  ["/login", { target: "/a", host: "www.example:8080" }, 308, "http://www.example:8080/login"],
  [{ scheme: "https" }, { target: "/a", host: "www.example:8080" }, 308, "https://www.example/a"],
  [{ scheme: "https", port: 8443 }, { target: "/" }, 308, "https://www.example:8443/"],
  [{ status: 302, host: "b.{host}", query: false }, { target: "/a?b" }, 302, "http://b.www.example/a"],
  [{ path: "/n{path}" }, { target: "/a/%c3%a4%20?q" }, 308, "http://www.example/n/a/%C3%A4%20?q"],
  ["/x", { host: "", target: "/" }, 308, "/x"],
  [{ status: 301 }, { host: "", target: "//evil.example/%2e" }, 301, "/evil.example/"],
  [{ path: "/{path}" }, { host: "", target: "/evil.example" }, 308, "/evil.example"],
] as const)
  test(`redirect ${JSON.stringify(redirect)} of ${JSON.stringify(asked)}`, async () => {
    const reply = await replyOf({ redirect }, asked);
    assert.deepEqual([reply.status, fieldOf(reply.fields, "location")], [status, location]);
  });

test("a redirect may use groups of the rule's path", async () => {
  const rule = { match: { path: { regex: "^/old/(.*)$" } }, redirect: { path: "/new/$1" } };
  assert.equal(fieldOf((await replyOf(rule, { target: "/old/x/y" })).fields, "location"), "http://www.example/new/x/y");
});

test("respond answers by itself, each time with fields of its own", async () => {
  const rule = { respond: { status: 503, body: "later", headers: { "Retry-After": "60" } } };
  const reply = await replyOf(rule);
  assert.deepEqual(reply, {
    status: 503,
    fields: ["content-type", "text/plain; charset=utf-8", "retry-after", "60"],
    body: "later",
  });
});

for (const [rewrite, target, expected] of [
  [undefined, "/a/../b//c?d", "/a/../b//c?d"],
  [{ prefix: "/api/", to: "/" }, "/api/x?y=1", "/x?y=1"],
  [{ prefix: "/api", to: "/" }, "/api/x", "/x"],
  [{ prefix: "/api", to: "" }, "/api//evil", "/evil"],
  [{ prefix: "/api/", to: "/v2/" }, "/other", "/other"],
  [{ regex: "^/v([0-9]+)/(.*)$", to: "/$2/$1" }, "/v7/a%20b?c", "/a%20b/7?c"],
  [{ regex: "x", to: "$$1{{y" }, "/axb", "/a$1%7Byb"],
  [{ path: "/i.html" }, "/anything?q", "/i.html?q"],
  [{ path: "/{host}{path}" }, "/%3fq%23", "/www.example/%3Fq%23"],
  [{ prefix: "/a", to: "/b" }, "/a/%C3%A4%25", "/b/%C3%A4%25"],
] as const)
  test(`rewrite ${JSON.stringify(rewrite)} of ${target}`, async () => {
    const { route, request } = await decisionOf({ pool: "web", ...(rewrite && { rewrite }) }, { target });
    assert.equal(route.rewrite(request), expected);
    assert.ok(isTarget(route.rewrite(request)));
  });

const TLS = {
  serverName: "sni.example",
  alpn: undefined,
  version: "TLSv1.3",
  cipher: "x",
  peer: { subject: "CN=kim", fingerprint: "ab12" },
};
test("fields are set, added and removed, with what placeholders stand for", async () => {
  const rule = {
    match: { path: { regex: "^/(.*)$" } },
    pool: "web",
    request: {
      set: {
        "X-All": "{client} {host} {path} {request_id} {sni} {cert_subject} {cert_fingerprint} $1 $$ {{",
        "X-Claim": "{claim:realm.roles}",
        "X-Empty": "{claim:none}",
      },
      add: { "X-More": "2" },
      remove: ["X-Gone"],
    },
    response: { set: { "Cache-Control": "public, immutable" }, remove: ["server"] },
  };
  const { route, request } = await decisionOf(rule, {
    target: "/a%c3%a4",
    tls: TLS,
    fields: { "x-empty": "mine", "x-all": "mine" },
  });
  request.claims = { realm: { roles: ["a", "b"] } };
  const fields = ["x-gone", "1", "x-all", "mine", "x-more", "1", "x-empty", "mine", "X", "y"];
  route.editRequest(fields, request);
  const all = Buffer.from(fieldOf(fields, "x-all")!, "latin1").toString("utf8");
  assert.equal(all, "192.0.2.1 www.example /aä id-1 sni.example CN=kim ab12 aä $ {");
  assert.equal(fieldOf(fields, "x-claim"), "a,b");
  assert.equal(fieldOf(fields, "x-empty"), undefined, "what a client sends does not stand for a value of ours");
  assert.equal(fieldOf(fields, "x-gone"), undefined);
  assert.equal(fields.filter((text) => text === "x-more").length, 2);
  const answer = ["server", "x", "cache-control", "no-store"];
  route.editResponse(answer, request);
  assert.deepEqual(answer, ["cache-control", "public, immutable"]);
});

test("R43: values that cannot be sent leave no field, whatever they were made of", async () => {
  const rule = { pool: "web", request: { set: { "X-User": "u={claim:sub}" }, add: { "X-Added": "{claim:sub}" } } };
  for (const sub of ["a\r\nX-Admin: 1", "a\nb", "a\0", "\u007f", "a\u0001"]) {
    const { route, request } = await decisionOf(rule);
    request.claims = { sub };
    const fields = ["x-user", "mine"];
    route.editRequest(fields, request);
    assert.deepEqual(fields, [], JSON.stringify(sub));
  }
  const { route, request } = await decisionOf(rule);
  request.claims = { sub: "日本" };
  const fields: string[] = [];
  route.editRequest(fields, request);
  assert.equal(Buffer.from(fieldOf(fields, "x-user")!, "latin1").toString("utf8"), "u=日本");
  assert.ok(fields.every(isFieldValue));
});

test("a split gives each pool its share, and none to weight 0", async () => {
  const { route, request } = await decisionOf({ split: { web: 95, canary: 5, api: 0 } });
  const counts: Record<string, number> = {};
  for (let round = 0; round < 20_000; round++) {
    const decision = route.decide(request, 0);
    assert.ok(decision.kind === "pool" && decision.setCookie === undefined);
    const { name } = decision.pool.spec;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  assert.deepEqual(Object.keys(counts).sort(), ["canary", "web"]);
  assert.ok(Math.abs(counts["canary"]! / 20_000 - 0.05) < 0.01, JSON.stringify(counts));
});

test("a split by source keeps each client at its part, and the shares over all", async () => {
  const router = routerOf([{ name: "s", split: { parts: { web: 90, canary: 10 }, sticky: "source" } }]);
  let canary = 0;
  for (let client = 0; client < 4_000; client++) {
    const request = ask({ source: `10.0.${client >> 8}.${client & 255}` });
    const route = await routeOf(router, request);
    const names = [0, 1].map(() => {
      const decision = route!.decide(request, 0);
      return decision.kind === "pool" ? decision.pool.spec.name : "";
    });
    assert.equal(names[0], names[1]);
    if (names[0] === "canary") canary += 1;
  }
  assert.ok(Math.abs(canary / 4_000 - 0.1) < 0.02, String(canary));
});

test("a split by cookie keeps who brings it, and gives it to who does not, or to a part without weight", async () => {
  const rule = { split: { parts: { web: 100, canary: 1, api: 0 }, sticky: { cookie: "part", ttl: "1m" } } };
  for (const [cookie, pool, isSet] of [
    ["part=canary", "canary", false],
    ["part=api", "web", true],
    ["part=gone", "web", true],
    ["", "web", true],
  ] as const) {
    const { decision } = await decisionOf(rule, { fields: { cookie }, scheme: "https" });
    assert.ok(decision.kind === "pool");
    assert.equal(decision.pool.spec.name, pool, cookie);
    assert.equal(
      decision.setCookie,
      isSet ? "part=web; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure" : undefined,
    );
  }
});
