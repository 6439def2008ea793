/**
 * What the AF_XDP transport leaves to the kernel, and how the two share an interface: each test asks who answered.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import test from "node:test";
import type { Respond } from "#state/respond.ts";
import { folderWith, without } from "../../system/tools.ts";
import { createVethBed, INTERFACE, SERVER, withoutVeth } from "./veth-bed.ts";
import { answering, askOnce, openKernelSocket, openXdpServer, PORT } from "./xdp-server.ts";

const skip = withoutVeth();
const timeout = 30_000;
const IPV4 = SERVER[4];
const IPV6 = SERVER[6];

test("beside openUdpXdp() the kernel has all that is not UDP to what is served", {
  skip: skip || without("ping"),
  timeout,
}, async (t) => {
  const bed = createVethBed();
  t.after(() => bed.close());
  const other = "10.89.0.77";
  bed.shell("server", `ip address add ${other}/24 dev ${INTERFACE}`);
  await openKernelSocket(t, bed, { address: IPV4 });
  await openKernelSocket(t, bed, { address: IPV4, port: 54 });
  await openKernelSocket(t, bed, { address: other });
  await openKernelSocket(t, bed, { address: IPV6 });
  const server = openXdpServer(bed, { respond: answering("xdp") });
  t.after(server.close);

  for (const { what, address, asks, who } of [
    { what: "the port, IPv4", address: IPV4, asks: {}, who: "xdp" },
    { what: "the port, IPv6", address: IPV6, asks: {}, who: "xdp" },
    { what: "another port", address: IPV4, asks: { port: 54 }, who: "kernel" },
    { what: "another address", address: other, asks: {}, who: "kernel" },
    { what: "fragments, IPv4", address: IPV4, asks: { octets: 4_000 }, who: "kernel" },
    { what: "fragments, IPv6", address: IPV6, asks: { octets: 4_000 }, who: "kernel" },
    { what: "the port again", address: IPV4, asks: {}, who: "xdp" },
  ] as const)
    assert.equal(await askOnce(bed, address, asks), who, what);

  const listener = createServer((socket) => socket.end("tcp"));
  await bed.inside("server", async () => {
    listener.listen(PORT, IPV4);
    await once(listener, "listening");
  });
  t.after(() => listener.close());
  const connection = await bed.inside("client", async () => {
    const opening = connect(PORT, IPV4);
    await once(opening, "connect");
    return opening;
  });
  assert.equal((await connection.toArray()).join(""), "tcp");

  // Neither end knows the other's MAC by heart: ARP and neighbour discovery pass.
  bed.shell("client", `ip neighbour flush dev ${INTERFACE}; ping -c 1 -W 5 ${IPV4}; ping -c 1 -W 5 ${IPV6}`);
  const neighbours = bed.shell("client", `ip neighbour show dev ${INTERFACE}`);
  for (const address of [IPV4, IPV6]) assert.match(neighbours, new RegExp(`${address} lladdr ${bed.mac("server")}`));
});

test("an address, a queue and the program can be taken away and put back between two queries", {
  skip,
  timeout,
}, async (t) => {
  const bed = createVethBed();
  t.after(() => bed.close());
  await openKernelSocket(t, bed, { address: IPV4 });
  const who = () => askOnce(bed, IPV4);
  assert.equal(await who(), "kernel");
  const server = openXdpServer(bed, { respond: answering("xdp") });
  t.after(server.close);
  const listen = { address: IPV4, port: PORT };
  assert.equal(await who(), "xdp");
  server.attachment.leave(listen);
  assert.equal(await who(), "kernel");
  server.attachment.serve(listen);
  assert.equal(await who(), "xdp");
  await server.closeQueues();
  assert.equal(await who(), "kernel", "the program is there, and the queue has no socket");
  await server.close();
  assert.equal(await who(), "kernel");
  const next = openXdpServer(bed, { respond: answering("next") });
  t.after(next.close);
  assert.equal(await who(), "next");
});

test("openUdpXdp() has one socket for each queue, and a queue without one is the kernel's", {
  skip,
  timeout,
}, async (t) => {
  for (const queues of [2, 1]) {
    const bed = createVethBed({ queues: 2 });
    t.after(() => bed.close());
    await openKernelSocket(t, bed, { address: IPV4 });
    const server = openXdpServer(bed, { respond: answering("xdp"), queues });
    t.after(server.close);
    assert.equal(server.attachment.interface.queues, 2);
    const answers: string[] = [];
    for (let client = 0; client < 64; client++) answers.push(await askOnce(bed, IPV4));
    const byRings = answers.filter((answer) => answer === "xdp").length;
    const received = Array.from({ length: queues }, (_, queue) => server.count("received", queue));
    t.diagnostic(`${queues} of 2 queues have a socket: they received ${received}, the kernel ${64 - byRings}`);
    assert.equal(
      received.reduce((sum, count) => sum + count, 0),
      byRings,
    );
    assert.ok(received.every((count) => count > 0));
    assert.equal(byRings === 64, queues === 2);
  }
});

test("openUdpXdp() answers in the VLAN that asked", { skip: skip || without("kxdpgun"), timeout }, async (t) => {
  const bed = createVethBed({ isStatic: true });
  t.after(() => bed.close());
  const answer: Respond = (request, length, _client, out) => {
    out.set(request.subarray(0, length));
    out[2]! |= 0x80;
    return length;
  };
  const server = openXdpServer(bed, { respond: answer });
  t.after(server.close);
  const queries = join(folderWith(t, { queries: "example A\n" }), "queries");
  // It writes the tag into the frame, as it stands on a wire.
  const load = bed.start("client", ["kxdpgun", "-v", "7", "-t", "1", "-Q", "100", "-i", queries, IPV4]);
  const said = await load.stdout!.toArray();
  assert.match(said.join(""), /total replies: +[1-9]/);
  assert.ok(server.count("sent") > 0);
});
