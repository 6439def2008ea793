import assert from "node:assert/strict";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import type { TcpDriver } from "#net/driver.ts";
import { createNetDriver } from "#net/node/driver.ts";
import { createBed, settled } from "./bed.ts";
import { DRIVERS } from "./drivers.ts";
import { createTurningDriver, skip } from "./epoll/loop.ts";
import { streamContract } from "./stream-contract.ts";
import { TLS_TERMS } from "./tls-terms.ts";

for (const [name, create] of Object.entries(DRIVERS)) {
  streamContract(`${name} driver`, create);
  if (TLS_TERMS !== undefined) streamContract(`${name} driver under TLS`, create, TLS_TERMS);
}

const CLOCKED: Record<string, (clock: ReturnType<typeof createManualClock>) => TcpDriver> = {
  net: (clock) => createNetDriver({ clock }),
  ...(skip === false ? { epoll: (clock) => createTurningDriver({}, clock) } : {}),
};
for (const [name, create] of Object.entries(CLOCKED)) {
  test(`${name} driver resets what it closed when the peer takes nothing of it for 30 s`, async (t) => {
    const clock = createManualClock();
    const bed = createBed(create(clock));
    t.after(bed.abandon);
    const { client, conn } = await bed.accepted();
    client.socket.pause();
    conn.stream({ onOctets() {}, onEnd() {}, onRoom() {}, onGone: () => assert.fail("told after the end") });
    conn.write(Buffer.alloc(32 * 1_048_576));
    conn.close();
    assert.ok((await settled(() => conn.unsent())) > 0);

    const got = client.octets();
    client.socket.resume();
    while (client.octets() < got + 8 * 1_048_576) await new Promise(setImmediate);
    client.socket.pause();
    assert.ok((await settled(() => conn.unsent())) > 0, "some was taken, and not all");
    clock.advance(31_000);
    await settled(() => bed.driver.open());
    assert.equal(bed.driver.open(), 2, "the listener, and the conn");

    clock.advance(31_000);
    assert.equal(await settled(() => bed.driver.open()), 1);
    client.socket.resume();
    assert.equal(await client.ending, "reset");
    await bed.close();
  });
}
