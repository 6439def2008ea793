import assert from "node:assert/strict";
import type { Socket } from "node:net";
import test, { type TestContext } from "node:test";
import { ClientAgent, isOk, type TryResult, tryHttp } from "#drill/load/http-try.ts";
import { deadEndpoint, EU, gone, NAME, reply, startWeb, US, type WebServer } from "./bed.ts";

const owner = { client: 1, address: EU };
const ask = (at: { address: string; port: number }, agent?: ClientAgent, of = owner): Promise<TryResult> =>
  tryHttp({ at, host: NAME, timeoutMs: 2_000, agent, owner: of });

function agentOf(context: TestContext, isCurrent: () => boolean = () => true): ClientAgent {
  const agent = new ClientAgent(true, isCurrent);
  context.after(() => agent.destroy());
  return agent;
}

const raw = (text: string) => (socket: Socket) => void socket.write(text);
const thenEnd = (text: string) => (socket: Socket) => void socket.end(text);

for (const { name, answer, expected } of [
  {
    name: "believes what the head says of the region",
    answer: raw("HTTP/1.1 200 OK\r\nX-Region: eu-west\r\nContent-Length: 3\r\n\r\nhi\n"),
    expected: { status: 200, says: "eu-west" },
  },
  {
    name: "finds the region in the body",
    answer: raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nap-s\r\n7\r\nouth/2\n\r\n0\r\n\r\n"),
    expected: { status: 200, says: "ap-south" },
  },
  {
    name: "takes an answer without a region",
    answer: raw("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    expected: { status: 404, says: undefined },
  },
  {
    name: "takes a body that lasts until the connection ends",
    answer: thenEnd("HTTP/1.1 200 OK\r\n\r\neu-west/1\n"),
    expected: { status: 200, says: "eu-west" },
  },
  { name: "fails at a reset", answer: (socket: Socket) => void socket.resetAndDestroy(), expected: "failed" as const },
  { name: "fails at an end without an answer", answer: thenEnd(""), expected: "failed" as const },
  { name: "fails at garbage", answer: thenEnd("220 mail.example ESMTP\r\n"), expected: "failed" as const },
  {
    name: "fails at half a head",
    answer: thenEnd("HTTP/1.1 200 OK\r\nContent-Le"),
    expected: "failed" as const,
  },
  {
    name: "fails at half a body",
    answer: thenEnd("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\neu-west/1\n"),
    expected: "failed" as const,
  },
  {
    name: "fails at half a chunked body",
    answer: thenEnd("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\neu-w\r\n"),
    expected: "failed" as const,
  },
  {
    name: "fails at two lengths",
    answer: thenEnd("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    expected: "failed" as const,
  },
  { name: "fails where nothing comes", answer: () => {}, expected: "failed" as const },
  {
    name: "fails at a body without end",
    answer: (socket: Socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const more = setInterval(() => socket.write("4\r\neu-w\r\n"), 5);
      socket.on("close", () => clearInterval(more));
    },
    expected: "failed" as const,
  },
])
  test(`tryHttp() ${name}`, async (context) => {
    const web = await startWeb(context, answer);
    const agent = agentOf(context);
    assert.deepEqual(await ask(web, agent), expected);
    if (expected === "failed" && web.taken.length > 0) await gone(web.taken[0]!);
  });

test("tryHttp() fails where nobody listens", async (context) => {
  assert.equal(await ask(await deadEndpoint(), agentOf(context)), "failed");
});

test("isOk() is true for what a user wants", () => {
  const of = (status: number): TryResult => ({ status, says: undefined });
  assert.deepEqual([of(200), of(304), of(404), of(429), of(500), of(503), "failed" as const].map(isOk), [
    true,
    true,
    false,
    false,
    false,
    false,
    false,
  ]);
});

const startGood = (context: TestContext): Promise<WebServer> => startWeb(context, (socket) => reply(socket, "eu-west"));

test("ClientAgent keeps a connection for the same client and address, and for no other", async (context) => {
  const web = await startGood(context);
  const agent = agentOf(context);
  await ask(web, agent);
  await ask(web, agent);
  assert.equal(web.taken.length, 1);
  await ask(web, agent, { client: 2, address: EU });
  assert.equal(web.taken.length, 2);
  await ask(web, agent, { client: 1, address: US });
  assert.equal(web.taken.length, 3);
});

test("ClientAgent uses a new connection each time where it keeps none", async (context) => {
  const web = await startGood(context);
  const agent = new ClientAgent(false, () => true);
  await ask(web, agent);
  await ask(web, agent);
  await ask(web, undefined);
  assert.equal(web.taken.length, 3);
});

test("ClientAgent closes idle connections to an address that the client leaves", async (context) => {
  const web = await startGood(context);
  const agent = agentOf(context);
  await ask(web, agent);
  await ask(web, agent, { client: 2, address: EU });
  const closed = gone(web.taken[0]!);
  agent.leave(owner);
  await closed;
  await ask(web, agent, { client: 2, address: EU });
  assert.equal(web.taken.length, 2);
});

test("ClientAgent closes a connection after its request where the client has left the address meanwhile", async (context) => {
  let isCurrent = true;
  const web = await startWeb(context, (socket) => {
    isCurrent = false;
    reply(socket, "eu-west");
  });
  const agent = agentOf(context, () => isCurrent);
  const result = await ask(web, agent);
  assert.deepEqual(result, { status: 200, says: "eu-west" });
  isCurrent = true;
  await ask(web, agent);
  await gone(web.taken[0]!);
  assert.equal(web.taken.length, 2);
});
