/** The program, in the kernel, verified and run by it (bpf(2), BPF_PROG_TEST_RUN): which frames it takes. */
import assert from "node:assert/strict";
import { constants } from "node:os";
import test from "node:test";
import fc from "fast-check";
import { RhumbError } from "#base/errors.ts";
import { parseIp } from "#base/ip.ts";
import { assemble, exit, load } from "#dns/transport/xdp/assembler.ts";
import { missingCapabilities } from "#dns/transport/xdp/attach.ts";
import { createBpf, MAP_KIND } from "#dns/transport/xdp/bpf.ts";
import { bpfCall, loadXdpCalls, type XdpCalls } from "#dns/transport/xdp/calls.ts";
import { MAX_FRAME_OCTETS } from "#dns/transport/xdp/frame.ts";
import { buildProgram, LISTENER_KEY, listenerKey } from "#dns/transport/xdp/program.ts";
import { type FrameParts, makeFrame } from "./frames.ts";

const loaded = loadXdpCalls();
const bpf = typeof loaded === "string" ? undefined : createBpf(loaded);
const skip = withoutBpf();
function withoutBpf(): string | false {
  if (process.env["CI"] !== undefined) return false;
  if (bpf === undefined) return loaded as string;
  try {
    (loaded as XdpCalls).close(bpf.createMap(MAP_KIND.hash, 4, 4, 1));
    return false;
  } catch (error) {
    return `no BPF here: ${(error as Error).message}`;
  }
}

const ADDRESS = { 4: "192.0.2.53", 6: "2001:db8::53" } as const;
const PORT = 53;
const MAC = Uint8Array.of(0x02, 0xfe, 0x80, 0xff, 0xc0, 0xee);
const PASS = "pass";
const TAKEN = "taken";

/** Redirecting to a socket needs one; to an interface does not, and is told from passing just as well. */
const MAP_OF_INTERFACES = 14;
const LOOPBACK = 1;
const XDP_REDIRECT = 4;
const BPF_PROG_TEST_RUN = 10;

let program: number | undefined;
function run(frame: Uint8Array): string {
  const calls = loaded as XdpCalls;
  if (program === undefined) {
    const listeners = bpf!.createMap(MAP_KIND.hash, LISTENER_KEY.octets, 1, 8);
    const targets = bpf!.createMap(MAP_OF_INTERFACES, 4, 4, 1);
    bpf!.update(targets, new Uint8Array(4), new Uint8Array(Uint32Array.of(LOOPBACK).buffer));
    for (const address of Object.values(ADDRESS)) {
      bpf!.update(listeners, listenerKey({ address, port: PORT })!, Uint8Array.of(1));
    }
    program = bpf!.loadProgram(buildProgram({ mac: MAC, maxOctets: MAX_FRAME_OCTETS, listeners, sockets: targets }));
  }
  const attributes = new DataView(new ArrayBuffer(80));
  attributes.setUint32(0, program, true);
  attributes.setUint32(8, frame.length, true);
  attributes.setBigUint64(16, calls.addressOf(frame), true);
  attributes.setUint32(32, 1, true);
  const result = bpfCall(calls, BPF_PROG_TEST_RUN, new Uint8Array(attributes.buffer));
  // The kernel takes no frame without an Ethernet header here, as no driver hands one over.
  assert.ok(result >= 0, `BPF_PROG_TEST_RUN: errno ${calls.errno()}`);
  const action = attributes.getUint32(4, true);
  return action === XDP_REDIRECT ? TAKEN : action === 2 ? PASS : `action ${action}`;
}

const query = (version: 4 | 6, over: Partial<FrameParts> = {}): FrameParts => ({
  version,
  toMac: MAC,
  fromMac: Uint8Array.of(2, 0, 0, 0, 0, 9),
  from: parseIp(version === 4 ? "198.51.100.7" : "2001:db8:7::7")!,
  to: parseIp(ADDRESS[version])!,
  fromPort: 40_000,
  toPort: PORT,
  message: new Uint8Array(40),
  ...over,
});
const from = (address: string) => makeFrame(query(address.includes(":") ? 6 : 4, { from: parseIp(address)! }));
const to = (address: string) => makeFrame(query(address.includes(":") ? 6 : 4, { to: parseIp(address)! }));
const changed = (frame: Uint8Array, at: number, ...values: number[]): Uint8Array => {
  const copy = frame.slice();
  copy.set(values, at);
  return copy;
};
const v4 = makeFrame(query(4));
const v6 = makeFrame(query(6));
const tagged4 = makeFrame(query(4, { tag: 0x2064 }));
const tagged6 = makeFrame(query(6, { tag: 7 }));
const IP4 = 14; // where its header begins

for (const { name, frame, expected } of [
  { name: "a query over IPv4", frame: v4, expected: TAKEN },
  { name: "a query over IPv6", frame: v6, expected: TAKEN },
  { name: "one over IPv4 with a VLAN's tag", frame: tagged4, expected: TAKEN },
  { name: "one over IPv6 with a VLAN's tag", frame: tagged6, expected: TAKEN },
  { name: "one that must not be cut into fragments", frame: changed(v4, IP4 + 6, 0x40, 0), expected: TAKEN },
  { name: "the longest frame", frame: makeFrame(query(4, { message: new Uint8Array(1_750) })), expected: TAKEN },
  { name: "one longer", frame: makeFrame(query(4, { message: new Uint8Array(1_751) })), expected: PASS },
  { name: "two tags", frame: changed(tagged4, 16, 0x81, 0), expected: PASS },
  { name: "a tag of IEEE 802.1ad", frame: changed(tagged4, 12, 0x88, 0xa8), expected: PASS },
  { name: "ARP", frame: changed(v4, 12, 0x08, 0x06), expected: PASS },
  { name: "another station's frame", frame: changed(v4, 5, 0xef), expected: PASS },
  { name: "a frame to all", frame: changed(v4, 0, 255, 255, 255, 255, 255, 255), expected: PASS },
  { name: "IPv4 with options", frame: changed(v4, IP4, 0x46), expected: PASS },
  { name: "IPv5", frame: changed(v4, IP4, 0x55), expected: PASS },
  { name: "TCP over IPv4", frame: changed(v4, IP4 + 9, 6), expected: PASS },
  { name: "a first fragment", frame: changed(v4, IP4 + 6, 0x20, 0), expected: PASS },
  { name: "a later fragment", frame: changed(v4, IP4 + 6, 0, 1), expected: PASS },
  { name: "the last fragment", frame: changed(v4, IP4 + 6, 0x1f, 0), expected: PASS },
  { name: "another address of IPv4", frame: to("192.0.2.54"), expected: PASS },
  { name: "another address of IPv6", frame: to("2001:db8::54"), expected: PASS },
  { name: "IPv6 to our mapped IPv4 address", frame: to("::ffff:192.0.2.53"), expected: PASS },
  { name: "another port over IPv4", frame: makeFrame(query(4, { toPort: 54 })), expected: PASS },
  { name: "another port over IPv6", frame: makeFrame(query(6, { toPort: 54 })), expected: PASS },
  { name: "a response from our port", frame: makeFrame(query(4, { toPort: 1_053, fromPort: 53 })), expected: PASS },
  { name: "TCP over IPv6", frame: changed(v6, 20, 6), expected: PASS },
  { name: "an extension header", frame: changed(v6, 20, 0), expected: PASS },
  { name: "a fragment of IPv6", frame: changed(v6, 20, 44), expected: PASS },
  { name: "IPv6's type with another version", frame: changed(v6, 14, 0x40), expected: PASS },
  { name: "one from this network", frame: from("0.0.0.9"), expected: PASS },
  { name: "one from loopback", frame: from("127.0.0.1"), expected: PASS },
  { name: "one from a group", frame: from("224.0.0.1"), expected: PASS },
  { name: "one from all", frame: from("255.255.255.255"), expected: PASS },
  { name: "one from below the groups", frame: from("223.255.255.255"), expected: TAKEN },
  { name: "one from nobody over IPv6", frame: from("::"), expected: PASS },
  { name: "one from loopback over IPv6", frame: from("::1"), expected: PASS },
  { name: "one from a mapped address", frame: from("::ffff:198.51.100.7"), expected: PASS },
  { name: "one from a group of IPv6", frame: from("ff02::1"), expected: PASS },
  { name: "one from a link-local address", frame: from("fe80::1"), expected: TAKEN },
]) {
  test(`The program ${expected === TAKEN ? "takes" : "passes"} ${name}`, { skip }, () => {
    assert.equal(run(frame), expected);
  });
}

test("The program passes a frame that ends within its headers", { skip }, () => {
  for (const [frame, headerOctets] of [
    [v4, 42],
    [v6, 62],
    [tagged4, 46],
    [tagged6, 66],
  ] as const) {
    for (let length = 14; length < headerOctets; length++) {
      assert.equal(run(frame.subarray(0, length).slice()), PASS, `${length} of ${headerOctets} octets`);
    }
    assert.equal(run(frame.subarray(0, headerOctets).slice()), TAKEN);
  }
});

test("The program takes what is ours and nothing else, whatever octets of the headers change", { skip }, () => {
  const frames = fc.constantFrom(v4, v6, tagged4, tagged6);
  const change = fc.tuple(fc.nat(65), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(frames, fc.array(change, { minLength: 1, maxLength: 3 }), (frame, changes) => {
      const mutated = frame.slice();
      for (const [at, value] of changes) mutated[at] = value;
      assert.equal(run(mutated), isOurs(mutated) ? TAKEN : PASS);
    }),
    { numRuns: 2_000 },
  );
});

/** What the header of `program.ts` says in words. */
function isOurs(frame: Uint8Array): boolean {
  const hex = (begin: number, octets: number): string =>
    Buffer.from(frame.subarray(begin, begin + octets)).toString("hex");
  if (hex(0, 6) !== Buffer.from(MAC).toString("hex")) return false;
  const ip = hex(12, 2) === "8100" ? 18 : 14;
  const port = "0035";
  if (hex(ip - 2, 2) === "0800") {
    const isPlain = frame[ip] === 0x45 && frame[ip + 9] === 17 && (Number(`0x${hex(ip + 6, 2)}`) & 0x3fff) === 0;
    const source = frame[ip + 12]!;
    const isAnswerable = source !== 0 && source !== 127 && source < 224;
    return isPlain && isAnswerable && hex(ip + 16, 4) === "c0000235" && hex(ip + 22, 2) === port;
  }
  const isPlain = hex(ip - 2, 2) === "86dd" && frame[ip]! >>> 4 === 6 && frame[ip + 6] === 17;
  const isAnswerable = frame[ip + 8] !== 0xff && hex(ip + 8, 8) !== "0000000000000000";
  return isPlain && isAnswerable && hex(ip + 24, 16) === `20010db8${"0".repeat(22)}53` && hex(ip + 42, 2) === port;
}

test("loadProgram() says what the verifier says of a program that it refuses", { skip }, () => {
  const beyond = assemble([load(4, "r2", "r1", 0), load(1, "r0", "r2", 0), exit()]);
  assert.throws(
    () => bpf!.loadProgram(beyond),
    (error) =>
      error instanceof RhumbError &&
      error.code === "RHUMB_DNS_XDP" &&
      /bpf BPF_PROG_LOAD EACCES/.test(error.message) &&
      /invalid access to packet/.test(error.message),
  );
});

test("update() and remove() name the call that failed, and a key that is not there is no fault", { skip }, () => {
  const map = bpf!.createMap(MAP_KIND.hash, 4, 1, 1);
  bpf!.remove(map, new Uint8Array(4));
  bpf!.update(map, Uint8Array.of(1, 0, 0, 0), Uint8Array.of(1));
  assert.throws(() => bpf!.update(map, Uint8Array.of(2, 0, 0, 0), Uint8Array.of(1)), {
    message: "bpf BPF_MAP_UPDATE_ELEM E2BIG",
    errno: -constants.errno.E2BIG,
  });
  bpf!.remove(map, Uint8Array.of(1, 0, 0, 0));
  bpf!.update(map, Uint8Array.of(2, 0, 0, 0), Uint8Array.of(1));
  (loaded as XdpCalls).close(map);
});

test("listenerKey() takes addresses alone", () => {
  assert.equal(listenerKey({ address: "example.com", port: 53 }), undefined);
  assert.deepEqual(
    listenerKey({ address: "192.0.2.1", port: 0x1234 }),
    Uint8Array.of(192, 0, 2, 1, ...new Array(12).fill(0), 0x12, 0x34, 4, 0),
  );
});

for (const { name, effective, expected } of [
  { name: "none to root", effective: "000001ffffffffff", expected: [] },
  {
    name: "all to an ordinary user",
    effective: "0000000000000000",
    expected: ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF"],
  },
  { name: "none with exactly these", effective: "0000008000003000", expected: [] },
  { name: "CAP_BPF in a container of before it", effective: "0000000000003000", expected: ["CAP_BPF"] },
  { name: "none with CAP_SYS_ADMIN for CAP_BPF", effective: "0000000000203000", expected: [] },
]) {
  test(`missingCapabilities() names ${name}`, () => {
    const status = `Name:\tnode\nCapPrm:\tffffffffffffffff\nCapEff:\t${effective}\nCapBnd:\t0\n`;
    assert.deepEqual(missingCapabilities(status), expected);
  });
}
