import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import test from "node:test";
import { createPorts } from "#base/ports.ts";

/** Apart from those of the other tests that run now. */
const range = (from: number, blocks: number, portsOfBlock: number) => ({ from, blocks, portsOfBlock });

test("createPorts() gives no two the same, and passes over what others use", async (t) => {
  const all = Array.from({ length: 8 }, () => createPorts(range(10_200, 8, 70)));
  t.after(() => {
    for (const one of all) one.close();
  });
  const taken = (await Promise.all(all.map((one) => Promise.all(Array.from({ length: 60 }, () => one.take()))))).flat();
  assert.equal(new Set(taken).size, 8 * 60);

  const [ports] = all;
  const last = taken[59]!;
  const tcp = createServer().listen(last + 1, "127.0.0.1");
  const udp = createSocket("udp4").bind(last + 3, "127.0.0.1");
  t.after(() => {
    tcp.close();
    udp.close();
  });
  await Promise.all([once(tcp, "listening"), once(udp, "listening")]);
  assert.equal(await ports!.take(), last + 2);
  assert.equal(await ports!.take(), last + 4);
});

test("createPorts() gives ports in a row, from a new block where one does not have them, and all back in the end", async (t) => {
  const ports = createPorts(range(11_000, 4, 250));
  t.after(() => ports.close());
  const rows = [await ports.take(150), await ports.take(150), await ports.take(99)];
  assert.equal(rows[2], rows[1]! + 150);
  assert.ok(Math.abs(rows[1]! - rows[0]!) >= 150);
  const claim = rows[0]! - 1;
  const isTaken = async (): Promise<boolean> => {
    const server = createServer().listen({ port: claim, host: "127.0.0.1", exclusive: true });
    try {
      await once(server, "listening");
      return false;
    } catch {
      return true;
    } finally {
      server.close();
    }
  };
  assert.ok(await isTaken());
  ports.close();
  assert.equal(await isTaken(), false);
});

test("createPorts() says when there are no more", async (t) => {
  const all = Array.from({ length: 3 }, () => createPorts(range(10_000, 2, 50)));
  t.after(() => {
    for (const one of all) one.close();
  });
  const [first, second] = [await all[0]!.take(), await all[1]!.take()];
  assert.deepEqual([first, second].toSorted(), [10_001, 10_051]);
  await assert.rejects(all[2]!.take(), { code: "RHUMB_PORTS_TAKEN", message: /"10000 to 10099"/ });
  all[0]!.close();
  assert.equal(await all[2]!.take(), first);
});
