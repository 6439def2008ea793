import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { clientKey, HASH_SEED, jhash, scaleToSlot } from "#l4/nft/jhash.ts";
import { folderWith } from "../../system/tools.ts";
import { inNamespace, withoutKernel } from "./kernel.ts";

const SLOTS = 65_537;
const slotOf = (key: Uint8Array): number => scaleToSlot(jhash(key, HASH_SEED), SLOTS);

describe("jhash()", () => {
  test("tells apart keys of every length, and seeds", () => {
    const hashes = Array.from({ length: 40 }, (_, length) => jhash(new Uint8Array(length), HASH_SEED));
    assert.equal(new Set(hashes).size, 40);
    assert.notEqual(jhash(new Uint8Array(4), 1), jhash(new Uint8Array(4), 2));
  });

  test("spreads neighbouring addresses over all slots", () => {
    const tenths = new Array<number>(10).fill(0);
    for (let host = 0; host < 20_000; host++) {
      const slot = slotOf(clientKey(`10.0.${host >> 8}.${host & 255}`, 4));
      tenths[Math.floor((slot * 10) / SLOTS)]!++;
    }
    for (const count of tenths) assert.ok(Math.abs(count - 2_000) < 200, tenths.join(" "));
  });
});

describe("scaleToSlot()", () => {
  test("keeps the order of hashes and covers the slots", () => {
    assert.equal(scaleToSlot(0, SLOTS), 0);
    assert.equal(scaleToSlot(0xffff_ffff, SLOTS), SLOTS - 1);
    assert.equal(scaleToSlot(0x8000_0000, 10), 5);
  });
});

/** Sends a datagram from each (address, port) to itself, within a namespace whose rules note the slot of each. */
const SENDER = `
import { createSocket } from "node:dgram";
const clients = JSON.parse(process.argv[2]);
for (const [address, port] of clients) {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  await new Promise((done) => socket.bind(port, address, done));
  await new Promise((done) => socket.send("x", 9, address, done));
  socket.close();
}
`;

test("the kernel chooses the slot that we tell beforehand", { skip: withoutKernel() }, (context) => {
  const folder = folderWith(context, { "send.mjs": SENDER });
  const seed = `0x${HASH_SEED.toString(16)}`;
  const keys = [
    { set: "whole4", type: "ipv4_addr", expression: "ip saddr", octets: 4, withPort: false },
    { set: "part4", type: "ipv4_addr", expression: "@nh,96,24", octets: 3, withPort: false },
    { set: "flow4", type: "ipv4_addr", expression: "ip saddr . th sport", octets: 4, withPort: true },
    { set: "whole6", type: "ipv6_addr", expression: "ip6 saddr", octets: 16, withPort: false },
    { set: "part6", type: "ipv6_addr", expression: "@nh,64,64", octets: 8, withPort: false },
    { set: "flow6", type: "ipv6_addr", expression: "ip6 saddr . th sport", octets: 16, withPort: true },
  ];
  const rules = keys.map(({ set, type, expression }) => {
    const ip = type === "ipv4_addr" ? "ip" : "ip6";
    return {
      set: `set ${set} { type ${type} . inet_service . mark; flags dynamic; size 4096; }`,
      rule: `meta nfproto ${type.slice(0, 4)} udp dport 9 meta mark set jhash ${expression} mod ${SLOTS} seed ${seed} add @${set} { ${ip} saddr . udp sport . meta mark }`,
    };
  });
  writeFileSync(
    join(folder, "rules.nft"),
    `table inet t {\n${rules.map(({ set }) => set).join("\n")}\nchain c {\ntype filter hook output priority 0;\n${rules.map(({ rule }) => rule).join("\n")}\n}\n}\n`,
  );
  const v4 = Array.from({ length: 60 }, (_, n) => [`127.${n * 4}.${255 - n}.${n + 1}`, 20_000 + n * 7] as const);
  const v6 = Array.from({ length: 40 }, (_, n) => [`2001:db8:${n}:${n * 3}::${n + 1}`, 30_000 + n * 11] as const);
  const addresses = v6.map(([address]) => `ip -6 address add ${address}/128 dev lo nodad`).join("\n");
  const { code, out, err } = inNamespace(`ip link set lo up
${addresses}
nft -f ${folder}/rules.nft
${process.execPath} ${folder}/send.mjs '${JSON.stringify([...v4, ...v6])}'
nft -j list table inet t`);
  assert.equal(code, 0, err);
  type Listed = { set?: { name: string; elem: { concat: [string, number, number] }[] } };
  const listed = (JSON.parse(out) as { nftables: Listed[] }).nftables;
  for (const { set, type, octets, withPort } of keys) {
    const elements = listed.find((entry) => entry.set?.name === set)!.set!.elem;
    assert.equal(elements.length, type === "ipv4_addr" ? v4.length : v6.length, set);
    for (const { concat } of elements) {
      const [address, port, slot] = concat;
      assert.equal(slotOf(clientKey(address, octets, withPort ? port : undefined)), slot, `${set}: ${concat}`);
    }
  }
});
