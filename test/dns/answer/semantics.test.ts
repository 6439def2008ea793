/** What a zone answers: RFC 1034 §4.3.2 and what was added to it since. */
import assert from "node:assert/strict";
import test from "node:test";
import { TRANSPORT } from "#state/respond.ts";
import { EXAMPLE, serverOf } from "./ask.ts";

const SOA = "example. 60 SOA ns1.example. hostmaster.example. 7 3600 600 86400 60";
const WWW = ["www.example. 300 A 192.0.2.10", "www.example. 300 A 192.0.2.11"];
type Case = {
  readonly name: string;
  readonly ask: readonly [name: string, type: string];
  readonly rcode?: string;
  readonly aa?: boolean;
  readonly answer?: readonly string[];
  readonly authority?: readonly string[];
  readonly additional?: readonly string[];
};
const CHILD_NS = [
  "child.example. 300 NS ns1.child.example.",
  "child.example. 300 NS ns.sibling.example.",
  "child.example. 300 NS ns1.example.",
  "child.example. 300 NS ns.elsewhere.test.",
];
const CHILD_GLUE = [
  "ns1.child.example. 300 A 192.0.2.50",
  "ns1.child.example. 300 AAAA 2001:db8::50",
  "ns.sibling.example. 300 A 192.0.2.60",
  "ns1.example. 300 A 192.0.2.1",
  "ns1.example. 300 AAAA 2001:db8::1",
];
const DS = `child.example. 300 DS 1 13 2 ${"0".repeat(64)}`;
const referral = { aa: false, authority: CHILD_NS, additional: CHILD_GLUE } as const;
const nodata = { authority: [SOA] } as const;
const nxdomain = { rcode: "NXDOMAIN", authority: [SOA] } as const;
const LOOPS = ["loop1.example. 300 CNAME loop2.example.", "loop2.example. 300 CNAME loop1.example."];

const CASES: readonly Case[] = [
  { name: "a name that exists", ask: ["www.example.", "A"], answer: WWW },
  {
    name: "the question's case is no matter",
    ask: ["WwW.ExAmPlE.", "A"],
    answer: WWW.map((r) => r.replace("www.example.", "WwW.ExAmPlE.")),
  },
  { name: "SOA at the apex with its own TTL", ask: ["example.", "SOA"], answer: [SOA.replace(" 60 SOA", " 3600 SOA")] },
  { name: "NS at the apex, nothing else", ask: ["example.", "NS"], answer: ["example. 3600 NS ns1.example."] },
  {
    name: "MX without additional records",
    ask: ["mail.example.", "MX"],
    answer: ["mail.example. 300 MX 10 mx1.example.", "mail.example. 300 MX 20 mx2.elsewhere.test."],
  },
  {
    name: "unknown types untouched",
    ask: ["odd.example.", "TYPE65280"],
    answer: ["odd.example. 300 TYPE65280 \\# 3 010203"],
  },
  { name: "NODATA with the SOA's MINIMUM as TTL", ask: ["www.example.", "AAAA"], ...nodata },
  { name: "NODATA for an unknown type", ask: ["www.example.", "TYPE65535"], ...nodata },
  { name: "NXDOMAIN with the SOA's MINIMUM as TTL", ask: ["nowhere.example.", "A"], ...nxdomain },
  { name: "an empty non-terminal is NODATA", ask: ["ent.example.", "A"], ...nodata },
  { name: "below an empty non-terminal is NXDOMAIN", ask: ["x.ent.example.", "A"], ...nxdomain },
  { name: "a wildcard", ask: ["x.y.wild.example.", "A"], answer: ["x.y.wild.example. 300 A 192.0.2.40"] },
  {
    name: "a wildcard's other type",
    ask: ["x.wild.example.", "MX"],
    answer: ["x.wild.example. 300 MX 5 mx1.example."],
  },
  { name: "a wildcard without the type is NODATA", ask: ["x.wild.example.", "TXT"], ...nodata },
  { name: "the wildcard itself", ask: ["*.wild.example.", "A"], answer: ["*.wild.example. 300 A 192.0.2.40"] },
  { name: "below the wildcard itself", ask: ["x.*.wild.example.", "A"], ...nxdomain },
  { name: "the wildcard's parent is no match", ask: ["wild.example.", "A"], ...nodata },
  { name: "an empty non-terminal below blocks the wildcard", ask: ["x.ent.wild.example.", "A"], ...nxdomain },
  { name: "and is NODATA itself", ask: ["ent.wild.example.", "A"], ...nodata },
  {
    name: "a wildcard CNAME",
    ask: ["x.walias.example.", "A"],
    answer: ["x.walias.example. 300 CNAME www.example.", ...WWW],
  },
  { name: "a CNAME", ask: ["alias.example.", "A"], answer: ["alias.example. 300 CNAME www.example.", ...WWW] },
  {
    name: "a CNAME to a CNAME",
    ask: ["alias2.example.", "TXT"],
    answer: [
      "alias2.example. 300 CNAME alias.example.",
      "alias.example. 300 CNAME www.example.",
      'www.example. 300 TXT "hello"',
    ],
  },
  {
    name: "a CNAME asked for by type",
    ask: ["alias2.example.", "CNAME"],
    answer: ["alias2.example. 300 CNAME alias.example."],
  },
  {
    name: "a CNAME whose target lacks the type",
    ask: ["alias.example.", "MX"],
    answer: ["alias.example. 300 CNAME www.example."],
    ...nodata,
  },
  {
    name: "a CNAME out of the zone",
    ask: ["away.example.", "A"],
    answer: ["away.example. 300 CNAME www.elsewhere.test."],
  },
  {
    name: "a CNAME to no name: RCODE of the last step",
    ask: ["dangling.example.", "A"],
    answer: ["dangling.example. 300 CNAME nowhere.example."],
    ...nxdomain,
  },
  { name: "a CNAME loop: what there is of it", ask: ["loop1.example.", "A"], answer: LOOPS },
  { name: "a CNAME to itself", ask: ["self.example.", "A"], answer: ["self.example. 300 CNAME self.example."] },
  {
    name: "a CNAME into a delegation: AA is about the first name",
    ask: ["to-child.example.", "A"],
    answer: ["to-child.example. 300 CNAME host.child.example."],
    authority: CHILD_NS,
    additional: CHILD_GLUE,
  },
  { name: "a referral at the cut", ask: ["child.example.", "A"], ...referral },
  { name: "a referral below the cut", ask: ["a.b.child.example.", "TXT"], ...referral },
  { name: "a referral for glue", ask: ["ns1.child.example.", "A"], ...referral },
  { name: "DS at the cut is the parent's", ask: ["child.example.", "DS"], answer: [DS] },
  { name: "DS at a cut without DS is NODATA", ask: ["sibling.example.", "DS"], ...nodata },
  { name: "DS below the cut is not", ask: ["x.child.example.", "DS"], ...referral },
  {
    name: "a DNAME with the CNAME made for it",
    ask: ["x.old.example.", "A"],
    answer: [
      "old.example. 300 DNAME new.example.",
      "x.old.example. 300 CNAME x.new.example.",
      "x.new.example. 300 A 192.0.2.70",
    ],
  },
  {
    name: "a DNAME to no name",
    ask: ["y.old.example.", "A"],
    answer: ["old.example. 300 DNAME new.example.", "y.old.example. 300 CNAME y.new.example."],
    ...nxdomain,
  },
  {
    name: "the made-up CNAME asked for by type",
    ask: ["x.old.example.", "CNAME"],
    answer: ["old.example. 300 DNAME new.example.", "x.old.example. 300 CNAME x.new.example."],
  },
  { name: "the DNAME's owner is not redirected", ask: ["old.example.", "A"], ...nodata },
  { name: "the DNAME by type", ask: ["old.example.", "DNAME"], answer: ["old.example. 300 DNAME new.example."] },
  { name: "ANY: one RRset of the name", ask: ["www.example.", "ANY"], answer: WWW },
  {
    name: "ANY at a CNAME: the CNAME",
    ask: ["alias.example.", "ANY"],
    answer: ["alias.example. 300 CNAME www.example."],
  },
  { name: "ANY at no name", ask: ["nowhere.example.", "ANY"], ...nxdomain },
  { name: "ANY at an empty non-terminal", ask: ["ent.example.", "ANY"], ...nodata },
  { name: "ANY at a steered name", ask: ["steered.example.", "ANY"], answer: ["steered.example. 27 A 198.51.100.1"] },
  { name: "a steered A", ask: ["steered.example.", "A"], answer: ["steered.example. 27 A 198.51.100.1"] },
  { name: "a steered AAAA", ask: ["steered.example.", "AAAA"], answer: ["steered.example. 27 AAAA 2001:db8::9"] },
  {
    name: "several steered addresses",
    ask: ["pair.example.", "A"],
    answer: ["pair.example. 27 A 198.51.100.1", "pair.example. 27 A 198.51.100.2"],
  },
  { name: "AAAA of a service without IPv6 is NODATA", ask: ["v4only.example.", "AAAA"], ...nodata },
  { name: "other types of a steered name are NODATA", ask: ["steered.example.", "TXT"], ...nodata },
  {
    name: "a steered wildcard",
    ask: ["a.b.anycast.example.", "A"],
    answer: ["a.b.anycast.example. 27 A 198.51.100.1"],
  },
  {
    name: "a CNAME to a steered name",
    ask: ["to-steered.example.", "AAAA"],
    answer: ["to-steered.example. 300 CNAME steered.example.", "steered.example. 27 AAAA 2001:db8::9"],
  },
  {
    name: "a service without addresses: NODATA for at most ttl.min",
    ask: ["empty.example.", "A"],
    authority: [SOA.replace(" 60 ", " 15 ")],
  },
  {
    name: "and so behind a CNAME",
    ask: ["to-empty.example.", "A"],
    answer: ["to-empty.example. 300 CNAME empty.example."],
    authority: [SOA.replace(" 60 ", " 15 ")],
  },
  { name: "a service that cannot answer", ask: ["sick.example.", "A"], rcode: "SERVFAIL", aa: false },
  { name: "a service that is not there", ask: ["lost.example.", "A"], rcode: "SERVFAIL", aa: false },
  {
    name: "an ALIAS: the target's records under its own name, the lower TTL",
    ask: ["apexlike.example.", "A"],
    answer: WWW.map((r) => r.replace("www.example. 300", "apexlike.example. 120")),
  },
  { name: "an ALIAS whose target lacks the type", ask: ["apexlike.example.", "AAAA"], ...nodata },
  {
    name: "other types beside an ALIAS",
    ask: ["apexlike.example.", "TXT"],
    answer: ['apexlike.example. 120 TXT "alias"'],
  },
  {
    name: "an ALIAS of a steered name",
    ask: ["alias-steered.example.", "A"],
    answer: ["alias-steered.example. 27 A 198.51.100.1"],
  },
  { name: "an ALIAS of nothing", ask: ["alias-nowhere.example.", "A"], ...nodata },
];

for (const { name, ask, rcode = "NOERROR", aa = true, answer = [], authority = [], additional = [] } of CASES) {
  test(`respond() ${name}: ${ask.join(" ")}`, () => {
    const server = serverOf([EXAMPLE]);
    // Twice: walked and compiled, then copied. Once more without EDNS.
    for (const options of [{}, {}, { edns: undefined }]) {
      const got = server.ask(ask[0], ask[1], options, { transport: TRANSPORT.tcp });
      assert.deepEqual(
        {
          rcode: got.rcode,
          aa: got.aa,
          tc: got.tc,
          answer: got.answer,
          authority: got.authority,
          additional: got.additional,
        },
        { rcode, aa, tc: false, answer, authority, additional },
      );
    }
  });
}

test("respond() prefers the closest of several zones", () => {
  const server = serverOf([
    EXAMPLE,
    "child.example. 60 SOA ns1 h 1 2 3 4 5\nchild.example. 60 NS ns1\na.child.example. 60 A 192.0.2.99\n",
  ]);
  assert.deepEqual(server.ask("a.child.example.", "A").answer, ["a.child.example. 60 A 192.0.2.99"]);
  const chain = server.ask("to-child.example.", "A");
  assert.deepEqual(
    [chain.rcode, chain.aa, chain.authority],
    ["NOERROR", true, []],
    "chains end where another zone begins",
  );
});

test("respond() serves a root zone", () => {
  const server = serverOf([
    ". 60 SOA a.root b.root 1 2 3 4 5\n. 60 NS a.root\na.root. 60 A 192.0.2.1\ntest. 60 NS ns.test.\nns.test. 60 A 192.0.2.2\n",
  ]);
  assert.deepEqual(server.ask(".", "SOA").answer, [". 60 SOA a.root. b.root. 1 2 3 4 5"]);
  assert.deepEqual(server.ask("nowhere.", "A").authority, [". 5 SOA a.root. b.root. 1 2 3 4 5"]);
  assert.deepEqual(server.ask("x.test.", "A").authority, ["test. 60 NS ns.test."]);
});

test("respond() follows at most 16 CNAMEs", () => {
  const links = Array.from({ length: 10_000 }, (_, n) => `c${n} 60 CNAME c${n + 1}`).join("\n");
  const server = serverOf([`${EXAMPLE}${links}\nc10000 60 A 192.0.2.1\n`]);
  for (let round = 0; round < 2; round++) {
    const { rcode, answer } = server.ask("c0.example.", "A");
    assert.deepEqual([rcode, answer.length, answer.at(-1)], ["NOERROR", 16, "c15.example. 60 CNAME c16.example."]);
  }
  assert.equal(server.ask("c9990.example.", "A").answer.length, 11);
});

test("respond() ends DNAMEs that lead to themselves or to each other", () => {
  const server = serverOf([
    `${EXAMPLE}d1 60 DNAME d2\nd2 60 DNAME d1\ngrow 60 DNAME a.grow\nme 60 DNAME me\nshrink 60 DNAME example.\n`,
  ]);
  assert.equal(server.ask("x.d1.example.", "A").answer.length, 4);
  assert.equal(server.ask("x.grow.example.", "A").answer.length, 2);
  assert.equal(server.ask("x.me.example.", "A").answer.length, 2);
  const { rcode, answer } = server.ask("www.shrink.shrink.example.", "A");
  assert.equal(rcode, "NOERROR");
  assert.deepEqual(answer.slice(-2), WWW, "the same DNAME twice is no loop while the name gets shorter");
});

test("respond() says YXDOMAIN when a DNAME makes the name too long", () => {
  const long = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}`;
  const server = serverOf([`${EXAMPLE}old2 300 DNAME ${long}\n`]);
  const { rcode, aa, answer } = server.ask(`${"x".repeat(60)}.old2.example.`, "A");
  assert.deepEqual([rcode, aa, answer.length], ["YXDOMAIN", true, 1]);
  assert.equal(server.ask("x.old2.example.", "A").answer.length, 2);
});

test("respond() puts all glue below the cut into a referral or says TC, and leaves other glue out first", () => {
  const below = Array.from(
    { length: 9 },
    (_, n) => `deep 60 NS n${n}.deep\nn${n}.deep 60 A 192.0.2.${n}\nn${n}.deep 60 AAAA 2001:db8::${n}\n`,
  );
  const beside = Array.from(
    { length: 9 },
    (_, n) => `wide 60 NS w${n}\nw${n} 60 A 192.0.2.${n}\nw${n} 60 AAAA 2001:db8::${n}\n`,
  );
  const inside = `wide 60 NS in.wide\nin.wide 60 A 192.0.2.99\n`;
  const server = serverOf([EXAMPLE + below.join("") + beside.join("") + inside]);
  for (let round = 0; round < 2; round++) {
    const cut = server.ask("x.deep.example.", "A", { edns: { payloadOctets: 512 } });
    assert.deepEqual([cut.tc, cut.authority.length], [true, 0]);
    const whole = server.ask("x.deep.example.", "A", { edns: { payloadOctets: 1232 } });
    assert.deepEqual([whole.tc, whole.authority.length, whole.additional.length], [false, 9, 18]);
    const wide = server.ask(`${"y".repeat(63)}.wide.example.`, "A", { edns: undefined });
    assert.deepEqual(
      [wide.tc, wide.authority.length, wide.additional],
      [false, 10, ["in.wide.example. 60 A 192.0.2.99"]],
    );
    assert.equal(server.ask("x.wide.example.", "A").additional.length, 19);
  }
});

test("respond() leaves other glue out where it is OPT that has no room", () => {
  const beside = Array.from({ length: 14 }, (_, n) => `wide 60 NS w${n}\nw${n} 60 A 192.0.2.${n}\n`).join("");
  const server = serverOf([EXAMPLE + beside]);
  const { octets } = server.ask("x.wide.example.", "A");
  for (let short = 0; short <= 11; short++) {
    const label = "z".repeat(1 + 512 + short - octets.length);
    const { tc, authority, additional } = server.ask(`${label}.wide.example.`, "A", { edns: { payloadOctets: 512 } });
    assert.deepEqual([tc, authority.length, additional.length], [false, 14, short === 0 ? 14 : 0], `${short} too many`);
  }
});

test("respond() asks again about DS at the end of a chain that it knows to end in a referral", () => {
  const server = serverOf([`${EXAMPLE}to-cut 300 CNAME child\n`]);
  for (let round = 0; round < 2; round++) assert.deepEqual(server.ask("to-cut.example.", "A").authority, CHILD_NS);
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(server.ask("to-cut.example.", "DS").answer, ["to-cut.example. 300 CNAME child.example.", DS]);
  }
});

test("respond() never gives the addresses of a service as glue", () => {
  const server = serverOf([`${EXAMPLE}sub 60 NS steered\nsub 60 NS ns1\n`]);
  const { additional } = server.ask("x.sub.example.", "A");
  assert.deepEqual(additional, CHILD_GLUE.slice(3));
  assert.equal(server.steering.asked.length, 0);
});

test("respond() compresses names of RFC 1035 types and leaves others alone", () => {
  const server = serverOf([EXAMPLE]);
  const mx = server.ask("mail.example.", "MX").octets;
  const srv = server.ask("srv.example.", "SRV").octets;
  const written = (octets: Uint8Array, text: string) => Buffer.from(octets).toString("latin1").split(text).length - 1;
  assert.equal(written(mx, "\x07example\x00"), 1, "the question's own");
  assert.equal(written(srv, "\x03mx1\x07example\x00"), 1, "a SRV target in full");
});

test("respond() refuses to serve zones of different hash seeds", async () => {
  const { zoneOf } = await import("./ask.ts");
  assert.throws(() => serverOf([zoneOf(EXAMPLE, 1), zoneOf("other. SOA a b 1 2 3 4 5\nother. NS a\n", 2)]), {
    code: "RHUMB_DNS_MIXED_SEEDS",
  });
});
