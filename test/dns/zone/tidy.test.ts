import assert from "node:assert/strict";
import test from "node:test";
import { parseName } from "#dns/wire/name.ts";
import { formatRecord } from "#dns/zone/format-record.ts";
import { parseZone } from "#dns/zone/parse.ts";
import { dropDuplicates, equaliseTtls, tidyRecords } from "#dns/zone/tidy.ts";

const recordsOf = (text: string) => parseZone(text, { file: "z", origin: parseName("ex.") as Uint8Array }).records;

test("dropDuplicates() keeps the first of each, in order, names compared without case", () => {
  const records = recordsOf("a 1 MX 1 x\nb 1 MX 1 x\nA 2 MX 1 X\na 1 MX 2 x\na 1 TXT x\na 1 TXT X\na 1 TXT x");
  assert.deepEqual([...dropDuplicates(records)].map(formatRecord), [
    "a.ex. 1 IN MX 1 x.ex.",
    "b.ex. 1 IN MX 1 x.ex.",
    "a.ex. 1 IN MX 2 x.ex.",
    'a.ex. 1 IN TXT "x"',
    'a.ex. 1 IN TXT "X"',
  ]);
});

test("dropDuplicates() compares both names of SOA and RP, and the name behind NAPTR's strings", () => {
  const records = recordsOf(
    '@ 1 SOA a b 1 2 3 4 5\n@ 1 SOA A B 1 2 3 4 5\n@ 1 RP a b\n@ 1 RP A B\n@ 1 NAPTR 1 1 "u" "A" "" a\n@ 1 NAPTR 1 1 "u" "A" "" A\n@ 1 NAPTR 1 1 "u" "a" "" a',
  );
  assert.deepEqual(
    [...dropDuplicates(records)].map(({ at }) => at.line),
    [1, 3, 5, 7],
  );
});

test("equaliseTtls() gives an RRset its lowest TTL, and leaves the records handed in alone", () => {
  const records = recordsOf("a 9 A 192.0.2.1\na 5 A 192.0.2.2\na 7 TXT x\nb 9 A 192.0.2.1\nA 6 A 192.0.2.3");
  assert.deepEqual(
    [...equaliseTtls(records)].map(({ ttlSeconds }) => ttlSeconds),
    [5, 5, 7, 9, 5],
  );
  assert.equal(records.ttlSeconds[0], 9);
});

test("tidyRecords() drops duplicates before their TTL can count", () => {
  const records = recordsOf("a 9 A 192.0.2.1\na 8 A 192.0.2.2\na 1 A 192.0.2.1");
  assert.deepEqual(
    [...tidyRecords(records)].map(({ ttlSeconds }) => ttlSeconds),
    [8, 8],
  );
});
