import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import test, { type TestContext } from "node:test";
import { systemClock } from "#base/clock.ts";
import type { LinkState } from "#drill/stage/link.ts";
import { createRelay, type Relay } from "#drill/stage/relay.ts";
import { freePort } from "../../system/tools.ts";

const OPEN: LinkState = { delayMs: 0, answerDelayMs: 0, loss: 0, passage: "open", to: null };
const at = (port: number) => ({ address: "127.0.0.1", port });

type Bed = { readonly relay: Relay; readonly near: number; readonly far: number };

/** One link to a port at which the test listens. */
async function bed(
  context: TestContext,
  protocols: readonly ("tcp" | "udp")[],
  state: Partial<LinkState> = {},
): Promise<Bed> {
  const [near, far] = [await freePort(), await freePort()];
  const relay = createRelay({ clock: systemClock, rng: () => 0.5 });
  await relay.open([{ id: "way", protocols, listen: at(near), state: { ...OPEN, to: at(far), ...state } }]);
  context.after(() => relay.close());
  return { relay, near, far };
}

/** Says back what it is told, and ends when it is ended. */
async function echo(context: TestContext, port: number): Promise<{ readonly sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { sockets };
}

function open(context: TestContext, port: number): Socket {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  socket.on("error", () => {});
  context.after(() => socket.destroy());
  return socket;
}
const said = async (socket: Socket): Promise<string> => String((await once(socket, "data"))[0]);
const faultOf = async (socket: Socket): Promise<string> =>
  ((await once(socket, "error")) as [NodeJS.ErrnoException])[0].code!;

test("relay carries a connection both ways, and its half-close", async (t) => {
  const { near, far } = await bed(t, ["tcp"]);
  await echo(t, far);
  const socket = open(t, near);
  socket.write("hello");
  assert.equal(await said(socket), "hello");
  socket.end("bye");
  assert.equal(await said(socket), "bye");
  await once(socket, "end");
});

test("relay carries much and loses none of it", async (t) => {
  const { near, far } = await bed(t, ["tcp"], { delayMs: 2, loss: 0 });
  await echo(t, far);
  const socket = open(t, near);
  const octets = Buffer.alloc(8_000_000, "rhumb");
  socket.end(octets);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  assert.ok(Buffer.concat(chunks).equals(octets));
});

test("relay lets no answer come before a round trip, and the answer's own delay, are over", async (t) => {
  const { near, far } = await bed(t, ["tcp"], { delayMs: 20, answerDelayMs: 30 });
  await echo(t, far);
  const startMs = performance.now();
  const socket = open(t, near);
  socket.write("x");
  await said(socket);
  // Handshake and request: a round trip each, and what makes the answer late. Later is the machine's business.
  assert.ok(performance.now() - startMs >= 4 * 20 + 30 - 2);
});

test("relay resets a connection whose far end refuses, as it does where it is told to refuse", async (t) => {
  const { relay, near, far } = await bed(t, ["tcp"]);
  assert.equal(await faultOf(open(t, near)), "ECONNRESET");
  await echo(t, far);
  const socket = open(t, near);
  socket.write("x");
  await said(socket);
  const fault = faultOf(socket);
  relay.change(["way"], { passage: "refusing" });
  assert.equal(await fault, "ECONNRESET");
  assert.equal(await faultOf(open(t, near)), "ECONNRESET");
});

test("relay hands a reset on", async (t) => {
  const { near, far } = await bed(t, ["tcp"]);
  const { sockets } = await echo(t, far);
  const socket = open(t, near);
  socket.write("x");
  await said(socket);
  const fault = faultOf(socket);
  sockets[0]!.resetAndDestroy();
  assert.equal(await fault, "ECONNRESET");
});

test("relay, cut, answers nothing; what was sent meanwhile arrives when it is open again", async (t) => {
  const { relay, near, far } = await bed(t, ["tcp"]);
  await echo(t, far);
  const before = open(t, near);
  before.write("1");
  await said(before);
  relay.change(["way"], { passage: "cut" });
  const after = open(t, near);
  await once(after, "connect");
  const heard: string[] = [];
  for (const socket of [before, after]) socket.on("data", (text) => heard.push(String(text)));
  before.write("2");
  after.write("3");
  // A way that is not cut answers: there was time for it.
  const other = await bed(t, ["tcp"], { delayMs: 10 });
  await echo(t, other.far);
  const witness = open(t, other.near);
  witness.write("x");
  await said(witness);
  assert.deepEqual(heard, []);
  relay.change(["way"], { passage: "open" });
  while (heard.length < 2) await Promise.race([once(before, "data"), once(after, "data")]);
  assert.deepEqual(heard.toSorted(), ["2", "3"]);
});

test("relay that leads elsewhere resets what led there before", async (t) => {
  const { relay, near, far } = await bed(t, ["tcp"]);
  await echo(t, far);
  const other = await freePort();
  const { sockets } = await echo(t, other);
  const socket = open(t, near);
  socket.write("x");
  await said(socket);
  const fault = faultOf(socket);
  relay.change(["way"], { to: at(other) });
  assert.equal(await fault, "ECONNRESET");
  const next = open(t, near);
  next.write("x");
  assert.equal(await said(next), "x");
  assert.equal(sockets.length, 1);
});

test("relay carries datagrams back to who asked, and none while it is cut", async (t) => {
  const { relay, near, far } = await bed(t, ["udp"]);
  const server = createSocket("udp4", (datagram, { port, address }) => server.send(datagram, port, address));
  server.bind(far, "127.0.0.1");
  await once(server, "listening");
  const clients = [createSocket("udp4"), createSocket("udp4")];
  t.after(() => {
    for (const socket of [server, ...clients]) socket.close();
  });
  const answers = clients.map((client) => once(client, "message"));
  for (const [index, client] of clients.entries()) client.send(`from ${index}`, near, "127.0.0.1");
  assert.deepEqual(
    (await Promise.all(answers)).map(([datagram]) => String(datagram)),
    ["from 0", "from 1"],
  );
  relay.change(["way"], { passage: "cut" });
  const heard: string[] = [];
  clients[0]!.on("message", (datagram) => heard.push(String(datagram)));
  server.on("message", (datagram) => heard.push(`server ${datagram}`));
  clients[0]!.send("lost", near, "127.0.0.1");
  // Another way was asked later and has answered: there was time for it.
  const other = await bed(t, ["udp"]);
  const witness = createSocket("udp4", (datagram, { port, address }) => witness.send(datagram, port, address));
  witness.bind(other.far, "127.0.0.1");
  t.after(() => witness.close());
  await once(witness, "listening");
  const answer = once(clients[1]!, "message");
  clients[1]!.send("x", other.near, "127.0.0.1");
  await answer;
  assert.deepEqual(heard, []);
});
