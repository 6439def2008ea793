// biome-ignore-all lint/suspicious/noTemplateCurlyInString: $GENERATE writes its templates like that
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import test from "node:test";
import fc from "fast-check";
import { formatProblem, hasErrors } from "#base/problem.ts";
import { createSeededRng } from "#base/rng.ts";
import { formatName, parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import { checkZone } from "#dns/zone/check.ts";
import { formatRecord } from "#dns/zone/format-record.ts";
import { parseZone, STEER_TTL_SECONDS, ZONE_LIMITS, type ZoneSource } from "#dns/zone/parse.ts";
import { PSEUDO_TYPE } from "#dns/zone/record.ts";
import { tidyRecords } from "#dns/zone/tidy.ts";

const APEX = parseName("ex.") as Uint8Array;

function parse(text: string, source: Partial<ZoneSource> = {}) {
  const parsed = parseZone(text, { file: "ex.zone", origin: APEX, defaultTtlSeconds: 60, ...source });
  return {
    ...parsed,
    lines: [...parsed.records].map((record) => formatRecord(record)),
    says: parsed.problems.map(formatProblem),
  };
}

function linesOf(text: string, source: Partial<ZoneSource> = {}): string[] {
  const { lines, says } = parse(text, source);
  assert.deepEqual(says, []);
  return lines;
}

for (const { name, text, lines } of [
  {
    name: "takes class and TTL in either order, and neither",
    text: "a 1h IN A 192.0.2.1\nb IN 2m A 192.0.2.2\nc in A 192.0.2.3\nd 7 A 192.0.2.4\ne CLASS1 A 192.0.2.5",
    lines: [
      "a.ex. 3600 IN A 192.0.2.1",
      "b.ex. 120 IN A 192.0.2.2",
      "c.ex. 120 IN A 192.0.2.3",
      "d.ex. 7 IN A 192.0.2.4",
      "e.ex. 7 IN A 192.0.2.5",
    ],
  },
  {
    name: "repeats the owner before a blank",
    text: "a A 192.0.2.1\n\n  ; a comment\n\tTXT x\n @ A 192.0.2.2",
    lines: ["a.ex. 60 IN A 192.0.2.1", 'a.ex. 60 IN TXT "x"'],
  },
  {
    name: "lets $TTL count from there on, whatever TTLs stand between",
    text: "$TTL 5\na A 192.0.2.1\nb 9 A 192.0.2.2\nc A 192.0.2.3\n$TTL 1w\nd A 192.0.2.4",
    lines: [
      "a.ex. 5 IN A 192.0.2.1",
      "b.ex. 9 IN A 192.0.2.2",
      "c.ex. 5 IN A 192.0.2.3",
      "d.ex. 604800 IN A 192.0.2.4",
    ],
  },
  {
    name: "follows $ORIGIN, relative ones too",
    text: "$ORIGIN sub\na NS b\n$ORIGIN other.\n@ CNAME x\n$ORIGIN .\nroot NS ns",
    lines: ["a.sub.ex. 60 IN NS b.sub.ex.", "other. 60 IN CNAME x.other.", "root. 60 IN NS ns."],
  },
  {
    name: "reads over lines in parentheses, comments in them too",
    text: '@ SOA ns ( host ; who\n  1 2 ; numbers ) "\n 3 4\n 5 ) ; end\na (\n A\n 192.0.2.1 )',
    lines: ["ex. 60 IN SOA ns.ex. host.ex. 1 2 3 4 5", "a.ex. 60 IN A 192.0.2.1"],
  },
  {
    name: "keeps what is quoted or escaped as it is",
    text: 'a TXT "; ( ) $ @" \\; a\\ b\n\\$ORIGIN A 192.0.2.1\na\\.b\\(c A 192.0.2.2',
    lines: [
      'a.ex. 60 IN TXT "; ( ) $ @" ";" "a b"',
      "\\$ORIGIN.ex. 60 IN A 192.0.2.1",
      "a\\.b\\(c.ex. 60 IN A 192.0.2.2",
    ],
  },
  {
    name: "takes carriage returns, a byte order mark, and no line end at the end",
    text: "\ufeffa A 192.0.2.1\r\n  TXT x\r\nb A 192.0.2.2",
    lines: ["a.ex. 60 IN A 192.0.2.1", 'a.ex. 60 IN TXT "x"', "b.ex. 60 IN A 192.0.2.2"],
  },
  {
    name: "takes owners that look like types, classes and TTLs",
    text: "IN IN A 192.0.2.1\nA A 192.0.2.2\n300 A 192.0.2.3\nSTEER 5 IN A 192.0.2.4",
    lines: [
      "IN.ex. 60 IN A 192.0.2.1",
      "A.ex. 60 IN A 192.0.2.2",
      "300.ex. 60 IN A 192.0.2.3",
      "STEER.ex. 5 IN A 192.0.2.4",
    ],
  },
  {
    name: "reads types in any case, and unknown ones by number",
    text: "a a 192.0.2.1\na tYpE1 192.0.2.2\na TYPE4711 \\# 1 ff\na TYPE16 \\# 2 0178",
    lines: [
      "a.ex. 60 IN A 192.0.2.1",
      "a.ex. 60 IN A 192.0.2.2",
      "a.ex. 60 IN TYPE4711 \\# 1 ff",
      'a.ex. 60 IN TXT "x"',
    ],
  },
  {
    name: "reads quotes inside a word",
    text: 'a HTTPS 1 . alpn="h2,h3" key700="a b;c"',
    lines: ['a.ex. 60 IN HTTPS 1 . alpn="h2,h3" key700="a b;c"'],
  },
  {
    name: "steers, with the TTL given or the default of a service, which is no default for others",
    text: "$TTL 300\nwww STEER www\napi 15 STEER api-2\n@ ALIAS www\nx A 192.0.2.1",
    lines: [
      `www.ex. ${STEER_TTL_SECONDS} IN STEER www`,
      "api.ex. 15 IN STEER api-2",
      "ex. 300 IN ALIAS www.ex.",
      "x.ex. 300 IN A 192.0.2.1",
    ],
  },
]) {
  test(`parseZone() ${name}`, () => {
    const { lines: actual, says } = parse(text);
    assert.deepEqual(actual, lines);
    assert.equal(says.length, name.startsWith("repeats") ? 1 : 0, says.join("\n"));
  });
}

test("parseZone() keeps the case of owners and the place of each record", () => {
  const { records } = parse('$TTL 5\n  \nWwW A 192.0.2.1\n   TXT (\n "x" )\n');
  assert.deepEqual(
    [...records].map(({ owner, at }) => `${formatName(owner)} ${at.file}:${at.line}:${at.column}`),
    ["WwW.ex. ex.zone:3:1", "WwW.ex. ex.zone:4:4"],
  );
  assert.equal(new TextDecoder().decode(parse("a STEER web").records.get(0).rdata), "web");
  assert.equal(parse("a STEER web").records.get(0).type, PSEUDO_TYPE.steer);
});

test("parseZone() counts columns from behind a byte order mark", () => {
  assert.equal(parse("\ufeffa BOGUS").problems[0]!.column, 3);
});

test("parseZone() does not take the TTL of a STEER record for a default", () => {
  assert.deepEqual(linesOf("a 7 STEER a\nb A 192.0.2.1\nc 8 A 192.0.2.1\nd A 192.0.2.1"), [
    "a.ex. 7 IN STEER a",
    "b.ex. 60 IN A 192.0.2.1",
    "c.ex. 8 IN A 192.0.2.1",
    "d.ex. 8 IN A 192.0.2.1",
  ]);
});

test("parseZone() learns the origin from the first SOA record", () => {
  const text = "ex. 60 SOA ns host 1 2 3 4 5\n NS ns\nwww A 192.0.2.1";
  const { lines, says, origin } = parse(text, { origin: undefined });
  assert.deepEqual(says, []);
  assert.deepEqual(lines, [
    "ex. 60 IN SOA ns.ex. host.ex. 1 2 3 4 5",
    "ex. 60 IN NS ns.ex.",
    "www.ex. 60 IN A 192.0.2.1",
  ]);
  assert.equal(formatName(origin!), "ex.");
  const without = parse("www A 192.0.2.1\n@ 60 SOA ns host 1 2 3 4 5\na. NS b", { origin: undefined });
  assert.deepEqual(without.says, [
    'ex.zone:1:1: The owner "www" is relative, and there is no origin (End it in a dot, or set $ORIGIN)',
    'ex.zone:2:1: The owner "@" is relative, and there is no origin (End it in a dot, or set $ORIGIN)',
    'ex.zone:3:7: The name server "b" is relative, and there is no origin (End it in a dot, or set $ORIGIN; NS looks like: ns1.example.net.)',
  ]);
});

test("parseZone() includes files: origin, owner and TTL are then as before", () => {
  const asked: string[] = [];
  const include = (path: string, fromFile: string) => {
    asked.push(`${fromFile} > ${path}`);
    if (path === "missing") return undefined;
    const text =
      path === "outer" ? "$TTL 7\nin A 192.0.2.1\n$INCLUDE inner deep\n$ORIGIN x.\n@ A 192.0.2.3" : "in A 192.0.2.2";
    return { file: `zones/${path}`, text };
  };
  const { lines, says, records } = parse(
    "$TTL 5\na A 192.0.2.9\n$INCLUDE outer sub\n TXT after\nb A 192.0.2.4\n$INCLUDE missing",
    { include },
  );
  assert.deepEqual(lines, [
    "a.ex. 5 IN A 192.0.2.9",
    "in.sub.ex. 7 IN A 192.0.2.1",
    "in.deep.sub.ex. 7 IN A 192.0.2.2",
    "x. 7 IN A 192.0.2.3",
    'a.ex. 5 IN TXT "after"',
    "b.ex. 5 IN A 192.0.2.4",
  ]);
  assert.deepEqual(asked, ["ex.zone > outer", "zones/outer > inner", "ex.zone > missing"]);
  assert.deepEqual(says, [
    'ex.zone:6:10: Cannot read the included file "missing" (Check that it lies in the zone folder)',
  ]);
  assert.equal(records.at(2).file, "zones/inner");
});

test("parseZone() refuses paths that leave the folder, before it asks for them", () => {
  const include = () => assert.fail("asked");
  for (const path of ["/etc/passwd", "../x", "a/../../x", "a\\..\\x", '"a/.."', '"x\0"']) {
    const { says } = parse(`$INCLUDE ${path}`, { include });
    assert.match(says[0]!, /leaves the zone folder/);
  }
});

test("parseZone() stops at files that include themselves", () => {
  let reads = 0;
  const include = (path: string) => {
    reads++;
    return { file: path, text: "$INCLUDE self" };
  };
  const { says } = parse("$INCLUDE self", { include });
  assert.equal(reads, ZONE_LIMITS.includeDepth);
  assert.equal(says.length, 1);
  assert.match(says[0]!, /more than 8 deep/);
});

for (const { template, lines } of [
  {
    template: "1-3 h$ A 192.0.2.$",
    lines: ["h1.ex. 60 IN A 192.0.2.1", "h2.ex. 60 IN A 192.0.2.2", "h3.ex. 60 IN A 192.0.2.3"],
  },
  {
    template: "0-8/4 h$ 5 IN CNAME x-${-0,3,d}",
    lines: ["h0.ex. 5 IN CNAME x-000.ex.", "h4.ex. 5 IN CNAME x-004.ex.", "h8.ex. 5 IN CNAME x-008.ex."],
  },
  { template: "10-10 ${0,4,x}-${5,4,X}-${0,0,o} NS $$.\\$.", lines: ["000a-000F-12.ex. 60 IN NS \\$.\\$."] },
  { template: '2-2 a TXT "n=$ ${1}"', lines: ['a.ex. 60 IN TXT "n=2 3"'] },
  { template: "43-43 ${0,7,n} PTR ${0,3,N}.", lines: ["b.2.0.0.ex. 60 IN PTR B.2."] },
]) {
  test(`parseZone() generates ${template}`, () => assert.deepEqual(linesOf(`$GENERATE ${template}`), lines));
}

test("parseZone() caps what all $GENERATE of a zone make together", () => {
  const { records, says } = parse(
    "$GENERATE 1-65535 a$ A 192.0.2.1\n$GENERATE 1-2 b$ A 192.0.2.1\n$GENERATE 1-1 c$ A 192.0.2.1",
  );
  assert.equal(records.length, ZONE_LIMITS.generatedRecords);
  assert.equal(says.length, 1);
  assert.match(says[0]!, /^ex.zone:2:11: \$GENERATE makes more than 65536/);
});

test("parseZone() lists all problems, up to a limit", () => {
  assert.equal(parse("x BOGUS\n".repeat(20)).problems.length, 20);
  const { problems } = parse("x BOGUS\n".repeat(5_000));
  assert.equal(problems.length, ZONE_LIMITS.problems + 1);
  assert.match(problems.at(-1)!.says, /too many problems/);
});

test("formatRecord() gives what parseZone() reads back, whatever the origin", () => {
  const { records, lines } = parse(
    'a\\.b HTTPS 1 @ alpn="h2"\n*.w 5 STEER web\n@ ALIAS x\n\\000 TXT "\\"" é\ny MX 1 @',
  );
  assert.deepEqual(linesOf(lines.join("\n"), { origin: parseName("other.") as Uint8Array }), lines);
  assert.equal(records.length, 5);
});

test("parseZone() and checkZone() stand any text", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "@ ",
      "a ",
      " ",
      "\n",
      "(",
      ")",
      '"',
      "\\",
      ";",
      "$ORIGIN ",
      "$GENERATE 1-3 ",
      "$TTL ",
      "$INCLUDE x",
      ".",
    ),
    fc.constantFrom(
      "60 ",
      "IN ",
      "A 192.0.2.1\n",
      "NS a\n",
      "CNAME b\n",
      "SOA a b 1 2 3 4 5\n",
      "STEER s\n",
      "ALIAS a\n",
    ),
    fc.constantFrom(
      "DNAME c\n",
      "MX 1 a\n",
      'TXT "x"\n',
      "HTTPS 1 . ipv4hint=192.0.2.1\n",
      "${0,3,n}",
      "\r\n",
      "*.",
      "é",
    ),
    fc.string({ maxLength: 5, unit: "binary" }),
  );
  const property = fc.property(fc.array(piece, { maxLength: 60 }), fc.boolean(), (pieces, hasOrigin) => {
    const source = { file: "f", origin: hasOrigin ? APEX : undefined };
    const { records, problems, origin } = parseZone(pieces.join(""), source);
    checkZone(records, origin ?? APEX);
    tidyRecords(records);
    for (const { line, column, says, fix } of problems) assert.ok(line > 0 && column > 0 && says !== "" && fix !== "");
  });
  fc.assert(property, { seed: 3, numRuns: 5_000 });
});

test("parseZone() stands a good zone with a few characters changed", () => {
  const rng = createSeededRng(4);
  const good = readFileSync(new URL("sample.zone", import.meta.url), "utf8");
  assert.deepEqual(parse(good, { origin: parseName("example.net.") as Uint8Array }).says, []);
  const spice = '\\"();$@\n \t\0é.0*';
  for (let round = 0; round < 400; round++) {
    const characters = [...good];
    for (let change = 0; change < 4; change++) {
      characters[Math.floor(rng() * characters.length)] = spice[Math.floor(rng() * spice.length)]!;
    }
    const { records, problems, origin } = parse(characters.join(""), { origin: undefined });
    for (const problem of problems) assert.ok(problem.line > 0 && problem.says !== "");
    checkZone(records, origin ?? APEX);
  }
});

const DATA = process.env["RHUMB_TEST_DATA"] ?? new URL("../../../../shared/data", import.meta.url).pathname;
const FERRET = `${DATA}/ferret.jsonl`;
const isMissing = !existsSync(FERRET) && !process.env["CI"];

test("parseZone() and checkZone() take every zone that four other servers took", {
  skip: isMissing && `no ${FERRET}`,
}, () => {
  const lines = readFileSync(FERRET, "utf8").trimEnd().split("\n");
  assert.equal(lines.length, 3_169);
  for (const line of lines) {
    const { id, zone } = JSON.parse(line) as { id: number; zone: string };
    const { records, problems, origin } = parseZone(zone, { file: `zone-${id}` });
    assert.ok(origin, `zone ${id} has no origin`);
    const all = [...problems, ...checkZone(records, origin)];
    assert.equal(hasErrors(all), false, all.map(formatProblem).join("\n"));
    assert.equal([...records].filter(({ type }) => type === TYPE.SOA).length, 1);
  }
});
