/** The whole way of requests over both drivers: what goes to a backend, what comes back, and what is told of it. */
import assert from "node:assert/strict";
import test from "node:test";
import { DRIVERS } from "../net/drivers.ts";
import { UPSTREAM_DEFAULTS } from "../pool/specs.ts";
import { openHttp, textOf } from "./http-bed.ts";

for (const [name, createDriver] of Object.entries(DRIVERS)) {
  test(`a request goes to a backend and its response comes back, with one line in the log (${name})`, async (t) => {
    const bed = await openHttp(t, {
      driver: createDriver(),
      handlers: [(_request, response) => response.writeHead(200, { "x-answer": "42" }).end("hello")],
    });
    const { status, headers, body } = await bed.ask("/a?b=c", { headers: { "user-agent": "test" } });
    assert.deepEqual([status, headers["x-answer"], body], [200, "42", "hello"]);
    const [seen] = bed.backends[0]!.seen;
    assert.equal(seen!.url, "/a?b=c");
    assert.equal(seen!.headers.host, "www.example");
    assert.equal(seen!.headers["x-forwarded-for"], "127.0.0.1");
    assert.equal(seen!.headers["user-agent"], "test");
    const [entry] = bed.log;
    assert.equal(entry!.status, 200);
    assert.equal(entry!.backend, bed.backends[0]!.spec.key);
    assert.equal(entry!.requestId, seen!.headers["x-request-id"]);
    assert.deepEqual([entry!.tries, entry!.responseOctets, entry!.flags], [1, 5, ""]);
    assert.equal(bed.count("http_2xx"), 1);
    assert.equal(bed.backendCount(0, "responses_2xx"), 1);
  });

  test(`bodies of a megabyte pass both ways, however they are framed (${name})`, async (t) => {
    const bed = await openHttp(t, {
      driver: createDriver(),
      handlers: [
        (request, response) =>
          void textOf(request).then((body) => {
            if (request.url === "/length") response.setHeader("content-length", body.length);
            response.end(body, "latin1");
          }),
      ],
    });
    const body = Buffer.alloc(1 << 20, "0123456789");
    for (const path of ["/length", "/chunked"])
      for (const headers of [{ "content-length": body.length }, { "transfer-encoding": "chunked" }]) {
        const answer = await bed.ask(path, { method: "POST", body, headers });
        assert.equal(answer.status, 200);
        assert.equal(answer.body, body.toString("latin1"));
      }
    assert.deepEqual(
      bed.log.map(({ requestOctets, responseOctets }) => [requestOctets, responseOctets]),
      Array(4).fill([1 << 20, 1 << 20]),
    );
  });
}

test("trailers pass to a client that takes them, of a pool that passes them, and to the backend", async (t) => {
  const bed = await openHttp(t, {
    handlers: [
      (request, response) =>
        void textOf(request).then(() => {
          response.setHeader("trailer", "x-sum");
          response.write("body");
          response.addTrailers({ "x-sum": `${request.trailers["x-of"]}` });
          response.end();
        }),
    ],
    pool: { upstream: { ...UPSTREAM_DEFAULTS, passesTrailers: true } },
  });
  const head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close, TE\r\n";
  const body = "1\r\nx\r\n0\r\nx-of: mine\r\n\r\n";
  const takes = await bed.dial(`${head}TE: trailers\r\n\r\n${body}`);
  assert.match(await takes.whole(), /0\r\nx-sum: mine\r\n\r\n$/i);
  const doesNot = await bed.dial(`${head}\r\n${body}`);
  assert.match(await doesNot.whole(), /\r\n0\r\n\r\n$/);
});
