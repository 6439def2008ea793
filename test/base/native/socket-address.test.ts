import assert from "node:assert/strict";
import test from "node:test";
import { decodeSocketAddress, encodeSocketAddress } from "#base/native/socket-address.ts";

for (const { address, octets } of [
  { address: "192.0.2.1", octets: [2, 0, 0x1f, 0x90, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0] },
  {
    address: "2001:db8::1",
    octets: [10, 0, 0x1f, 0x90, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
  },
]) {
  test(`${address} lies in memory as the kernel has it, and is read back`, () => {
    const encoded = encodeSocketAddress({ address, port: 8080 });
    assert.deepEqual([...encoded!], octets);
    assert.deepEqual(decodeSocketAddress(encoded!), { address, port: 8080 });
  });
}
test("decodeSocketAddress() reads a v4-mapped address as IPv4", () => {
  const encoded = encodeSocketAddress({ address: "::ffff:192.0.2.1", port: 65535 });
  assert.deepEqual(decodeSocketAddress(encoded!), { address: "192.0.2.1", port: 65535 });
});
test("encodeSocketAddress() takes no names", () => {
  assert.equal(encodeSocketAddress({ address: "localhost", port: 1 }), undefined);
});
