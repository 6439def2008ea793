import assert from "node:assert/strict";
import { constants } from "node:os";
import test from "node:test";
import { chooseUdpEngine, socketsOf } from "#app/udp-engine.ts";
import { type Libc, loadLibc } from "#dns/transport/libc.ts";
import { withoutLibc } from "../dns/transport/native.ts";

const NO_KOFFI = "koffi cannot be loaded: Cannot find module 'koffi'";
const forbidden = (): Libc => ({
  ...(loadLibc() as Libc),
  recvmmsg: () => -1,
  errno: () => constants.errno.ENOSYS,
});

test("chooseUdpEngine() takes batch where it works, and says why", { skip: withoutLibc }, () => {
  assert.deepEqual(chooseUdpEngine("auto"), { name: "batch", why: "auto: recvmmsg and sendmmsg work here" });
  assert.deepEqual(chooseUdpEngine("batch"), { name: "batch", why: "as configured" });
});

test("chooseUdpEngine() takes dgram where it is asked for, or where batch cannot be", () => {
  assert.deepEqual(chooseUdpEngine("dgram"), { name: "dgram", why: "as configured" });
  assert.deepEqual(
    chooseUdpEngine("auto", () => NO_KOFFI),
    { name: "dgram", why: `auto: no batch engine, because ${NO_KOFFI}` },
  );
});

test("chooseUdpEngine() finds out that a sandbox forbids the calls", { skip: withoutLibc }, () => {
  assert.deepEqual(chooseUdpEngine("auto", forbidden), {
    name: "dgram",
    why: "auto: no batch engine, because recvmmsg ENOSYS",
  });
});

test("chooseUdpEngine() refuses a batch engine that is asked for by name and cannot be", () => {
  assert.throws(() => chooseUdpEngine("batch", () => NO_KOFFI), {
    code: "RHUMB_DNS_ENGINE",
    message: /koffi cannot be loaded/,
  });
});

test("chooseUdpEngine() takes xdp where it is asked for, with the best sockets that there are beside it", {
  skip: withoutLibc,
}, () => {
  const why = "as configured, with batch for what the kernel is left";
  assert.deepEqual(chooseUdpEngine("xdp"), { name: "xdp", why, sockets: "batch" });
  assert.equal(socketsOf(chooseUdpEngine("xdp", forbidden)), "dgram");
  assert.equal(socketsOf(chooseUdpEngine("batch")), "batch");
});
