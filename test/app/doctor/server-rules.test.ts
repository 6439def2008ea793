import assert from "node:assert/strict";
import test from "node:test";
import { type Asked, isSerialBefore, judgeAnswer, judgeSerials } from "#app/doctor/server-rules.ts";

const GOOD: Asked = { isAnswered: true, rcode: "NOERROR", isAuthoritative: true, isTruncated: false, serial: 7 };
const SILENT: Asked = { isAnswered: false, says: "no answer within 1500 ms" };
const SERVER = { name: "ns2.shop.example.", address: "198.51.100.53", port: 53, udp: GOOD, tcp: GOOD };

for (const { name, udp = GOOD, tcp = GOOD, says } of [
  { name: "takes a server that answers both", says: undefined },
  {
    name: "takes UDP answers that the rate limit cut short",
    udp: { ...GOOD, isTruncated: true, serial: undefined },
    says: undefined,
  },
  { name: "names one that is silent", udp: SILENT, tcp: SILENT, says: /does not answer for shop\.example\./ },
  { name: "names one without TCP", tcp: SILENT, says: /over UDP, but not over TCP: no answer within/ },
  { name: "names one without UDP", udp: SILENT, says: /over TCP, but not over UDP/ },
  {
    name: "names one that refuses",
    udp: { ...GOOD, rcode: "REFUSED" },
    says: /is lame for shop\.example\.: it answers REFUSED/,
  },
  { name: "names one without authority", udp: { ...GOOD, isAuthoritative: false }, says: /without authority/ },
  { name: "names one without a SOA", tcp: { ...GOOD, serial: undefined }, says: /without a SOA/ },
  { name: "calls a lame one without TCP lame", udp: { ...GOOD, rcode: "SERVFAIL" }, tcp: SILENT, says: /is lame/ },
]) {
  test(`judgeAnswer() ${name}`, () => {
    const finding = judgeAnswer("servers", "shop.example.", { ...SERVER, udp, tcp });
    assert.equal(finding.state, says === undefined ? "ok" : "problem");
    if (says) assert.match(finding.says, says);
    assert.equal(finding.fix === "", says === undefined);
  });
}

test("isSerialBefore() wraps as RFC 1982 says", () => {
  assert.equal(isSerialBefore(6, 7), true);
  assert.equal(isSerialBefore(7, 7), false);
  assert.equal(isSerialBefore(4_294_967_290, 3), true);
  assert.equal(isSerialBefore(3, 4_294_967_290), false);
});

const serving = (serial: number | undefined, name: string) => ({
  ...SERVER,
  name,
  udp: { ...GOOD, serial },
  tcp: SILENT,
});
test("judgeSerials() is content where all agree, and knows nothing of servers that are silent", () => {
  assert.equal(judgeSerials("shop.example.", 7, [SERVER, SERVER])[0]?.state, "ok");
  assert.deepEqual(judgeSerials("shop.example.", 7, [{ ...SERVER, udp: SILENT, tcp: SILENT }]), []);
});
test("judgeSerials() names who is behind", () => {
  const [finding] = judgeSerials("shop.example.", 7, [serving(7, "a."), serving(6, "b."), serving(5, "c.")]);
  assert.equal(finding?.state, "problem");
  assert.match(
    finding!.says,
    /7 is the newest serial, but b\. \(198\.51\.100\.53\) serves 6, c\. \(198\.51\.100\.53\) serves 5/,
  );
});
test("judgeSerials() names a file that is newer than all servers, and one that is older", () => {
  assert.match(judgeSerials("shop.example.", 8, [SERVER])[0]!.says, /8 is the newest serial, but ns2/);
  assert.match(
    judgeSerials("shop.example.", 6, [SERVER])[0]!.says,
    /file of shop\.example\. on this machine has serial 6/,
  );
});
