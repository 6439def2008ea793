/**
 * HTTP/2 under h2load: a hundred streams on each of several connections, with and without bodies, over TLS and without, to
 * backends of both versions. Nothing fails.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { answerStream, LARGE_OCTETS, startHttpBackend, startSite } from "./http-site.ts";
import { run } from "./running.ts";
import { folderWith, without } from "./tools.ts";

const skip = without("h2load");
const CONNECTIONS = 4;
const STREAMS = 100;
const BODY_OCTETS = 20_000;

type Load = { readonly name: string; readonly path: string; readonly requests: number; readonly hasBody: boolean };
const LOADS: readonly Load[] = [
  { name: "small answers", path: "/", requests: 10_000, hasBody: false },
  { name: "bodies both ways", path: "/echo", requests: 2_000, hasBody: true },
  { name: "answers of 1 MiB", path: "/large", requests: 400, hasBody: false },
];

async function startHttp2Backend(context: Pick<TestContext, "after">): Promise<number> {
  // Node refuses streams while what others have to send is above this: as many answers as there may be at a time.
  const server: Http2Server = createServer({ maxSessionMemory: 1_000 });
  const sessions = new Set<{ destroy(): void }>();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream: ServerHttp2Stream, headers) => answerStream("a", stream, headers));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(async () => {
    const closed = once(server, "close");
    server.close();
    for (const session of sessions) session.destroy();
    await closed;
  });
  return (server.address() as AddressInfo).port;
}

for (const upstream of ["http1", "http2"] as const)
  test(`h2load loses nothing before ${upstream} backends`, { skip, timeout: 120_000 }, async (t) => {
    const port = upstream === "http2" ? await startHttp2Backend(t) : (await startHttpBackend(t, "a")).port;
    const site = await startSite(t, {
      ports: [port],
      listener: "http: { http2: { enabled: true } }",
      pool: `upstream: { protocol: ${upstream} }`,
    });
    const body = join(folderWith(t, { body: "b".repeat(BODY_OCTETS) }), "body");
    for (const protocol of ["https", "http"])
      for (const { name, path, requests, hasBody } of LOADS)
        await t.test(`${name} (${protocol})`, async () => {
          const url = `${protocol}://127.0.0.1:${protocol === "https" ? site.tlsPort : site.port}${path}`;
          const load = ["-n", requests, "-c", CONNECTIONS, "-m", STREAMS, "-T", "30", "-N", "30"].map(String);
          const { out, err } = await run("h2load", [...load, ...(hasBody ? ["-d", body] : []), url]);
          assert.match(out, new RegExp(`${requests} succeeded, 0 failed, 0 errored, 0 timeout`), out + err);
          assert.match(out, new RegExp(`status codes: ${requests} 2xx, 0 3xx, 0 4xx, 0 5xx`), out);
          assert.match(out, protocol === "https" ? /Application protocol: h2/ : /Application protocol: h2c/, out);
          const octets = Number(/\((\d+)\) data/.exec(out)?.[1]);
          const each = hasBody ? BODY_OCTETS : path === "/large" ? LARGE_OCTETS : "a\n".length;
          assert.equal(octets, requests * each, out);
        });
  });
