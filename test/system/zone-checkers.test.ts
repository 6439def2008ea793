// biome-ignore-all lint/suspicious/noTemplateCurlyInString: $GENERATE writes its templates like that
/**
 * Master files as BIND and NSD read them: the same records as we do, octet for octet.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { formatName, parseName } from "#dns/wire/name.ts";
import { typeText } from "#dns/wire/types.ts";
import { checkZone } from "#dns/zone/check.ts";
import { formatRecord } from "#dns/zone/format-record.ts";
import { type ParsedZone, parseZone } from "#dns/zone/parse.ts";

const APEX = parseName("example.net.") as Uint8Array;
const SAMPLE = join(import.meta.dirname, "../dns/zone/sample.zone");

const findTool = (tool: string): string | undefined =>
  ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"].map((folder) => join(folder, tool)).find(existsSync);

/** Why a test is skipped, or false. In CI nothing is. */
const without = (tool: string): string | false => !findTool(tool) && !process.env["CI"] && `${tool} is not installed`;

function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-zone-"));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** What BIND makes of a file: one record a line, sorted, names absolute. */
function compile(file: string): string {
  const lenient = ["-i", "none", "-k", "ignore", "-n", "ignore", "-m", "ignore", "-r", "ignore", "-S", "ignore"];
  const tool = findTool("named-compilezone")!;
  return execFileSync(
    tool,
    [...lenient, "-q", "-f", "text", "-F", "text", "-s", "full", "-o", "-", "example.net", file],
    {
      encoding: "utf8",
    },
  );
}

function parseGood(text: string): ParsedZone {
  const parsed = parseZone(text, { file: "sample.zone", origin: APEX });
  assert.deepEqual(parsed.problems, []);
  return parsed;
}

const sortedLines = ({ records }: ParsedZone): string[] => [...records].map(formatRecord).sort();

test("parseZone() reads the records that named-compilezone reads", { skip: without("named-compilezone") }, () => {
  assert.deepEqual(sortedLines(parseGood(compile(SAMPLE))), sortedLines(parseGood(readFileSync(SAMPLE, "utf8"))));
});

test("parseZone() makes the octets that named-compilezone makes", { skip: without("named-compilezone") }, (context) => {
  // All records in the generic form: BIND reads the octets back as text, and must get the same text as from the file.
  const { records } = parseGood(readFileSync(SAMPLE, "utf8"));
  const generic = [...records].map(
    ({ owner, ttlSeconds, type, rdata }) =>
      `${formatName(owner)} ${ttlSeconds} IN ${typeText(type)} \\# ${rdata.length} ${rdata.toHex()}`,
  );
  const file = join(temporaryFolder(context), "generic.zone");
  writeFileSync(file, `${generic.join("\n")}\n`);
  assert.equal(compile(file), compile(SAMPLE));
});

for (const tool of ["named-compilezone", "nsd-checkzone"]) {
  test(`formatRecord() writes what ${tool} takes`, { skip: without(tool) }, (context) => {
    const lines = [...parseGood(readFileSync(SAMPLE, "utf8")).records].map(formatRecord);
    const file = join(temporaryFolder(context), "formatted.zone");
    writeFileSync(file, `${lines.join("\n")}\n`);
    if (tool === "named-compilezone") assert.equal(compile(file), compile(SAMPLE));
    else execFileSync(findTool(tool)!, ["example.net", file]);
  });
}

// In all bases. BIND forgets the quotes of a template; we keep them, so there are none here.
test("parseZone() generates what named-compilezone generates", { skip: without("named-compilezone") }, (context) => {
  const head = "$ORIGIN example.net.\n$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a.example.org.\n";
  const templates = [
    "0-40/13 d${2,3,d} A 192.0.2.$",
    "0-300/77 ${0,7,n}.n PTR ${0,3,N}.x$$",
    "9-17 ${-9,2,o}${0,0,X}${1,5,x} TXT a$",
  ];
  const text = `${head}${templates.map((template) => `$GENERATE ${template}\n`).join("")}`;
  const file = join(temporaryFolder(context), "generate.zone");
  writeFileSync(file, text);
  assert.deepEqual(sortedLines(parseGood(compile(file))), sortedLines(parseGood(text)));
});

for (const { name, body } of [
  { name: "CNAME beside data", body: "www CNAME a\nwww A 192.0.2.1" },
  { name: "two CNAMEs", body: "www CNAME a\nwww CNAME b" },
  { name: "two DNAMEs", body: "www DNAME a\nwww DNAME b" },
  { name: "a second SOA", body: "@ SOA a b 2 2 3 4 5" },
  { name: "a bad address", body: "www A 192.0.2.256" },
  { name: "an empty label", body: "a..b A 192.0.2.1" },
  { name: "an open parenthesis", body: "a A ( 192.0.2.1" },
  { name: "an open quote", body: 'a TXT "x' },
  { name: "a string that is too long", body: `a TXT ${"x".repeat(256)}` },
  { name: "another class", body: "a CH TXT x" },
  { name: "an unknown type", body: "a BOGUS x" },
  { name: "a type of questions", body: "a ANY x" },
  { name: "SVCB without what is mandatory", body: "a SVCB 1 . mandatory=port" },
  { name: "a generic length that does not fit", body: "a TYPE700 \\# 3 aabb" },
]) {
  test(`parseZone() or checkZone() refuses ${name}, as BIND does`, {
    skip: without("named-compilezone"),
  }, (context) => {
    const text = `$ORIGIN example.net.\n$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a.example.org.\n${body}\n`;
    const file = join(temporaryFolder(context), "bad.zone");
    writeFileSync(file, text);
    assert.throws(() => compile(file), { status: 1 });
    const { records, problems } = parseZone(text, { file, origin: APEX });
    const errors = [...problems, ...checkZone(records, APEX)].filter(({ severity }) => severity === "error");
    assert.ok(errors.length > 0);
  });
}
