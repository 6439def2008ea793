/** HAProxy's lines, one by one: what each becomes, and what is said of it. */
import assert from "node:assert/strict";
import test from "node:test";
import { splitWords } from "#config/import/haproxy-read.ts";
import { balancerOf, importText, noteTexts } from "./load-sample.ts";

const backend = (lines: string, defaults = ""): string =>
  `defaults\n${defaults}\nfrontend f\n  bind 127.0.0.1:80\n  default_backend b\nbackend b\n${lines}\n`;
const frontend = (lines: string, more = ""): string =>
  `frontend f\n${lines}\n  default_backend b\n${more}backend b\n  balance roundrobin\n  server s 10.0.0.1:80\nbackend c\n  balance roundrobin\n  server s 10.0.0.2:80\n`;

for (const { name, lines, defaults, pool } of [
  { name: "leastconn", lines: "balance leastconn", pool: { algorithm: "weighted_least_connections" } },
  { name: "random of two", lines: "balance random", pool: { algorithm: "p2c" } },
  { name: "random of one", lines: "balance random(1)", pool: { algorithm: "weighted_random" } },
  { name: "source", lines: "balance source", pool: { algorithm: "ip_hash" } },
  { name: "consistent hashes", lines: "balance source\nhash-type consistent", pool: { algorithm: "ring_hash" } },
  {
    name: "bounded loads",
    lines: "balance uri\nhash-type consistent\nhash-balance-factor 125",
    pool: { algorithm: "ring_hash", hash: { v6: 128, balanceFactor: "125%" } },
  },
  { name: "retries", lines: "retries 2\noption redispatch", pool: { retry: { attempts: 3 } } },
  {
    name: "what defaults say",
    lines: "",
    defaults: "timeout connect 7s\nretries 0",
    pool: { connectTimeout: "7s", retry: { attempts: 1 } },
  },
  {
    name: "what takes defaults back",
    lines: "no option httpchk\nserver x 10.0.0.9:80 check",
    defaults: "option httpchk",
    pool: { check: { kind: "tcp", interval: "2s", timeout: "2s", thresholds: { down: 3, up: 2, ok: 1 } } },
  },
  { name: "times without a unit as ms", lines: "timeout queue 1500", pool: { queue: { timeout: "1500ms" } } },
  {
    name: "stickiness by address",
    lines: "stick-table type ip size 1m expire 10m\nstick on src",
    pool: { sticky: { by: "source", ttl: "10m", maxEntries: 1_048_576 } },
  },
  { name: "no checks", lines: "", pool: { check: "none" } },
  { name: "slow start", lines: "server x 10.0.0.9:80 slowstart 30s", pool: { slowStart: { window: "30s" } } },
  {
    name: "PROXY headers",
    lines: "server x 10.0.0.9:80 send-proxy-v2 proxy-v2-options crc32c,unique-id",
    pool: { proxyProtocol: { version: 2, crc32c: true, uniqueId: true } },
  },
  {
    name: "passive checks",
    lines: "server x 10.0.0.9:80 check observe layer4 error-limit 3",
    pool: { outlier: { consecutive5xx: 3 } },
  },
] as const) {
  test(`importHaproxy() takes over ${name}`, () => {
    const text = backend(`${lines}\nserver s 10.0.0.1:80`, defaults);
    const { b } = balancerOf(importText("haproxy", text)).pools;
    for (const [key, value] of Object.entries(pool)) assert.deepEqual(b?.[key], value, key);
  });
}

for (const { line, expected } of [
  { line: "10.0.0.1:80", expected: "10.0.0.1:80" },
  { line: "[2001:db8::1]:80", expected: "[2001:db8::1]:80" },
  { line: "2001:db8::1:8080 weight 2", expected: { address: "[2001:db8::1]:8080", weight: 2 } },
  { line: "ipv4@10.0.0.1:81 weight 2", expected: { address: "10.0.0.1:81", weight: 2 } },
  { line: "web.internal:80 resolvers dns init-addr none", expected: "web.internal:80" },
  { line: "localhost:81", expected: "127.0.0.1:81" },
  { line: "10.0.0.1", expected: "10.0.0.1:80" },
  { line: "10.0.0.1:80 maxconn 5 disabled", expected: { address: "10.0.0.1:80", maxConnections: 5, enabled: false } },
  { line: "_http._tcp.web.internal", expected: { srv: "_http._tcp.web.internal" } },
  { line: "unix@/run/web.sock", expected: undefined },
  { line: "10.0.0.1:+1000", expected: undefined },
  { line: `\${WEB}:80`, expected: undefined },
  { line: "10.0.0.1:80 weight 999", expected: "10.0.0.1:80" },
] as const) {
  test(`importHaproxy() makes of "server s ${line}" what it means`, () => {
    const imported = importText("haproxy", backend(`balance first\nserver keep 10.9.9.9:80\nserver s ${line}`));
    const [, found] = balancerOf(imported).pools["b"]!["backends"] as unknown[];
    assert.deepEqual(found, expected);
    if (expected === undefined) assert.match(noteTexts(imported).join("\n"), /sample:\d+: server: /);
  });
}

test("importHaproxy() gives backups a tier each, unless all of them serve", () => {
  const servers = "server s 10.0.0.1:80\nserver x 10.0.0.2:80 backup\nserver y 10.0.0.3:80 backup";
  const of = (text: string) => balancerOf(importText("haproxy", backend(text))).pools["b"]!["backends"];
  assert.deepEqual(of(servers), [
    "10.0.0.1:80",
    { address: "10.0.0.2:80", backup: true },
    { address: "10.0.0.3:80", priority: 2 },
  ]);
  assert.deepEqual(of(`option allbackups\n${servers}`), [
    "10.0.0.1:80",
    { address: "10.0.0.2:80", backup: true },
    { address: "10.0.0.3:80", backup: true },
  ]);
});

test("importHaproxy() reads checks over HTTP in their old and new form", () => {
  const of = (text: string) =>
    balancerOf(importText("haproxy", backend(text))).pools["b"]!["check"] as Record<string, unknown>;
  const old = of(
    "option httpchk HEAD /up HTTP/1.1\\r\\nHost:\\ www.example.com\nhttp-check expect status 200,204\nserver s 10.0.0.1:80 check inter 500 fall 2",
  );
  assert.deepEqual(old, {
    kind: "http",
    method: "HEAD",
    path: "/up",
    host: "www.example.com",
    expect: { status: [200, 204] },
    interval: "500ms",
    timeout: "500ms",
    thresholds: { down: 2, up: 2, ok: 1 },
    downSpan: "0s",
  });
  const now = of(
    'option httpchk\nhttp-check send meth GET uri /up hdr Host "www.example.com"\nserver s 10.0.0.1:80 check check-ssl check-sni a.example verify none port 8443',
  );
  assert.equal(now["kind"], "https");
  assert.deepEqual(
    [now["path"], now["host"], now["port"], now["serverName"], now["verify"]],
    ["/up", "www.example.com", 8_443, "a.example", false],
  );
  assert.deepEqual(now["expect"], { status: ["200-399"] });
});

for (const { name, lines, access } of [
  {
    name: "rejects networks",
    lines: "tcp-request connection reject if { src 10.0.0.0/8 192.0.2.7 }",
    access: ["-10.0.0.0/8", "-192.0.2.7/32"],
  },
  {
    name: "keeps later refusals before an allow list",
    lines:
      "acl ours src 10.0.0.0/8\ntcp-request connection reject if !ours\ntcp-request connection reject if { src 10.6.6.0/24 }",
    access: ["-10.6.6.0/24", "+10.0.0.0/8", "-0.0.0.0/0", "-::/0"],
  },
  {
    name: "turns unless round",
    lines: "tcp-request connection reject unless { src 10.0.0.0/8 }",
    access: ["+10.0.0.0/8", "-0.0.0.0/0", "-::/0"],
  },
  {
    name: "takes alternatives",
    lines: "tcp-request connection reject if { src 10.0.0.0/8 } or { src 192.0.2.0/24 }",
    access: ["-10.0.0.0/8", "-192.0.2.0/24"],
  },
  {
    name: "ends with an accept for all",
    lines: "tcp-request connection accept if { src 10.0.0.0/8 }\ntcp-request connection reject",
    access: ["+10.0.0.0/8", "-0.0.0.0/0", "-::/0"],
  },
  {
    name: "leaves out what it cannot see",
    lines: "tcp-request connection reject if { src_conn_rate gt 10 }",
    access: undefined,
  },
  {
    name: "leaves out what also asks for something else",
    lines: "tcp-request connection reject if { src 10.0.0.0/8 } { dst_port 80 }",
    access: undefined,
  },
] as const) {
  test(`importHaproxy() ${name} by address`, () => {
    const imported = importText("haproxy", frontend(`bind 127.0.0.1:80\n${lines}`));
    const found = balancerOf(imported).listeners["f"]!["access"] as { network: string; action: string }[] | undefined;
    assert.deepEqual(
      found?.map(({ network, action }) => `${action === "allow" ? "+" : "-"}${network}`),
      access,
    );
    if (access === undefined) assert.match(noteTexts(imported).join("\n"), /the rule is not applied/);
  });
}

for (const { name, lines, sni, protocol } of [
  {
    name: "names of a ClientHello",
    lines: "bind 127.0.0.1:443\nuse_backend c if { req.ssl_sni -i a.example b.example }",
    protocol: "tls-passthrough",
    sni: ["a.example", "b.example"],
  },
  {
    name: "ends of names",
    lines: "bind 127.0.0.1:443\nuse_backend c if { req.ssl_sni -m end .a.example }",
    protocol: "tls-passthrough",
    sni: ["*.a.example"],
  },
  {
    name: "alternatives of an acl",
    lines: "bind 127.0.0.1:443\nacl x req.ssl_sni a.example\nacl x req.ssl_sni b.example\nuse_backend c if x",
    protocol: "tls-passthrough",
    sni: ["a.example", "b.example"],
  },
  {
    name: "Host headers behind TLS",
    lines: "bind 127.0.0.1:443 ssl crt a.pem\nuse_backend c if { hdr(host) -i a.example }",
    protocol: "tls",
    sni: ["a.example"],
  },
  {
    name: "no Host headers without TLS",
    lines: "bind 127.0.0.1:80\nuse_backend c if { hdr(host) -i a.example }",
    protocol: "tcp",
    sni: undefined,
  },
  {
    name: "no expressions",
    lines: "bind 127.0.0.1:443\nuse_backend c if { req.ssl_sni -m reg ^a }",
    protocol: "tcp",
    sni: undefined,
  },
] as const) {
  test(`importHaproxy() routes by ${name}`, () => {
    const { f } = balancerOf(importText("haproxy", frontend(lines))).listeners;
    assert.equal(f?.["protocol"], protocol);
    assert.deepEqual(
      (f?.["sni"] as { names: string[]; pool: string }[] | undefined)?.flatMap(({ names }) => names),
      sni,
    );
  });
}

test("importHaproxy() reads several binds, and ranges of ports", () => {
  const { listeners } = balancerOf(importText("haproxy", frontend("bind :80,[::1]:81\nbind 127.0.0.1:9000-9002")));
  assert.deepEqual(
    Object.values(listeners).map(({ listen }) => listen),
    ["0.0.0.0:80", "[::1]:81", "127.0.0.1:9000", "127.0.0.1:9001", "127.0.0.1:9002"],
  );
});

test("splitWords() knows quotes, escapes and comments", () => {
  for (const [text, words] of [
    ["a  b\tc # d", ["a", "b", "c"]],
    ['"a b" \'c "d\'', ["a b", 'c "d']],
    ["a\\ b \\# \\\\", ["a b", "#", "\\"]],
    ['""', [""]],
    ['"a', undefined],
  ] as const)
    assert.deepEqual(splitWords(text), words, text);
});
