import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { formatIp } from "#base/ip.ts";
import { readSource } from "#dns/transport/source-address.ts";
import { createClient } from "#state/respond.ts";

for (const { text, expected } of [
  { text: "192.0.2.255", expected: "192.0.2.255" },
  { text: "0.0.0.0", expected: "0.0.0.0" },
  { text: "::", expected: "::" },
  { text: "::1", expected: "::1" },
  { text: "fe80::1%eth0", expected: "fe80::1" },
  { text: "2001:db8::", expected: "2001:db8::" },
  { text: "1:2:3:4:5:6:7:8", expected: "1:2:3:4:5:6:7:8" },
  { text: "2001:DB8::ABCD", expected: "2001:db8::abcd" },
  { text: "::ffff:192.0.2.1", expected: "192.0.2.1" },
  { text: "::ffff:c000:201", expected: "192.0.2.1" },
  { text: "::192.0.2.1", expected: "::c000:201" },
]) {
  test(`readSource() reads ${text}`, () => {
    const client = createClient();
    client.address.fill(0xee);
    readSource(text, text.includes(":"), client);
    assert.equal(client.isIpv6, expected.includes(":"));
    assert.equal(formatIp(client.address.slice(0, client.isIpv6 ? 16 : 4)), expected);
  });
}

test("readSource() reads back what formatIp() writes", () => {
  const client = createClient();
  const group = fc.constantFrom(0, 0, 1, 0xab, 0xffff);
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const bytes = Uint8Array.from(groups.flatMap((value) => [value >>> 8, value & 0xff]));
      client.address.fill(0xee);
      readSource(formatIp(bytes), true, client);
      if (client.isIpv6) assert.deepEqual(client.address, bytes);
      else assert.deepEqual(client.address.slice(0, 4), bytes.slice(12));
    }),
    { seed: 3, numRuns: 1_000 },
  );
});
