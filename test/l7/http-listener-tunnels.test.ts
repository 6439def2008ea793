/** Tunnels on the whole way: how the two halves of one end, and what ends both. */
import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import test, { type TestContext } from "node:test";
import type { TcpDriver } from "#net/driver.ts";
import { until } from "../net/bed.ts";
import { DRIVERS } from "../net/drivers.ts";
import { openHttp } from "./http-bed.ts";

const ASK = "GET / HTTP/1.1\r\nHost: www.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

/** A tunnel, whose ends a test holds both. */
async function openTunnel(t: TestContext, driver: TcpDriver) {
  const bed = await openHttp(t, { driver });
  const opened = new Promise<Duplex>((resolve) => {
    bed.backends[0]!.server.on("upgrade", (_request, socket) => {
      socket.on("error", () => {});
      socket.write(SWITCH);
      resolve(socket);
    });
  });
  const client = await bed.dial(ASK);
  const backend = await opened;
  let heard = "";
  backend.on("data", (octets: Buffer) => {
    heard += octets.toString("latin1");
  });
  await client.received(SWITCH.length);
  return { bed, client, backend, heard: () => heard };
}

for (const [name, createDriver] of Object.entries(DRIVERS)) {
  const over = (says: string): string => `${says} (${name})`;

  test(over("a backend that has ended its half still hears its client"), async (t) => {
    const { bed, client, backend, heard } = await openTunnel(t, createDriver());
    backend.end("bye");
    assert.equal(await client.ending, "fin");
    client.socket.end("and you");
    await until(() => heard() === "and you");
    await until(() => bed.log.length === 1);
    assert.deepEqual([bed.log[0]!.status, bed.log[0]!.flags], [101, ""]);
  });

  test(over("a backend that has ended its half and is reset then ends the tunnel for its client"), async (t) => {
    const { bed, client } = await openTunnel(t, createDriver());
    const [socket] = bed.backends[0]!.sockets;
    socket!.end("bye");
    assert.equal(await client.ending, "fin");
    assert.equal(bed.log.length, 0);
    socket!.resetAndDestroy();
    // After its end Node looks at a socket no more until something is written to it.
    const speaking = setInterval(() => client.socket.write("still there?"), 5);
    await until(() => bed.log.length === 1).finally(() => clearInterval(speaking));
    assert.deepEqual([bed.log[0]!.status, bed.log[0]!.flags], [101, "UC"]);
    assert.equal(bed.active(0), 0);
  });

  test(over("a backend whose time to drain is over ends the tunnel, also when it has ended its half"), async (t) => {
    const { bed, client, backend } = await openTunnel(t, createDriver());
    backend.end();
    assert.equal(await client.ending, "fin");
    bed.stopBackend(0);
    await until(() => bed.log.length === 1);
    assert.equal(bed.active(0), 0);
  });
}
