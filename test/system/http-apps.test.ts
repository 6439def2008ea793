/**
 * What applications do over HTTP, end to end: WebSocket, streams with trailers as gRPC has them, large bodies, interim
 * responses, compression, old clients, ranges, events, idle connections.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  type ClientHttp2Session,
  connect as connectHttp2,
  createServer as createHttp2Server,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, connect, type Socket } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { createGunzip } from "node:zlib";
import { WebSocket, WebSocketServer } from "ws";
import { until } from "./balancer-bed.ts";
import { answer, ask, HOST, type Site, startHttpBackend, startSite } from "./http-site.ts";
import { run } from "./running.ts";
import { folderWith, without } from "./tools.ts";

const skip = without("curl");
const PROTOCOLS = ["http", "https"] as const;
type Protocol = (typeof PROTOCOLS)[number];
const portOf = (site: Site, protocol: Protocol): number => (protocol === "https" ? site.tlsPort : site.port);
const urlOf = (site: Site, protocol: Protocol, path: string): string =>
  `${protocol}://127.0.0.1:${portOf(site, protocol)}${path}`;

/** @returns what curl printed; fails where curl does */
async function curl(site: Site, ...words: readonly string[]): Promise<string> {
  const { code, out, err } = await run("curl", [
    "-sS",
    "--max-time",
    "30",
    "--cacert",
    site.authority.caFile,
    ...words,
  ]);
  assert.equal(code, 0, err);
  return out;
}

test("WebSocket messages pass both ways, text and binary", { timeout: 30_000 }, async (t) => {
  const backend = await startHttpBackend(t, "a");
  const sockets = new WebSocketServer({ server: backend.server, perMessageDeflate: true });
  sockets.on("connection", (socket, request) => {
    socket.send(`hello ${request.headers["x-forwarded-proto"]}`);
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  t.after(() => {
    for (const client of sockets.clients) client.terminate();
  });
  const site = await startSite(t, { ports: [backend.port] });
  for (const protocol of PROTOCOLS) {
    const client = new WebSocket(urlOf(site, protocol, "/chat").replace("http", "ws"), { ca: site.authority.ca });
    t.after(() => client.terminate());
    const got: Buffer[] = [];
    let told = Promise.withResolvers<void>();
    client.on("message", (data: Buffer) => {
      got.push(data);
      told.resolve();
    });
    const next = async (): Promise<Buffer> => {
      while (got.length === 0) {
        await told.promise;
        told = Promise.withResolvers();
      }
      return got.shift()!;
    };
    await once(client, "open");
    assert.equal((await next()).toString(), `hello ${protocol}`);
    for (const size of [1, 125, 126, 65_536, 1 << 20]) {
      const data = randomBytes(size);
      client.send(data);
      assert.ok((await next()).equals(data), `${size} octets`);
    }
    client.close(4_001, "over");
    const [code, reason] = (await once(client, "close")) as [number, Buffer];
    assert.deepEqual([code, reason.toString()], [4_001, "over"]);
  }
});

/** As gRPC does it: messages both ways, the outcome in trailers. */
async function startStreamingBackend(t: TestContext): Promise<number> {
  const server = createHttp2Server();
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "grpc-message": "fine" }));
    switch (headers[":path"]) {
      case "/Unary": {
        let all = "";
        stream.setEncoding("utf8").on("data", (text: string) => (all += text));
        stream.on("end", () => stream.end(all.toUpperCase()));
        break;
      }
      case "/Server":
        stream.resume();
        for (let message = 0; message < 100; message++) stream.write(`${message};`);
        stream.end();
        break;
      default:
        stream.setEncoding("utf8").on("data", (text: string) => void stream.write(text.toUpperCase()));
        stream.on("end", () => stream.end());
    }
  });
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => sessions.add(session));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const session of sessions) session.destroy();
  });
  return (server.address() as AddressInfo).port;
}

test("calls as gRPC makes them: unary, streaming from the server, both ways; outcome in trailers", {
  timeout: 30_000,
}, async (t) => {
  const port = await startStreamingBackend(t);
  const site = await startSite(t, {
    ports: [port],
    listener: "http: { http2: { enabled: true } }",
    pool: "upstream: { protocol: http2, trailers: true }",
  });
  for (const protocol of PROTOCOLS) {
    const session: ClientHttp2Session = connectHttp2(urlOf(site, protocol, ""), { ca: site.authority.ca });
    t.after(() => session.destroy());
    const call = (path: string) => {
      const fields = { ":method": "POST", ":path": path, te: "trailers", "content-type": "application/grpc" };
      const stream = session.request(fields).setEncoding("utf8");
      const trailers = once(stream, "trailers").then(([found]) => found["grpc-status"] as string);
      return { stream, trailers };
    };
    const textOf = async (stream: AsyncIterable<string>): Promise<string> => {
      let all = "";
      for await (const text of stream) all += text;
      return all;
    };
    const unary = call("/Unary");
    unary.stream.end("hello");
    assert.equal(await textOf(unary.stream), "HELLO");
    assert.equal(await unary.trailers, "0");

    const server = call("/Server");
    server.stream.end();
    assert.equal(await textOf(server.stream), Array.from({ length: 100 }, (_, message) => `${message};`).join(""));
    assert.equal(await server.trailers, "0");

    // Each message is answered before the next is sent: nothing may be held back for more.
    const both = call("/Both");
    for (const word of ["one", "two", "three"]) {
      both.stream.write(word);
      assert.deepEqual(await once(both.stream, "data"), [word.toUpperCase()]);
    }
    both.stream.end();
    both.stream.resume();
    assert.equal(await both.trailers, "0");
  }
});

test("64 MiB go up and down unharmed, with a length and in chunks", { skip, timeout: 120_000 }, async (t) => {
  const octets = randomBytes(64 << 20);
  const hash = createHash("sha256").update(octets).digest("hex");
  const backend = await startHttpBackend(t, "a", (request, response) => {
    if (request.method === "GET") {
      if (request.url === "/length") response.setHeader("content-length", octets.length);
      else response.write(octets.subarray(0, 1));
      response.end(request.url === "/length" ? octets : octets.subarray(1));
    } else answer("a", request, response);
  });
  const site = await startSite(t, { ports: [backend.port] });
  const folder = folderWith(t, {});
  const [sent, got] = [join(folder, "sent"), join(folder, "got")];
  writeFileSync(sent, octets);
  for (const protocol of PROTOCOLS)
    for (const version of protocol === "https" ? ["--http1.1", "--http2"] : ["--http1.1"]) {
      for (const more of [[], ["-H", "Transfer-Encoding: chunked"]]) {
        if (version === "--http2" && more.length > 0) continue;
        const url = urlOf(site, protocol, "/hash");
        assert.equal(
          await curl(site, version, "-X", "POST", "-T", sent, ...more, url),
          hash,
          `${url} ${version} ${more}`,
        );
      }
      for (const path of ["/length", "/chunks"]) {
        await curl(site, version, "-o", got, urlOf(site, protocol, path));
        assert.equal(
          createHash("sha256").update(readFileSync(got)).digest("hex"),
          hash,
          `${protocol} ${version} ${path}`,
        );
      }
    }
});

test("curl asks before it sends a body, and gets its 100", { skip, timeout: 30_000 }, async (t) => {
  const backend = await startHttpBackend(t, "a");
  const site = await startSite(t, { ports: [backend.port] });
  const body = join(folderWith(t, { body: "b".repeat(2_000_000) }), "body");
  for (const protocol of PROTOCOLS) {
    const words = [
      "--http1.1",
      "-v",
      "-H",
      "Expect: 100-continue",
      "--expect100-timeout",
      "25",
      "--data-binary",
      `@${body}`,
    ];
    const { code, out, err } = await run("curl", [
      ...["-sS", "--max-time", "20", "--cacert", site.authority.caFile, ...words],
      urlOf(site, protocol, "/hash"),
    ]);
    assert.equal(code, 0, err);
    assert.match(err, /< HTTP\/1.1 100 Continue/);
    assert.equal(out, createHash("sha256").update(readFileSync(body)).digest("hex"));
  }
});

test("curl understands what was compressed for it", { skip, timeout: 30_000 }, async (t) => {
  const text = "all work and no play makes jack a dull boy\n".repeat(1_000);
  const backend = await startHttpBackend(t, "a", (request, response) => {
    request.resume();
    response.setHeader("content-type", "text/plain");
    response.end(text);
  });
  const site = await startSite(t, { ports: [backend.port], listener: "http: { defaults: { compression: true } }" });
  for (const protocol of PROTOCOLS)
    for (const coding of ["gzip", "br", "zstd"]) {
      const out = await curl(
        site,
        "-i",
        "--compressed",
        "-H",
        `Accept-Encoding: ${coding}`,
        urlOf(site, protocol, "/"),
      );
      assert.match(out, new RegExp(`content-encoding: ${coding}\\r`, "i"));
      assert.equal(out.slice(out.indexOf("\r\n\r\n") + 4), text);
    }
});

test("clients of HTTP/1.0, HEAD, and ranges of what is in the cache", { skip, timeout: 30_000 }, async (t) => {
  const backend = await startHttpBackend(t, "a");
  const site = await startSite(t, { ports: [backend.port], listener: "rules: [{ pool: web, cache: true }]" });
  for (const protocol of PROTOCOLS) {
    const old = await curl(site, "-0", "-i", urlOf(site, protocol, "/"));
    assert.match(old, /^HTTP\/1\.[01] 200/);
    assert.doesNotMatch(old, /chunked/i);
    assert.ok(old.endsWith("\r\n\r\na\n"), old);
    const head = await ask(site, protocol === "https", "/large", { method: "HEAD" });
    assert.deepEqual([head.status, head.body.length], [200, 0]);
    const whole = await ask(site, protocol === "https", "/cached");
    // Each worker has a cache of its own, and the backend knows no ranges.
    const part = await until(
      () => curl(site, "-i", "-r", "3-9", urlOf(site, protocol, "/cached")),
      (got) => /^HTTP\/\S+ 206/.test(got),
      t,
    );
    assert.match(part, /content-range: bytes 3-9\/8192/i);
    assert.ok(part.endsWith(`\r\n\r\n${whole.body.subarray(3, 10)}`), part);
  }
});

test("events arrive when they are sent, compressed as well", { timeout: 30_000 }, async (t) => {
  const streams: ServerResponse[] = [];
  const opened: (() => void)[] = [];
  const backend = await startHttpBackend(t, "a", (_request: IncomingMessage, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
    streams.push(response);
    opened.shift()?.();
  });
  const site = await startSite(t, { ports: [backend.port], listener: "http: { defaults: { compression: true } }" });
  for (const protocol of PROTOCOLS) {
    const begun = new Promise<void>((resolve) => opened.push(resolve));
    const { request } = await import(protocol === "https" ? "node:https" : "node:http");
    const asked = request({
      ...{ host: "127.0.0.1", port: portOf(site, protocol), path: "/events", ca: site.authority.ca },
      headers: { "accept-encoding": "gzip" },
    }).end();
    t.after(() => asked.destroy());
    await begun;
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    assert.equal(response.headers["content-encoding"], "gzip");
    const events = response.pipe(createGunzip()).setEncoding("utf8");
    // The connection ends with the test, in the middle of them.
    events.on("error", () => {});
    for (const event of ["data: 1\n\n", "data: 2\n\n"]) {
      const heard = once(events, "data");
      streams.at(-1)!.write(event);
      assert.deepEqual(await heard, [event]);
    }
  }
});

test("2,000 connections stand idle and are all served again", { timeout: 60_000 }, async (t) => {
  const backend = await startHttpBackend(t, "a");
  const site = await startSite(t, { ports: [backend.port] });
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  const answered = async (socket: Socket): Promise<void> => {
    let text = "";
    socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    while (!text.endsWith("\r\n\r\na\n")) {
      const [chunk] = (await once(socket, "data")) as [Buffer];
      text += chunk.toString("latin1");
    }
    assert.match(text, /^HTTP\/1.1 200/);
  };
  for (let batch = 0; batch < 20; batch++) {
    const some = Array.from({ length: 100 }, () => connect(site.port, "127.0.0.1"));
    sockets.push(...some);
    await Promise.all(some.map((socket) => once(socket, "connect")));
    await Promise.all(some.map(answered));
  }
  for (let batch = 0; batch < 20; batch++)
    await Promise.all(sockets.slice(batch * 100, batch * 100 + 100).map(answered));
});
