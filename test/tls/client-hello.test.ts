import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import test from "node:test";
import { type ConnectionOptions, connect } from "node:tls";
import { createSeededRng } from "#base/rng.ts";
import { alertRecord, type ClientHelloFault, MAX_CLIENT_HELLO_OCTETS, parseClientHello } from "#tls/client-hello.ts";

/** The first octets that a real client sends, until `isEnough`. */
async function capture(start: (port: number) => () => void): Promise<Buffer> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = start((server.address() as AddressInfo).port);
  const [socket] = await once(server, "connection");
  let octets = Buffer.alloc(0);
  for await (const chunk of socket) {
    octets = Buffer.concat([octets, chunk]);
    if (parseClientHello(octets) !== "more") break;
  }
  stop();
  server.close();
  return octets;
}
const captureNode = (options: ConnectionOptions): Promise<Buffer> =>
  capture((port) => {
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options });
    socket.on("error", () => {});
    return () => socket.destroy();
  });
const captureOpenssl = (...options: string[]): Promise<Buffer> =>
  capture((port) => {
    const child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, ...options], { stdio: "ignore" });
    return () => child.kill();
  });

// ── hellos made by hand ──────────────────────────────────────────────────────────────────────────────────────────

const u8 = (value: number): Buffer => Buffer.from([value]);
const u16 = (value: number): Buffer => Buffer.from([value >>> 8, value & 255]);
const sized8 = (...parts: Buffer[]): Buffer => Buffer.concat([u8(Buffer.concat(parts).length), ...parts]);
const sized16 = (...parts: Buffer[]): Buffer => Buffer.concat([u16(Buffer.concat(parts).length), ...parts]);
const extension = (type: number, value: Buffer): Buffer => Buffer.concat([u16(type), sized16(value)]);
const hostName = (name: string): Buffer => Buffer.concat([u8(0), sized16(Buffer.from(name, "latin1"))]);
const sni = (name: string): Buffer => extension(0, sized16(hostName(name)));
const alpn = (...names: string[]): Buffer =>
  extension(16, sized16(...names.map((name) => sized8(Buffer.from(name, "latin1")))));
const GREASE = extension(0x1a1a, Buffer.alloc(1));

function body(
  extensions: Buffer | undefined,
  change: Partial<Record<"version" | "session" | "suites" | "compression", Buffer>> = {},
): Buffer {
  return Buffer.concat([
    change.version ?? u16(0x0303),
    Buffer.alloc(32, 7),
    change.session ?? sized8(Buffer.alloc(32)),
    change.suites ?? sized16(u16(0x2a2a), u16(0x1301)),
    change.compression ?? sized8(u8(0)),
    ...(extensions ? [sized16(extensions)] : []),
  ]);
}
const message = (octets: Buffer): Buffer =>
  Buffer.concat([u8(1), u8(octets.length >>> 16), u16(octets.length & 0xffff), octets]);
function records(octets: Buffer, size = 16_384): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < octets.length; at += size)
    parts.push(Buffer.concat([u8(22), u16(0x0301), sized16(octets.subarray(at, at + size))]));
  return Buffer.concat(parts);
}
const hello = (...extensions: Buffer[]): Buffer => records(message(body(Buffer.concat(extensions))));

// ── tests ────────────────────────────────────────────────────────────────────────────────────────────────────────

const REAL: { name: string; octets: () => Promise<Buffer>; serverName: string | undefined; alpn: string[] }[] = [
  {
    name: "node:tls with name and protocols",
    octets: () => captureNode({ servername: "WWW.Demo.Example", ALPNProtocols: ["h2", "http/1.1"] }),
    serverName: "www.demo.example",
    alpn: ["h2", "http/1.1"],
  },
  { name: "node:tls without either", octets: () => captureNode({ servername: "" }), serverName: undefined, alpn: [] },
  {
    name: "node:tls with TLS 1.2 alone",
    octets: () => captureNode({ servername: "a.example", maxVersion: "TLSv1.2" }),
    serverName: "a.example",
    alpn: [],
  },
  {
    name: "node:tls with a post-quantum key share",
    octets: () => captureNode({ servername: "pq.example", ecdhCurve: "X25519MLKEM768" }),
    serverName: "pq.example",
    alpn: [],
  },
];
if (spawnSync("openssl", ["version"]).status === 0)
  REAL.push({
    name: "openssl s_client",
    octets: () => captureOpenssl("-servername", "o.example", "-alpn", "imap,pop3"),
    serverName: "o.example",
    alpn: ["imap", "pop3"],
  });
else if (process.env["CI"]) test("openssl is installed", () => assert.fail("openssl s_client is missing"));

for (const { name, octets, ...expected } of REAL)
  test(`parseClientHello() reads what ${name} sends, however it is cut`, async () => {
    const whole = await octets();
    assert.deepEqual(parseClientHello(whole), expected);
    for (let length = 0; length < whole.length; length++)
      assert.equal(parseClientHello(whole.subarray(0, length)), "more", `${length} octets`);
    const payload: Buffer[] = [];
    for (let at = 0; at < whole.length; ) {
      const end = at + 5 + whole.readUInt16BE(at + 3);
      payload.push(whole.subarray(at + 5, end));
      at = end;
    }
    const inside = Buffer.concat(payload);
    for (const size of [1, 2, 3, 4, 5, 100, 1_000]) {
      const cut = records(inside, size);
      assert.deepEqual(parseClientHello(cut), expected, `records of ${size}`);
      assert.equal(
        parseClientHello(cut.subarray(0, cut.length - 1)),
        "more",
        `records of ${size}, without the last octet`,
      );
    }
    for (let at = 1; at < inside.length; at++) {
      const two = Buffer.concat([records(inside.subarray(0, at)), records(inside.subarray(at))]);
      assert.deepEqual(parseClientHello(two), expected, `two records, cut at ${at}`);
    }
    const followed = Buffer.concat([whole, Buffer.from([20, 3, 3, 0, 1, 1, 255])]);
    assert.deepEqual(parseClientHello(followed), expected);
  });

test("a post-quantum hello is larger than one segment", async () => {
  const octets = await captureNode({ ecdhCurve: "X25519MLKEM768" });
  assert.ok(octets.length > 1_460, `${octets.length} octets`);
});

const GOOD: { name: string; octets: Buffer; serverName: string | undefined; alpn: string[] }[] = [
  { name: "no extensions at all", octets: records(message(body(undefined))), serverName: undefined, alpn: [] },
  { name: "an empty list of extensions", octets: hello(), serverName: undefined, alpn: [] },
  {
    name: "GREASE among extensions and protocols",
    octets: hello(GREASE, sni("a.example"), alpn("\x2a\x2a", "h2"), extension(0x2a2a, Buffer.alloc(0))),
    serverName: "a.example",
    alpn: ["**", "h2"],
  },
  { name: "a final dot", octets: hello(sni("A.example.")), serverName: "a.example", alpn: [] },
  { name: "underscores and one label", octets: hello(sni("_x-1")), serverName: "_x-1", alpn: [] },
  {
    name: "a name of 253 octets",
    octets: hello(sni(`${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`)),
    serverName: `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`,
    alpn: [],
  },
  {
    name: "a kind of name that is not a host's",
    octets: hello(extension(0, sized16(Buffer.concat([u8(9), sized16(Buffer.from("x y"))]), hostName("b.example")))),
    serverName: "b.example",
    alpn: [],
  },
  {
    name: "padding up to the limit",
    octets: hello(sni("p.example"), extension(21, Buffer.alloc(16_000))),
    serverName: "p.example",
    alpn: [],
  },
];
for (const { name, octets, ...expected } of GOOD)
  test(`parseClientHello() takes ${name}`, () => assert.deepEqual(parseClientHello(octets), expected));

const long = message(body(Buffer.concat([extension(21, Buffer.alloc(20_000))])));
const FAULTS: { name: string; octets: Buffer; fault: ClientHelloFault }[] = [
  { name: "HTTP", octets: Buffer.from("GET / HTTP/1.1\r\n"), fault: "not-tls" },
  { name: "SSL 2", octets: Buffer.from([0x80, 0x2e, 1, 3, 1]), fault: "not-tls" },
  { name: "another major version", octets: Buffer.from([22, 2]), fault: "not-tls" },
  { name: "a record without octets", octets: Buffer.from([22, 3, 1, 0, 0]), fault: "bad-record" },
  { name: "a record that is too long", octets: Buffer.from([22, 3, 1, 0x40, 1]), fault: "bad-record" },
  {
    name: "an alert in the middle",
    octets: Buffer.concat([records(message(body(undefined)).subarray(0, 9)), Buffer.from([21])]),
    fault: "bad-record",
  },
  { name: "a ServerHello", octets: Buffer.from([22, 3, 1, 0, 4, 2]), fault: "not-a-hello" },
  { name: "a message that is too long", octets: records(long).subarray(0, 9), fault: "too-long" },
  {
    name: "too many octets in tiny records",
    octets: records(message(body(Buffer.alloc(12_000))), 1).subarray(0, MAX_CLIENT_HELLO_OCTETS),
    fault: "too-long",
  },
  { name: "a message that is too short", octets: records(message(Buffer.alloc(34, 3))), fault: "malformed" },
  {
    name: "another legacy version",
    octets: records(message(body(undefined, { version: u16(0x0403) }))),
    fault: "malformed",
  },
  {
    name: "a session of 33 octets",
    octets: records(message(body(undefined, { session: sized8(Buffer.alloc(33)) }))),
    fault: "malformed",
  },
  { name: "no cipher suites", octets: records(message(body(undefined, { suites: u16(0) }))), fault: "malformed" },
  {
    name: "half a cipher suite",
    octets: records(message(body(undefined, { suites: sized16(Buffer.alloc(3)) }))),
    fault: "malformed",
  },
  {
    name: "suites beyond the end",
    octets: records(message(body(undefined, { suites: u16(0xfffe) }))),
    fault: "malformed",
  },
  { name: "no compression", octets: records(message(body(undefined, { compression: u8(0) }))), fault: "malformed" },
  {
    name: "compression beyond the end",
    octets: records(message(body(undefined, { compression: u8(9) }))),
    fault: "malformed",
  },
  {
    name: "octets after the extensions",
    octets: records(message(Buffer.concat([body(sni("a")), u8(0)]))),
    fault: "malformed",
  },
  { name: "an extension beyond the end", octets: hello(u16(5), u16(9), Buffer.alloc(3)), fault: "malformed" },
  { name: "half an extension", octets: hello(u16(5), u8(0)), fault: "malformed" },
  { name: "an extension twice", octets: hello(GREASE, GREASE), fault: "repeated-extension" },
  { name: "two names", octets: hello(extension(0, sized16(hostName("a"), hostName("b")))), fault: "malformed" },
  { name: "an empty list of names", octets: hello(extension(0, u16(0))), fault: "malformed" },
  {
    name: "a list of names that is longer than it says",
    octets: hello(extension(0, Buffer.concat([sized16(hostName("a")), u8(0)]))),
    fault: "malformed",
  },
  {
    name: "a name beyond the list",
    octets: hello(extension(0, sized16(u8(0), u16(9), Buffer.from("abc")))),
    fault: "malformed",
  },
  { name: "an empty name", octets: hello(sni("")), fault: "bad-name" },
  { name: "a dot alone", octets: hello(sni(".")), fault: "bad-name" },
  { name: "an empty label", octets: hello(sni("a..b")), fault: "bad-name" },
  { name: "a NUL in the name", octets: hello(sni("a.example\0.evil")), fault: "bad-name" },
  { name: "a space in the name", octets: hello(sni("a b")), fault: "bad-name" },
  { name: "a name that is not ASCII", octets: hello(sni("b\xfccher.example")), fault: "bad-name" },
  { name: "an IPv6 address as name", octets: hello(sni("[::1]")), fault: "bad-name" },
  { name: "a label of 64 octets", octets: hello(sni(`${"a".repeat(64)}.example`)), fault: "bad-name" },
  { name: "a name of 255 octets", octets: hello(sni("a.".repeat(127).concat("a"))), fault: "bad-name" },
  { name: "an empty list of protocols", octets: hello(extension(16, u16(0))), fault: "malformed" },
  { name: "an empty protocol", octets: hello(alpn("h2", "")), fault: "malformed" },
  {
    name: "a protocol beyond the list",
    octets: hello(extension(16, sized16(u8(9), Buffer.from("h2")))),
    fault: "malformed",
  },
];
for (const { name, octets, fault } of FAULTS)
  test(`parseClientHello() refuses ${name}: ${fault}`, () => assert.deepEqual(parseClientHello(octets), { fault }));

test("alertRecord() is a fatal alert, but for what is not TLS", () => {
  assert.deepEqual(Buffer.from(alertRecord("bad-name")!).toString("hex"), "15030100020270");
  assert.equal(alertRecord("not-tls"), undefined);
});

test("parseClientHello() of mutated hellos never throws; prefixes never say otherwise than the whole", () => {
  const rng = createSeededRng(8_446);
  const below = (limit: number): number => Math.floor(rng() * limit);
  const seeds = GOOD.filter(({ octets }) => octets.length < 1_000).map(({ octets }) => octets);
  const outcomes = new Map<string, number>();
  for (let round = 0; round < 50_000; round++) {
    let octets = Buffer.from(seeds[below(seeds.length)]!);
    for (let change = below(3); change >= 0; change--) {
      const at = below(octets.length);
      const kind = below(4);
      if (kind === 0) octets = octets.subarray(0, at + 1);
      else if (kind === 1) octets[at] = below(256);
      else if (kind === 2) octets[at]! ^= 1 << below(8);
      else
        octets = Buffer.concat([octets.subarray(0, at), Buffer.alloc(1 + below(3), below(256)), octets.subarray(at)]);
    }
    const result = parseClientHello(octets);
    const outcome = result === "more" ? "more" : "fault" in result ? result.fault : "hello";
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    if (typeof result === "object" && "alpn" in result && result.serverName !== undefined)
      assert.match(result.serverName, /^[a-z0-9_.-]{1,253}$/);
    const prefix = parseClientHello(octets.subarray(0, below(octets.length)));
    if (prefix !== "more") assert.deepEqual(prefix, result);
  }
  for (const outcome of ["hello", "more", "malformed", "not-tls", "bad-record", "not-a-hello", "bad-name"])
    assert.ok((outcomes.get(outcome) ?? 0) > 20, `${outcome}: ${outcomes.get(outcome)}`);
});
