import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { type AddressInfo, BoundSocket, connect, type Socket } from "node:net";
import { constants } from "node:os";
import test from "node:test";
import { Worker } from "node:worker_threads";
import { createManualClock, systemClock } from "#base/clock.ts";
import type { TcpConn } from "#net/driver.ts";
import { createEpollDriver } from "#net/epoll/driver.ts";
import type { EpollCalls } from "#net/epoll/load.ts";
import { type Bed, bindTcp, createBed, type Peer, pattern, settled, until } from "../bed.ts";
import { driverContract } from "../driver-contract.ts";
import { createTurningDriver, epollCalls, skip } from "./loop.ts";

const MSG_OOB = 1;
const { EMFILE } = constants.errno;

if (skip) test("the epoll driver keeps the contract", { skip }, () => {});
else driverContract("epoll driver", () => createTurningDriver());

/** Runs with a driver whose calls differ; fails if it keeps something. */
function check(
  title: string,
  run: (bed: Bed & { driver: ReturnType<typeof createTurningDriver> }) => Promise<void>,
  over?: (calls: EpollCalls) => Partial<EpollCalls>,
): void {
  test(`epoll driver ${title}`, { skip, timeout: 60_000 }, async (t) => {
    const driver = createTurningDriver(over?.(epollCalls()));
    t.after(() => driver.close());
    const bed = createBed(driver);
    await run({ ...bed, driver });
    await bed.close();
  });
}

async function pour(peer: Peer, octets: Buffer): Promise<void> {
  await new Promise((resolve) => peer.socket.end(octets, () => resolve(undefined)));
}

check("shows clients of a socket for both families by their IPv4 address", async (bed) => {
  const socket = new BoundSocket({ host: "::", port: 0, reusePort: true });
  const { port } = socket.address() as AddressInfo;
  const conns: TcpConn[] = [];
  const listener = bed.driver.listen(socket.fd(), 16, (conn) => conns.push(conn));
  const client = await bed.dial(port);
  await until(() => conns.length === 1);
  assert.deepEqual(conns[0]!.remote, { address: "127.0.0.1", port: client.socket.localPort });
  assert.deepEqual(conns[0]!.local, { address: "127.0.0.1", port });
  conns[0]!.close();
  assert.deepEqual(conns[0]!.local, { address: "127.0.0.1", port });
  listener.close();
});

check("moves streams through pipes, and gives the pipes back when they rest", async (bed) => {
  const { client, server } = await bed.relayed();
  const octets = pattern(16 * 1_048_576, 3);
  let held = 0;
  client.socket.on("data", () => {
    held = Math.max(held, bed.driver.held().pipes);
  });
  server.socket.write(octets);
  assert.deepEqual(await client.received(octets.length), octets);
  assert.equal(held, 1);
  await until(() => bed.driver.held().pipes === 0);
  server.socket.write("and on");
  assert.equal((await client.received(octets.length + 6)).subarray(-6).toString(), "and on");
});
check(
  "moves streams through buffers where there are no pipes",
  async (bed) => {
    const { client, server } = await bed.relayed();
    const octets = pattern(32 * 1_048_576, 5);
    client.socket.pause();
    const isPoured = pour(server, octets);
    await settled(() => server.socket.bytesWritten - server.socket.writableLength);
    client.socket.resume();
    await isPoured;
    assert.equal(await client.ending, "fin");
    assert.deepEqual(Buffer.concat(client.chunks), octets);
    assert.equal(bed.driver.held().pipes, 0);
  },
  () => ({ pipe2: () => -1 }),
);

check(
  "sends a buffer in parts where the kernel has little room",
  async (bed) => {
    const { client, server } = await bed.relayed();
    const octets = pattern(4 * 1_048_576, 6);
    await pour(server, octets);
    assert.equal(await client.ending, "fin");
    assert.deepEqual(Buffer.concat(client.chunks), octets);
  },
  (calls) => {
    const size = new Int32Array(new ArrayBuffer(4)).fill(4_608);
    return {
      pipe2: () => -1,
      accept4(...options) {
        const descriptor = calls.accept4(...options);
        if (descriptor >= 0) calls.setsockopt(descriptor, 1, 7, Number(calls.addressOf(size)), 4); // SO_SNDBUF
        return descriptor;
      },
    };
  },
);

for (const { what, octets } of [
  { what: "few octets", octets: 100 },
  { what: "a stream", octets: 8 * 1_048_576 },
]) {
  check(`passes over urgent data in ${what}`, async (bed) => {
    const { client, server } = await bed.relayed();
    const [before, after] = [pattern(octets, 7), pattern(octets, 9)];
    const calls = epollCalls();
    const urgent = Buffer.allocUnsafeSlow(64).fill("!");
    const { fd } = (client.socket as Socket & { _handle: { fd: number } })._handle;
    client.socket.write(before);
    await until(() => client.socket.writableLength === 0);
    while (calls.send(fd, Number(calls.addressOf(urgent)), 1, MSG_OOB) < 0) await server.received(1);
    client.socket.write(after);
    assert.deepEqual(await server.received(2 * octets), Buffer.concat([before, after]));
  });
}

check("hands on the RST of a client that had ended before", async (bed) => {
  const { client, server, end } = await bed.relayed();
  client.socket.end();
  assert.equal(await server.ending, "fin");
  client.socket.destroy(); // what comes from now on is answered by RST
  server.socket.write("anybody there?");
  assert.equal((await end).reason, "client-reset");
});
check("hands on the RST of a client whose octets nobody takes", async (bed) => {
  const { client, server, end } = await bed.relayed();
  server.socket.pause();
  for (let sent = 0; sent < 48; sent++) client.socket.write(pattern(1_048_576));
  await settled(() => client.socket.bytesWritten - client.socket.writableLength);
  client.socket.resetAndDestroy();
  assert.equal((await end).reason, "client-reset");
});

let isWithoutDescriptors = false;
let refusals = 0;
check(
  "waits where there are no descriptors for connections, without spinning, and serves them later",
  async (bed) => {
    isWithoutDescriptors = true;
    refusals = 0;
    const listener = bed.listen();
    const clients = await Promise.all(Array.from({ length: 10 }, () => bed.dial(listener.port)));
    await until(() => refusals >= 3);
    const before = refusals;
    for (let turns = 0; turns < 20; turns++) bed.driver.turn(0);
    assert.ok(refusals <= before + 1, `${refusals} calls`);
    isWithoutDescriptors = false;
    const conns = await Promise.all(clients.map(() => listener.next()));
    assert.equal(conns.length, 10);
  },
  (calls) => {
    let hasFailed = false;
    return {
      accept4(...options) {
        hasFailed = isWithoutDescriptors;
        if (!hasFailed) return calls.accept4(...options);
        refusals++;
        return -1;
      },
      errno: () => (hasFailed ? EMFILE : calls.errno()),
    };
  },
);
check(
  "says other where there is no descriptor to connect with",
  async (bed) => {
    assert.equal(await bed.connect(9), "other");
    assert.equal(bed.driver.open(), 0);
  },
  () => ({ socket: () => -1, errno: () => EMFILE }),
);
check(
  "resets what the kernel does not watch",
  async (bed) => {
    const listener = bed.listen();
    const [error] = (await once(connect(listener.port, "127.0.0.1"), "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNRESET");
    assert.equal(bed.driver.open(), 1);
  },
  (calls) => {
    const watched = new Set<number>();
    return {
      epoll_ctl(epoll, operation, descriptor, event) {
        // The descriptor that wakes it, and the listener.
        if (operation === 1 && watched.add(descriptor).size > 2) return -1;
        return calls.epoll_ctl(epoll, operation, descriptor, event);
      },
    };
  },
);

test("epoll driver is woken from another thread", { skip, timeout: 20_000 }, async () => {
  const driver = createEpollDriver({ calls: epollCalls(), clock: systemClock });
  const worker = new Worker(
    `import { workerData, parentPort } from "node:worker_threads";
     import { wake } from "#net/epoll/wake.ts";
     parentPort.once("message", () => setTimeout(() => wake(workerData), 50));`,
    { eval: true, workerData: driver.wakeDescriptor, execArgv: ["--input-type=module"] },
  );
  worker.postMessage("now");
  for (let wakings = 0; wakings < 1; ) wakings += driver.turn(600_000); // longer than the test may take
  driver.close();
  await worker.terminate();
});

test("epoll driver returns from its turn when something was called back", { skip }, async () => {
  const driver = createEpollDriver({ calls: epollCalls(), clock: systemClock });
  let result: unknown;
  driver.connect({ address: "no address", port: 1 }, 1_000, (fault) => {
    result = fault;
  });
  driver.turn(600_000);
  assert.equal(result, "other");
  driver.close();
  assert.equal(driver.turn(600_000), 0);
});

test("epoll driver measures its limits by the clock that it is given", { skip, timeout: 20_000 }, async () => {
  const clock = createManualClock();
  const driver = createEpollDriver({ calls: epollCalls(), clock });
  const bed = createBed(driver);
  const { fd, port } = bindTcp();
  const ends: string[] = [];
  const conns: TcpConn[] = [];
  driver.listen(fd, 16, (conn) => conns.push(conn));
  const spin = async (holds: () => boolean): Promise<void> => {
    while (!holds()) {
      driver.turn(0);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const backend = await bed.backend();
  await bed.dial(port);
  driver.connect({ address: "127.0.0.1", port: backend.port }, 1_000, (conn) => conns.push(conn as TcpConn));
  await spin(() => conns.length === 2);
  driver.relay(
    conns[0]!,
    conns[1]!,
    { head: undefined, idleMs: 3_600_000, lifetimeMs: 0, halfCloseMs: 0 },
    ({ reason }) => ends.push(reason),
    () => {},
  );
  for (let minutes = 0; minutes < 59; minutes++) {
    clock.advance(60_000);
    driver.turn(0);
  }
  assert.deepEqual(ends, []);
  clock.advance(61_000);
  driver.turn(0);
  assert.deepEqual(ends, ["idle"]);
  driver.close();
  await bed.close();
});

test("epoll driver leaves no descriptor behind", { skip }, async () => {
  const descriptors = (): number => readdirSync("/proc/self/fd").length;
  const calls = epollCalls();
  const before = descriptors();
  const driver = createEpollDriver({ calls, clock: systemClock });
  const fd = calls.socket(2, 1, 0);
  driver.listen(fd, 16, () => {});
  for (let count = 0; count < 20; count++) driver.connect({ address: "127.0.0.1", port: 9 }, 60_000, () => {});
  assert.ok(descriptors() > before);
  driver.close();
  driver.close();
  assert.equal(descriptors(), before);
  assert.deepEqual(driver.held(), { sockets: 0, buffers: 0, pipes: 0, timers: 0, sessions: 0, contexts: 0 });
});
