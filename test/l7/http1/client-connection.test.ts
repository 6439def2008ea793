/** Octets of a client → octets to it, whole and cut at every place, in memory and over real sockets. */
import assert from "node:assert/strict";
import test from "node:test";
import { serveHttp1 } from "#l7/http1/client-connection.ts";
import { createBed, until } from "../../net/bed.ts";
import { DRIVERS } from "../../net/drivers.ts";
import { arrivedOn, createClientHost, createMemoryClient, httpSpec, type SpecChanges } from "./client-bed.ts";

type Case = {
  readonly name: string;
  readonly input: string;
  readonly output: string;
  /** How our half ends, while the client's stays open. */
  readonly ends?: "fin" | "reset";
  readonly refused?: string;
  readonly spec?: SpecChanges;
};

const ok = (body: string, connection = ""): string =>
  `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n${connection && `connection: ${connection}\r\n`}\r\n${body}`;
const refusal = (status: string): string =>
  `HTTP/1.1 ${status}\r\ncontent-type: text/plain\r\ncontent-length: ${status.length + 1}\r\nconnection: close\r\n\r\n${status}\n`;
const request = (line: string, ...fields: string[]): string =>
  `${line} HTTP/1.1\r\n${["Host: a", ...fields].map((field) => `${field}\r\n`).join("")}\r\n`;
const chunked = "4\r\nsome\r\na\r\nthing more\r\n0\r\n";

const CASES: readonly Case[] = [
  { name: "a request is answered, and the connection goes on", input: request("GET /a"), output: ok("GET /a ") },
  {
    name: "R2: empty lines before a request are passed over",
    input: `\r\n\r\n${request("GET /a")}\r\n${request("GET /b")}`,
    output: ok("GET /a ") + ok("GET /b "),
  },
  {
    name: "R4: what is no request is refused, and what follows is dropped",
    input: `G@T / HTTP/1.1\r\n\r\n${request("GET /b")}`,
    output: refusal("400 Bad Request"),
    ends: "fin",
    refused: "400 R4",
  },
  {
    name: "R5: another version is refused",
    input: "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    output: refusal("505 HTTP Version Not Supported"),
    ends: "fin",
    refused: "505 R5",
  },
  {
    name: "R7: a request line beyond the limit is refused before it ends",
    input: `GET /${"a".repeat(300)}`,
    output: refusal("414 URI Too Long"),
    ends: "fin",
    refused: "414 R7",
  },
  {
    name: "R7: a head beyond the limit is refused before it ends",
    input: `GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(1_000)}`,
    output: refusal("431 Request Header Fields Too Large"),
    ends: "fin",
    refused: "431 R7",
  },
  {
    name: "R20: length and coding together are refused, and their body is not read as a request",
    input: `${request("POST /a", "Content-Length: 5", "Transfer-Encoding: chunked")}0\r\n\r\n${request("GET /b")}`,
    output: refusal("400 Bad Request"),
    ends: "fin",
    refused: "400 R20",
  },
  {
    name: "R22: a body with a length is read to its end, and no further",
    input: `${request("POST /a", "Content-Length: 3")}abc${request("GET /b")}`,
    output: ok("POST /a abc") + ok("GET /b "),
  },
  {
    name: "R22: a chunked body is read to its end, and no further",
    input: `${request("POST /a", "Transfer-Encoding: chunked")}3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n${request("GET /b")}`,
    output: ok("POST /a abcde") + ok("GET /b "),
  },
  {
    name: "R24: a chunked body that breaks a rule is answered by 400, and the connection ends",
    input: `${request("POST /a", "Transfer-Encoding: chunked")}3\r\nabcd\r\n${request("GET /b")}`,
    output: refusal("400 Bad Request"),
    ends: "fin",
  },
  {
    name: "R26: a response of unknown length is chunked for HTTP/1.1, without trailers that nobody asked for",
    input: request("GET /chunked") + request("GET /b"),
    output: `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunked}\r\n${ok("GET /b ")}`,
  },
  {
    name: "R26: trailers go to who takes them",
    input: request("GET /chunked", "TE: trailers"),
    output: `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunked}x-sum: 14\r\n\r\n`,
  },
  {
    name: "R26: a response that is shorter than announced ends by reset",
    input: request("GET /short"),
    output: "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nGET /short ",
    ends: "reset",
  },
  {
    name: "R27: an answer to a body that nobody reads ends the connection; the body is no request",
    input: `${request("POST /unread", "Content-Length: 40")}${request("GET /b")}`,
    output: ok("POST /unread ", "close"),
    ends: "fin",
  },
  {
    name: "R27: an answer from within the request's call, to a body that nobody reads, ends the connection",
    input: `${request("DELETE /now", "Content-Length: 40")}${request("GET /b")}`,
    output: ok("DELETE /now ", "close"),
    ends: "fin",
  },
  {
    name: "R27: a body of GET is read",
    input: `${request("GET /a", "Content-Length: 3")}abc${request("GET /b")}`,
    output: ok("GET /a abc") + ok("GET /b "),
  },
  {
    name: "R28: pipelined requests are answered one after the other, in their order",
    input: [1, 2, 3, 4, 5, 6, 7, 8, 9].map((number) => request(`GET /${number}`)).join(""),
    output: [1, 2, 3, 4, 5, 6, 7, 8, 9].map((number) => ok(`GET /${number} `)).join(""),
  },
  {
    name: "R28: pipelined requests that are answered from within their call are answered in their order",
    input: [1, 2, 3, 4, 5, 6, 7, 8, 9].map((number) => request(`GET /now${number}`)).join(""),
    output: [1, 2, 3, 4, 5, 6, 7, 8, 9].map((number) => ok(`GET /now${number} `)).join(""),
  },
  {
    name: "R28: what comes after Connection: close is dropped",
    input: request("GET /a", "Connection: close") + request("GET /b"),
    output: ok("GET /a ", "close"),
    ends: "fin",
  },
  {
    name: "R28: what comes after the last response is dropped",
    input: request("GET /last") + request("GET /b"),
    output: ok("GET /last ", "close"),
    ends: "fin",
  },
  {
    name: "R28: a connection takes no more requests than it may",
    input: request("GET /a") + request("GET /b") + request("GET /c"),
    output: ok("GET /a ") + ok("GET /b ", "close"),
    ends: "fin",
    spec: { limits: { requestsPerConnection: 2 } },
  },
  {
    name: "R29: another expectation is refused",
    input: request("POST /a", "Expect: wonders", "Content-Length: 3"),
    output: refusal("417 Expectation Failed"),
    ends: "fin",
    refused: "417 R29",
  },
  {
    name: "R29: 100 is not sent where the answer is final already",
    input: request("POST /unread", "Expect: 100-continue", "Content-Length: 3"),
    output: ok("POST /unread ", "close"),
    ends: "fin",
  },
  {
    name: "R29: 100 is not sent to HTTP/1.0, nor 103",
    input: "POST /hint HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    output: ok("POST /hint abc", "close"),
    ends: "fin",
  },
  {
    name: "103 goes to HTTP/1.1 before the final answer",
    input: request("GET /hint"),
    output: `HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n${ok("GET /hint ")}`,
  },
  {
    name: "R30: CONNECT is refused",
    input: "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    output: refusal("501 Not Implemented"),
    ends: "fin",
    refused: "501 R30",
  },
  {
    name: "R30: an upgrade with a body is refused",
    input: `${request("GET /tunnel", "Connection: upgrade", "Upgrade: websocket", "Content-Length: 3")}abc`,
    output: refusal("400 Bad Request"),
    ends: "fin",
    refused: "400 R30",
  },
  {
    name: "R30: a tunnel begins with 101, and what came before it goes through",
    input: `${request("GET /tunnel", "Connection: upgrade", "Upgrade: websocket")}\x81\x00GET / HTTP/1.1\r\n\r\n`,
    output: `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n\x81\x00GET / HTTP/1.1\r\n\r\n`,
  },
  {
    name: "R30: without 101 what follows an upgrade is a request like any other",
    input: request("GET /plain", "Connection: upgrade", "Upgrade: websocket") + request("GET /b"),
    output: ok("GET /plain ") + ok("GET /b "),
  },
  {
    name: "R31: HTTP/1.0 is answered and closed",
    input: `GET /a HTTP/1.0\r\n\r\n${request("GET /b")}`,
    output: ok("GET /a ", "close"),
    ends: "fin",
  },
  {
    name: "R31: HTTP/1.0 goes on where it says so and the length is known",
    input: "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
    output: ok("GET /a ", "keep-alive") + ok("GET /b ", "close"),
    ends: "fin",
  },
  {
    name: "R31: HTTP/1.0 gets a body of unknown length up to the end of the connection",
    input: "GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
    output: "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nsomething more",
    ends: "fin",
  },
  {
    name: "R31: a body of a request does not end with the connection",
    input: "POST /a HTTP/1.0\r\n\r\nabc",
    output: ok("POST /a ", "close"),
    ends: "fin",
  },
  {
    name: "HEAD, 204 and 304 have no body",
    input: request("HEAD /a") + request("GET /204") + request("GET /304") + request("GET /b"),
    output:
      "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n" +
      `HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n${ok("GET /b ")}`,
  },
  {
    name: "a response that cannot be completed ends by reset",
    input: request("GET /cut"),
    output: "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n",
    ends: "reset",
  },
];

const ENDINGS = { fin: "fin", reset: "reset", open: "open" } as const;

for (const { name, input, output, ends, refused, spec } of CASES) {
  test(`${name}, at every cut`, () => {
    const cuts = [[input], ...[...input].map((_, at) => [input.slice(0, at), input.slice(at)]), [...input]];
    for (const pieces of cuts) {
      const client = createMemoryClient(spec);
      for (const piece of pieces) if (piece !== "") client.send(piece);
      const cut = `cut after ${JSON.stringify(pieces[0])}`;
      assert.equal(client.conn.sent, output, cut);
      assert.equal(client.conn.ending, ENDINGS[ends ?? "open"], cut);
      assert.deepEqual(client.host.refused, refused === undefined ? [] : [refused], cut);
      // Whatever has come so far: it ends once, and nothing is left.
      client.end();
      client.passTo(10_000);
      assert.equal(client.host.ended.length, 1, cut);
      assert.equal(client.host.deadlines.armed(), 0, cut);
    }
  });
}

for (const [driverName, createDriver] of Object.entries(DRIVERS)) {
  test(`client connection over real sockets on ${driverName}`, async (t) => {
    for (const { name, input, output, ends, spec } of CASES) {
      await t.test(name, async () => {
        const bed = createBed(createDriver());
        try {
          const { client, conn } = await bed.accepted();
          const host = createClientHost((call) => setImmediate(call));
          const connection = serveHttp1({ arrived: arrivedOn(conn), spec: httpSpec(spec), scheme: "http", host });
          client.socket.write(input, "latin1");
          // A reset may overtake what was sent before it.
          if (ends !== "reset") assert.equal((await client.received(output.length)).toString("latin1"), output);
          if (ends !== undefined) assert.equal(await client.ending, ends);
          client.socket.end();
          if (ends === undefined) await client.ending;
          await until(() => host.ended.length === 1);
          assert.equal(host.ended[0], connection);
          if (ends !== "reset") assert.equal(client.octets(), output.length);
          assert.equal(host.deadlines.armed(), 0);
        } finally {
          await bed.close();
        }
      });
    }
  });
}
