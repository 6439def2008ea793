/** Samples as people read them, and how much of an address they read. */
import assert from "node:assert/strict";
import test from "node:test";
import { queryView, type SampleContext } from "#app/query-view.ts";
import type { QuerySample } from "#state/query-ring.ts";
import { TRANSPORT } from "#state/respond.ts";

const HEADER = "1234 8583 0001"; // QR, AA, TC 0, RD; NXDOMAIN
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
/** `Www.x. A IN`, one A record 192.0.2.9, OPT with DO and ECS 198.51.100.128/25 scope 20. */
const ANSWER = hex(`
  1234 8500 0001 0001 0000 0001
  03 577777 01 78 00 0001 0001
  c00c 0001 0001 0000001e 0004 c0000209
  00 0029 04d0 00 00 8000 000c 0008 0008 0001 19 14 c6336480`);
const prefix: SampleContext = { privacy: "prefix", regionOf: new Map([["192.0.2.9", "eu"]]) };
const full: SampleContext = { ...prefix, privacy: "full" };

const sample = (message: Uint8Array, changes: Partial<QuerySample> = {}): QuerySample => ({
  atMs: 5,
  address: Uint8Array.of(203, 0, 113, 77),
  transport: TRANSPORT.udp,
  octets: message.length,
  message,
  ...changes,
});

test("queryView() reads all of it out of the response", () => {
  assert.deepEqual(queryView(sample(ANSWER), full), {
    atMs: 5,
    name: "Www.x.",
    type: "A",
    class: "IN",
    rcode: "NOERROR",
    flags: ["aa", "rd", "do"],
    transport: "udp",
    client: "203.0.113.77",
    ecs: { network: "198.51.100.128/25", scopeBits: 20 },
    addresses: ["192.0.2.9"],
    regions: ["eu"],
    octets: ANSWER.length,
    isCut: false,
  });
});

test("queryView() keeps networks of clients only, unless it is told to keep all", () => {
  const v4 = queryView(sample(ANSWER), prefix)!;
  assert.deepEqual([v4.client, v4.ecs], ["203.0.113.0/24", { network: "198.51.100.0/24", scopeBits: 20 }]);
  assert.doesNotMatch(JSON.stringify(v4), /\b(77|128)\b/);
  const address = hex("20010db8 1234 5678 0000 0000 0000 0001");
  assert.equal(queryView(sample(ANSWER, { address }), prefix)!.client, "2001:db8:1234::/48");
  assert.equal(queryView(sample(ANSWER, { address }), full)!.client, "2001:db8:1234:5678::1");
  const v6 = ANSWER.slice(0, -12);
  v6[v6.length - 1] = 0x16; // rdlength 22: option of 18 octets, /112
  const withV6 = new Uint8Array([...v6, ...hex("0008 0012 0002 70 30 20010db8123456780000000000aa")]);
  assert.deepEqual(queryView(sample(withV6), prefix)!.ecs, { network: "2001:db8:1234::/48", scopeBits: 48 });
});

test("queryView() says what a response without answer, question or OPT says", () => {
  const denied = queryView(sample(hex(`${HEADER} 0000 0000 0000 03 577777 01 78 00 00ff 0003`)), prefix)!;
  const { name, type, class: zone, rcode, ecs, addresses } = denied;
  assert.deepEqual([name, type, zone, rcode, ecs, addresses], ["Www.x.", "ANY", "CH", "NXDOMAIN", null, []]);
  const bare = queryView(sample(hex("1234 8001 0000 0000 0000 0000"), { transport: TRANSPORT.tcp }), prefix)!;
  assert.deepEqual([bare.name, bare.type, bare.rcode, bare.transport], [null, null, "FORMERR", "tcp"]);
});

test("queryView() reads the question of a response that was cut, and says so", () => {
  const cut = queryView(sample(ANSWER.slice(0, 40), { octets: 3_000, transport: TRANSPORT.tcp }), prefix)!;
  assert.deepEqual(
    [cut.name, cut.type, cut.rcode, cut.octets, cut.isCut, cut.addresses],
    ["Www.x.", "A", "NOERROR", 3_000, true, []],
  );
  const headerOnly = queryView(sample(hex("1234 8001 0000 0001 0000 0000"), { octets: 3_000 }), prefix)!;
  assert.deepEqual([headerOnly.name, headerOnly.isCut], [null, true]);
});

test("queryView() gives nothing for octets that are no message", () => {
  for (let length = 0; length < ANSWER.length; length++)
    assert.equal(queryView(sample(ANSWER.slice(0, length), { octets: length }), prefix), undefined, `${length} octets`);
});
