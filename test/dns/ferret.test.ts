/**
 * The gate: what BIND, NSD, Knot and PowerDNS answered to 3,169 questions that were made to tell servers apart
 * (FerretDataset). We answer as all of them do, or as one of the groups where they differ.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { answerJsonLine, type JsonlAnswer } from "#app/answer-jsonl.ts";

type Expected = JsonlAnswer & { readonly servers: readonly string[] };
type Case = { readonly id: number; readonly expected: readonly Expected[] };

const folder = process.env["RHUMB_TEST_DATA"] ?? path.join(import.meta.dirname, "../../../shared/data");
const file = path.join(folder, "ferret.jsonl");
const isAbsent = !existsSync(file) && !process.env["CI"];
const CASES = 3_169;

/** Same records, whatever their order and case. */
const asSet = (records: readonly string[]): string =>
  records
    .map((record) => record.toLowerCase().replace(/\s+/g, " "))
    .sort()
    .join("\n");

const agrees = (ours: JsonlAnswer, theirs: Expected): boolean =>
  ours.rcode === theirs.rcode && ours.aa === theirs.aa && asSet(ours.answer) === asSet(theirs.answer);

test("answerJsonLine() answers all Ferret cases as the four servers do", {
  skip: isAbsent && `${file} is not here`,
}, (t) => {
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  assert.equal(lines.length, CASES);
  const wrong: string[] = [];
  let unanimous = 0;
  let negative = 0;
  let sections = 0;
  for (const line of lines) {
    const { id, expected } = JSON.parse(line) as Case;
    const ours = JSON.parse(answerJsonLine(line)) as JsonlAnswer;
    const match = expected.find((group) => agrees(ours, group));
    if (!match) {
      wrong.push(`case ${id}: ${line}\nours: ${JSON.stringify(ours)}`);
      continue;
    }
    if (expected.length === 1) unanimous++;
    // Beyond the gate: SOA of negative answers, NS and glue of referrals are the same as theirs.
    const isReferral = !match.aa;
    const isNegative = match.authority.some((record) => / SOA /.test(record));
    if (isReferral || isNegative) {
      negative++;
      if (asSet(ours.authority) === asSet(match.authority)) sections++;
    }
  }
  t.diagnostic(`${lines.length - wrong.length} of ${lines.length} agree, ${unanimous} of them unanimous`);
  t.diagnostic(`authority of ${sections} of ${negative} referrals and negative answers is the same`);
  assert.equal(wrong.length, 0, wrong.slice(0, 5).join("\n\n"));
  assert.equal(sections, negative);
});
