/** The line format of bulk answers; what is answered, `test/dns/` says. */
import assert from "node:assert/strict";
import test from "node:test";
import { answerJsonLine } from "#app/answer-jsonl.ts";

const ZONE = 'z. 60 IN SOA ns h 1 2 3 4 5\nz. 60 IN NS ns\nns.z. 60 IN A 192.0.2.1\nw 60 IN TXT "a b"\n';
const answer = (zone: unknown, query: unknown) => JSON.parse(answerJsonLine(JSON.stringify({ zone, query })));

test("answerJsonLine() gives records as text", () => {
  assert.deepEqual(answer(ZONE, { Name: "ns.z.", Type: "A" }), {
    rcode: "NOERROR",
    aa: true,
    answer: ["ns.z. 60 IN A 192.0.2.1"],
    authority: [],
    additional: [],
  });
  assert.deepEqual(answer(ZONE, { Name: "w.z", Type: "txt" }).answer, ['w.z. 60 IN TXT "a b"']);
  assert.deepEqual(answer(ZONE, { Name: "x.z.", Type: "A" }), {
    rcode: "NXDOMAIN",
    aa: true,
    answer: [],
    authority: ["z. 5 IN SOA ns.z. h.z. 1 2 3 4 5"],
    additional: [],
  });
});

test("answerJsonLine() cuts nothing off", () => {
  const many = Array.from({ length: 90 }, (_, index) => `m.z. 60 IN TXT "${"x".repeat(200)}${index}"`).join("\n");
  assert.equal(answer(`${ZONE}${many}\n`, { Name: "m.z.", Type: "TXT" }).answer.length, 90);
});

test("answerJsonLine() answers for a zone that is refused as for one that cannot be loaded, and says why", () => {
  const { rcode, aa, problems } = answer(`${ZONE}ns.z. 60 IN CNAME w.z.\n`, { Name: "ns.z.", Type: "A" });
  assert.deepEqual([rcode, aa], ["SERVFAIL", false]);
  assert.match(problems[0], /^zone:\d+:\d+: .+CNAME/);
  assert.equal(answer("w.z. 60 IN A 192.0.2.1\n", { Name: "w.z.", Type: "A" }).rcode, "SERVFAIL");
});

test("answerJsonLine() says what is wrong with a line", () => {
  assert.match(JSON.parse(answerJsonLine("{")).error, /no JSON/);
  assert.match(JSON.parse(answerJsonLine("null")).error, /must look like/);
  assert.match(answer(ZONE, { Name: "w.z." }).error, /must look like/);
  assert.match(answer(ZONE, { Name: "w..z.", Type: "A" }).error, /Cannot ask/);
  assert.match(answer(ZONE, { Name: "w.z.", Type: "NOPE" }).error, /Cannot ask/);
});
