/** TLS to backends: whom we believe, under which name, and what is said of those we do not. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import { createServer, type TlsOptions } from "node:tls";
import { RhumbError } from "#base/errors.ts";
import type { TcpConn, TlsAgreement } from "#net/driver.ts";
import { createNetDriver } from "#net/node/driver.ts";
import type { UpstreamTlsSpec } from "#state/http.ts";
import { createUpstreamTls, nameOfHost, type UpstreamTerms } from "#tls/upstream.ts";
import { without } from "../system/tools.ts";
import { createAuthority } from "./authority.ts";

const skip = without("openssl");
const SPEC: UpstreamTlsSpec = {
  isVerified: true,
  caFile: "ca.pem",
  certFile: undefined,
  keyFile: undefined,
  serverName: undefined,
};

async function serve(t: TestContext, options: TlsOptions): Promise<number> {
  const server = createServer(options, (socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  server.on("tlsClientError", () => {});
  t.after(() => server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
}
type Met = { readonly agreement: TlsAgreement | undefined; readonly why: string | undefined };
function meet(t: TestContext, port: number, terms: UpstreamTerms): Promise<Met> {
  const driver = createNetDriver();
  t.after(() => driver.close());
  return new Promise((resolve, reject) => {
    driver.connect({ address: "127.0.0.1", port }, 5_000, (conn) => {
      if (typeof conn === "string") return reject(new Error(conn));
      driver.startTlsClient!(conn, terms, (agreement, why) => {
        if (agreement === undefined) return resolve({ agreement, why });
        echo(conn, () => resolve({ agreement, why }));
      });
    });
  });
}
/** Sessions of TLS 1.3 come with the first octets. */
function echo(conn: TcpConn, done: () => void): void {
  conn.stream({ onOctets: done, onEnd() {}, onRoom() {}, onGone() {} });
  conn.writeText("ping");
}

test("startTlsClient() believes good certificates alone, and says what was wrong", {
  skip,
  timeout: 60_000,
}, async (t) => {
  const authority = createAuthority(t);
  const stranger = createAuthority(t, "Stranger");
  const good = authority.issue({ names: ["app.example"], addresses: ["127.0.0.1"] });
  const nameless = authority.issue({ names: ["app.example"] });
  const past = { notBefore: "20200101000000Z", notAfter: "20200102000000Z" };
  const old = authority.issue({ names: ["app.example"], ...past });
  const foreign = stranger.issue({ names: ["app.example"] });
  const tls = (changes: Partial<UpstreamTlsSpec> = {}) =>
    createUpstreamTls({ spec: { ...SPEC, ...changes }, textOf: () => authority.ca, alpn: ["h2"], timeoutMs: 5_000 });
  for (const { leaf, host, changes, why } of [
    { leaf: good, host: "app.example:8443", changes: {}, why: undefined },
    { leaf: good, host: "127.0.0.1:8443", changes: {}, why: undefined },
    { leaf: good, host: "client.example", changes: { serverName: "app.example" }, why: undefined },
    { leaf: good, host: "other.example", changes: {}, why: /other\.example.*altnames|does not match/i },
    { leaf: nameless, host: "127.0.0.1", changes: {}, why: /127\.0\.0\.1/ },
    { leaf: old, host: "app.example", changes: {}, why: /expired/ },
    { leaf: foreign, host: "app.example", changes: {}, why: /unable to (verify|get).*certificate/ },
    { leaf: foreign, host: "other.example", changes: { isVerified: false }, why: undefined },
  ]) {
    const port = await serve(t, { cert: leaf.cert, key: leaf.key, ALPNProtocols: ["h2", "http/1.1"] });
    const met = await meet(t, port, tls(changes).terms(host, 0));
    assert.equal(met.agreement === undefined, why !== undefined, `${host} ${met.why}`);
    if (why !== undefined) assert.match(met.why ?? "", why);
    else assert.equal(met.agreement!.alpn, "h2");
  }
});

test("startTlsClient() takes up the last session of the same backend under the same name", { skip }, async (t) => {
  const authority = createAuthority(t);
  const { cert, key } = authority.issue({ names: ["app.example", "other.example"] });
  let full = 0;
  const server = createServer({ cert, key }, (socket) => {
    if (!socket.isSessionReused()) full++;
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  t.after(() => server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const { terms } = createUpstreamTls({ spec: SPEC, textOf: () => authority.ca, alpn: [], timeoutMs: 5_000 });
  for (const [host, backend, expected] of [
    ["app.example", 0, 1],
    ["app.example", 0, 1],
    ["APP.example:1", 0, 1],
    ["other.example", 0, 2],
    ["app.example", 1, 3],
  ] as const) {
    assert.ok((await meet(t, port, terms(host, backend))).agreement);
    assert.equal(full, expected, `${host} ${backend}`);
  }
});

test("startTlsClient() shows our certificate", { skip }, async (t) => {
  const authority = createAuthority(t);
  const [server, client] = [authority.issue({ names: ["app.example"] }), authority.issue({ subject: "/CN=rhumb" })];
  const options = { cert: server.cert, key: server.key, ca: authority.ca, requestCert: true, rejectUnauthorized: true };
  const port = await serve(t, { ...options, maxVersion: "TLSv1.2" });
  const texts: Record<string, string> = { "ca.pem": authority.ca, "c.pem": client.cert, "c.key": client.key };
  const tls = (changes: Partial<UpstreamTlsSpec>) =>
    createUpstreamTls({ spec: { ...SPEC, ...changes }, textOf: (file) => texts[file]!, alpn: [], timeoutMs: 5_000 });
  const shown = tls({ certFile: "c.pem", keyFile: "c.key" }).terms("app.example", 0);
  assert.ok((await meet(t, port, shown)).agreement);
  assert.equal((await meet(t, port, tls({}).terms("app.example", 0))).agreement, undefined);
  assert.throws(() => tls({ certFile: "c.pem", keyFile: "ca.pem" }), RhumbError);
});

test("startTlsClient() gives up in time, and survives servers that go", async (t) => {
  for (const [onSocket, expected] of [
    [() => {}, /timeout/],
    [(socket: import("node:net").Socket) => socket.destroy(), /disconnected|closed|reset/i],
    [
      (socket: import("node:net").Socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"),
      /wrong version|packet|ssl/i,
    ],
  ] as const) {
    const { createServer: createTcp } = await import("node:net");
    const server = createTcp((socket) => {
      socket.on("error", () => {});
      t.after(() => socket.destroy());
      onSocket(socket);
    });
    t.after(() => server.close());
    await once(server.listen(0, "127.0.0.1"), "listening");
    const spec = { ...SPEC, caFile: undefined };
    const { terms } = createUpstreamTls({ spec, textOf: () => "", alpn: [], timeoutMs: 300 });
    const met = await meet(t, (server.address() as AddressInfo).port, terms("app.example", 0));
    assert.equal(met.agreement, undefined);
    assert.match(met.why ?? "", expected);
  }
});

test("nameOfHost() finds the name to look for, and takes no address for one", () => {
  for (const [host, expected] of [
    ["App.Example:8443", "app.example"],
    ["app.example.", "app.example"],
    ["192.0.2.1", undefined],
    ["192.0.2.1:443", undefined],
    ["[2001:db8::1]:443", undefined],
    ["", undefined],
    [undefined, undefined],
    ["a b", undefined],
    ["a\0b", undefined],
    ["x".repeat(254), undefined],
    ["-a", undefined],
  ] as const)
    assert.equal(nameOfHost(host), expected, String(host));
});
