/** All types in all classes, and names as long as they get, for each kind of answer. */
import assert from "node:assert/strict";
import test from "node:test";
import { decodeMessage } from "#dns/wire/decode-message.ts";
import { encodeQuery } from "#dns/wire/encode-query.ts";
import { formatName } from "#dns/wire/name.ts";
import { TRANSPORT } from "#state/respond.ts";
import { answerOf, EXAMPLE, nameOf, serverOf } from "./ask.ts";

test("respond() answers all 65,536 types in six classes at names of all kinds", () => {
  const server = serverOf([EXAMPLE], { chaos: { version: "v", id: "i" } });
  const out = new Uint8Array(1_232);
  const rcodes = new Map<number, number>();
  const names = [
    "www.example.",
    "ent.example.",
    "x.wild.example.",
    "nowhere.example.",
    "alias.example.",
    "x.child.example.",
    "x.old.example.",
    "steered.example.",
  ];
  for (const name of names) {
    const query = encodeQuery(nameOf(name), 0);
    for (const qclass of [1, 3, 4, 254, 255, 0]) {
      query[query.length - 1] = qclass;
      for (let type = 0; type < 65_536; type++) {
        query[query.length - 4] = type >> 8;
        query[query.length - 3] = type & 0xff;
        const length = server.respond(query, query.length, server.client, out);
        assert.ok(length >= query.length, `${name} class ${qclass} type ${type}`);
        const rcode = out[3]! & 15;
        rcodes.set(rcode, (rcodes.get(rcode) ?? 0) + 1);
        // Decoding each would take a minute; the interesting ones are all below 300.
        if (type < 300 || type % 1_021 === 0) {
          assert.ok(typeof decodeMessage(out.subarray(0, length)) !== "number", `${name} class ${qclass} type ${type}`);
        }
      }
    }
  }
  assert.equal(server.count("handler_faults"), 0);
  assert.deepEqual(
    [...rcodes.keys()].sort(),
    [0, 1, 3, 4, 5],
    "NOERROR, FORMERR, NXDOMAIN, NOTIMP, REFUSED and nothing else",
  );
});

/** A name of exactly `octets` octets that ends in `suffix`. */
function longName(octets: number, suffix: string): Uint8Array {
  const tail = nameOf(suffix);
  const head: number[] = [];
  for (let left = octets - tail.length; left > 0; ) {
    let length = Math.min(63, left - 1);
    if (left - 1 - length === 1) length--; // a label takes two octets at least
    head.push(length, ...new Array<number>(length).fill(0x61));
    left -= 1 + length;
  }
  const name = Uint8Array.from([...head, ...tail]);
  assert.equal(name.length, octets);
  return name;
}

const KINDS = [
  { kind: "NXDOMAIN", suffix: "example.", type: 1, rcode: "NXDOMAIN" },
  { kind: "a wildcard", suffix: "wild.example.", type: 1, rcode: "NOERROR" },
  { kind: "a wildcard's NODATA", suffix: "wild.example.", type: 16, rcode: "NOERROR" },
  { kind: "a wildcard CNAME", suffix: "walias.example.", type: 1, rcode: "NOERROR" },
  { kind: "a steered wildcard", suffix: "anycast.example.", type: 28, rcode: "NOERROR" },
  { kind: "a referral", suffix: "child.example.", type: 1, rcode: "NOERROR" },
  { kind: "a DNAME of the same length", suffix: "old.example.", type: 1, rcode: "NXDOMAIN" },
  { kind: "a DNAME that makes it longer", suffix: "stretch.example.", type: 1, rcode: "YXDOMAIN" },
  { kind: "REFUSED", suffix: "elsewhere.", type: 1, rcode: "REFUSED" },
];
for (const { kind, suffix, type, rcode } of KINDS) {
  test(`respond() takes names of 253, 254 and 255 octets, and not of 256: ${kind}`, () => {
    const server = serverOf([`${EXAMPLE}stretch 300 DNAME much-longer.stretched.new\n`]);
    for (const octets of [253, 254, 255]) {
      const name = longName(octets, suffix);
      for (let round = 0; round < 2; round++) {
        const answer = answerOf(server.send(encodeQuery(name, type, { edns: {} }), { transport: TRANSPORT.tcp }));
        assert.equal(answer.rcode, rcode, `${octets} octets`);
        assert.deepEqual(answer.message.questions[0]!.name, name);
        if (answer.message.answer[0] && suffix !== "old.example." && suffix !== "stretch.example.") {
          assert.deepEqual(answer.message.answer[0].owner, name);
        }
      }
    }
    const tooLong = answerOf(server.send(encodeQuery(longName(256, suffix), type)));
    assert.deepEqual([tooLong.rcode, tooLong.octets.length], ["FORMERR", 12]);
    assert.equal(server.count("handler_faults"), 0);
  });
}

test("respond() serves a name of 255 octets, and 127 labels", () => {
  const labels = `${Array.from({ length: 123 }, () => "a").join(".")}.example.`;
  assert.equal(nameOf(labels).length, 255);
  const octets = formatName(longName(255, "example."));
  const server = serverOf([`${EXAMPLE}${labels} 60 A 192.0.2.1\n${octets} 60 CNAME ${labels}\n`]);
  assert.deepEqual(server.ask(labels, "A").answer, [`${labels} 60 A 192.0.2.1`]);
  assert.equal(server.ask(octets, "A").answer.length, 2);
  assert.equal(server.ask(labels.slice(4), "A").rcode, "NOERROR");
  assert.equal(server.ask(`b.${labels.slice(4)}`, "A").rcode, "NXDOMAIN");
});

test("respond() compares labels as octets: dots, NUL and 0xff in them, case of ASCII letters only", () => {
  const server = serverOf([`${EXAMPLE}a\\.b 60 A 192.0.2.1\n\\000 60 A 192.0.2.2\n\\228 60 A 192.0.2.3\n`]);
  assert.equal(server.ask("a\\.b.example.", "A").answer.length, 1);
  assert.equal(server.ask("a.b.example.", "A").rcode, "NXDOMAIN");
  assert.equal(server.ask("\\000.example.", "A").answer.length, 1);
  assert.equal(server.ask("\\228.example.", "A").answer.length, 1);
  assert.equal(server.ask("\\196.example.", "A").rcode, "NXDOMAIN", "Ä is not ä");
  assert.equal(server.ask("@ww.example.", "A").rcode, "NXDOMAIN", "@ is no letter, though 0x20 away from one");
});
