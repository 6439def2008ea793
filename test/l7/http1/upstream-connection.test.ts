/** Octets of a backend → what an exchange hears, cut at every place, and whether the connection is used again. */
import assert from "node:assert/strict";
import test from "node:test";
import type { OutboundRequest } from "#l7/stream.ts";
import { answered, createMemoryPool, OK, type UpstreamLog } from "./upstream-bed.ts";

type Case = {
  readonly name: string;
  readonly request?: Partial<OutboundRequest>;
  readonly input: string;
  /** Whether the backend ends its half after that. */
  readonly endsAfter?: boolean;
  readonly says: string;
  readonly isKept: boolean;
};
const WEBSOCKET = { upgrade: "websocket" };
const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

const CASES: readonly Case[] = [
  {
    name: "a response with a length is read to its end",
    input: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    says: "head:200:3 body:abc end",
    isKept: true,
  },
  {
    name: "a chunked response is read to its end, with its trailers",
    input: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n",
    says: "head:200:? body:abcde end:x-sum=5",
    isKept: true,
  },
  {
    name: "a response of length 0 is over at once",
    input: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    says: "head:200:0 end",
    isKept: true,
  },
  {
    name: "R31: a response without length ends with the connection, which is not used again",
    input: "HTTP/1.1 200 OK\r\n\r\nabc",
    endsAfter: true,
    says: "head:200:? body:abc end",
    isKept: false,
  },
  {
    name: "R31: HTTP/1.0 is not used again, unless it says so",
    input: "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    says: "head:200:3 body:abc end",
    isKept: false,
  },
  {
    name: "R31: HTTP/1.0 that keeps alive is used again",
    input: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
    says: "head:200:3 body:abc end",
    isKept: true,
  },
  {
    name: "R31: Connection: close is heeded",
    input: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
    says: "head:200:3 body:abc end",
    isKept: false,
  },
  {
    name: "R32: HEAD has no body, whatever is announced",
    request: { method: "HEAD" },
    input: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
    says: "head:200:0:3 end",
    isKept: true,
  },
  {
    name: "R32: 304 has no body, whatever is announced",
    input: "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
    says: "head:304:0:3 end",
    isKept: true,
  },
  {
    name: "R32: 204 has no body",
    input: "HTTP/1.1 204 No Content\r\n\r\n",
    says: "head:204:0 end",
    isKept: true,
  },
  {
    name: "R32: length and coding together are a fault",
    input: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    says: "fault:bad-response+sent+answered",
    isKept: false,
  },
  {
    name: "R32: what is no response is a fault",
    input: "SSH-2.0-",
    says: "fault:bad-response+sent+answered",
    isKept: false,
  },
  {
    name: "R32: a chunk that breaks a rule is a fault amid the response",
    input: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX",
    says: "head:200:? body:abc fault:bad-response+sent+answered",
    isKept: false,
  },
  {
    name: "R33: what comes after a response is not the next one",
    input: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    says: "head:200:3 body:abc end",
    isKept: false,
  },
  {
    name: "R33: a body of HEAD is not the next response",
    request: { method: "HEAD" },
    input: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    says: "head:200:0:3 end",
    isKept: false,
  },
  {
    name: "R34: 101 that nobody asked for is a fault",
    input: `${SWITCH}abc`,
    says: "fault:bad-response+sent+answered",
    isKept: false,
  },
  {
    name: "R34: 101 to something else than was asked for is a fault",
    request: WEBSOCKET,
    input: "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    says: "fault:bad-response+sent+answered",
    isKept: false,
  },
  {
    name: "R30: after 101 octets come as they are",
    request: WEBSOCKET,
    input: `${SWITCH}HTTP/1.1 200 OK\r\n\r\n`,
    endsAfter: true,
    says: "head:101:0 body:HTTP/1.1 200 OK\r\n\r\n end",
    isKept: false,
  },
  {
    name: "R30: a connection that carried an upgrade is not used again, though it was declined",
    request: WEBSOCKET,
    input: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    says: "head:200:3 body:abc end",
    isKept: false,
  },
  {
    name: "interim responses come before the final one",
    input:
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
    says: "informational:103:link=</a> continue head:200:1 body:a end",
    isKept: true,
  },
  {
    name: "an end before the response is a reset without an answer",
    input: "",
    endsAfter: true,
    says: "fault:reset+sent",
    isKept: false,
  },
  {
    name: "an end amid the head is a reset",
    input: "HTTP/1.1 200 OK\r\nConte",
    endsAfter: true,
    says: "fault:reset+sent+answered",
    isKept: false,
  },
  {
    name: "an end amid a body with a length is a reset",
    input: "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
    endsAfter: true,
    says: "head:200:4 body:abc fault:reset+sent+answered",
    isKept: false,
  },
  {
    name: "an end amid a chunked body is a reset",
    input: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    endsAfter: true,
    says: "head:200:? body:abc fault:reset+sent+answered",
    isKept: false,
  },
  {
    name: "R35: a response before the request is whole ends the connection",
    request: { method: "POST", bodyOctets: 5 },
    input: "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n",
    says: "head:413:0 end",
    isKept: false,
  },
];

for (const { name, request, input, endsAfter, says, isKept } of CASES) {
  test(`${name}, at every cut`, () => {
    const cuts = [[input], ...[...input].map((_, at) => [input.slice(0, at), input.slice(at)]), [...input]];
    for (const pieces of cuts) {
      const cut = `cut after ${JSON.stringify(pieces[0])}`;
      const { pool, open, connected } = createMemoryPool();
      const log = open(request);
      const conn = connected();
      for (const piece of pieces) if (piece !== "") conn.arrive(piece);
      if (endsAfter) conn.end();
      assert.equal(log.text, `ready ${says}`, cut);
      log.stream?.sendEnd(undefined);
      // Octets of the same packet end the connection at once, others as soon as they come.
      assert.equal(pool.idle(), isKept ? 1 : 0, cut);
      if (!isKept) assert.notEqual(conn.ending, "open", cut);
      pool.close();
      assert.deepEqual(pool.held(), { connections: 0, timers: 0 }, cut);
    }
  });
}

test("a request is written with our own framing and the host of the client", () => {
  const bed = createMemoryPool();
  bed.open({ method: "POST", target: "/a?b", fields: ["x", "1"], bodyOctets: 3 });
  const conn = bed.connected();
  assert.equal(conn.sent, "POST /a?b HTTP/1.1\r\nhost: a.example\r\nx: 1\r\ncontent-length: 3\r\n\r\n");
});

test("a body of known length goes as it is, and no octet more than was announced", () => {
  const bed = createMemoryPool();
  const log = bed.open({ method: "POST", bodyOctets: 3 });
  const conn = bed.connected();
  const head = conn.sent.length;
  log.stream!.sendBody(Buffer.from("abc"));
  log.stream!.sendBody(Buffer.from("GET /"));
  log.stream!.sendEnd(undefined);
  assert.equal(conn.sent.slice(head), "abc");
  conn.arrive(OK);
  assert.equal(bed.pool.idle(), 1);
});

test("R35: a body that is shorter than announced ends the connection", () => {
  const bed = createMemoryPool();
  const log = bed.open({ method: "POST", bodyOctets: 3 });
  const conn = bed.connected();
  log.stream!.sendBody(Buffer.from("ab"));
  log.stream!.sendEnd(undefined);
  conn.arrive(OK);
  assert.equal(bed.pool.idle(), 0);
  assert.equal(conn.ending, "reset");
});

test("a body of unknown length is chunked, with its trailers", () => {
  const bed = createMemoryPool();
  const log = bed.open({ method: "POST", bodyOctets: -1 });
  const conn = bed.connected();
  const head = conn.sent.length;
  log.stream!.sendBody(Buffer.from("abc"));
  log.stream!.sendBody(Buffer.alloc(0));
  log.stream!.sendEnd(["x-sum", "3"]);
  assert.equal(conn.sent.slice(head), "3\r\nabc\r\n0\r\nx-sum: 3\r\n\r\n");
});

test("R35: a request that was cancelled takes its connection with it, and nothing is told any more", () => {
  const bed = createMemoryPool();
  const log = bed.open();
  const conn = bed.connected();
  log.stream!.cancel();
  conn.arrive(OK);
  assert.equal(log.text, "ready");
  assert.equal(conn.ending, "reset");
  assert.deepEqual(bed.pool.held(), { connections: 0, timers: 0 });
});

for (const word of ["ready", "head:200:3", "body", "continue"]) {
  test(`a request that is cancelled from within ${word} hears nothing more`, () => {
    const bed = createMemoryPool();
    const log = bed.open();
    log.onWord = (said) => {
      if (said !== word) return;
      log.onWord = undefined;
      log.words.push("cancel");
      log.stream!.cancel();
    };
    bed.connected().arrive("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
    assert.equal(log.words.at(-1), "cancel");
    assert.deepEqual(bed.pool.held(), { connections: 0, timers: 0 });
  });
}

test("a request that is cancelled while it connects gives the connect up", () => {
  const bed = createMemoryPool();
  bed.open().stream!.cancel();
  assert.equal(bed.givenUp(), 1);
  assert.deepEqual(bed.pool.held(), { connections: 0, timers: 0 });
});

test("what an exchange calls late does not reach the next request of the connection", () => {
  const bed = createMemoryPool();
  const first = answered(bed);
  const second = bed.open();
  const sent = bed.conns[0]!.sent;
  first.stream!.sendBody(Buffer.from("late"));
  first.stream!.sendEnd(undefined);
  first.stream!.pause();
  first.stream!.cancel();
  assert.equal(bed.conns[0]!.sent, sent);
  bed.conns[0]!.arrive(OK);
  assert.equal(second.text, "ready-again head:200:0 end");
});

test("a request may be opened from within the end of another, on the same connection", () => {
  const bed = createMemoryPool();
  const first = bed.open();
  let second: UpstreamLog | undefined;
  first.onWord = (word) => {
    if (word === "end") second = bed.open({ target: "/second" });
  };
  const conn = bed.connected();
  conn.arrive(OK);
  assert.equal(second!.text, "ready-again");
  conn.arrive(OK);
  assert.equal(second!.text, "ready-again head:200:0 end");
});

test("R30: a tunnel ends when both sides have ended, half by half", () => {
  const bed = createMemoryPool();
  const log = bed.open(WEBSOCKET);
  const conn = bed.connected();
  conn.arrive(SWITCH);
  log.stream!.sendBody(Buffer.from("\x89\x00", "latin1"));
  assert.ok(conn.sent.endsWith("\x89\x00"));
  conn.end();
  assert.equal(log.text, "ready head:101:0 end");
  assert.equal(conn.ending, "open");
  log.stream!.sendBody(Buffer.from("more"));
  assert.ok(conn.sent.endsWith("more"));
  log.stream!.sendEnd(undefined);
  assert.equal(conn.ending, "closed");
  assert.deepEqual(bed.pool.held(), { connections: 0, timers: 0 });
});

test("room, pause and resume are those of the conn; an idle connection is always read", () => {
  const bed = createMemoryPool();
  const log = bed.open({ method: "POST", bodyOctets: -1 });
  const conn = bed.connected();
  conn.hasRoom = false;
  assert.equal(log.stream!.sendBody(Buffer.from("a")), false);
  conn.room();
  assert.equal(log.text, "ready room");
  log.stream!.sendEnd(undefined);
  log.stream!.pause();
  assert.equal(conn.isPaused, true);
  log.stream!.resume();
  assert.equal(conn.isPaused, false);
  log.onWord = (word) => {
    if (word === "body") log.stream!.pause();
  };
  conn.arrive("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
  assert.equal(log.text, "ready room head:200:3 body:abc end");
  assert.equal(bed.pool.idle(), 1);
  assert.equal(conn.isPaused, false);
});

test("nothing of one response is left for the next on the same connection", () => {
  const bed = createMemoryPool();
  answered(bed, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 0\r\n\r\n");
  const log = bed.open();
  bed.conns[0]!.arrive("HTTP/1.1 103 Early Hints\r\n\r\n");
  bed.conns[0]!.arrive("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
  bed.conns[0]!.arrive("a");
  assert.equal(log.text, "ready-again informational:103: head:200:1 body:a end");
});
