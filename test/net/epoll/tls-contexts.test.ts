/** What the driver makes of certificates, and gives back. */
import assert from "node:assert/strict";
import { once } from "node:events";
import test from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { createTlsContexts, type TlsContexts } from "#tls/contexts.ts";
import { without } from "../../system/tools.ts";
import { makeCertificate } from "../../tls/certificates.ts";
import { bindTcp, closed, until } from "../bed.ts";
import { createTurningDriver, skip } from "./loop.ts";

const isSkipped = skip || without("openssl");

test("contexts are made when a client asks for them, and go when others take their place", {
  skip: isSkipped,
}, async (t) => {
  const certificates = [makeCertificate("one.example"), makeCertificate("two.example")];
  const make = (): TlsContexts =>
    createTlsContexts({
      listener: "web",
      certificates,
      tickets: { secret: new Uint8Array(32), rotateMs: 3_600_000 },
    });
  const driver = createTurningDriver();
  t.after(() => driver.close());
  let contexts = make();
  const { fd, port } = bindTcp();
  driver.listen(fd, 511, (conn) => {
    driver.startTls!(conn, { contexts, alpn: [], timeoutMs: 5_000 }, (agreement) => {
      assert.ok(agreement);
      conn.stream({
        onOctets: (octets) => conn.write(octets),
        onEnd: () => conn.close(),
        onRoom() {},
        onGone() {},
      });
    });
  });
  const echo = async (socket: TLSSocket): Promise<string> => {
    socket.write("ping");
    return String((await once(socket, "data"))[0]);
  };
  const dial = async (servername: string): Promise<TLSSocket> => {
    const socket = connect({ port, host: "127.0.0.1", servername, rejectUnauthorized: false });
    socket.on("error", () => {}); // the driver closes while some of them live
    await echo(socket);
    return socket;
  };
  assert.equal(driver.held().contexts, 0);
  const first = await dial("one.example");
  assert.equal(driver.held().contexts, 1);
  const second = await dial("two.example");
  assert.equal(driver.held().contexts, 2);

  contexts.release();
  assert.equal(driver.held().contexts, 0);
  assert.equal(await echo(first), "ping", "who came before goes on with the old one");
  assert.equal(await echo(await dial("one.example")), "ping", "who is late has it made again");
  contexts.release();

  for (let round = 0; round < 100; round++) {
    contexts = make();
    const socket = await dial("one.example");
    assert.equal(driver.held().contexts, 1);
    contexts.release();
    socket.destroy();
  }
  first.destroy();
  second.end();
  await closed(second);
  contexts = make();
  const last = await dial("two.example");
  await until(() => driver.held().sessions <= 2);
  last.destroy();
  driver.close();
  assert.deepEqual([driver.held().sessions, driver.held().contexts], [0, 0]);
});
