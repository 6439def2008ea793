/** The client's end over HTTP/2: what exchanges see of requests, and clients of responses; time limits; the end of it all. */
import assert from "node:assert/strict";
import { once } from "node:events";
import nodeTest, { type TestContext } from "node:test";
import { UNKNOWN_LENGTH } from "#l7/message.ts";
import type { TcpDriver } from "#net/driver.ts";
import { until } from "../../net/bed.ts";
import { DRIVERS } from "../../net/drivers.ts";
import {
  answerOf,
  type Front,
  type FrontChanges,
  openClient,
  openFront as openFrontOn,
  openRaw,
  responseOf,
  type Seen,
} from "./bed.ts";
import { CODE, data, GET, headers, POST, TYPE } from "./frames.ts";

for (const [driver, createDriver] of Object.entries(DRIVERS)) suite(driver, createDriver);

function suite(driver: string, createDriver: () => TcpDriver): void {
  const test = (name: string, run: (t: TestContext) => Promise<void>): void =>
    void nodeTest(`${name} (${driver})`, run);
  const openFront = (t: TestContext, changes?: FrontChanges, onRequest?: (seen: Seen) => void): Front =>
    openFrontOn(t, changes, onRequest, createDriver);

  test("a request comes with its fields, without framing, cookie crumbs joined (RFC 9113 §8.2.3)", async (t) => {
    const front = openFront(t);
    const client = await openClient(t, front.port);
    const answer = answerOf(
      client.request([
        ":method",
        "GET",
        ":path",
        "/a?b=c",
        "te",
        "trailers",
        "cookie",
        "a=1",
        "x-one",
        "1",
        "cookie",
        "b=2",
      ]),
    );
    const seen = await front.next();
    assert.deepEqual(seen.head, {
      version: "2",
      method: "GET",
      target: "/a?b=c",
      scheme: "http",
      authority: `127.0.0.1:${front.port}`,
      fields: ["cookie", "a=1; b=2", "x-one", "1"],
      bodyOctets: 0,
      expectsContinue: false,
      upgrade: undefined,
      takesTrailers: true,
      known: undefined,
    });
    seen.answer(200, "hello", ["content-type", "text/plain", "set-cookie", "a=1", "set-cookie", "b=2"]);
    const { status, fields, body } = await answer;
    assert.equal(status, 200);
    assert.equal(body, "hello");
    assert.equal(fields["content-length"], "5");
    assert.deepEqual(fields["set-cookie"], ["a=1", "b=2"]);
    assert.equal(fields["date"], undefined, "a date is the backend's to send");
  });

  test("Host stands for :authority where that is missing (RFC 9113 §8.3.1)", async (t) => {
    const front = openFront(t);
    const peer = await openRaw(t, front.port);
    peer.write(headers(1, [...GET.slice(0, 3), ["host", "www.example.com"]]));
    const { head } = await front.next();
    assert.equal(head.authority, "www.example.com");
    assert.deepEqual(head.fields, []);
  });

  test("an answer from within the call that brought the request", async (t) => {
    const front = openFront(t, {}, (seen) => seen.answer(200, "at once"));
    const client = await openClient(t, front.port);
    const answers = await Promise.all(Array.from({ length: 50 }, () => answerOf(client.request())));
    for (const { body } of answers) assert.equal(body, "at once");
    await until(() => front.connections[0]!.isIdle);
    for (const { gone } of front.seen) assert.equal(gone, undefined);
  });

  for (const [method, status] of [
    ["HEAD", 200],
    ["GET", 204],
    ["GET", 304],
  ] as const)
    test(`${method} with ${status} has no body, and keeps the length that was declared`, async (t) => {
      const front = openFront(t);
      const client = await openClient(t, front.port);
      const answer = answerOf(client.request({ ":method": method }));
      const { stream } = await front.next();
      stream.sendHead({ status, fields: [], bodyOctets: 0, declaredOctets: 7 }, false);
      stream.sendEnd(undefined);
      const { body, fields } = await answer;
      assert.equal(body, "");
      assert.equal(fields["content-length"], status === 204 ? undefined : "7");
    });

  test("a body comes when it is wanted, and waits while it is not", async (t) => {
    const front = openFront(t);
    const client = await openClient(t, front.port);
    const request = client.request({ ":method": "POST", "content-length": 11 });
    const answer = answerOf(request);
    request.write("hello ");
    const seen = await front.next();
    assert.equal(seen.head.bodyOctets, 11);
    assert.equal(seen.body, "");
    seen.stream.wantBody();
    await until(() => seen.body === "hello ");
    seen.stream.pauseBody();
    request.end("world");
    await once(request, "finish");
    await new Promise(setImmediate);
    assert.equal(seen.body, "hello ");
    seen.stream.resumeBody();
    await until(() => seen.end !== undefined);
    assert.equal(seen.body, "hello world");
    seen.answer(200, "ok");
    assert.equal((await answer).body, "ok");
  });

  test("a body that nobody takes fills a window, and what Node holds of a stream, and no more", async (t) => {
    const front = openFront(t, { http2: { windowOctets: 65_536 } });
    const client = await openClient(t, front.port);
    const request = client.request({ ":method": "POST" });
    request.on("error", () => {});
    const seen = await front.next();
    seen.stream.wantBody();
    seen.stream.pauseBody();
    request.write(Buffer.alloc(1_000_000, 0x61));
    await until(() => (client.socket.bytesWritten ?? 0) > 60_000);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(client.socket.bytesWritten < 65_536 * 2 + 2_000, String(client.socket.bytesWritten));
    seen.stream.resumeBody();
    await until(() => seen.body.length === 1_000_000);
    request.close();
  });

  test("100 is sent when the body is wanted, 103 when the exchange says so", async (t) => {
    const front = openFront(t);
    const client = await openClient(t, front.port);
    const request = client.request({ ":method": "POST", expect: "100-continue", "content-length": 2 });
    const informed: number[] = [];
    request.on("headers", (head) => informed.push(Number(head[":status"])));
    const answer = answerOf(request);
    const seen = await front.next();
    assert.equal(seen.head.expectsContinue, true);
    seen.stream.sendInformational(103, ["link", "</a.css>; rel=preload"]);
    seen.stream.wantBody();
    await once(request, "continue");
    request.end("ok");
    await until(() => seen.end !== undefined);
    seen.answer(200);
    await answer;
    assert.deepEqual(informed, [103, 100]);
  });

  test("trailers go both ways, without what a head decides (RFC 9110 §6.5.1)", async (t) => {
    const front = openFront(t);
    const client = await openClient(t, front.port);
    const request = client.request({ ":method": "POST", te: "trailers" }, { waitForTrailers: true });
    request.on("wantTrailers", () =>
      request.sendTrailers({ "x-sum": "1", authorization: "Basic eA==", "content-length": "3" }),
    );
    const answer = answerOf(request);
    request.end("abc");
    const seen = await front.next();
    seen.stream.wantBody();
    await until(() => seen.end !== undefined);
    assert.deepEqual(seen.end, { trailers: ["x-sum", "1"] });
    seen.stream.sendHead(responseOf(200, [], UNKNOWN_LENGTH), false);
    seen.stream.sendBody(Buffer.from("def"));
    seen.stream.sendEnd(["grpc-status", "0", "__proto__", "x"]);
    const { body, trailers } = await answer;
    assert.equal(body, "def");
    assert.equal(trailers?.["grpc-status"], "0");
  });

  test("a large response waits for the client, and tells when there is room", async (t) => {
    const front = openFront(t);
    const client = await openClient(t, front.port);
    const request = client.request();
    request.on("error", () => {});
    const seen = await front.next();
    seen.stream.sendHead(responseOf(200, [], UNKNOWN_LENGTH), false);
    const chunk = Buffer.alloc(65_536, 0x62);
    let sent = 0;
    while (seen.stream.sendBody(chunk)) sent += chunk.length;
    sent += chunk.length;
    assert.ok(sent < 300_000, `${sent} octets were taken`);
    let got = 0;
    request.on("data", (octets: Buffer) => {
      got += octets.length;
    });
    await until(() => seen.rooms > 0);
    seen.stream.sendEnd(undefined);
    await once(request, "end");
    assert.equal(got, sent);
  });

  test("R27: a response before the request's body is over is complete; the rest is not waited for", async (t) => {
    const front = openFront(t);
    const client = await openClient(t, front.port);
    for (const isRead of [false, true]) {
      const request = client.request({ ":method": "POST" });
      const answer = answerOf(request);
      request.write("some of it");
      const seen = await front.next();
      if (isRead) {
        seen.stream.wantBody();
        await until(() => seen.body !== "");
      }
      seen.answer(413, "x".repeat(200_000));
      await once(request, "end");
      front.pass(1_000);
      const { status, body } = await answer;
      assert.equal(status, 413);
      assert.equal(body.length, 200_000);
    }
    await until(() => front.connections[0]!.isIdle);
  });

  test("octets are copied: who shows them may use their memory again", async (t) => {
    const front = openFront(t);
    const client = await openClient(t, front.port);
    const answer = answerOf(client.request());
    const { stream } = await front.next();
    stream.sendHead(responseOf(200, [], UNKNOWN_LENGTH), false);
    const octets = Buffer.from("first");
    stream.sendBody(octets);
    octets.fill(0x21);
    stream.sendEnd(undefined);
    assert.equal((await answer).body, "first");
  });

  test("R43: a field that would cut the message, or speaks of framing, is not sent", async (t) => {
    const front = openFront(t, {}, (seen) =>
      seen.answer(200, "", [
        "x-bad",
        "a\r\nx-injected: 1",
        "x-nul",
        "a\0b",
        "connection",
        "close",
        "transfer-encoding",
        "chunked",
        "x-good",
        "1",
      ]),
    );
    const client = await openClient(t, front.port);
    const { fields } = await answerOf(client.request());
    assert.deepEqual(Object.keys(fields), [":status", "x-good"]);
  });

  test("abort resets with INTERNAL_ERROR, and tells nothing back", async (t) => {
    const front = openFront(t);
    const client = await openClient(t, front.port);
    const answer = answerOf(client.request());
    const seen = await front.next();
    seen.stream.sendHead(responseOf(200, [], 10), false);
    seen.stream.sendBody(Buffer.from("half"));
    seen.stream.abort();
    await assert.rejects(answer, { code: CODE.internal });
    assert.equal(seen.gone, undefined);
  });
  test("a body shorter than its head announced is reset", async (t) => {
    const front = openFront(t);
    const client = await openClient(t, front.port);
    const answer = answerOf(client.request());
    const seen = await front.next();
    seen.stream.sendHead(responseOf(200, [], 10), false);
    seen.stream.sendBody(Buffer.from("half"));
    seen.stream.sendEnd(undefined);
    await assert.rejects(answer, { code: CODE.internal });
  });

  test("a client that resets a stream, or closes the connection, is gone for the exchange", async (t) => {
    const front = openFront(t);
    const client = await openClient(t, front.port);
    const first = client.request();
    first.on("error", () => {});
    const one = await front.next();
    first.close(CODE.cancel);
    await until(() => one.gone !== undefined);
    const second = client.request();
    second.on("error", () => {});
    const two = await front.next();
    client.destroy();
    await until(() => two.gone !== undefined);
    await until(() => front.ended === 1);
  });

  // ── time limits ──────────────────────────────────────────────────────────────────────────────────────────────────

  test("R46: a body that does not go on ends with 408", async (t) => {
    const front = openFront(t, { timeouts: { bodyMs: 2_000 } }, (seen) => seen.stream.wantBody());
    const client = await openClient(t, front.port);
    const request = client.request({ ":method": "POST" });
    const answer = answerOf(request);
    request.write("a");
    const seen = await front.next();
    await until(() => seen.body === "a");
    front.pass(1_400);
    assert.equal(seen.gone, undefined);
    front.pass(1_200);
    assert.deepEqual(seen.gone, { status: 408 });
    await once(request, "end");
    front.pass(1_000);
    assert.equal((await answer).status, 408);
  });
  test("R46: a body slower than the rate ends with 408, after ten seconds of grace", async (t) => {
    const front = openFront(t, { timeouts: { bodyMs: 60_000, minBodyRate: 100 } }, (seen) => seen.stream.wantBody());
    const peer = await openRaw(t, front.port);
    peer.write(headers(1, POST, false));
    const seen = await front.next();
    for (let second = 1; second <= 9; second++) {
      peer.write(data(1, "12345"));
      await until(() => seen.body.length === second * 5);
      front.pass(1_000);
    }
    assert.equal(seen.gone, undefined);
    front.pass(2_000);
    assert.deepEqual(seen.gone, { status: 408 });
  });
  test("R46: while the exchange takes nothing of a body, the client is not late", async (t) => {
    const front = openFront(t, { timeouts: { bodyMs: 2_000, minBodyRate: 100 } }, (seen) => seen.stream.wantBody());
    const peer = await openRaw(t, front.port);
    peer.write(headers(1, POST, false));
    const seen = await front.next();
    seen.stream.pauseBody();
    front.pass(30_000);
    assert.equal(seen.gone, undefined);
    seen.stream.resumeBody();
    front.pass(3_000);
    assert.deepEqual(seen.gone, { status: 408 });
  });
  test("R46: a client that takes nothing of a response is reset", async (t) => {
    const front = openFront(t, { timeouts: { sendMs: 3_000 } });
    const peer = await openRaw(t, front.port); // its window is 65,535 octets, and it opens it no further
    peer.write(headers(1, GET));
    const seen = await front.next();
    seen.stream.sendHead(responseOf(200, [], UNKNOWN_LENGTH), false);
    for (let count = 0; count < 4; count++) seen.stream.sendBody(Buffer.alloc(65_536));
    await until(() => peer.dataOctets() === 65_535);
    await until(() => seen.stream.arrived.conn.unsent() === 0);
    front.pass(2_000);
    assert.equal(seen.gone, undefined);
    front.pass(1_600);
    await until(() => seen.gone !== undefined);
    assert.equal(await peer.resetOf(1), CODE.cancel);
  });
  test("R46: a connection without requests is closed in order; an open request keeps it", async (t) => {
    const front = openFront(t, { timeouts: { keepAliveMs: 5_000 } });
    const peer = await openRaw(t, front.port);
    peer.write(headers(1, GET));
    const seen = await front.next();
    front.pass(20_000);
    assert.equal(front.ended, 0);
    seen.answer(200);
    await until(() => front.connections[0]!.isIdle && seen.stream.arrived.conn.unsent() === 0);
    front.pass(4_000);
    assert.equal(peer.frames.filter(({ type }) => type === TYPE.goaway).length, 0);
    await until(() => {
      front.pass(50);
      return peer.frames.some(({ type }) => type === TYPE.goaway);
    });
    assert.equal(await peer.goaway(), CODE.none);
    await until(() => {
      front.pass(50);
      return front.ended === 1;
    });
  });
  test("R46: a head that comes octet by octet is cut off (slowloris)", async (t) => {
    const front = openFront(t, { timeouts: { headMs: 3_000, keepAliveMs: 60_000 } });
    const peer = await openRaw(t, front.port);
    await peer.frame(({ type, flags }) => type === TYPE.settings && flags === 1);
    const octets = headers(1, [...GET, ["x-slow", "y".repeat(50)]]);
    for (let at = 0; at < octets.length - 10 && front.ended === 0; at++) {
      peer.write(octets.subarray(at, at + 1));
      await new Promise((resolve) => setTimeout(resolve, 2));
      front.pass(500);
    }
    await until(() => front.ended === 1);
    assert.equal(front.seen.length, 0);
  });

  // ── its end ──────────────────────────────────────────────────────────────────────────────────────────────────────

  test("drain: GOAWAY warns, then names the last stream; what is under way is served, then it ends (RFC 9113 §6.8)", async (t) => {
    const front = openFront(t);
    const client = await openClient(t, front.port);
    const answers = [answerOf(client.request()), answerOf(client.request())];
    const [first, second] = [await front.next(), await front.next()];
    const goaways: number[][] = [];
    client.on("goaway", (...said: number[]) => goaways.push(said.slice(0, 2)));
    front.connections[0]!.drain();
    await until(() => goaways.length === 2);
    assert.deepEqual(goaways, [
      [CODE.none, 0x7fff_ffff],
      [CODE.none, 3],
    ]);
    first.answer(200, "one");
    second.answer(200, "two");
    assert.deepEqual(
      (await Promise.all(answers)).map(({ body }) => body),
      ["one", "two"],
    );
    await until(() => front.ended === 1);
  });
  test("drain of an idle connection whose client does not end is over after the linger", async (t) => {
    const front = openFront(t, { timeouts: { lingerMs: 500 } });
    const peer = await openRaw(t, front.port);
    peer.socket.removeAllListeners("end");
    await peer.frame(({ type, flags }) => type === TYPE.settings && flags === 1);
    front.connections[0]!.drain();
    await peer.goaway();
    front.pass(2_000);
    await until(() => front.ended === 1);
  });
  test("isLast, and the last request that a connection may have, end it in order", async (t) => {
    const front = openFront(t, { limits: { requestsPerConnection: 2 } });
    const client = await openClient(t, front.port);
    const answers = [answerOf(client.request()), answerOf(client.request())];
    (await front.next()).answer(200, "one");
    (await front.next()).answer(200, "two");
    assert.deepEqual(
      (await Promise.all(answers)).map(({ body }) => body),
      ["one", "two"],
    );
    await until(() => front.ended === 1);
    const other = await openClient(t, front.port);
    const answer = answerOf(other.request());
    const { stream } = await front.next();
    stream.sendHead(responseOf(200), true);
    stream.sendEnd(undefined);
    await answer;
    await until(() => front.ended === 2);
  });
  test("stop tells all exchanges, and the host once", async (t) => {
    const front = openFront(t);
    const client = await openClient(t, front.port);
    const request = client.request();
    request.on("error", () => {});
    const seen = await front.next();
    front.connections[0]!.stop();
    assert.deepEqual(seen.gone, { status: undefined });
    assert.equal(front.ended, 1);
    await until(() => request.closed);
    front.connections[0]!.stop();
    assert.equal(front.ended, 1);
  });

  for (const [status, body] of [
    [204, ""],
    [403, ""],
    [403, "no"],
  ] as const) {
    test(`an answer (${status}, ${body.length} octets) to a request whose body is still to come arrives before its end`, async (t) => {
      const front = openFront(t, {}, (seen) => seen.answer(status, body));
      const client = await openClient(t, front.port);
      const request = client.request({ ":method": "POST" }, { endStream: false });
      const answer = answerOf(request);
      await once(request, "end");
      front.pass(1_000);
      assert.deepEqual([(await answer).status, (await answer).body], [status, body]);
    });
  }
}
