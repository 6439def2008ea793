/** Responses over TLS that end with their connection: whole where the backend says that it ends, cut where it does not. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import test from "node:test";
import { createServer, type TLSSocket } from "node:tls";
import { openWay } from "../net/way.ts";
import { backendAt, UPSTREAM_DEFAULTS } from "../pool/specs.ts";
import { without } from "../system/tools.ts";
import { createAuthority } from "../tls/authority.ts";
import { openHttp, textOf } from "./http-bed.ts";

const HEAD = "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\nconnection: close\r\n\r\n";
const TLS = { isVerified: false, caFile: undefined, certFile: undefined, keyFile: undefined, serverName: undefined };

test("a response over TLS that ends with the connection is whole, and kept, where the backend says that it ends; and else an error", {
  skip: without("openssl"),
}, async (t) => {
  const { cert, key } = createAuthority(t).issue({ names: ["app.example"] });
  let asked = 0;
  let answer: (socket: TLSSocket) => void = () => {};
  const server = createServer({ cert, key }, (socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      asked++;
      answer(socket);
    });
    t.after(() => socket.destroy());
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  const way = await openWay(t, (server.address() as AddressInfo).port);
  const bed = await openHttp(t, {
    rules: [{ match: {}, cache: true, pool: "web" }],
    pool: {
      backends: [backendAt(0, { address: "127.0.0.1", port: way.port, key: `127.0.0.1:${way.port}` })],
      upstream: { ...UPSTREAM_DEFAULTS, tls: TLS },
    },
  });

  answer = (socket) => socket.write(`${HEAD}the first half`);
  const asking = get({ port: bed.port, path: "/cut", agent: false });
  const [response] = (await once(asking, "response")) as [IncomingMessage];
  asking.on("error", () => {});
  const body = textOf(response);
  way.cut();
  await assert.rejects(body);
  answer = (socket) => socket.end(`${HEAD}both halves`);
  assert.equal((await bed.ask("/cut")).body, "both halves", "what was cut is not kept");
  assert.equal((await bed.ask("/cut")).body, "both halves");
  assert.equal(asked, 2, "what was whole is");
});
