import assert from "node:assert/strict";
import test from "node:test";
import { xdpLines } from "#cli/xdp-lines.ts";
import { XDP_COUNTERS, type XdpCounter, type XdpStats } from "#state/xdp.ts";

const counters = (some: Partial<Record<XdpCounter, number>>): XdpStats["queues"][number]["counters"] =>
  ({ ...Object.fromEntries(XDP_COUNTERS.map((name) => [name, 0])), ...some }) as Record<XdpCounter, number>;

test("xdpLines() says where the program is, and what each queue does", () => {
  const lines = xdpLines({
    interface: "eth0",
    mode: "native",
    programId: 57,
    queues: [
      { queue: 0, counters: counters({ open: 1, zero_copy: 1, received: 1_234, sent: 1_230, malformed: 2 }) },
      { queue: 1, counters: counters({ received: 7, no_frame: 1, fill_empty: 2, dropped_ring_full: 3, dropped: 4 }) },
    ],
  });
  assert.deepEqual(lines.join("\n").split("\n"), [
    "xdp   eth0 in native mode, program 57",
    "QUEUE  STATE               FRAMES              RECEIVED  SENT   LOST  MALFORMED",
    "0      open                shared (zero-copy)  1,234     1,230  0     2",
    "1      left to the kernel  copied              7         0      10    0",
    "",
  ]);
});
