/** TLS: passed through to whom the name says, and ended here for backends that speak plain TCP. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import test, { type TestContext } from "node:test";
import {
  type ConnectionOptions,
  createServer as createTlsServer,
  type TLSSocket,
  connect as tlsConnect,
} from "node:tls";
import { parseProxyHeader, writeProxyHeader } from "#pool/proxy-protocol/codec.ts";
import type { ListenerSpec } from "#state/balancer.ts";
import { type Peer, pattern, peerOf, until } from "../net/bed.ts";
import { DRIVERS } from "../net/drivers.ts";
import { listenerOf } from "../pool/specs.ts";
import { without } from "../system/tools.ts";
import { makeCertificate } from "../tls/certificates.ts";
import { type L4Bed, openL4 } from "./l4-bed.ts";

const skip = without("openssl");
const certificates = skip
  ? undefined
  : { one: makeCertificate("one.example"), two: makeCertificate("two.example"), new: makeCertificate("one.example") };
const ONE = { certFile: "one", keyFile: "one.key" };
const TWO = { certFile: "two", keyFile: "two.key" };
const pems = (names: Record<string, "one" | "two" | "new"> = { one: "one", two: "two" }): Record<string, string> =>
  Object.fromEntries(
    Object.entries(names).flatMap(([file, name]) => [
      [file, certificates![name].cert],
      [`${file}.key`, certificates![name].key],
    ]),
  );
const check = (title: string, run: (t: TestContext) => Promise<void>) => test(title, { skip, timeout: 60_000 }, run);

type TlsPeer = Peer & { readonly socket: TLSSocket };
const trust = () => [certificates!.one.cert, certificates!.two.cert, certificates!.new.cert];
async function dialTls(t: TestContext, port: number, options: ConnectionOptions = {}): Promise<TlsPeer> {
  const socket = tlsConnect({ port, host: "127.0.0.1", ca: trust(), servername: "one.example", ...options });
  t.after(() => socket.destroy());
  const peer = peerOf(socket) as TlsPeer;
  await new Promise<void>((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed")));
  });
  return peer;
}
const nameOf = (peer: TlsPeer): string => peer.socket.getPeerCertificate().subject.CN as string;
const serialOf = (peer: TlsPeer): string => peer.socket.getPeerCertificate().serialNumber;
const echo = (socket: Socket): void => void socket.pipe(socket);

// ── passthrough ──────────────────────────────────────────────────────────────────────────────────────────────────

for (const [name, createDriver] of Object.entries(DRIVERS)) {
  check(`TLS passthrough over ${name} goes where name and protocol say`, async (t) => {
    const served: string[] = [];
    const servers = (["one", "two"] as const).map((each) => {
      const server = createTlsServer({ ...certificates![each], ALPNProtocols: ["h2", "http/1.1"] }, (socket) => {
        served.push(each);
        socket.on("error", () => {});
        socket.end(`from ${each}`);
      });
      server.on("tlsClientError", () => {});
      return server;
    });
    const bed = await openL4(t, {
      driver: createDriver(),
      backends: 2,
      pools: [{}, {}],
      onConnection: (socket, row) => servers[row]!.emit("connection", socket),
      listener: {
        protocol: "tls-passthrough",
        pool: undefined,
        sni: [
          { names: ["one.example"], alpn: ["h2"], pool: 1 },
          { names: ["one.example"], alpn: [], pool: 0 },
          { names: ["*.two.example", "two.example"], alpn: [], pool: 1 },
        ],
      },
    });
    for (const { options, expected } of [
      { options: {}, expected: "one" },
      { options: { servername: "two.example" }, expected: "two" },
      { options: { servername: "a.b.two.example", checkServerIdentity: () => undefined }, expected: "two" },
      { options: { ALPNProtocols: ["h2"], checkServerIdentity: () => undefined }, expected: "two" },
      { options: { ALPNProtocols: ["http/1.1"] }, expected: "one" },
    ]) {
      const client = await dialTls(t, bed.port, options);
      assert.equal(await client.whole(), `from ${expected}`);
      client.socket.end();
    }
    assert.deepEqual(served, ["one", "two", "two", "two", "one"]);
    await assert.rejects(dialTls(t, bed.port, { servername: "three.example" }), /unrecognized.name/);
    await until(() => bed.count("refused_route") === 1);
    const plain = await bed.dial();
    plain.socket.write("GET / HTTP/1.1\r\n");
    assert.equal(await plain.ending, "reset");
    assert.equal(bed.count("refused_preamble"), 1);
  });
  check(`TLS passthrough over ${name} does not wait for ever for a ClientHello`, async (t) => {
    const bed = await openL4(t, {
      driver: createDriver(),
      listener: { protocol: "tls-passthrough", timeouts: { ...listenerOf().timeouts, preambleMs: 200 } },
    });
    const [silent, slow] = [await bed.dial(), await bed.dial()];
    slow.socket.write(Uint8Array.of(22, 3, 1, 2, 0));
    assert.deepEqual([await silent.ending, await slow.ending], ["reset", "reset"]);
    assert.equal(bed.count("refused_preamble"), 2);
  });
  check(`TLS passthrough over ${name} tells the backend the name`, async (t) => {
    const bed = await openL4(t, {
      driver: createDriver(),
      listener: { protocol: "tls-passthrough" },
      pool: { proxyProtocol: { version: 2, uniqueId: false, authority: true, crc32c: true } },
    });
    const socket = tlsConnect({ port: bed.port, host: "127.0.0.1", servername: "one.example" });
    socket.on("error", () => {});
    t.after(() => socket.destroy());
    const header = parseProxyHeader(await (await bed.backends[0]!.next()).received(200));
    assert.ok(header.kind === "header");
    assert.equal(header.tlvs.authority, "one.example");
  });
}

// ── termination ──────────────────────────────────────────────────────────────────────────────────────────────────

type Open = (listener?: Partial<ListenerSpec>, options?: object) => Promise<L4Bed>;
/** On each driver. */
function ended(title: string, run: (t: TestContext, openTls: Open) => Promise<void>): void {
  for (const [name, createDriver] of Object.entries(DRIVERS))
    check(`TLS termination over ${name} ${title}`, (t) =>
      run(t, (listener = {}, options = {}) =>
        openL4(t, {
          driver: createDriver(),
          onConnection: echo,
          pems: pems(),
          listener: { protocol: "tls", certificates: [ONE, TWO], ...listener },
          ...options,
        }),
      ),
    );
}

ended("serves the certificate of the name, and plain octets to the backend", async (t, openTls) => {
  const bed = await openTls();
  for (const servername of ["one.example", "two.example"]) {
    const client = await dialTls(t, bed.port, { servername });
    assert.equal(nameOf(client), servername);
    assert.equal(client.socket.getProtocol(), "TLSv1.3");
    client.socket.write("hello");
    assert.equal((await client.received(5)).toString(), "hello");
    client.socket.end();
  }
  await until(() => bed.count("closed") === 2);
  assert.equal(bed.count("octets_from_clients"), 10);
});
ended("carries 16 MiB both ways, octet by octet", async (t, openTls) => {
  const bed = await openTls();
  const client = await dialTls(t, bed.port);
  const octets = pattern(16 * 1024 * 1024);
  client.socket.end(octets);
  assert.equal(await client.ending, "fin");
  assert.ok(Buffer.concat(client.chunks).equals(octets));
});
ended("keeps half-closed connections", async (t, openTls) => {
  const bed = await openTls({}, { onConnection: undefined });
  const client = await dialTls(t, bed.port, { allowHalfOpen: true } as ConnectionOptions);
  const server = await bed.backends[0]!.next();
  client.socket.end("question");
  assert.equal(await server.whole(), "question");
  server.socket.end("answer");
  assert.equal(await client.whole(), "answer");
});
ended("hands on resets both ways", async (t, openTls) => {
  const bed = await openTls({}, { onConnection: undefined });
  const first = await dialTls(t, bed.port);
  (await bed.backends[0]!.next()).socket.resetAndDestroy();
  assert.equal(await first.ending, "reset");
  const raw = await bed.dial();
  const second = await dialTls(t, bed.port, { socket: raw.socket });
  const server = await bed.backends[0]!.next();
  second.socket.write("x");
  await server.received(1);
  raw.socket.resetAndDestroy();
  assert.equal(await server.ending, "reset");
});
ended("routes by name and by the protocol agreed on", async (t, openTls) => {
  const bed = await openTls(
    { alpn: ["h2", "http/1.1"], pool: 0, sni: [{ names: ["*"], alpn: ["h2"], pool: 1 }] },
    { backends: 2, pools: [{}, {}], onConnection: (socket: Socket, row: number) => socket.end(`from ${row}`) },
  );
  for (const { offers, agreed, row } of [
    { offers: ["http/1.1", "h2"], agreed: "h2", row: 1 },
    { offers: ["http/1.1"], agreed: "http/1.1", row: 0 },
    { offers: [], agreed: false, row: 0 },
  ]) {
    const client = await dialTls(t, bed.port, { ALPNProtocols: offers });
    assert.equal(client.socket.alpnProtocol, agreed);
    assert.equal(await client.whole(), `from ${row}`);
    client.socket.end();
  }
  await assert.rejects(
    dialTls(t, bed.port, { ALPNProtocols: ["spdy/3"] }),
    /no_application_protocol|no application protocol/,
  );
});
ended("takes another certificate without touching connections", async (t, openTls) => {
  const texts = pems();
  const bed = await openTls({}, { pems: texts });
  const old = await dialTls(t, bed.port);
  old.socket.write("before");
  await old.received(6);
  Object.assign(texts, pems({ one: "new" }));
  bed.apply({});
  const fresh = await dialTls(t, bed.port);
  assert.notEqual(serialOf(fresh), serialOf(old));
  old.socket.write("after");
  assert.equal((await old.received(11)).toString(), "beforeafter");
});
ended("brings clients to the pool that was meant when they came", async (t, openTls) => {
  const bed = await openTls(
    { pool: 1 },
    { backends: 3, pools: [{}, {}, {}], onConnection: (socket: Socket, row: number) => socket.end(`from ${row}`) },
  );
  const raw = await bed.dial();
  await until(() => bed.count("active") === 1);
  bed.apply({ keepPools: ["pool2"], listener: { pool: 0 } });
  const early = await dialTls(t, bed.port, { socket: raw.socket });
  assert.equal(await early.whole(), "from 1");
  assert.equal(await (await dialTls(t, bed.port)).whole(), "from 2");
  early.socket.end();
});
ended("keeps what it has when a certificate is bad", async (t, openTls) => {
  const texts = pems();
  const bed = await openTls({}, { pems: texts });
  texts["one.key"] = texts["two.key"]!;
  assert.throws(() => bed.apply({ listener: { pool: undefined } }), /one/);
  const client = await dialTls(t, bed.port);
  client.socket.write("hello");
  assert.equal((await client.received(5)).toString(), "hello");
});
ended("refuses what is no TLS, too old, or too slow, and goes on", async (t, openTls) => {
  const bed = await openTls({ timeouts: { ...listenerOf().timeouts, handshakeMs: 300 } });
  const plain = await bed.dial();
  plain.socket.write("GET / HTTP/1.1\r\n\r\n");
  await plain.ending;
  const silent = await bed.dial();
  assert.equal(await silent.ending, "reset");
  const gone = await bed.dial();
  gone.socket.resetAndDestroy();
  const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "ALL:@SECLEVEL=0" } as const;
  await assert.rejects(dialTls(t, bed.port, old));
  await until(() => bed.count("handshake_failed") === 4);
  const client = await dialTls(t, bed.port, { maxVersion: "TLSv1.2" });
  client.socket.write("hello");
  assert.equal((await client.received(5)).toString(), "hello");
});
ended("resumes sessions at another worker with the same ticket keys", async (t, openTls) => {
  const ticketSecret = pattern(48);
  const [one, other] = [await openTls({}, { ticketSecret }), await openTls({}, { ticketSecret })];
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    const first = await dialTls(t, one.port, { maxVersion });
    // In TLS 1.3 tickets come after the handshake.
    const ticket = maxVersion === "TLSv1.3" ? once(first.socket, "session") : [first.socket.getSession()];
    first.socket.write("hello");
    const [session] = (await ticket) as [Buffer];
    const second = await dialTls(t, other.port, { maxVersion, session });
    assert.ok(second.socket.isSessionReused(), maxVersion);
  }
});
ended("reads a PROXY header before the handshake, in one segment with it", async (t, openTls) => {
  const bed = await openTls(
    { proxyProtocol: { trusted: ["127.0.0.0/8"], timeoutMs: 5_000 } },
    {
      onConnection: undefined,
      pool: { proxyProtocol: { version: 2, uniqueId: false, authority: true, crc32c: false } },
    },
  );
  const raw = await bed.dial();
  const source = { address: "203.0.113.7", port: 4_711 };
  raw.socket.cork();
  raw.socket.write(
    writeProxyHeader({ version: 2, command: "proxy", source, destination: { address: "192.0.2.1", port: 443 } }),
  );
  const dialled = dialTls(t, bed.port, { socket: raw.socket });
  await new Promise(setImmediate);
  raw.socket.uncork();
  const client = await dialled;
  client.socket.write("hello");
  const octets = await (await bed.backends[0]!.next()).received(16 + 12 + 3 + 11 + 5);
  const header = parseProxyHeader(octets);
  assert.ok(header.kind === "header");
  assert.deepEqual(header.source, source);
  assert.equal(header.tlvs.authority, "one.example");
  assert.equal(octets.subarray(header.length).toString(), "hello");
});
ended("lets a drain finish, and ends by RST what does not", async (t, openTls) => {
  const bed = await openTls();
  const client = await dialTls(t, bed.port);
  client.socket.write("hello");
  await client.received(5);
  await bed.l4.drain(200);
  assert.equal(await client.ending, "reset");
  assert.equal(bed.count("stopped"), 1);
});
