import assert from "node:assert/strict";
import test from "node:test";
import { readDelegation } from "#app/doctor/ask-parent.ts";
import { judgeDelegation, judgeNameServers, type NameServer, type ParentAnswer } from "#app/doctor/delegation-rules.ts";
import { parseResolver } from "#app/doctor/resolver.ts";

const APEX = "shop.example.";
const NS1: NameServer = { name: "ns1.shop.example.", addresses: ["192.0.2.53", "2001:db8::53"] };
const NS2: NameServer = { name: "ns2.shop.example.", addresses: ["198.51.100.53"] };
const FAR: NameServer = { name: "ns.elsewhere.example.", addresses: ["203.0.113.53"] };
const at = (servers: readonly NameServer[], hasDs = false): ParentAnswer => ({
  kind: "delegation",
  server: "a.example.",
  servers,
  hasDs,
});
const judge = (answers: readonly ParentAnswer[], own = [NS1, NS2]) =>
  judgeDelegation({ apex: APEX, own, parent: "example.", answers });

for (const { name, answers, own, expected } of [
  { name: "is content with equal sets", answers: [at([NS2, NS1])], expected: ["ok"] },
  {
    name: "needs no glue for names elsewhere",
    answers: [at([NS1, { ...FAR, addresses: [] }])],
    own: [NS1, FAR],
    expected: ["ok"],
  },
  {
    name: "takes a parent that serves the zone itself",
    answers: [{ kind: "same-server", server: "a.example.", hasDs: false }],
    expected: ["ok"],
  },
  {
    name: "names a server that the parent lacks",
    answers: [at([NS1])],
    expected: ["problem ns2.shop.example. is a name server"],
  },
  {
    name: "names a server that the zone lacks",
    answers: [at([NS1, NS2, FAR])],
    expected: ["problem The parent zone example. names ns.elsewhere.example."],
  },
  {
    name: "names missing glue",
    answers: [at([NS1, { ...NS2, addresses: [] }])],
    expected: ["problem ns2.shop.example. has no glue"],
  },
  {
    name: "names wrong glue",
    answers: [at([NS1, { ...NS2, addresses: ["203.0.113.9"] }])],
    expected: ["problem The glue of ns2.shop.example."],
  },
  {
    name: "warns of glue for one family only",
    answers: [at([{ ...NS1, addresses: ["192.0.2.53"] }, NS2])],
    expected: ["warning The glue of ns1.shop.example. at the parent zone example. lacks 2001:db8::53"],
  },
  {
    name: "says once what two servers of the parent say",
    answers: [at([NS1]), at([NS1])],
    expected: ["problem ns2.shop.example. is a name server"],
  },
  {
    name: "finds no delegation",
    answers: [{ kind: "not-delegated", server: "a.example.", rcode: "NXDOMAIN" }],
    expected: ["problem shop.example. is not delegated"],
  },
  {
    name: "finds servers of the parent that differ",
    answers: [at([NS1, NS2]), { kind: "not-delegated", server: "b.example.", rcode: "NXDOMAIN" }],
    expected: ["problem The servers of the parent zone example. differ", "ok"],
  },
  {
    name: "warns of one that is silent",
    answers: [at([NS1, NS2]), { kind: "silent", server: "b.example.", says: "no answer" }],
    expected: ["warning b.example.", "ok"],
  },
  {
    name: "finds a DS record",
    answers: [at([NS1, NS2], true)],
    expected: ["problem The parent zone example. has a DS record", "ok"],
  },
] satisfies readonly { name: string; answers: ParentAnswer[]; own?: NameServer[]; expected: string[] }[]) {
  test(`judgeDelegation() ${name}`, () => {
    const findings = judge(answers, own);
    const texts = findings.map(({ state, says }) => `${state} ${says}`);
    assert.equal(texts.length, expected.length, texts.join("\n"));
    for (const [index, start] of expected.entries()) assert.ok(texts[index]!.startsWith(start), texts[index]!);
    for (const { state, fix } of findings) assert.equal(fix === "", state === "ok");
  });
}

test("judgeDelegation() tells what to enter at the registrar", () => {
  const [finding] = judge([{ kind: "not-delegated", server: "a.example.", rcode: "NXDOMAIN" }]);
  assert.equal(
    finding?.fix,
    "At the registrar of shop.example., enter the name servers ns1.shop.example. (192.0.2.53, 2001:db8::53) and ns2.shop.example. (198.51.100.53)",
  );
});

for (const { name, own, expected } of [
  { name: "is silent about two servers apart", own: [NS1, NS2], expected: [] },
  { name: "wants two", own: [NS1], expected: ["problem"] },
  { name: "wants any", own: [], expected: ["problem"] },
  { name: "wants addresses", own: [NS1, { ...FAR, addresses: [] }], expected: ["problem"] },
  {
    name: "warns of one /24",
    own: [
      { ...NS1, addresses: ["192.0.2.1"] },
      { ...NS2, addresses: ["192.0.2.2"] },
    ],
    expected: ["warning"],
  },
  {
    name: "warns of one /48",
    own: [
      { ...NS1, addresses: ["2001:db8:1::1"] },
      { ...NS2, addresses: ["2001:db8:1:2::1"] },
    ],
    expected: ["warning"],
  },
  {
    name: "tells /48 apart",
    own: [
      { ...NS1, addresses: ["2001:db8:1::1"] },
      { ...NS2, addresses: ["2001:db8::1"] },
    ],
    expected: [],
  },
] satisfies readonly { name: string; own: NameServer[]; expected: string[] }[]) {
  test(`judgeNameServers() ${name}`, () => {
    assert.deepEqual(
      judgeNameServers(APEX, own).map(({ state }) => state),
      expected,
    );
  });
}

const record = (owner: string, type: string, rdata: string) => ({ owner, type, rdata, ttlSeconds: 300 });
const response = (sections: Partial<Record<"answer" | "authority" | "additional", ReturnType<typeof record>[]>>) => ({
  id: 1,
  rcode: "NOERROR",
  flags: ["qr"],
  answer: [],
  authority: [],
  additional: [],
  edns: undefined,
  ...sections,
});
test("readDelegation() joins names and glue, whatever their case", () => {
  const referral = response({
    authority: [record("Shop.Example.", "NS", "NS1.shop.example."), record("example.", "NS", "a.example.")],
    additional: [record("ns1.SHOP.example.", "A", "192.0.2.53"), record("other.example.", "A", "192.0.2.9")],
  });
  assert.deepEqual(readDelegation(referral, APEX, "a.example.", false), {
    kind: "delegation",
    server: "a.example.",
    servers: [{ name: "ns1.shop.example.", addresses: ["192.0.2.53"] }],
    hasDs: false,
  });
});
test("readDelegation() tells the zone itself and a negative answer from a referral", () => {
  const own = response({ answer: [record(APEX, "NS", "ns1.shop.example.")] });
  assert.equal(readDelegation(own, APEX, "a.example.", false).kind, "same-server");
  const negative = response({ authority: [record("example.", "SOA", "a. b. 1 2 3 4 5")] });
  assert.equal(readDelegation(negative, APEX, "a.example.", false).kind, "not-delegated");
});

test("parseResolver() takes addresses with and without a port, and nothing else", () => {
  assert.equal(parseResolver("9.9.9.9"), "9.9.9.9:53");
  assert.equal(parseResolver("9.9.9.9:5353"), "9.9.9.9:5353");
  assert.equal(parseResolver("[2620:fe::fe]:53"), "[2620:fe::fe]:53");
  assert.equal(parseResolver("2620:fe::fe"), "[2620:fe::fe]:53");
  for (const wrong of ["dns.example", "9.9.9.9:0", "9.9.9.9:65536", "300.1.1.1", ""])
    assert.throws(() => parseResolver(wrong), /resolver/);
});
