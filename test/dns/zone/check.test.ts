import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { formatProblem } from "#base/problem.ts";
import { parseName } from "#dns/wire/name.ts";
import { checkZone } from "#dns/zone/check.ts";
import { MAX_RRSET_RECORDS } from "#dns/zone/check-nodes.ts";
import { parseZone } from "#dns/zone/parse.ts";
import { storeOf } from "#dns/zone/record-store.ts";

// What is wrong, and its sentence: the files of bad/. Here: what is right, and the borders between the two.
const APEX = parseName("example.net.") as Uint8Array;
const HEAD = "$TTL 3600\n@ SOA ns1 host 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.1\n";

function problemsOf(body: string, head = HEAD): string[] {
  const { records, problems } = parseZone(head + body, { file: "z", origin: APEX });
  assert.deepEqual(problems, []);
  return checkZone(records, APEX).map(formatProblem);
}

for (const { name, body } of [
  {
    name: "a CNAME with DNSSEC records beside it",
    body: "a CNAME ns1\na RRSIG CNAME 15 3 300 0 0 1 @ AQID\na NSEC b CNAME",
  },
  { name: "the same CNAME and SOA in another case as duplicates only", body: "" },
  {
    name: "as many records in an RRset as there may be",
    body: Array.from({ length: MAX_RRSET_RECORDS }, (_, i) => `a A 192.0.2.${i}`).join("\n"),
  },
  { name: "a DNAME at the apex of names outside, and NS beside it", body: "d DNAME x.example.\nd TXT x" },
  { name: "a name that only ends like the one with the DNAME", body: "d DNAME x.example.\nxd A 192.0.2.2" },
  {
    name: "a delegation with glue, DS, and an outside server",
    body: "s NS ns.s\ns NS ns.example.\ns DS 1 8 9 aa\nns.s A 192.0.2.2\nns.s AAAA ::1",
  },
  { name: "glue at the cut itself", body: "s NS s\ns A 192.0.2.2" },
  {
    name: "a delegation whose servers lie below another one that has glue",
    body: "a NS ns.b\nb NS ns.b\nns.b A 192.0.2.2\nc NS x.a",
  },
  {
    name: "STEER with other types, HTTPS without hints, and ALIAS at the apex",
    body: "w STEER web\nw TXT x\nw HTTPS 1 . alpn=h2\n@ ALIAS w\n@ HTTPS 1 w port=443",
  },
  {
    name: "an ALIAS through a CNAME, and one to a wildcard",
    body: "@ ALIAS c\nc CNAME w\nw STEER web\n*.x A 192.0.2.2\nd ALIAS y.x",
  },
  {
    name: "hints for a name that is not steered",
    body: "w STEER web\n@ HTTPS 1 . ipv4hint=192.0.2.1\nx HTTPS 1 ns1 ipv6hint=::1",
  },
  {
    name: "targets by wildcard and by DNAME, outside, and none",
    body: "*.m A 192.0.2.2\n@ MX 1 a.m\nd DNAME x.example.\n@ MX 2 y.d\n@ MX 3 m.example.\nn MX 0 .",
  },
  { name: "names with underscores, slashes and wildcards", body: "_a._tcp TXT x\n0/25 TXT x\n*.a TXT x" },
]) {
  test(`checkZone() says nothing about ${name}`, () => assert.deepEqual(problemsOf(body), []));
}

test("checkZone() says nothing about the sample zone but what is odd in it", () => {
  const { records } = parseZone(readFileSync(new URL("sample.zone", import.meta.url), "utf8"), {
    file: "sample.zone",
    origin: APEX,
  });
  const said = checkZone(records, APEX);
  assert.deepEqual(
    said.map(({ line, severity }) => `${line} ${severity}`),
    ["58 warning", "59 warning"],
  );
});

test("checkZone() takes duplicates in another case for duplicates", () => {
  const said = problemsOf("@ SOA NS1 Host 1 2 3 4 5\nw CNAME Ns1\nW CNAME nS1\nw TXT x\nx TXT x\nx TXT X");
  assert.deepEqual(
    said.map((line) => line.split(" (")[0]),
    [
      "z:5:1: warning: example.net. SOA stands twice with the same data; once is served",
      "z:6:1: w.example.net. has CNAME and TXT records",
      "z:7:1: warning: w.example.net. CNAME stands twice with the same data; once is served",
    ],
  );
});

test("checkZone() takes octets inside a label for what they are", () => {
  // "a\003com" ends in the octets of "com." but is not below it.
  const apex = parseName("com.") as Uint8Array;
  const { records } = parseZone("com. 60 SOA a. b. 1 2 3 4 5\ncom. 60 NS a.\nx\\003com. 60 TXT x", { file: "z" });
  assert.deepEqual(
    checkZone(records, apex).map(({ severity, line }) => `${severity} ${line}`),
    ["error 3"],
  );
});

test("checkZone() blames line 1 of the file when there are no records", () => {
  assert.deepEqual(
    checkZone(storeOf([]), APEX, "empty.zone").map(({ file, line }) => `${file}:${line}`),
    ["empty.zone:1", "empty.zone:1"],
  );
});

test("checkZone() works for the root", () => {
  const root = new Uint8Array(1);
  const { records } = parseZone(". 60 SOA a. b. 1 2 3 4 5\n. 60 NS a.\na. 60 A 192.0.2.1\ncom. 60 NS a.com.", {
    file: "z",
  });
  assert.equal(
    checkZone(records, root).map(formatProblem).join(),
    "z:4:1: warning: The name server a.com. lies below its own delegation and has no address here (Add its A or AAAA record (glue): nobody can find it otherwise)",
  );
});

test("checkZone() lists a thousand errors and a thousand warnings, and counts the others", () => {
  const outside = Array.from({ length: 1_500 }, (_, index) => `o${index}.example. TXT x\n`).join("");
  const odd = Array.from({ length: 1_001 }, (_, index) => `a${index}\\@ TXT x\n`).join("");
  const said = problemsOf(outside + odd);
  assert.equal(said.length, 2_002);
  assert.match(said[999]!, /^z:1004:1: o999\.example\. TXT lies outside/);
  assert.deepEqual(said.slice(-2), [
    "z:1:1: There are 500 more errors like these in the zone (Mend the first ones and check again)",
    "z:1:1: warning: There are 1 more warnings like these in the zone (Mend the first ones and check again)",
  ]);
});
