import assert from "node:assert/strict";
import test from "node:test";
import { TYPE } from "#dns/wire/types.ts";
import { DNS_COUNTER, DNS_COUNTERS, qtypeSlot } from "#state/counters.ts";

test("qtypeSlot() has a slot for each type with a counter of its own, and one for all others", () => {
  const apart = DNS_COUNTERS.filter((name) => name.startsWith("qtype_") && name !== "qtype_other");
  const expected = new Map<number, number>(
    apart.map((name) => [TYPE[name.slice(6).toUpperCase() as keyof typeof TYPE], DNS_COUNTER[name]]),
  );
  assert.equal(expected.size, 14);
  for (let qtype = 0; qtype <= 0xffff; qtype++)
    assert.equal(qtypeSlot(qtype), expected.get(qtype) ?? DNS_COUNTER.qtype_other, `type ${qtype}`);
});
