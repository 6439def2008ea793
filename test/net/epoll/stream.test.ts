/** What conns that stream ask of the kernel, and what they make of its answers. */
import assert from "node:assert/strict";
import { constants } from "node:os";
import test from "node:test";
import type { StreamOwner, TcpConn } from "#net/driver.ts";
import type { EpollDriver } from "#net/epoll/driver.ts";
import type { EpollCalls } from "#net/epoll/load.ts";
import { type Bed, closed, createBed, pattern, settled, until } from "../bed.ts";
import { createTurningDriver, epollCalls, skip } from "./loop.ts";

const { EINTR } = constants.errno;

function check(
  title: string,
  run: (bed: Bed & { driver: EpollDriver }) => Promise<void>,
  over?: (calls: EpollCalls) => Partial<EpollCalls>,
): void {
  test(`epoll driver ${title}`, { skip, timeout: 60_000 }, async (t) => {
    const driver = createTurningDriver(skip ? {} : over?.(epollCalls()));
    const bed = createBed(driver);
    t.after(bed.abandon);
    await run({ ...bed, driver });
    await bed.close();
    assert.deepEqual(driver.held(), { sockets: 0, buffers: 0, pipes: 0, timers: 0, sessions: 0, contexts: 0 });
  });
}

/** Hands octets on as text and as they are, in two writes, as heads and bodies go. */
const halfOf = (from: TcpConn, to: TcpConn): StreamOwner => ({
  onOctets(octets) {
    to.writeText(octets.subarray(0, 5).toString("latin1"));
    if (!to.write(octets.subarray(5))) from.pause();
  },
  onEnd: () => to.finish(),
  onRoom: () => to.resume(),
  onGone: () => to.reset(),
});
const deaf: StreamOwner = { onOctets() {}, onEnd() {}, onRoom() {}, onGone() {} };

async function joined(bed: Bed) {
  const [front, back] = [await bed.accepted(), await bed.upstream()];
  front.conn.stream(halfOf(front.conn, back.conn));
  back.conn.stream(halfOf(back.conn, front.conn));
  return { client: front.client, server: back.server, conns: [front.conn, back.conn] };
}

const counts = { recv: 0, send: 0 };
check(
  "asks the kernel twice to receive and twice to send for a question and its answer",
  async (bed) => {
    const { client, server } = await joined(bed);
    server.socket.on("data", () => server.socket.write("an answer"));
    const ask = async (times: number): Promise<void> => {
      const before = client.octets();
      for (let asked = 1; asked <= times; asked++) {
        client.socket.write("a question");
        await client.received(before + 9 * asked);
      }
    };
    await ask(1);
    Object.assign(counts, { recv: 0, send: 0 });
    await ask(100);
    assert.deepEqual(counts, { recv: 200, send: 200 });
  },
  (calls) => ({
    recv(...options) {
      counts.recv++;
      return calls.recv(...options);
    },
    send(...options) {
      counts.send++;
      return calls.send(...options);
    },
  }),
);

check("holds no buffers for who is idle", async (bed) => {
  const before = bed.driver.held().buffers;
  const { client, server } = await joined(bed);
  client.socket.write("a question");
  await server.received(10);
  assert.equal(bed.driver.held().buffers, before);
});

check("gives back the buffers of who does not read when it is reset", async (bed) => {
  const before = bed.driver.held().buffers;
  const { client, conn } = await bed.accepted();
  client.socket.pause();
  conn.stream(deaf);
  for (let written = 0; written < 400; written++) conn.write(pattern(50_000));
  await settled(() => conn.unsent());
  assert.ok(bed.driver.held().buffers > before + 1);
  conn.reset();
  assert.equal(bed.driver.held().buffers, before);
});

let interruptions = 0;
check(
  "goes on after signals",
  async (bed) => {
    const { client, server } = await joined(bed);
    const octets = pattern(500_000, 3);
    client.socket.end(octets);
    assert.equal(await server.ending, "fin");
    assert.ok(Buffer.concat(server.chunks).equals(octets));
    assert.ok(interruptions > 10);
  },
  (calls) => {
    let isInterrupted = false;
    /** Each second call is interrupted. */
    const interrupted =
      (call: EpollCalls["recv"]): EpollCalls["recv"] =>
      (...options) => {
        isInterrupted = !isInterrupted;
        if (!isInterrupted) return call(...options);
        interruptions++;
        return -1;
      };
    return {
      recv: interrupted(calls.recv),
      send: interrupted(calls.send),
      errno: () => (isInterrupted ? EINTR : calls.errno()),
    };
  },
);

for (const order of ["before", "after"] as const) {
  check(`tells the last words of a peer that resets ${order} we write to it`, async (bed) => {
    const { server, conn } = await bed.upstream();
    let heard = "";
    let isGone = false;
    conn.stream({
      ...deaf,
      onOctets(octets) {
        heard += octets.toString();
      },
      onGone() {
        isGone = true;
      },
    });
    conn.pause();
    server.socket.write("413 too large");
    await until(() => server.socket.writableLength === 0);
    if (order === "after") conn.write(pattern(100));
    server.socket.resetAndDestroy();
    await closed(server.socket);
    conn.write(pattern(100));
    await settled(() => heard.length);
    assert.deepEqual([heard, isGone], ["", false], "it is paused");
    conn.resume();
    await until(() => isGone);
    assert.equal(heard, "413 too large");
  });
}

check("ends a turn when it is asked to", async (bed) => {
  const { client, conn } = await bed.accepted();
  let asked = false;
  conn.stream({
    ...deaf,
    onOctets() {
      bed.driver.endTurn();
      void Promise.resolve().then(() => {
        asked = true;
      });
    },
  });
  client.socket.write("x");
  await until(() => asked);
  conn.close();
});
