/** Time limits of a client's connection, back pressure, and what a listener does to it. */
import assert from "node:assert/strict";
import test from "node:test";
import { createMemoryClient } from "./client-bed.ts";

const GET = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
const TUNNEL = "GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
const status = (sent: string): string => sent.slice(9, 12);

/** Nothing is left of a connection that is over. */
function assertOver({ host }: ReturnType<typeof createMemoryClient>): void {
  assert.equal(host.ended.length, 1);
  assert.equal(host.deadlines.armed(), 0);
}

test("R42: a client that sends nothing is let go after the time for a head, without a word", () => {
  const client = createMemoryClient();
  client.passTo(900);
  assert.equal(client.conn.ending, "open");
  client.passTo(1_100);
  assert.equal(client.conn.ending, "fin");
  assert.equal(client.conn.sent, "");
  client.passTo(2_000);
  assert.equal(client.conn.ending, "closed");
  assertOver(client);
});

test("R42: a head that comes octet by octet is answered by 408 when its time is over, whatever still comes", () => {
  const client = createMemoryClient();
  for (let at = 0; at < 20; at++) {
    client.send(GET[at]!);
    client.passTo(client.host.deadlines.nowMs() + 100);
  }
  assert.equal(status(client.conn.sent), "408");
  assert.deepEqual(client.host.refused, ["408 R42"]);
  assert.equal(client.conn.ending, "closed");
  assertOver(client);
});

test("R42: the time of a head begins with its first octet", () => {
  const client = createMemoryClient();
  client.send(GET);
  client.passTo(3_000);
  client.send("GET /b");
  client.passTo(3_900);
  client.send(" HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.equal(client.host.exchanges.length, 2);
  client.passTo(8_800);
  assert.equal(client.conn.ending, "open");
});

test("a connection without a request is closed when its time is over, in order", () => {
  const client = createMemoryClient();
  client.send(GET);
  client.passTo(4_900);
  client.send(GET);
  client.passTo(9_800);
  assert.equal(client.conn.ending, "open");
  client.passTo(10_000);
  assert.equal(client.conn.ending, "fin");
  client.end();
  assertOver(client);
});

test("R42: a body that stands still is answered by 408", () => {
  const client = createMemoryClient();
  client.send(`${POST}abc`);
  client.passTo(1_900);
  client.send("d");
  client.passTo(3_800);
  assert.equal(client.conn.sent, "");
  client.passTo(4_100);
  assert.equal(status(client.conn.sent), "408");
  assert.deepEqual(client.host.exchanges[0]!.gone, [408]);
  client.passTo(5_000);
  assertOver(client);
});

test("R42: a body that comes more slowly than it must is answered by 408, after ten seconds of grace", () => {
  const client = createMemoryClient({ timeouts: { minBodyRate: 10 } });
  client.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
  for (let second = 1; second < 10; second++) {
    client.send("abcde");
    client.passTo(second * 1_000);
    assert.equal(client.conn.sent, "");
  }
  client.send("abcde");
  client.passTo(11_500);
  assert.equal(status(client.conn.sent), "408");
});

test("R42: a body that comes fast enough may take as long as it wants, and no time counts while it is paused", () => {
  const client = createMemoryClient({ timeouts: { minBodyRate: 10 } });
  client.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
  for (let second = 1; second < 30; second++) {
    client.send("abcdefghijkl");
    client.passTo(second * 1_000);
  }
  const [exchange] = client.host.exchanges;
  exchange!.stream.pauseBody();
  assert.equal(client.conn.isPaused, true);
  client.passTo(90_000);
  exchange!.stream.resumeBody();
  client.passTo(91_000);
  assert.equal(client.conn.sent, "");
  client.send("x".repeat(1_000 - 29 * 12));
  assert.equal(status(client.conn.sent), "200");
});

test("a body that nobody wants yet is not waited for", () => {
  const client = createMemoryClient();
  client.conn.arrive("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  for (let now = 0; now < 20_000; now += 50) client.host.deadlines.advance(now);
  assert.equal(client.conn.sent, "");
  client.run();
  client.send("defghij");
  assert.equal(status(client.conn.sent), "200");
});

test("a client that takes nothing of a response is reset", () => {
  const client = createMemoryClient();
  client.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
  const [exchange] = client.host.exchanges;
  exchange!.stream.sendHead({ status: 200, fields: [], bodyOctets: 1_000, declaredOctets: undefined }, false);
  client.conn.hasRoom = false;
  client.conn.stuck = 500;
  assert.equal(exchange!.stream.sendBody(Buffer.alloc(500)), false);
  client.passTo(2_900);
  client.conn.stuck = 400;
  client.passTo(5_500);
  assert.equal(client.conn.ending, "open");
  client.passTo(9_000);
  assert.equal(client.conn.ending, "reset");
  assert.deepEqual(exchange!.gone, [undefined]);
  assertOver(client);
});

test("room is told to the exchange, and then there is no limit", () => {
  const client = createMemoryClient();
  client.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
  const [exchange] = client.host.exchanges;
  exchange!.stream.sendHead({ status: 200, fields: [], bodyOctets: 1_000, declaredOctets: undefined }, false);
  client.conn.hasRoom = false;
  client.conn.stuck = 500;
  exchange!.stream.sendBody(Buffer.alloc(500));
  client.conn.room();
  assert.equal(exchange!.rooms, 1);
  client.passTo(60_000);
  assert.equal(client.conn.ending, "open");
});

test("a tunnel with nothing either way ends by reset, and octets of either side postpone that", () => {
  const client = createMemoryClient();
  client.send(TUNNEL);
  client.passTo(3_900);
  client.send("a");
  client.passTo(7_800);
  client.host.exchanges[0]!.stream.sendBody(Buffer.from("b"));
  client.passTo(11_700);
  assert.equal(client.conn.ending, "open");
  client.passTo(12_000);
  assert.equal(client.conn.ending, "reset");
  assert.deepEqual(client.host.exchanges[0]!.gone, [undefined]);
  assertOver(client);
});

test("R30: a tunnel ends half by half", () => {
  const client = createMemoryClient();
  client.send(TUNNEL);
  client.host.exchanges[0]!.stream.sendEnd(undefined);
  assert.equal(client.conn.ending, "fin");
  client.send("late");
  assert.equal(client.host.ended.length, 0);
  client.end();
  assert.equal(client.conn.ending, "closed");
  assert.deepEqual(client.host.exchanges[0]!.gone, []);
  assertOver(client);
});

test("R29: 100 is sent when the body is wanted, and not before", () => {
  const client = createMemoryClient();
  client.conn.arrive("POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  assert.equal(client.conn.sent, "");
  client.run();
  assert.equal(client.conn.sent, "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");
  assert.match(client.conn.sent as string, /POST \/a abc$/);
  client.send(GET);
  assert.match(client.conn.sent as string, /GET \/a $/);
});

test("R28: reading stops where more requests wait than may, and goes on when they had their turn", () => {
  const client = createMemoryClient();
  client.conn.arrive(GET.repeat(4));
  assert.equal(client.conn.isPaused, false);
  client.conn.arrive(GET);
  assert.equal(client.conn.isPaused, true);
  assert.equal(client.host.exchanges.length, 1);
  client.run();
  assert.equal(client.conn.isPaused, false);
  assert.equal(client.host.exchanges.length, 5);
});

test("R27: a body that nobody wants is not read", () => {
  const client = createMemoryClient();
  client.conn.arrive(`${POST}abc`);
  assert.equal(client.conn.isPaused, true);
  assert.equal(client.host.exchanges[0]!.body, "");
  client.run();
  client.send("defghij");
  assert.equal(client.host.exchanges[0]!.body, "abcdefghij");
});

test("a client that ends amid a body is answered by 400, and its exchange hears of it", () => {
  const client = createMemoryClient();
  client.send(`${POST}abc`);
  client.end();
  assert.equal(status(client.conn.sent), "400");
  assert.equal(client.conn.ending, "closed");
  assert.deepEqual(client.host.exchanges[0]!.gone, [400]);
  assertOver(client);
});

test("a client that ends after its request still gets its answers", () => {
  const client = createMemoryClient();
  client.conn.arrive(GET + GET);
  client.conn.end();
  client.run();
  assert.equal(client.conn.sent.split("GET /a").length, 3);
  assert.equal(client.conn.ending, "closed");
  assertOver(client);
});

test("a client that is gone is told of once", () => {
  const client = createMemoryClient();
  client.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
  client.conn.gone();
  assert.deepEqual(client.host.exchanges[0]!.gone, [undefined]);
  client.host.exchanges[0]!.stream.abort();
  client.connection.stop();
  assertOver(client);
});

test("a fault of the body after the answer has begun ends by reset", () => {
  const client = createMemoryClient();
  client.send("POST /hang HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  const [exchange] = client.host.exchanges;
  exchange!.stream.sendHead({ status: 200, fields: [], bodyOctets: -1, declaredOctets: undefined }, false);
  client.send("x\r\n");
  assert.equal(client.conn.ending, "reset");
  assert.deepEqual(exchange!.gone, [400]);
  assertOver(client);
});

test("drain: an idle connection is closed in order", () => {
  const client = createMemoryClient();
  client.send(GET);
  assert.equal(client.connection.isIdle, true);
  client.connection.drain();
  assert.equal(client.conn.ending, "fin");
  client.end();
  assertOver(client);
});

test("drain: the request under way is answered with Connection: close, and is the last", () => {
  const client = createMemoryClient();
  client.conn.arrive(GET);
  client.connection.drain();
  assert.equal(client.connection.isIdle, false);
  client.run();
  assert.match(client.conn.sent, /connection: close/);
  client.send(GET);
  assert.equal(client.host.exchanges.length, 1);
  assert.equal(client.conn.ending, "fin");
  client.passTo(600);
  assertOver(client);
});

test("stop: the exchange hears of it, and the connection ends by reset", () => {
  const client = createMemoryClient();
  client.conn.arrive(GET);
  client.connection.stop();
  assert.equal(client.conn.ending, "reset");
  assert.deepEqual(client.host.exchanges[0]!.gone, [undefined]);
  assertOver(client);
});

test("drain: between the head and the end of a response that promised to persist, the next one tells of the end", () => {
  const client = createMemoryClient();
  client.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
  const [exchange] = client.host.exchanges;
  exchange!.stream.sendHead({ status: 200, fields: [], bodyOctets: 1, declaredOctets: undefined }, false);
  client.connection.drain();
  exchange!.stream.sendBody(Buffer.from("a"));
  exchange!.stream.sendEnd(undefined);
  assert.equal(client.conn.ending, "open");
  assert.equal(client.connection.isIdle, true);
  client.send(GET);
  assert.match(client.conn.sent, /connection: close/);
  assert.equal(client.conn.ending, "fin");
});

test("drain: a connection that was promised to persist is closed once it rests", () => {
  const client = createMemoryClient();
  client.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
  const [exchange] = client.host.exchanges;
  exchange!.stream.sendHead({ status: 200, fields: [], bodyOctets: 1, declaredOctets: undefined }, false);
  client.connection.drain();
  exchange!.stream.sendBody(Buffer.from("a"));
  exchange!.stream.sendEnd(undefined);
  client.connection.drain();
  assert.equal(client.conn.ending, "fin");
});

test("R29: 100 is not sent after the final answer has begun", () => {
  const client = createMemoryClient();
  client.conn.arrive("POST /hang HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  const [exchange] = client.host.exchanges;
  exchange!.stream.sendHead({ status: 200, fields: [], bodyOctets: 1, declaredOctets: undefined }, false);
  exchange!.stream.wantBody();
  assert.equal(client.conn.sent.includes("100"), false);
});

test("R26: no octet beyond the announced length is sent, and the response ends by reset", () => {
  const client = createMemoryClient();
  client.send("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n");
  const [exchange] = client.host.exchanges;
  exchange!.stream.sendHead({ status: 200, fields: [], bodyOctets: 3, declaredOctets: undefined }, false);
  exchange!.stream.sendBody(Buffer.from("abc"));
  exchange!.stream.sendBody(Buffer.from("HTTP/1.1 200 OK"));
  exchange!.stream.sendEnd(undefined);
  assert.ok(client.conn.sent.endsWith("\r\n\r\nabc"));
  assert.equal(client.conn.ending, "reset");
});

test("an idle client that has not taken its last response is reset when its time is over", () => {
  const client = createMemoryClient();
  client.send(GET);
  client.conn.stuck = 1;
  client.passTo(5_200);
  assert.equal(client.conn.ending, "reset");
  assertOver(client);
});
