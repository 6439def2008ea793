/** `mode http` of HAProxy, line by line: which rule each becomes, in which order, and what is said of the rest. */
import assert from "node:assert/strict";
import test from "node:test";
import { balancerOf, importText, noteTexts } from "./load-sample.ts";

const config = (lines: string, more = "", bind = "bind 127.0.0.1:80"): string => `defaults
  mode http
  option forwardfor
frontend f
  ${bind}
${lines}
  default_backend b
backend b
  balance roundrobin
  server s 10.0.0.1:80
${more}
backend c
  balance roundrobin
  server s 10.0.0.2:80
`;
type Rule = Readonly<Record<string, unknown>>;
const importOf = (lines: string, more?: string, bind?: string) => importText("haproxy", config(lines, more, bind));
const rulesOf = (lines: string, more?: string, bind?: string): Rule[] =>
  balancerOf(importOf(lines, more, bind)).listeners["f"]!["rules"] as Rule[];
const TLS = "bind 127.0.0.1:443 ssl crt /etc/site.pem";
const LAST = { name: "default", pool: "b" };

test("a frontend is an HTTP listener, one with TLS an HTTPS listener", () => {
  const imported = importOf("");
  assert.deepEqual(balancerOf(imported).listeners["f"], { listen: "127.0.0.1:80", protocol: "http", rules: [LAST] });
  assert.deepEqual(noteTexts(imported), []);
  const { f } = balancerOf(importOf("", "", `${TLS} alpn http/1.1`)).listeners;
  assert.equal(f!["protocol"], "https");
  assert.deepEqual(f!["certificates"], [{ cert: "/etc/site.pem", key: "/etc/site.pem" }]);
  assert.deepEqual(f!["http"], { http2: { enabled: false } });
});

for (const { condition, match } of [
  { condition: "{ path /a /b }", match: { path: [{ exact: "/a" }, { exact: "/b" }] } },
  { condition: "{ path_beg /a }", match: { path: { prefix: "/a" } } },
  { condition: "{ path_beg -i /a }", match: { path: { regex: "(?i)^\\/a" } } },
  { condition: "{ path -m beg /a }", match: { path: { prefix: "/a" } } },
  { condition: "{ path_end .php .cgi }", match: { path: { regex: "(\\.php$)|(\\.cgi$)" } } },
  { condition: "{ path_sub wp- }", match: { path: { regex: "wp-" } } },
  { condition: "{ path_reg ^/v[0-9]+/ }", match: { path: { regex: "^/v[0-9]+/" } } },
  { condition: "{ method POST PUT }", match: { method: ["POST", "PUT"] } },
  { condition: "METH_GET", match: { method: ["GET", "HEAD"] } },
  { condition: "{ hdr(host) -i WWW.Example.com }", match: { host: "www.example.com" } },
  { condition: "{ req.hdr(Host) a.example:8080 b.example }", match: { host: ["a.example", "b.example"] } },
  { condition: "{ hdr_end(host) -i .example.com }", match: { host: "*.example.com" } },
  { condition: "{ hdr(X-Canary) yes }", match: { header: { "X-Canary": { exact: "yes" } } } },
  { condition: "{ hdr(X-Canary) -m found }", match: { header: { "X-Canary": true } } },
  { condition: "!{ hdr(X-Canary) -m found }", match: { header: { "X-Canary": false } } },
  { condition: "! { hdr_beg(X-A) v }", match: { header: { "X-A": { prefix: "v", not: true } } } },
  { condition: "{ hdr_sub(User-Agent) -i bot }", match: { header: { "User-Agent": { regex: "(?i)bot" } } } },
  { condition: "{ req.cook(plan) gold }", match: { cookie: { plan: { exact: "gold" } } } },
  { condition: "{ url_param(v) 2 3 }", match: { query: { v: { regex: "(^2$)|(^3$)" } } } },
  { condition: "{ src 10.0.0.0/8 192.0.2.1 }", match: { source: ["10.0.0.0/8", "192.0.2.1/32"] } },
  { condition: "{ path_beg /a } { hdr(host) x.example }", match: { path: { prefix: "/a" }, host: "x.example" } },
  { condition: "{ hdr(A) 1 } { hdr(B) 2 }", match: { header: { A: { exact: "1" }, B: { exact: "2" } } } },
] as const) {
  test(`use_backend if ${condition} is a rule`, () => {
    assert.deepEqual(rulesOf(`  use_backend c if ${condition}`), [{ match, pool: "c" }, LAST]);
  });
}

test("alternatives are a rule each, and lines of one ACL are alternatives", () => {
  const acl = "  acl x path /a\n  acl x hdr(host) h.example\n";
  const expected = [{ match: { path: { exact: "/a" } }, pool: "c" }, { match: { host: "h.example" }, pool: "c" }, LAST];
  assert.deepEqual(rulesOf(`${acl}  use_backend c if x`), expected);
  assert.deepEqual(rulesOf("  use_backend c if { path /a } or { hdr(host) h.example }"), expected);
  const both = rulesOf(`${acl}  use_backend c if x METH_POST`);
  assert.deepEqual(both[0], { match: { path: { exact: "/a" }, method: "POST" }, pool: "c" });
});

for (const condition of [
  "!{ path_beg /a }",
  "{ hdr_reg(host) ^www }",
  "{ path_reg (?=a) }",
  "{ path -f /etc/list }",
  "{ path_beg /a } { path_end .php }",
  "{ hdr(A) 1 } { hdr(A) 2 }",
  "{ http_auth(users) }",
  "nobody",
  "{ path_beg /a } nobody",
  "{ ssl_c_verify 0 }",
]) {
  test(`use_backend if ${condition} cannot be said, and no request goes another way by it`, () => {
    const imported = importOf(`  use_backend c if ${condition}`);
    assert.deepEqual(balancerOf(imported).listeners["f"]!["rules"], [LAST]);
    assert.match(noteTexts(imported).join("\n"), /sample:6: use_backend: The condition/);
  });
}

for (const { line, rule } of [
  { line: "http-request deny if { path /a }", rule: { respond: { status: 403 } } },
  { line: "http-request deny deny_status 429 if { path /a }", rule: { respond: { status: 429 } } },
  {
    line: 'http-request return status 200 content-type text/plain string "all well" if { path /a }',
    rule: { respond: { status: 200, contentType: "text/plain", body: "all well" } },
  },
  { line: "redirect scheme https code 301 if { path /a }", rule: { redirect: { status: 301, scheme: "https" } } },
  { line: "redirect scheme https if { path /a }", rule: { redirect: { status: 302, scheme: "https" } } },
  {
    line: "http-request redirect prefix https://new.example:8443 code 308 if { path /a }",
    rule: { redirect: { status: 308, scheme: "https", host: "new.example", port: 8443 } },
  },
  {
    line: "http-request redirect location /b if { path /a }",
    rule: { redirect: { status: 302, path: "/b", query: false } },
  },
]) {
  test(`${line} answers by itself`, () => {
    assert.deepEqual(rulesOf(`  ${line}`), [{ match: { path: { exact: "/a" } }, ...rule }, LAST]);
  });
}

for (const line of [
  "http-request redirect location /b?x=%[path] if { path /a }",
  "redirect prefix /b if { path /a }",
  "http-request return status 200 file /etc/page if { path /a }",
  "http-request set-path /b if { path /a }",
  "http-request set-header X-A 1 if { path /a }",
  "http-request set-header X-A %[rand]",
  "http-request set-header Host other.example",
  "http-response replace-header X-A a b",
]) {
  test(`${line} is left out, and said`, () => {
    const imported = importOf(`  ${line}`);
    assert.deepEqual(balancerOf(imported).listeners["f"]!["rules"], [LAST]);
    assert.equal(noteTexts(imported).filter((text) => text.startsWith("sample:6: ")).length, 1);
  });
}

test("what answers comes first, then redirects, then backends; nothing stands behind what takes all", () => {
  const lines = `  use_backend c if { path /a }
  redirect scheme https if { path /b }
  http-request deny if { path /c }`;
  assert.deepEqual(
    rulesOf(lines).map(({ pool, redirect, respond }) => pool ?? redirect ?? respond),
    [{ status: 403 }, { status: 302, scheme: "https" }, "c", "b"],
  );
  assert.equal(rulesOf("  redirect scheme https\n  use_backend c if { path /a }").length, 1);
});

test("whether TLS ended here is known of each listener", () => {
  const lines = "  redirect scheme https if !{ ssl_fc }\n  http-request set-header X-S on if { ssl_fc }";
  assert.deepEqual(rulesOf(lines), [{ redirect: { status: 302, scheme: "https" } }]);
  assert.deepEqual(rulesOf(lines, "", TLS), [{ ...LAST, request: { set: { "X-S": "on" } } }]);
});

test("fields of frontend and backend are written by the rules that lead there", () => {
  const lines = `  http-request set-header X-Real %[src]
  http-request add-header X-Cost $5{x}%%
  http-request del-header X-Debug
  http-response set-header X-Frame DENY
  use_backend c if { path /a }`;
  const [rule, last] = rulesOf(lines, "  http-response del-header Server");
  const request = { set: { "X-Real": "{client}" }, add: { "X-Cost": "$$5{{x}%" }, remove: ["X-Debug"] };
  const response = { set: { "X-Frame": "DENY" } };
  assert.deepEqual(rule, { match: { path: { exact: "/a" } }, pool: "c", request, response });
  assert.deepEqual(last, { ...LAST, request, response: { ...response, remove: ["Server"] } });
});

test("times are those of requests", () => {
  const lines = "  timeout client 20s\n  timeout http-request 5s\n  timeout http-keep-alive 2s\n  timeout tunnel 2h";
  const { f } = balancerOf(importOf(lines, "  timeout server 90s")).listeners;
  assert.deepEqual(f!["http"], { timeouts: { head: "5s", keepAlive: "2s", body: "20s", send: "20s", tunnel: "2h" } });
  assert.deepEqual(f!["rules"], [{ ...LAST, timeouts: { total: "0s", try: "90s", idle: "90s" } }]);
});

test("compression, keys of hashes, cookies and TLS to servers are taken over", () => {
  const pool = (lines: string, server = "") =>
    balancerOf(importOf("", `${lines}\nserver t 10.0.0.9:80 ${server}`)).pools["b"]!;
  assert.deepEqual(rulesOf("  compression algo gzip\n  compression type text/html text/css")[0]!["compression"], {
    algorithms: ["gzip"],
    types: ["text/html", "text/css"],
  });
  assert.deepEqual(pool("balance hdr(X-User)")["hash"], { on: { header: "X-User" } });
  assert.deepEqual(pool("balance url_param id")["hash"], { on: { query: "id" } });
  assert.deepEqual(pool("balance uri whole")["hash"], { on: "uri" });
  assert.deepEqual(pool("cookie SRV insert indirect nocache secure maxidle 2h domain .shop.example")["sticky"], {
    by: "cookie",
    cookie: { name: "SRV", keys: { k1: "file:sticky.key" }, secure: true, domain: "shop.example" },
    ttl: "2h",
  });
  assert.deepEqual(pool("cookie JSESSIONID prefix")["sticky"], { by: "source" });
  assert.deepEqual(pool("default-server ssl verify required ca-file /etc/ca.pem sni str(in.example)", "")["upstream"], {
    tls: { verify: true, ca: "/etc/ca.pem", serverName: "in.example" },
  });
});

test("a rule that the check refuses goes alone, and it is said which", () => {
  const long = `/${"a".repeat(70_000)}`;
  const imported = importOf(`  http-request return string ${"x".repeat(70_000)} if { path /a }
  use_backend c if { path /b }
  http-request redirect location ${long} if { path /c }
  http-request return string ${"y".repeat(70_000)} if { path /d }`);
  const rules = balancerOf(imported).listeners["f"]!["rules"] as Rule[];
  assert.ok(rules.some(({ pool }) => pool === "c") && rules.some(({ name }) => name === "default"));
  assert.ok(!JSON.stringify(rules).includes("xxxx") && !JSON.stringify(rules).includes("yyyy"));
  assert.match(noteTexts(imported).join("\n"), /rule \d of f: /);
});

const CLOSED = { respond: { status: 403 } };
const ADMIN = { match: { path: { prefix: "/admin" } }, ...CLOSED };
const KNOWN = "  acl known http_auth(users)\n  acl admin path_beg /admin\n";
for (const { lines, more, rules } of [
  { lines: "  http-request auth realm staff unless { http_auth(users) }", rules: [CLOSED] },
  { lines: "  http-request auth if { path_beg /admin } !{ http_auth(users) }", rules: [ADMIN, LAST] },
  { lines: `${KNOWN}  http-request auth if admin !known`, rules: [ADMIN, LAST] },
  { lines: `${KNOWN}  http-request auth unless known`, rules: [CLOSED] },
  // Which requests these are cannot be said: all of them.
  { lines: `${KNOWN}  http-request auth unless known or admin`, rules: [CLOSED] },
  {
    lines: "  http-request auth if { path_end .php } { path_beg /a }",
    rules: [{ match: { path: { regex: "\\.php$" } }, ...CLOSED }, LAST],
  },
  { lines: `${KNOWN}  http-request deny if admin !known`, rules: [ADMIN, LAST] },
  { lines: `${KNOWN}  http-request deny unless known`, rules: [CLOSED] },
  {
    lines: "  use_backend c if { path /c }",
    more: "  http-request auth unless { http_auth(u) }",
    rules: [
      { match: { path: { exact: "/c" } }, pool: "c" },
      { name: "default", ...CLOSED },
    ],
  },
]) {
  test(`nothing that needs a password is open: ${lines.trim()}${more ? `, and of the backend ${more.trim()}` : ""}`, () => {
    assert.deepEqual(rulesOf(lines, more), rules);
    if (lines.includes(" auth ") || more)
      assert.match(noteTexts(importOf(lines, more)).join("\n"), /get 403.*basicAuth/);
  });
}

const WIDE = /http-request (deny|tarpit): Rules cannot ask for all of/;
for (const { name, lines, more, rules, says } of [
  {
    name: "all requests, where nothing of the condition can be said",
    lines: "  http-request deny if { ssl_c_verify gt 0 }",
    rules: [CLOSED],
    says: WIDE,
  },
  {
    name: "all, where it cannot be said who is spared",
    lines: "  http-request deny unless { path_beg /a } { ssl_c_used }",
    rules: [CLOSED],
    says: WIDE,
  },
  {
    name: "what can be said of the condition, and so more",
    lines: "  acl inside src -f /etc/inside\n  http-request tarpit if { path_beg /admin } !inside",
    rules: [ADMIN, LAST],
    says: WIDE,
  },
  {
    name: "each alternative as far as it can be said",
    lines: "  http-request deny if { path_beg /admin } { ssl_c_used } or { method TRACE }",
    rules: [ADMIN, { match: { method: "TRACE" }, ...CLOSED }, LAST],
    says: WIDE,
  },
  {
    name: "with a plain 403, where the answer cannot be said",
    lines: "  http-request deny hdr X-Why no if { path_beg /admin }",
    rules: [ADMIN, LAST],
    says: /get 403, without the page or the fields/,
  },
  {
    name: "what a backend refuses, of the requests that go there",
    lines: "  use_backend b if { hdr(A) 1 }",
    more: "  http-request deny if { path_beg /admin }",
    rules: [
      { match: { header: { A: { exact: "1" } }, path: { prefix: "/admin" } }, ...CLOSED },
      { match: { header: { A: { exact: "1" } } }, pool: "b" },
      ADMIN,
      LAST,
    ],
  },
  {
    name: "all that go to a backend, where what both ask for is one thing",
    lines: "  use_backend b if { path_beg /a }",
    more: "  http-request deny if { path_end .php }",
    rules: [
      { match: { path: { prefix: "/a" } }, ...CLOSED },
      { match: { path: { regex: "\\.php$" } }, ...CLOSED },
      LAST,
    ],
  },
  {
    name: "nobody, where the condition counts: it limits, and would shut out everybody",
    lines: "  acl fast sc_http_req_rate(0) gt 100\n  http-request deny deny_status 429 if fast",
    rules: [LAST],
    says: /http-request deny: Rules do not ask for what was counted.*rateLimit/,
  },
]) {
  test(`a line that keeps requests out refuses ${name}`, () => {
    assert.deepEqual(rulesOf(lines, more), rules);
    const notes = noteTexts(importOf(lines, more));
    assert.equal(says === undefined || notes.some((text) => says.test(text)), true, notes.join("\n"));
  });
}

test("without `option forwardfor` it is said that backends are told of clients all the same", () => {
  const text = config("").replace("  option forwardfor\n", "");
  assert.match(noteTexts(importText("haproxy", text)).join("\n"), /X-Forwarded-For, -Proto/);
});
