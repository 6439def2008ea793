/** What hostile clients of HTTP/2 send (docs/http1-rules.md, HTTP/2): each is ended, and nothing of it reaches an exchange. */
import assert from "node:assert/strict";
import test from "node:test";
import { settled, until } from "../../net/bed.ts";
import { openFront, openRaw } from "./bed.ts";
import {
  block,
  CODE,
  data,
  type Field,
  FLAG,
  frame,
  GET,
  headers,
  POST,
  ping,
  reset,
  settings,
  TYPE,
  windowUpdate,
} from "./frames.ts";

const without = (name: string): Field[] => GET.filter(([one]) => one !== name);

const MALFORMED: readonly (readonly [what: string, fields: readonly Field[]])[] = [
  ["Connection", [...GET, ["connection", "close"]]],
  ["Keep-Alive", [...GET, ["keep-alive", "timeout=5"]]],
  ["Proxy-Connection", [...GET, ["proxy-connection", "keep-alive"]]],
  ["Transfer-Encoding (h2.TE)", [...POST, ["transfer-encoding", "chunked"]]],
  ["Upgrade", [...GET, ["upgrade", "h2c"]]],
  ["HTTP2-Settings", [...GET, ["http2-settings", "AAMAAABkAAQAAP__"]]],
  ["TE that is not trailers", [...GET, ["te", "gzip"]]],
  ["a name in upper case", [...GET, ["X-Test", "1"]]],
  ["no :method", without(":method")],
  ["no :scheme", without(":scheme")],
  ["no :path", without(":path")],
  ["neither :authority nor Host", without(":authority")],
  ["two :method", [[":method", "GET"], ...GET]],
  ["two :path", [...GET, [":path", "/other"]]],
  ["two :authority", [...GET, [":authority", "other.example"]]],
  ["a late pseudo-header", [GET[0]!, ["x-test", "1"], ...GET.slice(1)]],
  ["an unknown pseudo-header", [...GET, [":version", "2"]]],
  ["a response's pseudo-header", [...GET, [":status", "200"]]],
  ["an empty :path", [...without(":path"), [":path", ""]]],
  ["a :path that does not begin with /", [...without(":path"), [":path", "index.html"]]],
  ["* that is not of OPTIONS", [...without(":path"), [":path", "*"]]],
  ["a :path with a space", [...without(":path"), [":path", "/ HTTP/1.1\r\nx: y"]]],
  ["a :path with a fragment", [...without(":path"), [":path", "/#x"]]],
  [":method with a space", [...without(":method"), [":method", "GET /admin HTTP/1.1"]]],
  [":scheme that is no scheme of ours", [...without(":scheme"), [":scheme", "ftp"]]],
  [":authority that is not Host", [...GET, ["host", "other.example"]]],
  [":authority with user information", [...without(":authority"), [":authority", "user@www.example.com"]]],
  [":authority with a path", [...without(":authority"), [":authority", "www.example.com/x"]]],
  ["Content-Length that is no number (h2.CL)", [...POST, ["content-length", "+5"]]],
  ["two Content-Length", [...POST, ["content-length", "5"], ["content-length", "6"]]],
  ["Content-Length and the end of the stream", [...POST, ["content-length", "5"]]],
  [":protocol without CONNECT", [...GET, [":protocol", "websocket"]]],
];

for (const [what, fields] of MALFORMED)
  test(`R26 (RFC 9113 §8.2, §8.3): ${what} is a stream error`, async (t) => {
    const front = openFront(t);
    const peer = await openRaw(t, front.port);
    peer.write(headers(1, fields), headers(3, GET));
    assert.equal(await peer.resetOf(1), CODE.protocol);
    const seen = await front.next();
    assert.equal(front.seen.length, 1, "nothing but the good request was seen");
    assert.equal(seen.head.method, "GET");
  });

for (const [what, field] of [
  ["a value with CR and LF", ["x-test", "a\r\nx-injected: 1"]],
  ["a value with LF", ["x-test", "a\nb"]],
  ["a value with CR", ["x-test", "a\rb"]],
  ["a value with NUL", ["x-test", "a\0b"]],
  ["a value with a control", ["x-test", "a\x01b"]],
  ["white space before a value", ["x-test", " a"]],
  ["white space after a value", ["x-test", "a "]],
  ["a tab after a value", ["x-test", "a\t"]],
  ["a name with a space", ["x test", "1"]],
  ["a name with a colon", ["x:test", "1"]],
  ["a name with a line end", ["x-test: 1\r\nx-other", "1"]],
  ["an empty name", ["", "1"]],
] as const)
  test(`R26 (RFC 9113 §8.2.1): ${what} is a stream error`, async (t) => {
    const front = openFront(t);
    const peer = await openRaw(t, front.port);
    peer.write(headers(1, [...GET, ["x-good", "1"], field]), headers(3, GET));
    assert.equal(await peer.resetOf(1), CODE.protocol);
    await front.next();
    assert.deepEqual(front.refused, [{ status: 400, rule: "R26" }]);
    assert.equal(front.seen.length, 1, "nothing but the good request was seen");
  });

for (const [what, frames] of [
  ["fewer octets", [data(1, "abc", true)]],
  ["none, by an empty DATA frame with END_STREAM (CVE-2026-33555)", [data(1, "", true)]],
  ["more octets", [data(1, "abcdefgh", true)]],
  ["more octets, in a second frame", [data(1, "abcde"), data(1, "GET /admin", true)]],
] as const)
  test(`R26 (RFC 9113 §8.1.1): a body of ${what} than Content-Length resets the stream, and the exchange learns of it`, async (t) => {
    const front = openFront(t, {}, (seen) => seen.stream.wantBody());
    const peer = await openRaw(t, front.port);
    peer.write(headers(1, [...POST, ["content-length", "5"]], false), ...frames);
    assert.equal(await peer.resetOf(1), CODE.protocol);
    const [seen] = front.seen;
    await until(() => seen!.gone !== undefined);
    assert.equal(seen!.end, undefined, "its body did not end");
    assert.ok(seen!.body.length <= 5);
  });

test("R26 (RFC 9113 §8.1): a body that the client resets with NO_ERROR has not ended", async (t) => {
  const front = openFront(t, {}, (seen) => seen.stream.wantBody());
  const peer = await openRaw(t, front.port);
  peer.write(headers(1, POST, false), data(1, "half"), reset(1, CODE.none));
  const seen = await front.next();
  await until(() => seen.gone !== undefined);
  assert.equal(seen.end, undefined);
});

test("R30: CONNECT is not served, with or without a protocol that we know", async (t) => {
  const front = openFront(t);
  const peer = await openRaw(t, front.port);
  peer.write(
    headers(
      1,
      [
        [":method", "CONNECT"],
        [":authority", "inside.example:22"],
      ],
      false,
    ),
  );
  peer.write(headers(3, [[":method", "CONNECT"], ...GET.slice(1), [":protocol", "connect-udp"]], false));
  await until(() => front.refused.length === 2);
  assert.deepEqual(front.refused, [
    { status: 501, rule: "R30" },
    { status: 501, rule: "R30" },
  ]);
  assert.equal(front.seen.length, 0);
});

test("R29: Expect other than 100-continue is answered with 417", async (t) => {
  const front = openFront(t);
  const peer = await openRaw(t, front.port);
  peer.write(headers(1, [...POST, ["expect", "200-ok"]], false));
  await until(() => front.refused.length === 1);
  assert.deepEqual(front.refused, [{ status: 417, rule: "R29" }]);
});

// ── floods ───────────────────────────────────────────────────────────────────────────────────────────────────────

const odd = (count: number): number[] => Array.from({ length: count }, (_, index) => index * 2 + 1);

test("CVE-2023-44487 rapid reset: streams that are reset at once end the connection", async (t) => {
  const front = openFront(t, { http2: { resetsPerSecond: 20 } });
  const peer = await openRaw(t, front.port);
  for (const id of odd(60)) peer.write(headers(id, GET), reset(id, CODE.cancel));
  await peer.goaway();
  await until(() => front.ended === 1);
  for (const { gone } of front.seen) assert.ok(gone !== undefined, "each exchange was told");
});
test("CVE-2023-44487: as many resets as are allowed, second after second, do not end it", async (t) => {
  const front = openFront(t, { http2: { resetsPerSecond: 20 } });
  const peer = await openRaw(t, front.port);
  let next = 1;
  for (let second = 0; second < 3; second++) {
    for (let count = 0; count < 20; count++, next += 2) peer.write(headers(next, GET), reset(next, CODE.cancel));
    const expected = (second + 1) * 20;
    await until(() => front.seen.filter(({ gone }) => gone !== undefined).length === expected);
    front.pass(1_000);
  }
  assert.equal(front.ended, 0);
});
test("CVE-2025-8671 MadeYouReset: streams that we have to reset count as well", async (t) => {
  const front = openFront(t, { http2: { resetsPerSecond: 20 } });
  const peer = await openRaw(t, front.port);
  for (const id of odd(60)) peer.write(headers(id, [...POST, ["content-length", "5"]], false), data(id, "abc", true));
  await until(() => front.ended === 1);
  for (const { gone } of front.seen) assert.ok(gone !== undefined, "each exchange was told");
});
test("CVE-2025-8671 MadeYouReset: windows that overflow reset their streams, and too many of them end the connection", async (t) => {
  const front = openFront(t, { http2: { resetsPerSecond: 20 } });
  const peer = await openRaw(t, front.port);
  for (const id of odd(60)) peer.write(headers(id, GET), windowUpdate(id, 0x7fff_ffff));
  assert.equal(await peer.resetOf(1), CODE.flowControl);
  assert.equal(await peer.goaway(), CODE.calm);
  await until(() => front.ended === 1);
  for (const { gone } of front.seen) assert.ok(gone !== undefined, "each exchange was told");
});
test("CVE-2025-8671: malformed requests count as well", async (t) => {
  const front = openFront(t, { http2: { resetsPerSecond: 20 } });
  const peer = await openRaw(t, front.port);
  for (const id of odd(200)) peer.write(headers(id, [...GET, ["host", "other.example"]]));
  await peer.goaway();
  await until(() => front.ended === 1);
  assert.equal(front.seen.length, 0);
});
test("CVE-2019-9515 settings flood ends the connection", async (t) => {
  const front = openFront(t, { http2: { settingsPerConnection: 10 } });
  const peer = await openRaw(t, front.port);
  for (let count = 0; count < 40; count++) peer.write(settings([3, 100 + count]));
  assert.equal(await peer.goaway(), CODE.calm);
  await until(() => front.ended === 1);
});
test("CVE-2019-9512 ping flood ends the connection", async (t) => {
  const front = openFront(t);
  const peer = await openRaw(t, front.port);
  peer.write(...Array.from({ length: 500 }, ping));
  assert.equal(await peer.goaway(), CODE.calm);
  await until(() => front.ended === 1);
});
test("CVE-2019-9518 empty DATA frames end the connection", async (t) => {
  const front = openFront(t, {}, (seen) => seen.stream.wantBody());
  const peer = await openRaw(t, front.port);
  peer.write(headers(1, POST, false), ...Array.from({ length: 500 }, () => data(1, "")));
  await until(() => front.ended === 1);
  await until(() => front.seen[0]!.gone !== undefined);
  assert.equal(front.seen[0]!.end, undefined);
});
test("CVE-2024-27316 CONTINUATION flood ends the connection", async (t) => {
  const front = openFront(t);
  const peer = await openRaw(t, front.port);
  peer.write(frame(TYPE.headers, FLAG.endStream, 1, block(GET)));
  for (let count = 0; count < 200; count++)
    peer.write(frame(TYPE.continuation, 0, 1, block([["x-fill", "y".repeat(100)]])));
  await until(() => peer.isOver || front.ended === 1);
  assert.equal(front.seen.length, 0);
});
test("R13: more fields than the limit are refused with 431, and the connection goes on", async (t) => {
  const front = openFront(t, { limits: { fields: 20 } });
  const peer = await openRaw(t, front.port);
  peer.write(headers(1, [...GET, ...Array.from({ length: 40 }, (_, index): Field => [`x-${index}`, "1"])]));
  await until(() => front.refused.length === 1);
  assert.deepEqual(front.refused, [{ status: 431, rule: "R13" }]);
  peer.write(headers(3, GET));
  await front.next();
  assert.equal(front.seen.length, 1);
});
test("R7: a head beyond the limit is refused with 431, also of a client that acknowledges no SETTINGS", async (t) => {
  const front = openFront(t, { http2: { headerListOctets: 8_192 } });
  const peer = await openRaw(t, front.port);
  peer.write(headers(1, [...GET, ["x-long", "y".repeat(12_000)]]));
  await until(() => front.refused.length === 1);
  assert.deepEqual(front.refused, [{ status: 431, rule: "R7" }]);
  peer.write(headers(3, GET));
  await front.next();
  assert.equal(front.seen.length, 1);
});
test("CVE-2019-9514 reset flood: streams beyond the limit end the connection, once the client knows it", async (t) => {
  const front = openFront(t, { http2: { maxStreams: 5 } });
  const peer = await openRaw(t, front.port);
  await peer.frame(({ type }) => type === TYPE.settings);
  peer.write(frame(TYPE.settings, FLAG.ack, 0), ...odd(7).map((id) => headers(id, GET)));
  await peer.goaway();
  await until(() => front.ended === 1);
});
test("CVE-2019-9514 reset flood: before that they are refused, and too many of them end it", async (t) => {
  const front = openFront(t, { http2: { maxStreams: 5 } });
  const peer = await openRaw(t, front.port);
  peer.write(...odd(7).map((id) => headers(id, GET)));
  assert.equal(await peer.resetOf(11), CODE.refused);
  assert.equal(await settled(() => front.seen.length), 5);
  peer.write(
    ...odd(400)
      .slice(7)
      .map((id) => headers(id, GET)),
  );
  await until(() => front.ended === 1);
  assert.equal(front.seen.length, 5);
});
test("a flooding client that does not read is ended all the same", async (t) => {
  const front = openFront(t, { timeouts: { lingerMs: 500 } });
  const peer = await openRaw(t, front.port);
  peer.socket.pause();
  peer.write(...Array.from({ length: 500 }, ping));
  await settled(() => front.connections.length);
  front.pass(2_000);
  await until(() => front.ended === 1);
});
test("CVE-2025-59465: garbage, and a HEADERS frame that cannot be read, end the connection and nothing else", async (t) => {
  const front = openFront(t);
  const peer = await openRaw(t, front.port);
  peer.write(frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 1, Buffer.from("ffffffffff", "hex")));
  await until(() => front.ended === 1);
  const other = await openRaw(t, front.port);
  other.write(Buffer.alloc(4_096, 0xff));
  await until(() => front.ended === 2);
  const good = await openRaw(t, front.port);
  good.write(headers(1, GET));
  await front.next();
});
