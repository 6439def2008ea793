/** The API over real sockets: sites, sessions, guessed tokens, Unix socket, TLS, event stream, moving and closing. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { guesserKey } from "#api/rate-limit.ts";
import type { RhumbEvent } from "#state/events.ts";
import { without } from "../system/tools.ts";
import { bearer, CONTROL, createWorld, QUERY, TOKENS, type World } from "./fake-world.ts";

type Answer = { status: number; headers: IncomingMessage["headers"]; body: string };
type Ask = { method?: string; headers?: Record<string, string>; body?: object; socketPath?: string };

function ask(url: string, { method = "GET", headers = {}, body, socketPath }: Ask = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const type = payload === undefined ? {} : { "content-type": "application/json" };
  const options = {
    method,
    headers: { ...type, ...headers },
    agent: false,
    rejectUnauthorized: false,
    ...(socketPath ? { socketPath } : {}),
  };
  const request = (url.startsWith("https") ? httpsRequest : httpRequest)(url, options, (response) => {
    let text = "";
    response.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body: text }));
  });
  request.on("error", reject).end(payload);
  return promise;
}

async function start(
  t: TestContext,
  options: Parameters<typeof createWorld>[0] = {},
): Promise<World & { url: string }> {
  const world = createWorld(options);
  const url = await world.api.listen();
  t.after(() => world.api.close());
  return { ...world, url };
}

const event = (says: string): RhumbEvent => ({
  kind: "health.transition",
  atMs: 1,
  severity: "info",
  subject: "region/eu-west",
  says,
});

/** An open event stream that is read block by block. */
async function openStream(url: string, headers: Record<string, string> = {}, path = "/events") {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = httpRequest(
    `${url}${path}`,
    { headers: { ...bearer("read"), accept: "text/event-stream", ...headers }, agent: false },
    resolve,
  ).on("error", reject);
  request.end();
  const response = await promise;
  response.setEncoding("utf8");
  let text = "";
  const waiting: (() => void)[] = [];
  response.on("data", (chunk: string) => {
    text += chunk;
    for (const wake of waiting.splice(0)) wake();
  });
  const closed = new Promise<void>((done) => response.once("close", done));
  response.on("error", () => {});
  return {
    response,
    closed,
    /** Waits for a pattern in what came since the last call; hands over and forgets that. */
    async until(pattern: RegExp): Promise<string> {
      while (!pattern.test(text)) await new Promise<void>((wake) => waiting.push(wake));
      const read = text;
      text = "";
      return read;
    },
    destroy: () => request.destroy(),
  };
}

for (const { name, headers, status } of [
  { name: "its own address", headers: {}, status: 200 },
  { name: "localhost", headers: { host: "localhost:8053" }, status: 200 },
  { name: "a rebound name", headers: { host: "attacker.example:8053" }, status: 421 },
  { name: "a name that looks like an address", headers: { host: "127.0.0.1.attacker.example" }, status: 421 },
  { name: "no sense", headers: { host: "a b" }, status: 421 },
  { name: "another site's origin", headers: { host: "127.0.0.1:1", origin: "http://attacker.example" }, status: 403 },
  { name: "a null origin", headers: { origin: "null" }, status: 403 },
  { name: "another port's origin", headers: { host: "127.0.0.1:1", origin: "http://127.0.0.1:2" }, status: 403 },
  { name: "https for http", headers: { host: "127.0.0.1:1", origin: "https://127.0.0.1:1" }, status: 403 },
  { name: "its own origin", headers: { host: "127.0.0.1:1", origin: "http://127.0.0.1:1" }, status: 200 },
] as { name: string; headers: Record<string, string>; status: number }[]) {
  test(`a request with ${name} gets ${status}, also with the right token and on public routes`, async (t) => {
    const { url } = await start(t);
    for (const path of ["/status", "/healthz", "/"]) {
      assert.equal((await ask(url + path, { headers: { ...bearer("read"), ...headers } })).status, status, path);
    }
  });
}

test("a session needs its cookie, its origin and its CSRF token, and ends with logout and with its token", async (t) => {
  const { url, api } = await start(t);
  const port = new URL(url).port;
  const login = await ask(`${url}/session`, { method: "POST", body: { token: TOKENS.operate } });
  assert.equal(login.status, 201);
  const setCookie = login.headers["set-cookie"]![0]!;
  for (const attribute of ["HttpOnly", "SameSite=Strict", "Path=/"])
    assert.ok(setCookie.includes(attribute), setCookie);
  assert.ok(setCookie.startsWith(`rhumb_session_${port}=`));
  const cookie = setCookie.split(";")[0]!;
  const { csrf } = JSON.parse(login.body);
  const set = (headers: Record<string, string>) =>
    ask(`${url}/overrides`, { method: "POST", headers, body: { target: "eu-west", verb: "down", reason: "r" } });

  assert.equal((await ask(`${url}/status`, { headers: { cookie } })).status, 200);
  assert.equal((await set({ cookie })).status, 403);
  assert.equal((await set({ cookie, "x-csrf-token": `${csrf.slice(0, -1)}!` })).status, 403);
  assert.equal((await set({ cookie, "x-csrf-token": csrf, origin: "http://attacker.example" })).status, 403);
  assert.equal((await set({ cookie, "x-csrf-token": csrf, origin: url })).status, 201);
  assert.equal(
    (await ask(`${url}/config`, { method: "PUT", headers: { cookie, "x-csrf-token": csrf }, body: {} })).status,
    403,
  );
  assert.deepEqual(JSON.parse((await ask(`${url}/session`, { headers: { cookie } })).body), {
    name: "olga",
    role: "operate",
    csrf,
  });

  await api.apply({ ...CONTROL, tokens: CONTROL.tokens.filter(({ name }) => name !== "olga") });
  assert.equal((await ask(`${url}/status`, { headers: { cookie } })).status, 401);
  await api.apply(CONTROL);
  assert.equal(
    (await ask(`${url}/status`, { headers: { cookie } })).status,
    401,
    "an ended session does not come back",
  );

  const again = await ask(`${url}/session`, { method: "POST", body: { token: TOKENS.operate } });
  const second = again.headers["set-cookie"]![0]!.split(";")[0]!;
  const logout = await ask(`${url}/session`, {
    method: "DELETE",
    headers: { cookie: second, "x-csrf-token": JSON.parse(again.body).csrf },
  });
  assert.equal(logout.status, 204);
  assert.equal((await ask(`${url}/status`, { headers: { cookie: second } })).status, 401);
});

test("a session ends after twelve hours", async (t) => {
  const { url, clock } = await start(t);
  const login = await ask(`${url}/session`, { method: "POST", body: { token: TOKENS.read } });
  const cookie = login.headers["set-cookie"]![0]!.split(";")[0]!;
  clock.advance(12 * 3_600_000 - 1);
  assert.equal((await ask(`${url}/status`, { headers: { cookie } })).status, 200);
  clock.advance(1);
  assert.equal((await ask(`${url}/status`, { headers: { cookie } })).status, 401);
});

test("who guesses tokens is locked out, by header and by login alike, and let in again later", async (t) => {
  const { url, clock } = await start(t);
  for (let guess = 0; guess < 20; guess++) {
    const answer =
      guess % 2 === 0
        ? await ask(`${url}/status`, { headers: { authorization: `Bearer guess-${guess}` } })
        : await ask(`${url}/session`, { method: "POST", body: { token: `guess-${guess}` } });
    assert.equal(answer.status, 401);
  }
  for (const answer of [
    await ask(`${url}/status`, { headers: bearer("admin") }),
    await ask(`${url}/session`, { method: "POST", body: { token: TOKENS.admin } }),
  ]) {
    assert.equal(answer.status, 429);
    assert.ok(Number(answer.headers["retry-after"]) >= 1);
    assert.equal(JSON.parse(answer.body).code, "RHUMB_API_LOCKED");
  }
  clock.advance(3_000);
  assert.equal((await ask(`${url}/status`, { headers: bearer("admin") })).status, 200);
});

test("guesses over IPv6 count for the whole /64, through the login as well", async (t) => {
  const { url } = await start(t, { control: { ...CONTROL, listen: { address: "::1", port: 0 } } });
  for (let guess = 0; guess < 20; guess++) {
    assert.equal((await ask(`${url}/session`, { method: "POST", body: { token: `guess-${guess}` } })).status, 401);
  }
  assert.equal((await ask(`${url}/status`, { headers: bearer("admin") })).status, 429);
  assert.equal(guesserKey("2001:db8::1"), guesserKey("2001:db8::ffff:2"));
  assert.notEqual(guesserKey("2001:db8::1"), guesserKey("2001:db8:0:1::1"));
  assert.notEqual(guesserKey("192.0.2.1"), guesserKey("192.0.2.2"));
});

test("requests without a token lock nobody out", async (t) => {
  const { url } = await start(t);
  for (let count = 0; count < 40; count++) assert.equal((await ask(`${url}/status`)).status, 401);
  assert.equal((await ask(`${url}/status`, { headers: bearer("read") })).status, 200);
});

test("a Unix socket has mode 600, needs no token, and only a stale file is replaced", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-api-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const socketPath = join(folder, "api.sock");
  // A process that is killed leaves its socket file behind.
  const script = `require("net").createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, "SIGKILL"))`;
  assert.equal(spawnSync(process.execPath, ["-e", script]).signal, "SIGKILL");
  assert.ok(statSync(socketPath).isSocket());
  const { url, audit } = await start(t, { control: { ...CONTROL, tokens: [], listen: { socket: socketPath } } });
  assert.equal(url, `unix:${socketPath}`);
  assert.equal(statSync(socketPath).mode & 0o777, 0o600);
  const answer = await ask("http://anything/overrides", {
    socketPath,
    method: "POST",
    body: { target: "eu-west", verb: "up", reason: "r" },
  });
  assert.equal(answer.status, 201);
  assert.deepEqual([audit.list()[0]!.name, audit.list()[0]!.remote], [userInfo().username, "unix"]);
  const second = createWorld({ control: { ...CONTROL, listen: { socket: socketPath } } });
  await assert.rejects(second.api.listen(), { code: "RHUMB_API_LISTEN" });
  await second.api.close();
});

test("TLS: the certificate's names are hosts, the cookie is Secure, and a renewed certificate is taken", {
  skip: without("openssl"),
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-api-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const make = (name: string): { certFile: string; keyFile: string } => {
    const files = { certFile: join(folder, `${name}.pem`), keyFile: join(folder, `${name}.key`) };
    const made = spawnSync("openssl", [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "2",
      "-subj",
      `/CN=${name}`,
      "-addext",
      `subjectAltName=DNS:${name}`,
      "-keyout",
      files.keyFile,
      "-out",
      files.certFile,
    ]);
    assert.equal(made.status, 0, String(made.stderr));
    return files;
  };
  const control = { ...CONTROL, tls: make("ns1.example") };
  const { url, api } = await start(t, { control });
  assert.match(url, /^https:/);
  const asNs1 = { headers: { ...bearer("read"), host: "ns1.example" } };
  assert.equal((await ask(`${url}/status`, asNs1)).status, 200);
  assert.equal((await ask(`${url}/status`, { headers: { ...bearer("read"), host: "ns2.example" } })).status, 421);
  const login = await ask(`${url}/session`, { method: "POST", body: { token: TOKENS.read } });
  assert.match(login.headers["set-cookie"]![0]!, /; Secure/);
  await api.apply({ ...control, tls: make("ns2.example") });
  assert.equal((await ask(`${url}/status`, asNs1)).status, 421);
  await assert.rejects(api.apply({ ...control, tls: { certFile: "/none", keyFile: "/none" } }), {
    code: "RHUMB_API_TLS",
  });
  assert.equal((await ask(`${url}/status`, { headers: { ...bearer("read"), host: "ns2.example" } })).status, 200);
});

test("control off loopback without TLS is refused", async () => {
  const { api } = createWorld({ control: { ...CONTROL, listen: { address: "0.0.0.0", port: 0 } } });
  await assert.rejects(api.listen(), { code: "RHUMB_API_INSECURE" });
  await api.close();
});

test("an event stream begins with what was missed, goes on live, and beats", async (t) => {
  const { url, events, clock } = await start(t);
  for (const says of ["one", "two", "three"]) events.push(event(says));
  const stream = await openStream(url, { "last-event-id": "run1-1" });
  assert.match(String(stream.response.headers["content-type"]), /^text\/event-stream/);
  const replay = await stream.until(/three/);
  assert.ok(!replay.includes('"one"') && replay.includes("id: run1-2\nevent: health.transition\ndata: {"), replay);
  assert.ok(!replay.includes("event: gap"));
  events.push(event("four"));
  await stream.until(/id: run1-4[\s\S]*four/);
  clock.advance(15_000);
  await stream.until(/: still here/);
  stream.destroy();
});

test("a stream of queries begins with what was missed, and has those that are asked for", async (t) => {
  const { url, queries } = await start(t);
  const seen = (name: string, rcode: string) => queries.push({ ...QUERY, name, rcode });
  seen("a.example.", "NXDOMAIN");
  seen("b.example.", "NXDOMAIN");
  seen("c.example.", "NOERROR");
  const headers = { ...bearer("operate"), "last-event-id": "run1-1" };
  const stream = await openStream(url, headers, "/queries?rcode=nxdomain&name=*.example");
  const missed = await stream.until(/b\.example/);
  seen("other.test.", "NXDOMAIN");
  seen("d.example.", "NXDOMAIN");
  const text = missed + (await stream.until(/d\.example/));
  assert.deepEqual(text.match(/"name":"[^"]+"/g), ['"name":"b.example."', '"name":"d.example."']);
  assert.match(text, /id: run1-5\nevent: query\ndata: \{"id":"run1-5",/);
  stream.destroy();
});

for (const { name, id } of [
  { name: "of another run", id: "run0-2" },
  { name: "that fell out of the ring", id: "run1-1" },
  { name: "that is none", id: "x" },
]) {
  test(`an event stream from an id ${name} tells of the gap and sends all it has`, async (t) => {
    const { url, events } = await start(t);
    for (let count = 1; count <= 20; count++) events.push(event(`number ${count}`));
    const stream = await openStream(url, { "last-event-id": id });
    const text = await stream.until(/number 20"/);
    assert.match(text, /event: gap/);
    assert.equal(text.match(/^id: /gm)?.length, 8);
    stream.destroy();
  });
}

test("a reader that does not read is cut off, and others go on", async (t) => {
  const { promise: cut, resolve: onCut } = Promise.withResolvers<void>();
  const log = { debug() {}, info() {}, warn: () => onCut(), error() {} };
  const { url, events } = await start(t, { log });
  const good = await openStream(url);
  const slow = connect(Number(new URL(url).port), "127.0.0.1");
  t.after(() => slow.destroy());
  const ended = new Promise<void>((resolve) => slow.once("close", resolve));
  slow.on("error", () => {});
  slow.write(`GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${TOKENS.read}\r\n\r\n`);
  await new Promise<void>((resolve) => slow.once("data", () => resolve()));
  slow.pause();
  let isCut = false;
  void cut.then(() => {
    isCut = true;
  });
  const big = "x".repeat(64 * 1024);
  for (let sent = 1; !isCut; sent++) {
    assert.ok(sent < 800, "50 MB unread, and the stream is still open");
    events.push(event(`${big}${sent}`));
    await good.until(new RegExp(`x${sent}"`));
  }
  slow.resume(); // reads what the kernel holds, then finds the end
  await ended;
  events.push(event("after"));
  await good.until(/after/);
  good.destroy();
});

test("close() ends event streams and takes no more connections", async () => {
  const world = createWorld();
  const url = await world.api.listen();
  const stream = await openStream(url);
  await stream.until(/retry/);
  await world.api.close();
  await stream.closed;
  await assert.rejects(ask(`${url}/healthz`), { code: "ECONNREFUSED" });
});

test("apply() moves to a new address; one that cannot be had changes nothing", async (t) => {
  const { url, api } = await start(t);
  const other = await start(t);
  const taken = Number(new URL(other.url).port);
  const tokens = [{ name: "new", token: "new-token-000000", role: "read" as const }];
  await assert.rejects(api.apply({ ...CONTROL, tokens, listen: { address: "127.0.0.1", port: taken } }), {
    code: "RHUMB_API_LISTEN",
  });
  assert.equal((await ask(`${url}/status`, { headers: bearer("read") })).status, 200);
  const folder = mkdtempSync(join(tmpdir(), "rhumb-api-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const socketPath = join(folder, "api.sock");
  await api.apply({ ...CONTROL, tokens, listen: { socket: socketPath } });
  assert.equal((await ask("http://localhost/status", { socketPath })).status, 200);
  await assert.rejects(ask(`${url}/healthz`), { code: "ECONNREFUSED" });
});
