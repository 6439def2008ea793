import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import test, { type TestContext } from "node:test";
import { Packet } from "dns2";
import { checkOf, closedPort, listen, probe } from "./bed.ts";

type Change = (reply: Packet) => void;
const answerWith =
  (rcode: number, ...records: object[]): Change =>
  (reply) => {
    reply.header.rcode = rcode;
    for (const record of records) reply.answers.push({ class: 1, ttl: 5, ...record } as never);
  };
const replyTo = (query: Buffer, change: Change): Buffer => {
  const packet = Packet.parse(query);
  const reply = new Packet();
  Object.assign(reply.header, { id: packet.header.id, qr: 1, aa: 1 });
  reply.questions.push(packet.questions[0]!);
  change(reply);
  return reply.toBuffer() as Buffer;
};

async function serveUdp(t: TestContext, change: Change | undefined, address = "127.0.0.1"): Promise<number> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (message, peer) => {
    if (change !== undefined) socket.send(replyTo(message, change), peer.port, peer.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, address, resolve));
  t.after(() => socket.close());
  return socket.address().port;
}
const serveTcp = (t: TestContext, change: Change) =>
  createServer((socket) => {
    t.after(() => socket.destroy());
    socket.on("data", (query: Buffer) => {
      const reply = replyTo(query.subarray(2), change);
      socket.write(Buffer.from([reply.length >> 8, reply.length & 0xff]));
      socket.write(reply.subarray(0, 5));
      socket.write(reply.subarray(5));
    });
  });

const dns = (port: number, over: object = {}) =>
  checkOf({
    kind: "dns",
    port,
    questionName: "WWW.example.",
    questionType: "A",
    rcode: "NOERROR",
    answer: undefined,
    overTcp: false,
    ...over,
  });
const a = (address: string) => ({ name: "www.example", type: Packet.TYPE.A, address });
const aaaa = (address: string) => ({ name: "www.example", type: Packet.TYPE.AAAA, address });

test("a dns probe passes on the expected rcode, over IPv4 and IPv6", async (t) => {
  const result = await probe(dns(await serveUdp(t, answerWith(0, a("192.0.2.1")))));
  assert.deepEqual([result.ok, result.says], [true, "NOERROR"]);
  assert.ok(result.rttMicros > 0);
  assert.equal((await probe(dns(await serveUdp(t, answerWith(0), "::1")), "::1")).ok, true);
});

test("a dns probe judges rcode and answer", async (t) => {
  const nxdomain = await serveUdp(t, answerWith(3));
  const bad = await probe(dns(nxdomain));
  assert.deepEqual([bad.ok, bad.errorClass, bad.says], [false, "rcode", "NXDOMAIN, expected NOERROR"]);
  assert.equal((await probe(dns(nxdomain, { rcode: "NXDOMAIN" }))).ok, true);

  const two = await serveUdp(t, answerWith(0, a("192.0.2.1"), a("192.0.2.2")));
  assert.equal((await probe(dns(two, { answer: "192.0.2.2" }))).ok, true);
  const missing = await probe(dns(two, { answer: "192.0.2.3" }));
  assert.deepEqual(
    [missing.errorClass, missing.says],
    ["answer", "the answer holds 192.0.2.1, 192.0.2.2, expected 192.0.2.3"],
  );
  const six = await serveUdp(t, answerWith(0, aaaa("2001:db8::1")));
  assert.equal((await probe(dns(six, { questionType: "AAAA", answer: "2001:DB8:0::1" }))).ok, true);
  const mail = await serveUdp(
    t,
    answerWith(0, { name: "www.example", type: Packet.TYPE.MX, priority: 10, exchange: "mx.example" }),
  );
  assert.equal((await probe(dns(mail, { questionType: "MX", answer: "10 mx.example." }))).ok, true);
});

test("a dns probe asks again over TCP when the answer was truncated", async (t) => {
  const tcp = serveTcp(t, answerWith(0, a("192.0.2.7")));
  const port = await listen(t, tcp);
  const udp = createSocket("udp4");
  udp.on("message", (message, peer) => {
    const reply = replyTo(message, answerWith(0));
    reply[2]! |= 0x02;
    udp.send(reply, peer.port, peer.address);
  });
  await new Promise<void>((resolve) => udp.bind(port, "127.0.0.1", resolve));
  t.after(() => udp.close());
  const result = await probe(dns(port, { answer: "192.0.2.7" }));
  assert.equal(result.ok, true, result.says);
  assert.ok(result.phases.connectMicros > 0);
});

test("a dns probe over TCP reaches IPv6, and does not wait for ever", async (t) => {
  const port = await listen(t, serveTcp(t, answerWith(0, a("192.0.2.7"))), "::1");
  assert.equal((await probe(dns(port, { overTcp: true }), "::1")).ok, true);
  const silent = await listen(t, createServer());
  const result = await probe(dns(silent, { overTcp: true, timeoutMs: 100 }));
  assert.deepEqual([result.errorClass, result.says], ["timeout", "no answer in time"]);
});

test("a dns probe takes only the answer to its question", async (t) => {
  const otherId = await serveUdp(t, (reply) => {
    reply.header.id = (reply.header.id + 1) & 0xffff;
  });
  assert.equal((await probe(dns(otherId, { timeoutMs: 100 }))).errorClass, "timeout");
  const query = await serveUdp(t, (reply) => {
    reply.header.qr = 0;
  });
  assert.equal((await probe(dns(query, { timeoutMs: 100 }))).errorClass, "timeout");
  const otherName = await serveUdp(t, (reply) => {
    (reply.questions[0] as { name: string }).name = "www.example.org";
  });
  assert.equal((await probe(dns(otherName, { timeoutMs: 100 }))).errorClass, "timeout");
});

test("a dns probe hears that nobody listens, and waits in vain for a black hole", async (t) => {
  assert.equal((await probe(dns(await closedPort(), { timeoutMs: 1_000 }))).errorClass, "refused");
  assert.equal((await probe(dns(await serveUdp(t, undefined), { timeoutMs: 100 }))).errorClass, "timeout");
});

test("a dns probe knows types by number, and says that it does not know a type", async (t) => {
  const port = await serveUdp(t, answerWith(0));
  assert.equal((await probe(dns(port, { questionType: "TYPE65" }))).ok, true);
  assert.equal((await probe(dns(port, { questionType: "AAA" }))).errorClass, "self");
});
