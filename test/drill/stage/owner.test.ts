import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import test from "node:test";
import { inodeOf, ownerOf } from "#drill/stage/owner.ts";

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 0100007F:D431 012A007F:3039 01 00000000:00000000 00:00000000 00000000     0        0 222 1 0 20 4 30 10 -1
   2: 012A007F:3039 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0 20 4 30 10 -1
`;

test("inodeOf() finds the end that was opened, not the one that accepted", () => {
  const near = { address: "127.0.0.1", port: 0xd431 };
  const far = { address: "127.0.42.1", port: 12_345 };
  assert.equal(inodeOf(TABLE, near, far), "222");
  assert.equal(inodeOf(TABLE, far, near), "333");
  assert.equal(inodeOf(TABLE, { ...near, port: 1 }, far), undefined);
});

test("ownerOf() tells whose connection it is, among those that it is told of", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const socket = connect(port, "127.0.0.1");
  t.after(() => {
    socket.destroy();
    server.close();
  });
  await once(socket, "connect");
  const near = { address: "127.0.0.1", port: socket.localPort! };
  const far = { address: "127.0.0.1", port };
  const isLinux = process.platform === "linux";
  assert.equal(ownerOf(near, far, new Map([["us", process.pid]])), isLinux ? "us" : undefined);
  assert.equal(ownerOf(near, far, new Map([["nobody", 2 ** 22 + 1]])), undefined);
});
