import assert from "node:assert/strict";
import test from "node:test";
import { parseIp } from "#base/ip.ts";
import { createSeededRng } from "#base/rng.ts";
import { type AdmissionPlan, KNOWN_NAME, KNOWN_SOURCE, nameKey, sourceKey } from "#dns/guard/admission.ts";
import { compileAdmission } from "#dns/guard/admission-program.ts";
import { createClient } from "#state/respond.ts";

/** Runs a classic BPF program as the kernel does (filter.rst): packet from the UDP header on, network header apart. */
function run(program: Uint8Array, network: Uint8Array, packet: Uint8Array, random: number): number {
  const view = new DataView(program.buffer, program.byteOffset);
  const cells = new Uint32Array(16);
  let accumulator = 0;
  let index = 0;
  for (let at = 0, steps = 0; steps < 5_000; at++, steps++) {
    assert.ok(at * 8 < program.length, "ran off the end");
    const code = view.getUint16(at * 8, true);
    const value = view.getUint32(at * 8 + 4, true);
    const branch = (isTaken: boolean) => {
      at += view.getUint8(at * 8 + (isTaken ? 2 : 3));
    };
    switch (code) {
      case 0x00:
        accumulator = value;
        break;
      case 0x20: {
        if (value === 0xfffff038) {
          accumulator = random;
          break;
        }
        const [source, offset] = value >= 0xfff00000 ? [network, value - 0xfff00000] : [packet, value];
        if (offset + 4 > source.length) return 0;
        accumulator = new DataView(source.buffer, source.byteOffset).getUint32(offset);
        break;
      }
      case 0x80:
        accumulator = packet.length;
        break;
      case 0x60:
        accumulator = cells[value]!;
        break;
      case 0x61:
        index = cells[value]!;
        break;
      case 0x02:
        cells[value] = accumulator;
        break;
      case 0x44:
        accumulator = (accumulator | value) >>> 0;
        break;
      case 0x24:
        accumulator = Math.imul(accumulator, value) >>> 0;
        break;
      case 0x74:
        accumulator = accumulator >>> value;
        break;
      case 0xac:
        accumulator = (accumulator ^ index) >>> 0;
        break;
      case 0x05:
        at += value;
        break;
      case 0x15:
        branch(accumulator === value);
        break;
      case 0x35:
        branch(accumulator >= value);
        break;
      case 0x06:
        return value;
      default:
        assert.fail(`opcode ${code}`);
    }
  }
  return assert.fail("a loop");
}

const rng = createSeededRng(21);
const random32 = () => Math.floor(rng() * 2 ** 32);

for (const isIpv6 of [false, true]) {
  for (const size of [0, 1, 4, 5, 512]) {
    test(`compileAdmission() tells apart what sourceKey() and nameKey() do, ${isIpv6 ? "IPv6" : "IPv4"}, ${size} keys`, () => {
      const clients = Array.from({ length: 40 }, () => {
        const client = createClient();
        client.isIpv6 = isIpv6;
        for (let octet = 0; octet < 16; octet++) client.address[octet] = Math.floor(rng() * 256);
        return client;
      });
      const messages = Array.from({ length: 40 }, (_, number) =>
        Uint8Array.from({ length: 12 + number }, () => 64 + Math.floor(rng() * 64)),
      );
      const fill = (keys: number[]) =>
        Uint32Array.from(
          [...keys, ...Array.from({ length: Math.max(0, size - keys.length) }, random32)].slice(0, size),
        ).sort();
      const plan: AdmissionPlan = {
        shares: Float64Array.of(0.2, 0.4, 0.6, 1),
        sources: fill(clients.slice(0, 20).map(sourceKey)),
        names: fill(messages.slice(20).map((message) => nameKey(message, message.length))),
      };
      const program = compileAdmission(plan, isIpv6);
      assert.ok(program.length / 8 <= 4_096, `${program.length / 8} instructions`);
      for (const [number, client] of clients.entries()) {
        const message = messages[(number * 7) % 40]!;
        const network = new Uint8Array(isIpv6 ? 40 : 20);
        network.set(client.address.subarray(0, isIpv6 ? 16 : 4), isIpv6 ? 8 : 12);
        const packet = new Uint8Array(8 + message.length);
        packet.set(message, 8);
        const name = nameKey(message, message.length);
        const kind =
          (plan.sources.includes(sourceKey(client)) ? KNOWN_SOURCE : 0) |
          (name >= 0 && plan.names.includes(name) ? KNOWN_NAME : 0);
        for (const roll of [0.1, 0.3, 0.5, 0.9]) {
          const isTaken = run(program, network, packet, Math.floor(roll * 2 ** 32)) !== 0;
          assert.equal(isTaken, roll < plan.shares[kind]!, `client ${number}, class ${kind}, roll ${roll}`);
        }
      }
    });
  }
}

test("compileAdmission() lets IPv4 sources of a /24 share a key", () => {
  const client = createClient();
  client.address.set(parseIp("192.0.2.77")!);
  const plan = {
    shares: Float64Array.of(0, 1, 0, 1),
    sources: Uint32Array.of(sourceKey(client)),
    names: new Uint32Array(0),
  };
  const network = new Uint8Array(20);
  network.set([192, 0, 2, 200], 12);
  assert.notEqual(run(compileAdmission(plan, false), network, new Uint8Array(60), 1), 0);
});
