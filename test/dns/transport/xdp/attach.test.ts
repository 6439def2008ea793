/** Program, interface and socket on a veth pair: what is refused and why, and what is left when a part of it ends. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { join } from "node:path";
import test, { after, type TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { type ErrorCode, RhumbError } from "#base/errors.ts";
import { openUdpXdp, type XdpTransport } from "#dns/transport/udp-xdp.ts";
import { attachXdp } from "#dns/transport/xdp/attach.ts";
import { loadXdpCalls, type XdpCalls } from "#dns/transport/xdp/calls.ts";
import { vlansOn } from "#dns/transport/xdp/interface.ts";
import { createCounterSlots, DNS_COUNTER, DNS_COUNTERS } from "#state/counters.ts";
import { XDP_COUNTER, XDP_COUNTERS, type XdpInterface } from "#state/xdp.ts";
import { createVethBed, INTERFACE, SERVER, type VethBed, withoutVeth } from "../veth-bed.ts";
import { answering, askOnce, PORT } from "../xdp-server.ts";

const skip = withoutVeth();
const calls = loadXdpCalls() as XdpCalls;
let bed: VethBed;
if (skip === false) {
  bed = createVethBed({ isStatic: true }); // so that no query waits for a MAC, and none of many is dropped meanwhile
  after(() => bed.close());
}

/** What is attached is closed behind the test, as is what else it opens. */
const attach = (t: TestContext, name = INTERFACE, at = bed) => {
  const attachment = at.inside("server", () => attachXdp({ calls, interface: name }));
  t.after(() => attachment.close());
  return attachment;
};
const open = (t: TestContext, face: XdpInterface, queue: number, over: Partial<XdpCalls> = {}, at = bed) => {
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const xdpCounters = createCounterSlots(XDP_COUNTERS.length);
  const respond = answering("xdp");
  const transport = at.inside("server", () =>
    openUdpXdp({ calls: { ...calls, ...over }, face, queue, respond, counters, xdpCounters, waitMs: 1 }),
  );
  t.after(() => transport.close());
  return { transport, counters, xdpCounters };
};
const isLost = ({ audit }: XdpTransport) => {
  const { filling, fillingByRings, sending, sendingByRings, free, held, total } = audit();
  return held !== 0 || filling !== fillingByRings || sending !== sendingByRings || filling + sending + free !== total;
};

function refuses(run: () => unknown, code: ErrorCode, says: RegExp): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof RhumbError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, says);
    return true;
  });
}

for (const { name, target, says } of [
  { name: "a name that nobody has", target: "eth9", says: /eth9: there is none of this name/ },
  { name: "a name that is too long for one", target: "an-interface-name", says: /at most 15 octets/ },
  { name: "loopback", target: "lo", says: /lo: it is no Ethernet interface/ },
]) {
  test(`attachXdp() refuses ${name}`, { skip }, (t) => {
    refuses(() => attach(t, target), "RHUMB_DNS_XDP_INTERFACE", says);
  });
}

test("attachXdp() refuses an interface that has a program, and takes it when that one is gone", { skip }, (t) => {
  const first = attach(t);
  refuses(() => attach(t), "RHUMB_DNS_XDP_BUSY", /eth0/);
  first.close();
  attach(t);
});

for (const { name, capabilities, expected } of [
  // CAP_IPC_LOCK stands for a limit of locked memory that suffices.
  { name: "answers", capabilities: ",+net_admin,+net_raw,+bpf,+ipc_lock", expected: /^native$/ },
  { name: "names what is missing", capabilities: ",+net_admin", expected: /lacks "CAP_NET_RAW, CAP_BPF"/ },
]) {
  test(`A process with ${capabilities.replaceAll(",+", " ").trim()} alone ${name}`, { skip }, () => {
    const script = `
      import { loadXdpCalls } from "#dns/transport/xdp/calls.ts";
      import { attachXdp } from "#dns/transport/xdp/attach.ts";
      import { openUdpXdp } from "#dns/transport/udp-xdp.ts";
      const calls = loadXdpCalls();
      const counters = new Float64Array(200);
      try {
        const face = attachXdp({ calls, interface: "${INTERFACE}" }).interface;
        openUdpXdp({ calls, face, queue: 0, respond: () => 0, counters, xdpCounters: counters });
        console.log(face.mode);
      } catch (error) { console.log(error.message); }
      process.exit();`;
    const [program, ...args] = bed.within("server", [
      ...["setpriv", `--bounding-set=-all${capabilities}`, "--inh-caps=-all"],
      ...[process.execPath, "--input-type=module-typescript", "-e", script],
    ]);
    const cwd = join(import.meta.dirname, "../../../..");
    const { stdout, stderr } = spawnSync(program!, args, { encoding: "utf8", cwd });
    assert.match(stdout.trim(), expected, stderr);
  });
}

test("vlansOn() finds the VLANs of one interface in the kernel's table", () => {
  const table = `VLAN Dev name    | VLAN ID
Name-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD
eth0.5         | 5  | eth0
office         | 6  | eth0
eth1.5         | 5  | eth1
`;
  assert.deepEqual(vlansOn(table, "eth0"), ["eth0.5", "office"]);
  assert.deepEqual(vlansOn(table, "eth"), []);
});

test("attachXdp() takes generic mode where the driver has no place for a program", { skip }, (t) => {
  bed.shell("server", "ip link add plain type bridge");
  const attachment = attach(t, "plain");
  assert.equal(attachment.interface.mode, "generic");
  assert.match(bed.shell("server", "ip link show plain"), /xdpgeneric/);
  attachment.close();
  assert.doesNotMatch(bed.shell("server", "ip link show plain"), /xdp/);
});

test("attachXdp() serves addresses alone", { skip }, (t) => {
  const attachment = attach(t);
  refuses(() => attachment.serve({ address: "www", port: 53 }), "RHUMB_DNS_XDP", /www is no address/);
  attachment.leave({ address: "192.0.2.1", port: 53 }); // was never served
});

test("openUdpXdp() refuses a queue that the interface does not have, and one that has a socket", {
  skip,
}, async (t) => {
  const wide = createVethBed({ queues: 2 });
  t.after(() => wide.close());
  const face = attach(t, INTERFACE, wide).interface;
  assert.equal(face.queues, 2);
  refuses(() => open(t, face, 2, {}, wide), "RHUMB_DNS_XDP", /eth0, queue 2: bind EINVAL/);
  const { transport } = open(t, face, 1, {}, wide);
  refuses(() => open(t, face, 1, {}, wide), "RHUMB_DNS_XDP", /eth0, queue 1: bind EBUSY/);
  await transport.close();
  await open(t, face, 1, {}, wide).transport.close();
});

test("openUdpXdp() says what to do where memory may not be locked", { skip }, (t) => {
  const face = attach(t).interface;
  let isRefused = false;
  const over: Partial<XdpCalls> = {
    setsockopt(descriptor, level, option, value, length) {
      isRefused = option === 4; // XDP_UMEM_REG
      return isRefused ? -1 : calls.setsockopt(descriptor, level, option, value, length);
    },
    errno: () => (isRefused ? constants.errno.ENOBUFS : calls.errno()),
  };
  refuses(() => open(t, face, 0, over), "RHUMB_DNS_XDP", /XDP_UMEM_REG.*MiB of locked memory.*ENOBUFS/);
});

/** A thread that has the first queue, as the engine's workers do. */
const startThread = (face: XdpInterface, at: VethBed, more = ""): Worker =>
  at.inside(
    "server",
    () =>
      new Worker(
        `import { parentPort, workerData } from "node:worker_threads";
         import { openUdpXdp } from "#dns/transport/udp-xdp.ts";
         import { loadXdpCalls } from "#dns/transport/xdp/calls.ts";
         const counters = new Float64Array(200);
         const { face } = workerData;
         openUdpXdp({ calls: loadXdpCalls(), face, queue: 0, respond: () => 0, counters, xdpCounters: counters, waitMs: 1 });
         parentPort.postMessage("open");
         ${more}`,
        { eval: true, workerData: { face }, execArgv: ["--input-type=module-typescript"] },
      ),
  );

test("openUdpXdp() gives its queue back when its thread ends by a fault", { skip }, async (t) => {
  const face = attach(t).interface;
  const worker = startThread(face, bed, `setTimeout(() => { throw new Error("a fault of this thread"); }, 20);`);
  const [error] = (await once(worker, "error")) as [Error];
  assert.match(error.message, /a fault of this thread/);
  await open(t, face, 0).transport.close();
});

test("openUdpXdp() ends its thread, and nothing else, when the interface goes away", { skip }, async (t) => {
  const gone = createVethBed();
  t.after(() => gone.close());
  const worker = startThread(attach(t, INTERFACE, gone).interface, gone);
  await once(worker, "message");
  const error = once(worker, "error");
  gone.shell("server", `ip link delete ${INTERFACE}`);
  assert.equal(((await error)[0] as NodeJS.ErrnoException).code, "ENETDOWN");
});

test("openUdpXdp() sends what the kernel did not take at first", { skip }, async (t) => {
  const attachment = attach(t);
  let refusals = 3;
  let isRefused = false;
  const { transport, xdpCounters } = open(t, attachment.interface, 0, {
    sendto(...args) {
      isRefused = refusals-- > 0;
      return isRefused ? -1 : calls.sendto(...args);
    },
    errno: () => (isRefused ? constants.errno.EAGAIN : calls.errno()),
  });
  attachment.serve({ address: SERVER[4], port: PORT });
  assert.equal(await askOnce(bed, SERVER[4]), "xdp");
  assert.equal(xdpCounters[XDP_COUNTER.kicks], 4);
  assert.equal(isLost(transport), false);
});

test("openUdpXdp() drops answers while no frame to send is free, counts them, and goes on", { skip }, async (t) => {
  const attachment = attach(t);
  let isStuck = true;
  const { transport, counters, xdpCounters } = open(t, attachment.interface, 0, {
    sendto: (...args) => (isStuck ? 0 : calls.sendto(...args)),
    poll: (...args) => (isStuck ? 0 : calls.poll(...args)), // where frames are copied, it sends as well
  });
  attachment.serve({ address: SERVER[4], port: PORT });
  const asked = transport.audit().free + 7;
  const flood = bed.start("client", [
    process.execPath,
    "-e",
    `const socket = require("node:dgram").createSocket("udp4");
     let left = ${asked};
     (function next() { if (left-- > 0) socket.send(Buffer.alloc(12), ${PORT}, "${SERVER[4]}", next); else socket.close(); })();`,
  ]);
  await once(flood, "exit");
  while (xdpCounters[XDP_COUNTER.received]! < asked) await nextTurn();
  const surplus = xdpCounters[XDP_COUNTER.received]! - (asked - 7);
  assert.deepEqual([xdpCounters[XDP_COUNTER.no_frame], counters[DNS_COUNTER.send_errors]], [surplus, surplus]);
  assert.deepEqual([transport.audit().free, isLost(transport)], [0, false]);
  isStuck = false;
  while (transport.audit().free === 0) await nextTurn();
  assert.equal(await askOnce(bed, SERVER[4]), "xdp");
  assert.equal(isLost(transport), false);
});
