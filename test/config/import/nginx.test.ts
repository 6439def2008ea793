/** nginx' directives, one by one: what each becomes, and what is said of it. */
import assert from "node:assert/strict";
import test from "node:test";
import { readNginx } from "#config/import/nginx-read.ts";
import { createNotes } from "#config/import/notes.ts";
import { balancerOf, importText, noteTexts } from "./load-sample.ts";

const upstream = (lines: string, server = ""): string =>
  `stream { upstream b { ${lines} } server { listen 127.0.0.1:80; proxy_pass b; ${server} } }`;

for (const { name, lines, server, pool } of [
  { name: "round robin", lines: "", pool: { algorithm: "weighted_round_robin" } },
  { name: "least_conn", lines: "least_conn;", pool: { algorithm: "weighted_least_connections" } },
  { name: "ip_hash by three octets", lines: "ip_hash;", pool: { algorithm: "ip_hash", hash: { v4: 24, v6: 128 } } },
  { name: "consistent hashes", lines: "hash $remote_addr consistent;", pool: { algorithm: "ring_hash" } },
  { name: "random two", lines: "random two least_conn;", pool: { algorithm: "p2c" } },
  { name: "random", lines: "random;", pool: { algorithm: "weighted_random" } },
  { name: "least_time", lines: "least_time first_byte;", pool: { algorithm: "least_response_time" } },
  {
    name: "max_fails",
    lines: "server 10.0.0.9:1 max_fails=2 fail_timeout=1m;",
    pool: { breaker: { failures: 2, base: "60s" } },
  },
  {
    name: "max_fails=0",
    lines: "server 10.0.0.9:1 max_fails=0;",
    pool: { breaker: { failures: 1_000 }, outlier: { enabled: false } },
  },
  {
    name: "proxy_connect_timeout in seconds",
    lines: "",
    server: "proxy_connect_timeout 3;",
    pool: { connectTimeout: "3s" },
  },
  { name: "proxy_next_upstream off", lines: "", server: "proxy_next_upstream off;", pool: { retry: { attempts: 1 } } },
  { name: "proxy_protocol", lines: "", server: "proxy_protocol on;", pool: { proxyProtocol: "v1" } },
  {
    name: "health_check",
    lines: "",
    server: "health_check interval=2s fails=3 passes=2;",
    pool: {
      check: { kind: "tcp", interval: "2s", timeout: "2s", thresholds: { down: 3, up: 2, ok: 1 }, downSpan: "0s" },
    },
  },
  { name: "queues", lines: "queue 10 timeout=7s;", pool: { queue: { max: 10, timeout: "7s" } } },
] as const) {
  test(`importNginx() takes over ${name}`, () => {
    const { b } = balancerOf(importText("nginx", upstream(`${lines} server 10.0.0.1:80;`, server))).pools;
    for (const [key, value] of Object.entries(pool)) {
      const found = b?.[key];
      // 60s and 1m are the same.
      if (key === "breaker" && "base" in value) assert.deepEqual(found, { ...value, base: "1m" });
      else assert.deepEqual(found, value, key);
    }
  });
}

for (const { line, expected } of [
  { line: "10.0.0.1:80 weight=3 backup", expected: { address: "10.0.0.1:80", weight: 3, backup: true } },
  { line: "[2001:db8::1]:80", expected: "[2001:db8::1]:80" },
  { line: "web.internal:80 resolve", expected: "web.internal:80" },
  { line: "web.internal service=http resolve", expected: { srv: "_http._tcp.web.internal" } },
  { line: "web.internal service=_http._tcp resolve", expected: { srv: "_http._tcp.web.internal" } },
  { line: "10.0.0.1:80 down max_conns=7", expected: { address: "10.0.0.1:80", maxConnections: 7, enabled: false } },
  { line: "10.0.0.1:80 drain", expected: { address: "10.0.0.1:80", weight: 0 } },
  { line: "10.0.0.1:80 weight=x", expected: "10.0.0.1:80" },
  { line: "unix:/run/web.sock", expected: undefined },
  { line: "10.0.0.1", expected: undefined },
] as const) {
  test(`importNginx() makes of "server ${line}" what it means`, () => {
    const imported = importText("nginx", upstream(`server 10.9.9.9:80; server ${line};`));
    const [, found] = balancerOf(imported).pools["b"]!["backends"] as unknown[];
    assert.deepEqual(found, expected);
  });
}

for (const { name, server, listener } of [
  {
    name: "UDP",
    server: "listen 53 udp; proxy_responses 1; proxy_timeout 20s;",
    listener: { listen: "0.0.0.0:53", protocol: "udp", udp: { idle: "20s", responses: 1 } },
  },
  {
    name: "TLS",
    server: "listen 443 ssl; ssl_certificate a.pem; ssl_certificate_key a.key; ssl_alpn h2;",
    listener: { protocol: "tls", certificates: [{ cert: "a.pem", key: "a.key" }], alpn: ["h2"] },
  },
  {
    name: "access lists",
    server: "listen 80; deny 10.1.0.0/16; allow 10.0.0.0/8; deny all;",
    listener: {
      access: [
        { network: "10.1.0.0/16", action: "deny" },
        { network: "10.0.0.0/8", action: "allow" },
        { network: "0.0.0.0/0", action: "deny" },
        { network: "::/0", action: "deny" },
      ],
    },
  },
  {
    name: "times",
    server: "listen 80; proxy_timeout 1h; preread_timeout 2s;",
    listener: { timeouts: { idle: "1h", preamble: "2s" } },
  },
  {
    name: "trusted proxies",
    server: "listen 80 proxy_protocol; set_real_ip_from 10.0.0.0/8;",
    listener: { proxyProtocol: { trusted: ["10.0.0.0/8"] } },
  },
  {
    name: "all proxies where none is named",
    server: "listen 80 proxy_protocol;",
    listener: { proxyProtocol: { trusted: ["0.0.0.0/0", "::/0"] } },
  },
] as const) {
  test(`importNginx() makes listeners of ${name}`, () => {
    const { listeners } = balancerOf(importText("nginx", `stream { server { proxy_pass 10.0.0.1:9; ${server} } }`));
    const [found] = Object.values(listeners);
    for (const [key, value] of Object.entries(listener)) assert.deepEqual(found?.[key], value, key);
  });
}

test("importNginx() puts exact names before patterns, and longer patterns first", () => {
  const map = "map $ssl_preread_server_name $up { *.example.com w; a.example.com x; .b.example.com y; default z; }";
  const servers =
    "upstream w { server 10.0.0.1:1; } upstream x { server 10.0.0.2:1; } upstream y { server 10.0.0.3:1; } upstream z { server 10.0.0.4:1; }";
  const { listeners } = balancerOf(
    importText("nginx", `stream { ${map} ${servers} server { listen 443; ssl_preread on; proxy_pass $up; } }`),
  );
  const [found] = Object.values(listeners);
  assert.equal(found?.["protocol"], "tls-passthrough");
  assert.equal(found?.["pool"], "z");
  assert.deepEqual(found?.["sni"], [
    { names: ["a.example.com"], pool: "x" },
    { names: ["b.example.com", "*.b.example.com"], pool: "y" },
    { names: ["*.example.com"], pool: "w" },
  ]);
});

test("importNginx() relays an http server to the pool of its location /", () => {
  const text =
    "upstream a { server 10.0.0.1; } upstream b { server 10.0.0.2; } server { listen 80; location /x { proxy_pass http://a; } location / { proxy_pass http://b/; } }";
  const imported = importText("nginx", text);
  const { listeners, pools } = balancerOf(imported);
  assert.deepEqual(
    Object.values(listeners).map(({ pool }) => pool),
    ["b"],
  );
  assert.deepEqual(pools["b"]!["backends"], ["10.0.0.2:80"]);
  assert.match(
    noteTexts(imported).join("\n"),
    /location: Paths are not seen at layer 4: requests for "\/x" go where those of "\/" go/,
  );
});

const REALM = 'auth_basic "staff"; auth_basic_user_file /etc/passwords;';
for (const [name, http, server, isOpen] of [
  ["a password for all of http", REALM, "location / { proxy_pass http://10.0.0.1; }", false],
  ["a password for a server", "", `${REALM} location / { proxy_pass http://10.0.0.1; }`, false],
  ["a password for the location that is taken", "", `location / { ${REALM} proxy_pass http://10.0.0.1; }`, false],
  [
    "a password for another location",
    "",
    `location / { proxy_pass http://10.0.0.1; } location /admin { ${REALM} proxy_pass http://10.0.0.2; }`,
    false,
  ],
  [
    "a password for a location in a location",
    "",
    `location / { proxy_pass http://10.0.0.1; location /a { ${REALM} } }`,
    false,
  ],
  ["a service that is asked", "", "location / { auth_request /auth; proxy_pass http://10.0.0.1; }", false],
  [
    "addresses for another location",
    "",
    "location / { proxy_pass http://10.0.0.1; } location /admin { deny all; }",
    false,
  ],
  [
    "a location that nobody gets",
    "",
    "location / { proxy_pass http://10.0.0.1; } location ~ /[.]git { return 403; }",
    false,
  ],
  ["a location of its own", "", "location / { proxy_pass http://10.0.0.1; } location /x { internal; }", false],
  ["an if that refuses", "", "location / { if ($a) { return 403; } proxy_pass http://10.0.0.1; }", false],
  ["a password that is switched off", REALM, "auth_basic off; location / { proxy_pass http://10.0.0.1; }", true],
  ["addresses for all of it", "", "location / { allow 10.0.0.0/8; deny all; proxy_pass http://10.0.0.1; }", true],
] as const)
  test(`importNginx() lets nobody in by layer 4 whom ${name} would keep out`, () => {
    const imported = importText("nginx", `http { ${http} server { listen 80; ${server} } }`);
    assert.equal(imported.files.length > 0, isOpen);
    assert.equal(/Layer 4 would let in whom this keeps out/.test(noteTexts(imported).join("\n")), !isOpen);
  });

test("readNginx() keeps lines, quotes, variables and nested blocks apart", () => {
  const notes = createNotes();
  const text = "a \"b c\" 'd;' $e(f;\n# g\nh {\n  i j;\n  k { l; }\n}\n";
  const [first, second] = readNginx({ file: "x", text }, notes);
  assert.deepEqual(first?.args, ["b c", "d;", "$e(f"]);
  assert.deepEqual([second?.name, second?.at.line, second?.block?.map(({ name }) => name)], ["h", 3, ["i", "k"]]);
  assert.deepEqual(notes.list(), []);
});

test("readNginx() ends where files include each other", () => {
  const notes = createNotes();
  const self = { file: "self.conf", text: "include self.conf; a b;" };
  const found = readNginx({ ...self, open: () => [self, self] }, notes);
  assert.ok(found.length > 0 && found.length < 1_000, `${found.length}`);
});
