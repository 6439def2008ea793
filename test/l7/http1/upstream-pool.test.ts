/** Which connection to a backend a request goes by, and how long one is kept. */
import assert from "node:assert/strict";
import test from "node:test";
import { answered, createMemoryPool, OK, poolWith } from "./upstream-bed.ts";

test("a connection that stands idle is used again, the last one first, and says that it stood", () => {
  const bed = createMemoryPool();
  const [first, second] = [bed.open(), bed.open()];
  const [one, two] = [bed.connected(), bed.connected()];
  one.arrive(OK);
  two.arrive(OK);
  assert.deepEqual([first.text, second.text], ["ready head:200:0 end", "ready head:200:0 end"]);
  const third = bed.open({ target: "/third" });
  assert.equal(third.text, "ready-again");
  assert.match(two.sent, /GET \/third /);
  assert.equal(bed.connecting(), 0);
  two.gone();
  assert.equal(third.text, "ready-again fault:reset+reused+sent");
});

test("isFresh: a connection that has served is not used", () => {
  const bed = createMemoryPool();
  answered(bed);
  const log = bed.open({}, { isFresh: true });
  assert.equal(log.text, "");
  bed.connected();
  assert.equal(log.text, "ready");
});

for (const [method, idleMs, atMs, isUsed] of [
  ["GET", 5_000, 4_900, true],
  ["PUT", 5_000, 4_900, true],
  ["POST", 5_000, 1_000, true],
  ["POST", 5_000, 1_050, false],
  ["PATCH", 5_000, 1_050, false],
  ["POST", 600, 300, true],
  ["POST", 600, 350, false],
] as const) {
  const says = isUsed ? "goes by" : "does not go by";
  test(`R36: ${method} ${says} a connection that has been idle for ${atMs} of ${idleMs} ms`, () => {
    const bed = createMemoryPool({ pool: poolWith({ idleMs }) });
    answered(bed);
    bed.passTo(atMs);
    assert.equal(bed.open({ method }).text, isUsed ? "ready-again" : "");
    assert.equal(bed.connecting(), isUsed ? 0 : 1);
  });
}

test("R33: an octet on an idle connection ends it, and none is served by it", () => {
  const bed = createMemoryPool();
  answered(bed);
  bed.conns[0]!.arrive(OK);
  assert.equal(bed.conns[0]!.ending, "reset");
  assert.equal(bed.pool.idle(), 0);
  const log = bed.open();
  bed.connected();
  assert.equal(log.text, "ready");
});

for (const [how, end] of [
  ["ends", "end"],
  ["is reset", "gone"],
] as const) {
  test(`R33: an idle connection that ${how} is not used`, () => {
    const bed = createMemoryPool();
    answered(bed);
    bed.conns[0]![end]();
    assert.deepEqual(bed.pool.held(), { connections: 0, timers: 0 });
  });
}

for (const [fault, kind] of [
  ["refused", "refused"],
  ["timeout", "connect-timeout"],
  ["unreachable", "unreachable"],
  ["other", "other"],
] as const) {
  test(`a connect that fails (${fault}) is told with nothing sent`, () => {
    const bed = createMemoryPool();
    const log = bed.open();
    bed.connected(fault);
    assert.equal(log.text, `fault:${kind}`);
    assert.deepEqual(bed.pool.held(), { connections: 0, timers: 0 });
  });
}

test("R43: a request that cannot be written is a fault, not from within open, and sends nothing", async () => {
  const bed = createMemoryPool();
  answered(bed);
  const sent = bed.conns[0]!.sent;
  const log = bed.open({ target: "/a\r\nx: y" });
  assert.equal(log.text, "");
  await Promise.resolve();
  assert.equal(log.text, "fault:other+reused");
  assert.equal(bed.conns[0]!.sent, sent);
});

test("an idle connection is closed when its time is over", () => {
  const bed = createMemoryPool();
  answered(bed);
  bed.passTo(4_900);
  assert.equal(bed.pool.idle(), 1);
  bed.passTo(5_200);
  assert.equal(bed.conns[0]!.ending, "closed");
  assert.deepEqual(bed.pool.held(), { connections: 0, timers: 0 });
});

test("a backend's Keep-Alive is heeded, a second sooner", () => {
  const bed = createMemoryPool();
  answered(bed, "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=3\r\nContent-Length: 0\r\n\r\n");
  bed.passTo(1_900);
  assert.equal(bed.pool.idle(), 1);
  bed.passTo(2_200);
  assert.equal(bed.pool.idle(), 0);
});

test("a connection that is used again has its whole time again", () => {
  const bed = createMemoryPool();
  answered(bed);
  bed.passTo(4_000);
  const log = bed.open();
  answered(bed, OK, log);
  bed.passTo(8_500);
  assert.equal(bed.pool.idle(), 1);
  bed.passTo(9_300);
  assert.equal(bed.pool.idle(), 0);
});

test("no more connections are kept than may be, and none beyond its requests", () => {
  const bed = createMemoryPool({ pool: poolWith({ maxIdle: 1, maxRequests: 2 }) });
  bed.open();
  bed.open();
  const [one, two] = [bed.connected(), bed.connected()];
  one.arrive(OK);
  two.arrive(OK);
  assert.equal(bed.pool.idle(), 1);
  assert.equal(two.ending, "closed");
  bed.open();
  one.arrive(OK);
  assert.equal(bed.pool.idle(), 0);
  assert.equal(one.ending, "closed");
});

test("leave: idle connections are closed, those in use serve to their end and no further; others are not touched", () => {
  const bed = createMemoryPool();
  const [one, two, other] = [bed.open(), bed.open(), bed.open({}, { row: 1 })];
  const conns = [bed.connected(), bed.connected(), bed.connected()] as const;
  conns[0].arrive(OK);
  conns[2].arrive(OK);
  bed.pool.leave(0);
  assert.equal(bed.pool.idle(), 1);
  assert.notEqual(conns[0].ending, "open");
  conns[1].arrive(OK);
  assert.ok([one, two, other].every((log) => log.text === "ready head:200:0 end"));
  assert.equal(bed.pool.idle(), 1);
  assert.equal(conns[1].ending, "closed");
});

test("stop: what is under way at a backend fails, and what connects to it", () => {
  const bed = createMemoryPool();
  const busy = bed.open();
  bed.connected();
  const connecting = bed.open();
  bed.pool.stop(0);
  assert.equal(busy.text, "ready fault:reset+sent");
  assert.equal(connecting.text, "fault:reset");
  assert.equal(bed.givenUp(), 1);
  assert.deepEqual(bed.pool.held(), { connections: 0, timers: 0 });
});

for (const [name, request, answer] of [
  ["the request's Authorization", { fields: ["authorization", "NTLM TlRMTVNTUAAB"] }, OK],
  ["the request's Authorization (Negotiate)", { fields: ["authorization", "negotiate YII"] }, OK],
  [
    "the response's WWW-Authenticate",
    {},
    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=a, NTLM\r\nContent-Length: 0\r\n\r\n",
  ],
] as const) {
  test(`R35: a connection on which a client makes itself known serves that client alone: ${name}`, () => {
    const bed = createMemoryPool();
    const stranger = createMemoryPool().client;
    answered(bed, answer, bed.open({ ...request, fields: [...((request as { fields?: string[] }).fields ?? [])] }));
    const other = bed.open({}, { arrived: stranger });
    assert.equal(other.text, "");
    assert.equal(bed.connecting(), 1);
    const own = bed.open({ method: "POST" }, { isFresh: true });
    assert.equal(own.text, "ready-again");
    bed.conns[0]!.arrive(OK);
    assert.equal(bed.open({}, { arrived: stranger }).text, "");
  });
}

test("R35: when such a client has gone, its connections go, and those alone", () => {
  const bed = createMemoryPool();
  const stranger = createMemoryPool().client;
  const logs = [bed.open({ fields: ["authorization", "NTLM x"] }), bed.open({}, { arrived: stranger })];
  const [bound, plain] = [bed.connected(), bed.connected()];
  for (const conn of [bound, plain]) conn.arrive(OK);
  assert.ok(logs.every(({ text }) => text.endsWith("end")));
  bed.passTo(100);
  assert.equal(bed.pool.idle(), 2);
  bed.client.depart("closed");
  bed.passTo(200);
  assert.deepEqual([bound.ending, plain.ending, bed.pool.idle()], ["reset", "open", 1]);
});

test("R35: a client that is known on one connection is not served by another that stands idle", () => {
  const bed = createMemoryPool();
  const stranger = createMemoryPool().client;
  const [known, plain] = [bed.open({ fields: ["authorization", "NTLM x"] }), bed.open({}, { arrived: stranger })];
  const [one, two] = [bed.connected(), bed.connected()];
  one.arrive(OK);
  two.arrive(OK);
  assert.ok(known.text.endsWith("end") && plain.text.endsWith("end"));
  bed.open({ target: "/mine" });
  assert.match(one.sent, /GET \/mine /);
  bed.open({ target: "/his" }, { arrived: stranger });
  assert.match(two.sent, /GET \/his /);
});

test("a PROXY header goes first, and such a connection serves its client alone", () => {
  const bed = createMemoryPool({
    pool: poolWith({}, { version: 1, uniqueId: false, authority: false, crc32c: false }),
  });
  const stranger = createMemoryPool().client;
  const log = bed.open();
  const conn = bed.connected();
  assert.match(conn.sent, /^PROXY TCP4 192\.0\.2\.7 192\.0\.2\.1 40000 80\r\nGET \/ HTTP\/1\.1\r\n/);
  conn.arrive(OK);
  assert.ok(log.text.endsWith("end"));
  assert.equal(bed.open({}, { arrived: stranger }).text, "");
  assert.equal(bed.open({}, { isFresh: true }).text, "");
  assert.equal(bed.open().text, "ready-again");
});
