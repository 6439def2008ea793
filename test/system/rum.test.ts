/** Beacons over real HTTP, as browsers send them, and what they do to answers. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import test, { type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import { createManualClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createRum } from "#rum/create-rum.ts";
import { makeToken } from "#rum/token.ts";
import type { RumSpec } from "#state/rum.ts";
import { createAuthority } from "../tls/authority.ts";

const KEY = "key-of-the-test-0123456789abcdef0";
const ORIGIN = "https://www.example.com";
const specOf = (over: Partial<RumSpec> = {}): RumSpec => ({
  listen: { address: "127.0.0.1", port: 0 },
  origins: [ORIGIN],
  key: KEY,
  tls: undefined,
  proxies: [],
  rate: { total: 1_000, network: 1_000 },
  ...over,
});

async function open(context: TestContext, over: Partial<RumSpec> = {}) {
  const clock = createManualClock();
  const located: string[] = [];
  const rum = createRum({
    clock,
    log: silentLog,
    randomBytes: (octets) => new Uint8Array(octets).fill(5),
    isRegion: (id) => id === "eu-west",
    locate(address) {
      located.push(address.join("."));
      return { asn: 64_500, country: "DE" };
    },
  });
  context.after(() => rum.close());
  await rum.apply(specOf(over));
  const port = rum.stats().listens!.port;
  const url = `http${over.tls ? "s" : ""}://127.0.0.1:${port}`;
  let nonce = 0;
  const token = (): string => makeToken({ regions: ["eu-west"], atMs: clock.nowMs(), nonce: `${nonce++}` }, KEY);
  const body = (ms = 20): string => JSON.stringify({ token: token(), measurements: [{ region: "eu-west", ms }] });
  const send = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${url}${path}`, { ...init, headers: { origin: ORIGIN, connection: "close", ...init.headers } });
  return { rum, clock, port, located, body, send };
}

test("a beacon is taken as sendBeacon and fetch send it, and answered for its page alone", async (t) => {
  const { rum, send, body } = await open(t);
  for (const type of ["text/plain;charset=UTF-8", "application/json"]) {
    const answer = await send("/rum", { method: "POST", body: body(), headers: { "content-type": type } });
    assert.equal(answer.status, 204);
    assert.equal(answer.headers.get("access-control-allow-origin"), ORIGIN);
    assert.equal(answer.headers.get("vary"), "origin");
  }
  assert.equal(rum.stats().beacons.taken, 2);
  assert.deepEqual(rum.rows(0), [], "one network says nothing");
});

for (const { says, path = "/rum", init, status } of [
  {
    says: "a preflight",
    init: { method: "OPTIONS", headers: { "access-control-request-method": "POST" } },
    status: 204,
  },
  { says: "another page", init: { method: "POST", headers: { origin: "https://evil.example" } }, status: 403 },
  { says: "a preflight of another page", init: { method: "OPTIONS", headers: { origin: "null" } }, status: 403 },
  { says: "no beacon", init: { method: "POST", body: "{}" }, status: 400 },
  { says: "a forged token", init: { method: "POST", body: forged() }, status: 401 },
  { says: "too much", init: { method: "POST", body: "x".repeat(1_025) }, status: 413 },
  { says: "something to measure", path: "/rum/ping?0.1", init: {}, status: 204 },
  { says: "something else", path: "/", init: {}, status: 404 },
  { says: "another method", init: { method: "GET" }, status: 405 },
] as { says: string; path?: string; init: RequestInit; status: number }[])
  test(`${says} is answered with ${status}`, async (t) => {
    const { send, rum } = await open(t);
    const answer = await send(path, init);
    assert.equal(answer.status, status);
    const allowed = answer.headers.get("access-control-allow-origin");
    assert.equal(allowed, status === 403 || status === 404 || status === 405 ? null : ORIGIN);
    if (path.startsWith("/rum/ping")) assert.equal(answer.headers.get("timing-allow-origin"), ORIGIN);
    assert.equal(rum.stats().beacons.taken, 0);
  });
function forged(): string {
  const token = makeToken({ regions: ["eu-west"], atMs: 0, nonce: "" }, `${KEY}x`);
  return JSON.stringify({ token, measurements: [{ region: "eu-west", ms: 1 }] });
}

test("behind a proxy of ours the client is who it says, and nobody else may say so", async (t) => {
  const { send, body, located } = await open(t, { proxies: ["127.0.0.0/8", "10.0.0.0/8"] });
  const from = (forwarded: string) =>
    send("/rum", { method: "POST", body: body(), headers: { "x-forwarded-for": forwarded } });
  assert.equal((await from("198.51.100.7")).status, 204);
  assert.equal((await from("6.6.6.6, 203.0.113.9, 10.0.0.2")).status, 204);
  assert.equal((await from("nonsense")).status, 400);
  assert.deepEqual(located, ["198.51.100.7", "203.0.113.9"]);
  const direct = await open(t);
  const headers = { "x-forwarded-for": "198.51.100.7" };
  await direct.send("/rum", { method: "POST", body: direct.body(), headers });
  assert.deepEqual(direct.located, ["127.0.0.1"]);
});

test("five networks of one system say how far it is", async (t) => {
  const { send, body, rum, clock } = await open(t, { proxies: ["127.0.0.0/8"] });
  for (let network = 0; network < 5; network++)
    for (let time = 0; time < 5; time++)
      await send("/rum", { method: "POST", body: body(30), headers: { "x-forwarded-for": `198.51.${network}.7` } });
  assert.deepEqual(
    rum.rows(clock.nowMs()).map(({ network, region, rttMicros, by }) => [network, region, rttMicros, by]),
    [["AS64500-DE", "eu-west", 30_000, "beacons"]],
  );
});

test("who holds a connection without saying anything is let go of", { timeout: 30_000 }, async (t) => {
  const { port } = await open(t);
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write("POST /rum HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{");
  await once(socket.resume(), "close");
});

test("settings change while it serves: the address moves, origins and key at once, off and on", async (t) => {
  const { rum, send, body, port } = await open(t);
  await rum.apply(specOf({ listen: { address: "127.0.0.1", port }, origins: ["https://other.example"] }));
  assert.equal((await send("/rum", { method: "POST", body: body() })).status, 403);
  await rum.apply(undefined);
  await assert.rejects(send("/rum", { method: "POST", body: body() }));
  assert.equal(rum.stats().listens, null);
  await rum.apply(specOf({ listen: { address: "127.0.0.1", port } }));
  assert.equal((await send("/rum", { method: "POST", body: body() })).status, 204);
  await assert.rejects(
    rum.apply(specOf({ listen: { address: "192.0.2.1", port: 1 } })),
    /RHUMB_RUM_LISTEN|Cannot listen/,
  );
  assert.equal((await send("/rum", { method: "POST", body: body() })).status, 204, "what served goes on");
});

test("TLS is served with the files that are named, and a renewed one is taken", async (t) => {
  const authority = createAuthority(t);
  const first = authority.issue({ names: ["rum.example"] });
  const { rum, port } = await open(t, { tls: { certFile: first.certFile, keyFile: first.keyFile } });
  const serial = async (): Promise<string> => {
    const socket = connectTls({ port, host: "127.0.0.1", ca: authority.ca, servername: "rum.example" });
    await once(socket, "secureConnect");
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  const before = await serial();
  const next = authority.issue({ names: ["rum.example"] });
  const tls = { certFile: next.certFile, keyFile: next.keyFile };
  await rum.apply(specOf({ listen: { address: "127.0.0.1", port: 0 }, tls }));
  assert.notEqual(await serial(), before);
  const broken = specOf({ tls: { certFile: "/nowhere.pem", keyFile: next.keyFile } });
  await assert.rejects(rum.apply(broken), /Cannot use the TLS certificate/);
});
