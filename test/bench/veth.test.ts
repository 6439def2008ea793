import assert from "node:assert/strict";
import test from "node:test";
import { readKxdpgun, vethMedians } from "../../bench/lib/veth-measure.ts";
import { bestOf, fillVethPage, type VethResult, vethRatios, vethText } from "../../bench/lib/veth-results.ts";

const REPORT = `using interface eth0, XDP threads 1, UDP, native mode
thread#00: sent 298610, received 258590
total queries:     298610 (298610 pps)
total replies:     258590 (258590 pps) (86%)
average DNS reply size: 54 B
average Ethernet reply rate: 200436648 bps (200.44 Mbps)
responded NOERROR:   258580
responded NXDOMAIN:   10
duration: 1 s
`;

test("readKxdpgun() reads what was sent, what came back, and how it was answered", () => {
  assert.deepEqual(readKxdpgun(REPORT), {
    sent: 298_610,
    answered: 258_590,
    seconds: 1,
    rcodes: { NOERROR: 258_580, NXDOMAIN: 10 },
  });
  assert.throws(() => readKxdpgun("failed to initialize XDP socket#0"), /kxdpgun says: failed to initialize/);
});

const sample = (answersPerSecond: number, micros: number) => ({
  sentPerSecond: 400,
  answersPerSecond,
  lostShare: 1 - answersPerSecond / 400,
  userMicros: micros,
  systemMicros: 1,
  busy: 0.5,
});
const medians = (...samples: ReturnType<typeof sample>[]) => vethMedians(samples);
const LOAD: VethResult = {
  title: "Static",
  rounds: 3,
  seconds: 1,
  rates: [200_000, 400_000],
  subjects: {
    xdp: { title: "ours", isOurs: true, medians: [medians(sample(200, 2)), medians(sample(400, 1))] },
    gdnsd: { title: "gdnsd", isOurs: false, medians: [medians(sample(160, 3)), medians(sample(100, 9))] },
  },
  leftOut: { knot: "knotd is not installed" },
};

test("vethMedians() takes CPU by its sum, as the parts come from different rounds", () => {
  assert.equal(medians(sample(1, 1), sample(1, 5), sample(1, 2)).cpuMicros, 3);
});

test("vethRatios() compares servers where each answers most", () => {
  assert.equal(bestOf(LOAD.subjects["gdnsd"]!).answersPerSecond, 160);
  assert.deepEqual(vethRatios({ static: LOAD }), { "static.xdp.rate/gdnsd": 2.5, "static.xdp.cpu/gdnsd": 0.5 });
});

test("the tables show rates and CPU by offered load, and who was left out", () => {
  const text = vethText(LOAD);
  assert.match(text, /ours +200 \(−50\.0 %\) +400 \(−0\.0 %\)/);
  assert.match(text, /gdnsd +4\.00 +10\.00 +4\.00/);
  assert.match(text, /left out: knot: knotd is not installed/);
  const machine = { cpu: "c", cores: 2, memoryMiB: 1_024, system: "linux", node: "v26" };
  const page = fillVethPage("<!-- bench veth-static -->\nold\n<!-- /bench -->\n", machine, { static: LOAD });
  assert.match(page, /\| ours \| 200 \(−50\.0 %\) \| 400 \(−0\.0 %\) \|/);
  assert.doesNotMatch(page, /old/);
});
