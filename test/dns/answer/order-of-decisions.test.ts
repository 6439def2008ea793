/** The order of decisions for one message, row by row. What is sent is what is written here, octet for octet. */
import assert from "node:assert/strict";
import test from "node:test";
import { OPTION } from "#dns/wire/edns.ts";
import { encodeQuery } from "#dns/wire/encode-query.ts";
import { TRANSPORT } from "#state/respond.ts";
import { answerOf, EXAMPLE, NOW_MS, nameOf, serverOf } from "./ask.ts";

const QUESTION = [...nameOf("www.example."), 0, 1, 0, 1];
const OPT = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
const optWith = (...options: number[]) => [
  0,
  0,
  41,
  4,
  208,
  0,
  0,
  0,
  0,
  options.length >> 8,
  options.length & 255,
  ...options,
];
const COOKIE_8 = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
/** Header with flags 0 unless given, then whatever follows. */
const packet = (counts: readonly [number, number, number, number], ...rest: (number | readonly number[])[]) =>
  Uint8Array.from([0xab, 0xcd, 0, 0, ...counts.flatMap((count) => [count >> 8, count & 255]), ...rest.flat()]);
const withFlags = (octets: Uint8Array, high: number, low = 0) => {
  const copy = octets.slice();
  copy[2] = high;
  copy[3] = low;
  return copy;
};
const good = packet([1, 0, 0, 1], QUESTION, OPT);
const server = () => serverOf([EXAMPLE]);

test("row 1: a query from UDP source port 0 gets nothing", () => {
  const { send, count } = server();
  assert.equal(send(good, { port: 0 }), undefined);
  assert.equal(count("dropped_port"), 1);
  assert.ok(send(good, { port: 0, transport: TRANSPORT.tcp }), "TCP has no such rule");
});

for (const port of [7, 13, 19, 37, 464]) {
  test(`row 2: no error response goes to port ${port}`, () => {
    const { send, count, steering } = server();
    assert.equal(send(packet([1, 0, 0, 0], 0xc0, 12, 0, 1, 0, 1), { port }), undefined, "FORMERR");
    assert.equal(send(encodeQuery(nameOf("www.elsewhere."), 1), { port }), undefined, "REFUSED");
    steering.throws = true;
    assert.equal(send(encodeQuery(nameOf("steered.example."), 1), { port }), undefined, "SERVFAIL after a fault");
    assert.equal(count("dropped_port"), 2);
    assert.equal(answerOf(send(good, { port })).rcode, "NOERROR");
  });
}

test("row 3: fewer than 12 octets get nothing", () => {
  const { send, count } = server();
  for (let length = 0; length < 12; length++) {
    assert.equal(send(good.slice(0, length)), undefined);
    assert.equal(send(good.slice(0, length), { transport: TRANSPORT.tcp }), undefined);
  }
  assert.equal(count("dropped_short"), 24);
});

test("row 4: a message with QR=1 gets nothing, whatever its opcode", () => {
  const { send, count } = server();
  for (let opcode = 0; opcode < 16; opcode++) {
    assert.equal(send(withFlags(good, 0x80 | (opcode << 3))), undefined);
    assert.equal(send(withFlags(good, 0x80 | (opcode << 3)), { transport: TRANSPORT.tcp }), undefined);
  }
  assert.equal(count("dropped_response"), 32);
});

test("row 5: every opcode but QUERY gets NOTIMP: header and OPT only, opcode copied, RD and CD cleared", () => {
  const { send } = server();
  for (let opcode = 1; opcode < 16; opcode++) {
    const { octets, message } = answerOf(send(withFlags(good, (opcode << 3) | 1, 0x10)));
    assert.deepEqual([...octets], [0xab, 0xcd, 0x80 | (opcode << 3), 4, 0, 0, 0, 0, 0, 0, 0, 1, ...OPT]);
    assert.equal(message.opcode, opcode);
    const plain = answerOf(send(withFlags(packet([1, 0, 0, 0], QUESTION), (opcode << 3) | 1)));
    assert.equal(plain.octets.length, 12);
    const torn = answerOf(send(withFlags(packet([1, 0, 0, 1], QUESTION, [0, 0, 41]), opcode << 3)));
    assert.equal(torn.octets.length, 12, "an OPT that did not parse is not answered");
  }
});

test("row 6: more than one question is FORMERR with at most the first of them", () => {
  const { octets, message, rcode } = answerOf(server().send(packet([2, 0, 0, 1], QUESTION, QUESTION, OPT)));
  assert.equal(rcode, "FORMERR");
  assert.equal(message.questions.length, 1);
  assert.ok(message.opt);
  assert.deepEqual([...octets.slice(12, 12 + QUESTION.length)], QUESTION);
});

test("row 7: no question is FORMERR, but with a COOKIE option it is NOERROR and a cookie", () => {
  const { send, guard } = server();
  assert.equal(answerOf(send(packet([0, 0, 0, 0]))).rcode, "FORMERR");
  assert.equal(answerOf(send(packet([0, 0, 0, 1], OPT))).rcode, "FORMERR");
  const { rcode, message, options } = answerOf(send(packet([0, 0, 0, 1], optWith(...COOKIE_8))));
  assert.equal(rcode, "NOERROR");
  assert.deepEqual([message.questions.length, message.answer.length, message.authority.length], [0, 0, 0]);
  assert.equal(options[0]!.code, OPTION.COOKIE);
  assert.equal(options[0]!.data.length, 24);
  guard.hasCookies = false;
  assert.equal(answerOf(send(packet([0, 0, 0, 1], optWith(...COOKIE_8)))).rcode, "FORMERR");
});

const LABEL_63 = [63, ...new Array<number>(63).fill(97)];
for (const { name, octets } of [
  { name: "a pointer", octets: [0xc0, 12, 0, 1, 0, 1] },
  { name: "a pointer behind a label", octets: [1, 97, 0xc0, 12, 0, 1, 0, 1] },
  { name: "label type 01", octets: [0x41, 0, 0, 1, 0, 1] },
  { name: "label type 10", octets: [0x81, 0, 0, 1, 0, 1] },
  {
    name: "256 octets",
    octets: [...LABEL_63, ...LABEL_63, ...LABEL_63, 62, ...new Array<number>(62).fill(97), 0, 0, 1, 0, 1],
  },
  { name: "a name that is cut off", octets: [3, 119, 119] },
  { name: "no type and class", octets: [3, 119, 119, 119, 0, 0, 1, 0] },
]) {
  test(`row 8: a question with ${name} is FORMERR without question`, () => {
    const answer = answerOf(server().send(packet([1, 0, 0, 0], octets)));
    assert.equal(answer.rcode, "FORMERR");
    assert.equal(answer.octets.length, 12);
  });
}

const ANY_RECORD = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4];
for (const { name, octets, hasOpt } of [
  { name: "a record that is cut off", octets: packet([1, 0, 0, 1], QUESTION, [0, 0, 1]), hasOpt: false },
  { name: "rdata that is cut off", octets: packet([1, 0, 0, 1], QUESTION, ANY_RECORD.slice(0, -1)), hasOpt: false },
  { name: "fewer records than counted", octets: packet([1, 0, 0, 2], QUESTION, OPT), hasOpt: true },
  {
    name: "an owner that points forward",
    octets: packet([1, 0, 1, 0], QUESTION, [0xc0, 200, ...ANY_RECORD.slice(2)]),
    hasOpt: false,
  },
  {
    name: "an owner that points to itself",
    octets: packet([1, 0, 1, 0], QUESTION, [0xc0, 29, ...ANY_RECORD.slice(2)]),
    hasOpt: false,
  },
  {
    name: "an owner that points into the header",
    octets: packet([1, 0, 1, 0], QUESTION, [0xc0, 4, ...ANY_RECORD.slice(2)]),
    hasOpt: false,
  },
  { name: "OPT in the answer section", octets: packet([1, 1, 0, 0], QUESTION, OPT), hasOpt: false },
  { name: "OPT in the authority section", octets: packet([1, 0, 1, 0], QUESTION, OPT), hasOpt: false },
  { name: "two OPT", octets: packet([1, 0, 0, 2], QUESTION, OPT, OPT), hasOpt: true },
  { name: "OPT with an owner", octets: packet([1, 0, 0, 1], QUESTION, 1, 97, OPT), hasOpt: false },
  {
    name: "an option behind the end of OPT",
    octets: packet([1, 0, 0, 1], QUESTION, optWith(0, 10, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8)),
    hasOpt: false,
  },
  { name: "half an option header", octets: packet([1, 0, 0, 1], QUESTION, optWith(0, 10, 0)), hasOpt: false },
]) {
  test(`row 9: ${name} is FORMERR`, () => {
    const answer = answerOf(server().send(octets));
    assert.equal(answer.rcode, "FORMERR");
    assert.equal(answer.message.opt !== undefined, hasOpt);
    assert.equal(answer.message.questions.length, 1);
    assert.equal(answer.aa, false);
  });
}
test("row 9: records that parse are of no consequence", () => {
  const answer = answerOf(server().send(packet([1, 1, 1, 2], QUESTION, ANY_RECORD, ANY_RECORD, ANY_RECORD, OPT)));
  assert.equal(answer.rcode, "NOERROR");
});

test("row 10: octets behind the counted records are FORMERR", () => {
  assert.equal(answerOf(server().send(packet([1, 0, 0, 1], QUESTION, OPT, 0))).rcode, "FORMERR");
  assert.equal(answerOf(server().send(packet([1, 0, 0, 0], QUESTION, OPT))).rcode, "FORMERR");
});

test("row 11: EDNS version 1 is BADVERS: version 0, DO copied, no options, no answer", () => {
  const opt = [0, 0, 41, 4, 208, 0, 1, 0xff, 0xff, 0, COOKIE_8.length, ...COOKIE_8];
  const answer = answerOf(server().send(packet([1, 0, 0, 1], QUESTION, opt)));
  assert.equal(answer.rcode, "BADVERS");
  assert.equal(answer.aa, false);
  assert.deepEqual(answer.answer, []);
  assert.deepEqual([...answer.octets.slice(-11)], [0, 0, 41, 4, 208, 1, 0, 0x80, 0, 0, 0]);
});

const TSIG_RDATA = [...nameOf("hmac-sha256."), 0, 0, 1, 2, 3, 4, 1, 44, 0, 2, 9, 9, 0xab, 0xcd, 0, 0, 0, 0];
const tsig = (rdata: readonly number[] = TSIG_RDATA, owner: readonly number[] = [3, 107, 101, 121, 0xc0, 16]) => [
  ...owner,
  0,
  250,
  0,
  255,
  0,
  0,
  0,
  0,
  0,
  rdata.length,
  ...rdata,
];
test("row 12: a TSIG is answered NOTAUTH with an unsigned TSIG that says BADKEY, behind OPT", () => {
  const { rcode, message } = answerOf(server().send(packet([1, 0, 0, 2], QUESTION, OPT, tsig())));
  assert.equal(rcode, "NOTAUTH");
  assert.deepEqual(
    message.additional.map((record) => record.type),
    [41, 250],
  );
  const record = message.additional[1]!;
  assert.deepEqual(record.owner, nameOf("key.example."), "the key as the query names it, pointer followed");
  assert.equal(record.class, 255);
  const seconds = NOW_MS / 1000;
  assert.deepEqual(
    [...record.rdata],
    [
      ...nameOf("hmac-sha256."),
      0,
      0,
      seconds >>> 24,
      (seconds >>> 16) & 255,
      (seconds >>> 8) & 255,
      seconds & 255,
      1,
      44,
      0,
      0,
      0xab,
      0xcd,
      0,
      17,
      0,
      0,
    ],
  );
});
for (const { name, octets } of [
  { name: "that is not the last record", octets: packet([1, 0, 0, 2], QUESTION, tsig(), OPT) },
  { name: "of which there are two", octets: packet([1, 0, 0, 2], QUESTION, tsig(), tsig()) },
  { name: "in the answer section", octets: packet([1, 1, 0, 0], QUESTION, tsig()) },
  { name: "whose MAC is longer than its rdata", octets: packet([1, 0, 0, 1], QUESTION, tsig(TSIG_RDATA.with(22, 99))) },
  { name: "whose rdata is cut off", octets: packet([1, 0, 0, 1], QUESTION, tsig(TSIG_RDATA.slice(0, -1))) },
  {
    name: "with a compressed algorithm",
    octets: packet([1, 0, 0, 1], QUESTION, tsig([0xc0, 12, ...TSIG_RDATA.slice(13)])),
  },
]) {
  test(`row 12: a TSIG ${name} is FORMERR`, () => assert.equal(answerOf(server().send(octets)).rcode, "FORMERR"));
}

test("row 13: QTYPE NXNAME is FORMERR with extended error 30", () => {
  const { rcode, ede } = server().ask("www.example.", 128);
  assert.deepEqual([rcode, ede], ["FORMERR", 30]);
});

test("row 14: meta types are NOTIMP, AXFR over UDP FORMERR, AXFR over TCP and IXFR REFUSED", () => {
  const bound = server();
  for (let type = 129; type < 255; type++) {
    const expected = type === 252 ? "FORMERR" : type === 251 ? "REFUSED" : "NOTIMP";
    assert.equal(bound.ask("example.", type).rcode, expected, `type ${type}`);
  }
  const tcp = { transport: TRANSPORT.tcp };
  assert.deepEqual(
    [bound.ask("example.", 252, {}, tcp).rcode, bound.ask("example.", 252, {}, tcp).ede],
    ["REFUSED", 18],
  );
  assert.equal(bound.ask("example.", 251, {}, tcp).rcode, "REFUSED");
});

test("row 15: QCLASS ANY is as IN; CH knows four names where configured; other classes are REFUSED", () => {
  const told = serverOf([EXAMPLE], { chaos: { version: "rhumb", id: "ns1" } });
  assert.deepEqual(told.ask("www.example.", "TXT", { class: 255 }).answer, ['www.example. 300 TXT "hello"']);
  assert.equal(told.ask("www.example.", "TXT", { class: 255 }).message.answer[0]!.class, 1);
  for (const [name, text] of [
    ["version.bind.", "rhumb"],
    ["VERSION.server.", "rhumb"],
    ["hostname.bind.", "ns1"],
    ["id.server.", "ns1"],
  ] as const) {
    const { rcode, answer, message } = told.ask(name, "TXT", { class: 3 });
    assert.equal(rcode, "NOERROR");
    assert.deepEqual(answer, [`${name} 0 TXT "${text}"`]);
    assert.equal(message.answer[0]!.class, 3);
    assert.equal(server().ask(name, "TXT", { class: 3 }).rcode, "REFUSED");
  }
  assert.equal(told.ask("version.bind.", "A", { class: 3 }).rcode, "REFUSED");
  assert.equal(told.ask("version.bind.", "TXT").rcode, "REFUSED", "in class IN it is a name like any other");
  for (const qclass of [0, 2, 3, 4, 254])
    assert.equal(told.ask("www.example.", "A", { class: qclass }).rcode, "REFUSED");
});

test("row 16: a name outside of all zones is REFUSED with extended error 20, AA=0, nothing else", () => {
  const { rcode, aa, ede, message } = server().ask("www.elsewhere.", "A");
  assert.deepEqual([rcode, aa, ede], ["REFUSED", false, 20]);
  assert.deepEqual([message.answer.length, message.authority.length, message.additional.length], [0, 0, 1]);
  assert.equal(server().ask("www.elsewhere.", "A", { edns: undefined }).message.additional.length, 0);
});
test("row 16: a zone that could not be loaded is SERVFAIL with extended error 14, also below a zone that was", () => {
  const broken = serverOf([EXAMPLE], { unloadableZones: [nameOf("broken."), nameOf("b.example.")] });
  for (const name of ["broken.", "x.broken.", "x.b.example."]) {
    const { rcode, aa, ede } = broken.ask(name, "A");
    assert.deepEqual([rcode, aa, ede], ["SERVFAIL", false, 14], name);
  }
  assert.equal(broken.ask("www.example.", "A").rcode, "NOERROR");
});

const CHILD = "$ORIGIN child.example.\n@ 60 SOA ns1 h 1 2 3 4 5\n@ 60 NS ns1\nns1 60 A 192.0.2.50\n";
test("row 17: DS at an apex is answered from the parent zone where that is served as well", () => {
  const both = serverOf([CHILD, EXAMPLE]);
  const { rcode, aa, answer } = both.ask("child.example.", "DS");
  assert.deepEqual([rcode, aa, answer.length], ["NOERROR", true, 1]);
  assert.match(answer[0]!, /^child\.example\. 300 DS 1 13 2 0{64}$/);
  assert.deepEqual(both.ask("child.example.", "SOA").answer, [
    "child.example. 60 SOA ns1.child.example. h.child.example. 1 2 3 4 5",
  ]);
  const alone = serverOf([CHILD]).ask("child.example.", "DS");
  assert.deepEqual([alone.rcode, alone.aa, alone.answer], ["NOERROR", true, []]);
  assert.match(alone.authority[0]!, /^child\.example\. 5 SOA/);
  const nested = serverOf([EXAMPLE, CHILD.replaceAll("child.example.", "unknown.example.")]);
  const unknown = nested.ask("unknown.example.", "DS");
  assert.equal(unknown.rcode, "NOERROR", "a parent without the delegation does not deny its child");
});

test("row 18: the first barrier from the apex down counts: cut, DNAME, node, wildcard, else NXDOMAIN", () => {
  const bound = server();
  assert.equal(bound.ask("x.ns1.child.example.", "A").aa, false, "below a cut");
  assert.equal(bound.ask("x.old.example.", "A").answer.length, 3, "below a DNAME");
  assert.equal(bound.ask("www.example.", "A").answer.length, 2, "a node");
  assert.equal(bound.ask("x.wild.example.", "A").answer.length, 1, "a wildcard");
  assert.equal(bound.ask("x.www.example.", "A").rcode, "NXDOMAIN");
});

test("row 19: what is too large for UDP is TC=1, NOERROR, question and OPT only", () => {
  const big = `${EXAMPLE}${Array.from({ length: 40 }, (_, n) => `big 300 TXT "${"x".repeat(60)}${n}"`).join("\n")}\n`;
  const bound = serverOf([big]);
  for (const edns of [undefined, {}, { payloadOctets: 65_535 }, { payloadOctets: 100 }]) {
    const { tc, rcode, octets, message } = bound.ask("big.example.", "TXT", { edns });
    assert.deepEqual([tc, rcode, message.answer.length], [true, "NOERROR", 0]);
    assert.equal(octets.length, 12 + nameOf("big.example.").length + 4 + (edns ? 11 : 0));
  }
  const tcp = bound.ask("big.example.", "TXT", {}, { transport: TRANSPORT.tcp });
  assert.deepEqual([tcp.tc, tcp.answer.length], [false, 40]);
});

test("always: ID, RD and CD copied, RA, AD and Z clear, the question octet for octet, OPT only if asked with one", () => {
  const { send } = server();
  const name = nameOf("wWw.eXaMpLe.");
  for (const [high, low] of [
    [0, 0],
    [1, 0x10],
    [1, 0xff],
    [0x07, 0x7f],
  ] as const) {
    const { octets, message } = answerOf(send(withFlags(packet([1, 0, 0, 0], [...name], 0, 16, 0, 1), high & 7, low)));
    assert.equal(message.id, 0xabcd);
    assert.deepEqual([message.isRd, message.isCd], [(high & 1) === 1, (low & 0x10) !== 0]);
    assert.deepEqual([message.isRa, message.isAd, octets[3]! & 0x40], [false, false, 0]);
    assert.deepEqual(octets.slice(12, 12 + name.length), name);
    assert.equal(message.opt, undefined);
  }
});
