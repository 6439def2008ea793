/** deploy/keepalived/rhumb-check by itself, against servers that answer well, badly and not at all. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { projectFolder, run } from "./running.ts";
import { freePort, without } from "./tools.ts";

const skip = without("bash", "timeout");
const check = async (...words: string[]): Promise<boolean> =>
  (await run(join(projectFolder, "deploy/keepalived/rhumb-check"), words)).code === 0;

async function portOf(t: TestContext, server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return String((server.address() as AddressInfo).port);
}

for (const { status, isReady } of [
  { status: 200, isReady: true },
  { status: 503, isReady: false },
  { status: 404, isReady: false },
]) {
  test(`${status} of /readyz: ${isReady ? "" : "not "}ready, and alive`, { skip }, async (t) => {
    const asked: (string | undefined)[] = [];
    const server = createHttpServer((request, response) => {
      asked.push(request.url, request.headers.host);
      response.writeHead(status).end("{}");
    });
    const port = await portOf(t, server);
    assert.equal(await check("ready", "127.0.0.1", port), isReady);
    assert.equal(await check("ready", "127.0.0.1", port, "web,mail"), isReady);
    assert.equal(await check("alive", "127.0.0.1", port), true);
    assert.deepEqual(asked, ["/readyz", `127.0.0.1:${port}`, "/readyz?pools=web,mail", `127.0.0.1:${port}`]);
  });
}

test("a server that takes connections and says nothing is alive, and not ready", { skip }, async (t) => {
  const port = await portOf(
    t,
    createServer((socket) => void t.after(() => socket.destroy())),
  );
  assert.equal(await check("ready", "127.0.0.1", port), false);
  assert.equal(await check("alive", "127.0.0.1", port), true);
});

test("where nobody listens, nothing is alive", { skip }, async () => {
  const port = String(await freePort());
  assert.equal(await check("ready", "127.0.0.1", port), false);
  assert.equal(await check("alive", "127.0.0.1", port), false);
});
