import assert from "node:assert/strict";
import test from "node:test";
import { parseIp } from "#base/ip.ts";
import { createTriePairs, insertNetwork, LEAF_6TO4, layOutTrie, leafMapped } from "#geo/trie.ts";
import { classOf, depthOf, MAX_WALK_VALUE, PAIRS_START, walk } from "#geo/walk.ts";
import { cidr } from "./maker.ts";

const trie = createTriePairs();
const insert = (root: number, text: string, leaf: number) =>
  insertNetwork(trie, root, cidr(text).bytes, cidr(text).bits, () => leaf);
let ipv4 = ~0;
for (const [text, value] of [
  ["10.0.0.0/8", 1],
  ["10.1.2.0/24", 2],
  ["198.51.100.7/32", 3],
  ["128.0.0.0/1", 4],
] as const)
  if (value !== 3 && value !== 4) ipv4 = insert(ipv4, text, ~value);
ipv4 = insert(insert(ipv4, "192.0.0.0/3", ~4), "198.51.100.7/32", ~3);
let ipv6 = ~0;
for (const [text, leaf] of [
  ["2002::/16", LEAF_6TO4],
  ["::/48", leafMapped(6)],
  ["2a02:1::/32", ~5],
  ["2a02:1:2::/48", ~MAX_WALK_VALUE],
] as const)
  ipv6 = insert(ipv6, text, leaf);
const nodes = layOutTrie(trie, ipv4, ipv6);

for (const { address, value, depth, name } of [
  { name: "a leaf above the table", address: "10.200.0.1", value: 1, depth: 9 },
  { name: "a leaf of the table's children", address: "10.1.2.3", value: 2, depth: 24 },
  { name: "its neighbour", address: "10.1.3.3", value: 1, depth: 24 },
  { name: "the deepest IPv4 leaf", address: "198.51.100.7", value: 3, depth: 32 },
  { name: "half of the rest", address: "96.0.0.1", value: 0, depth: 2 },
  { name: "a short leaf", address: "223.1.2.3", value: 4, depth: 4 },
  { name: "IPv6", address: "2a02:1:3::1", value: 5, depth: 48 },
  { name: "the deepest IPv6 leaf, the greatest value", address: "2a02:1:2:ffff::1", value: MAX_WALK_VALUE, depth: 48 },
  { name: "a short IPv6 leaf", address: "8000::1", value: 0, depth: 1 },
  { name: "a v4-mapped address", address: "::ffff:10.1.2.3", value: 2, depth: 96 + 24 },
  { name: "6to4", address: "2002:0a01:0203::1", value: 2, depth: 16 + 24 },
  { name: "6to4 with a wide leaf", address: "2002:0ac8:0001::1", value: 1, depth: 16 + 9 },
  { name: "loopback, beside the mapped block", address: "::1", value: 6, depth: 81 },
  { name: "a bit before the mapped block", address: "::fffe:0:0", value: 6, depth: 96 },
  { name: "the first bit after /48", address: "0:0:0:8000::", value: 6, depth: 49 },
  { name: "beside ::/48", address: "0:0:1::", value: 0, depth: 48 },
]) {
  test(`walk() finds ${name}`, () => {
    const bytes = parseIp(address)!;
    const walked = walk(nodes, bytes, bytes.length === 16);
    assert.deepEqual([classOf(walked), depthOf(walked)], [value, depth]);
  });
}

test("walk() looks at the first octets of a longer buffer only", () => {
  const buffer = new Uint8Array(16).fill(0xff);
  buffer.set([10, 1, 2, 3]);
  assert.equal(classOf(walk(nodes, buffer, false)), 2);
});

test("layOutTrie() lays one class out as two tables of depth 0 in shared memory", () => {
  const single = layOutTrie(createTriePairs(), ~7, ~7);
  assert.equal(single.length, PAIRS_START);
  assert.ok(single.buffer instanceof SharedArrayBuffer);
  for (const isIpv6 of [false, true]) assert.equal(walk(single, new Uint8Array(16).fill(0xab), isIpv6), 7 * 256);
});
