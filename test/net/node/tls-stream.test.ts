/** A conn on TLS that streams: Node decodes all records that came, whether its reader wants them or not. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import test from "node:test";
import { createSecureContext, createServer, type SecureVersion, type TLSSocket } from "node:tls";
import type { TcpConn, TcpDriver, TlsUpstreamTerms } from "#net/driver.ts";
import { createNetDriver } from "#net/node/driver.ts";
import { without } from "../../system/tools.ts";
import { createAuthority } from "../../tls/authority.ts";
import { until } from "../bed.ts";
import { openWay } from "../way.ts";

const TERMS: TlsUpstreamTerms = {
  context: createSecureContext(),
  serverName: undefined,
  isVerified: false,
  alpn: [],
  timeoutMs: 5_000,
  sessions: undefined,
};
const RECORDS = ["one", "two", "x".repeat(20_000), "three"];

const dialTls = (driver: TcpDriver, port: number): Promise<TcpConn> =>
  new Promise((resolve, reject) => {
    driver.connect({ address: "127.0.0.1", port }, 5_000, (met) => {
      if (typeof met === "string") return reject(new Error(met));
      driver.startTlsClient!(met, TERMS, (agreement, why) => {
        if (agreement === undefined) reject(new Error(why));
        else resolve(met);
      });
    });
  });

test("a paused conn on TLS tells nothing of the records that came with the one it saw, and all of them after that", {
  skip: without("openssl"),
}, async (t) => {
  const { cert, key } = createAuthority(t).issue({ names: ["app.example"] });
  let peer: TLSSocket | undefined;
  const server = createServer({ cert, key }, (socket) => {
    peer = socket;
  });
  const driver = createNetDriver();
  t.after(() => {
    driver.close();
    peer?.destroy();
    server.close();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const conn = await dialTls(driver, port);
  await until(() => peer !== undefined);

  let heard = "";
  let hasEnded = false;
  conn.stream({
    onOctets(octets) {
      heard += octets.toString("latin1");
      conn.pause();
    },
    onEnd() {
      hasEnded = true;
    },
    onRoom() {},
    onGone() {},
  });
  for (const record of RECORDS) peer!.write(record); // one record each, and in one turn
  peer!.end();
  await until(() => heard !== "");
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([heard, hasEnded], ["one", false]);
  while (!hasEnded) {
    conn.resume();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(heard, RECORDS.join(""));
});

for (const version of ["TLSv1.2", "TLSv1.3"] satisfies SecureVersion[])
  for (const { says, isPaused, isCut } of [
    { says: "an end that the server said is no cut", isPaused: false, isCut: false },
    { says: "nor where it came while nobody wanted octets", isPaused: true, isCut: false },
    { says: "an end that came without a word is a cut", isPaused: false, isCut: true },
    { says: "also where nobody wanted octets when it came", isPaused: true, isCut: true },
  ])
    test(`${version}: ${says}`, { skip: without("openssl") }, async (t) => {
      const { cert, key } = createAuthority(t).issue({ names: ["app.example"] });
      const server = createServer({ cert, key, maxVersion: version }, (socket) => {
        socket.on("error", () => {});
        t.after(() => socket.destroy());
        for (const record of RECORDS) socket.write(record);
        if (!isCut) socket.end();
      });
      await once(server.listen(0, "127.0.0.1"), "listening");
      t.after(() => server.close());
      const way = await openWay(t, (server.address() as AddressInfo).port);
      const driver = createNetDriver();
      t.after(() => driver.close());
      const conn = await dialTls(driver, way.port);
      let heard = "";
      const { promise: ended, resolve } = Promise.withResolvers<void>();
      conn.stream({
        onOctets(octets) {
          heard += octets.toString("latin1");
          if (isPaused) conn.pause();
        },
        onEnd: resolve,
        onRoom() {},
        onGone() {},
      });
      await until(() => heard !== "");
      const turns = async (): Promise<void> => {
        for (let turn = 0; turn < 20; turn++) await new Promise((done) => setImmediate(done));
      };
      await turns();
      if (isCut) way.cut();
      await turns();
      const resuming = setInterval(() => conn.resume(), 1);
      t.after(() => clearInterval(resuming));
      await ended;
      // What the way still held when it was cut is lost.
      assert.ok(isCut ? RECORDS.join("").startsWith(heard) : heard === RECORDS.join(""));
      assert.equal(conn.isCut, isCut);
    });
