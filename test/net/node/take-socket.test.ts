import assert from "node:assert/strict";
import { once } from "node:events";
import test from "node:test";
import type { TcpConn } from "#net/driver.ts";
import { createNetDriver } from "#net/node/driver.ts";
import { createBed, until } from "../bed.ts";

test("takeSocket() of the net driver gives a socket that reads again what was read and not consumed", async (t) => {
  const driver = createNetDriver();
  const bed = createBed(driver);
  t.after(bed.abandon);
  const { client, conn } = await bed.accepted();
  client.socket.write("PRI * HTTP/2.0");
  await new Promise<void>((resolve) => {
    (conn as TcpConn).read({ maxOctets: 1_024, timeoutMs: 10_000 }, (octets) => {
      if (octets!.length < 14) return -1;
      resolve();
      return 4;
    });
  });
  const socket = driver.takeSocket!(conn);
  let got = "";
  socket.on("data", (chunk: Buffer) => {
    got += chunk.toString();
  });
  socket.resume();
  client.socket.write(" and more");
  await until(() => got === "* HTTP/2.0 and more");
  socket.write("answer");
  await client.received(6);
  client.socket.end();
  await once(socket, "end");
  socket.end();
  assert.equal(await client.ending, "fin");
  await bed.close();
});

test("takeSocket() of the net driver leaves errors and ends to who took it", async (t) => {
  const driver = createNetDriver();
  const bed = createBed(driver);
  t.after(bed.abandon);
  const { client, conn } = await bed.accepted();
  conn.read({ maxOctets: 1_024, timeoutMs: 10_000 }, () => assert.fail("looked"));
  const socket = driver.takeSocket!(conn);
  const failed = once(socket.resume(), "error");
  client.socket.resetAndDestroy();
  assert.equal(((await failed)[0] as NodeJS.ErrnoException).code, "ECONNRESET");
  await bed.close();
});
