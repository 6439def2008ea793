import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import test from "node:test";
import { findPortOwner } from "#app/port-owner.ts";

const isLinux = process.platform === "linux";

test("findPortOwner() names the process that listens on a TCP port, and no one who is connected to it", async () => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const client = connect(port, "127.0.0.1");
  await once(client, "connect");
  assert.equal(findPortOwner("tcp", port)?.pid, isLinux ? process.pid : undefined);
  assert.equal(findPortOwner("tcp", client.localPort!), undefined);
  assert.equal(findPortOwner("udp", port), undefined);
  assert.equal(findPortOwner("tcp", port, "127.0.0.1")?.pid, isLinux ? process.pid : undefined);
  assert.equal(findPortOwner("tcp", port, "127.0.0.2"), undefined, "on another address the port is free");
  client.destroy();
  server.close();
});

test("findPortOwner() names the process that holds a UDP port over IPv6", async () => {
  const socket = createSocket("udp6");
  socket.bind(0, "::1");
  await once(socket, "listening");
  const { port } = socket.address();
  assert.equal(findPortOwner("udp", port)?.pid, isLinux ? process.pid : undefined);
  socket.close();
});
