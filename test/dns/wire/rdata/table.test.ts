import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { parseName } from "#dns/wire/name.ts";
import {
  checkRdata,
  firstNameOffset,
  formatRdata,
  parseRdata,
  RDATA_TYPES,
  rdataNames,
} from "#dns/wire/rdata/table.ts";
import { TYPE, typeNumber, typeText } from "#dns/wire/types.ts";
import { Tokenizer } from "#dns/zone/tokens.ts";

const ORIGIN = parseName("example.net.") as Uint8Array;

function parse(type: number, text: string) {
  const entries = new Tokenizer(text);
  if (!entries.next()) entries.count = 0;
  return parseRdata(type, entries.tokens, 0, entries.count, ORIGIN);
}

/** Wire form in hex, or the sentence of the problem. */
function wireOf(type: string, text: string): string {
  const result = parse(typeNumber(type), text);
  return result instanceof Uint8Array ? result.toHex() : result.says;
}

const EXAMPLE_NET = "076578616d706c65036e657400";

/** `back`: the text that comes back, where it is not the text given. Vectors name their source. */
const VECTORS: readonly { type: string; text: string; wire: string; back?: string }[] = [
  { type: "A", text: "192.0.2.1", wire: "c0000201" },
  { type: "AAAA", text: "2001:DB8:0:0::1", wire: "20010db8000000000000000000000001", back: "2001:db8::1" },
  { type: "AAAA", text: "::ffff:192.0.2.1", wire: "00000000000000000000ffffc0000201", back: "::ffff:c000:201" },
  { type: "NS", text: "ns", wire: `026e73${EXAMPLE_NET}`, back: "ns.example.net." },
  { type: "CNAME", text: "@", wire: EXAMPLE_NET, back: "example.net." },
  { type: "PTR", text: ".", wire: "00" },
  { type: "DNAME", text: "example.net.", wire: EXAMPLE_NET },
  {
    type: "SOA",
    text: "a. b\\.c. 4294967295 1h 15m 2w 300",
    wire: "01610003622e6300ffffffff00000e10000003840012750000 00012c".replaceAll(" ", ""),
    back: "a. b\\.c. 4294967295 3600 900 1209600 300",
  },
  { type: "MX", text: "10 mail", wire: `000a046d61696c${EXAMPLE_NET}`, back: "10 mail.example.net." },
  { type: "MX", text: "0 .", wire: "000000" }, // RFC 7505
  { type: "TXT", text: '"a b" c', wire: "0361206201 63".replace(" ", ""), back: '"a b" "c"' },
  { type: "TXT", text: '""', wire: "00" },
  { type: "TXT", text: '"\\"\\\\\\000\\255é"', wire: "06225c00ffc3a9", back: '"\\"\\\\\\000\\255\\195\\169"' },
  { type: "TXT", text: '"; ( ) @"', wire: "073b20282029 2040".replace(" ", "") },
  { type: "SPF", text: '"v=spf1 -all"', wire: "0b763d73706631202d616c6c" },
  { type: "HINFO", text: '"RFC8482" ""', wire: "075246433834383200" }, // RFC 8482 §4.2
  { type: "RP", text: "kim.example.net. .", wire: `036b696d${EXAMPLE_NET}00` },
  { type: "AFSDB", text: "1 example.net.", wire: `0001${EXAMPLE_NET}` },
  { type: "KX", text: "1 example.net.", wire: `0001${EXAMPLE_NET}` },
  { type: "SRV", text: "10 60 5060 example.net.", wire: `000a003c13c4${EXAMPLE_NET}` },
  {
    // RFC 3403 §6.2
    type: "NAPTR",
    text: '100 50 "s" "z3950+I2L+I2C" "" example.net.',
    wire: `0064003201730d7a333935302b49324c2b49324300${EXAMPLE_NET}`,
  },
  {
    // RFC 4034 §5.4
    type: "DS",
    text: "60485 5 1 ( 2BB183AF5F22588179A53B0A 98631FAD1A292118 )",
    wire: "ec4505012bb183af5f22588179a53b0a98631fad1a292118",
    back: "60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118",
  },
  { type: "CDS", text: "0 0 0 00", wire: "0000000000" }, // RFC 8078 §4
  { type: "CDNSKEY", text: "0 3 0 AA==", wire: "0000030000" },
  {
    // RFC 8080 §6.1
    type: "DNSKEY",
    text: "257 3 ED25519 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
    wire: "0101030f974d96a22d224bc01adb915091477d44ccd91c9a41a114300101 17d52c59240e".replace(" ", ""),
    back: "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
  },
  {
    type: "RRSIG",
    text: "A 5 3 86400 20030322173103 20030220173103 2642 example.net. b0A=",
    wire: `000105030001 51803e7c9dd73e5510d7 0a52${EXAMPLE_NET}6f40`.replaceAll(" ", ""),
  },
  {
    // RFC 4034 §4.3
    type: "NSEC",
    text: "host.example.com. A MX RRSIG NSEC TYPE1234",
    wire: `04686f7374076578616d706c6503636f6d00 0006400100000003 041b 000000000000000000000000000000000000000000000000000020`.replaceAll(
      " ",
      "",
    ),
  },
  {
    // RFC 5155 appendix A
    type: "NSEC3",
    text: "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS SOA NSEC3PARAM RRSIG",
    wire: "0101000c04aabbccdd14174eb2409fe28bcb4887a1836f957f0a8425e27b000722010000000290",
    back: "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr NS SOA MX RRSIG DNSKEY NSEC3PARAM",
  },
  { type: "NSEC3PARAM", text: "1 0 0 -", wire: "0100000000" },
  { type: "NSEC3PARAM", text: "1 0 12 AABBCCDD", wire: "0100000c04aabbccdd", back: "1 0 12 aabbccdd" },
  { type: "TLSA", text: "3 1 0 d2abde24 0d7c", wire: "030100d2abde240d7c", back: "3 1 0 d2abde240d7c" },
  { type: "SMIMEA", text: "3 0 0 aabb", wire: "030000aabb" },
  {
    type: "SSHFP",
    text: "2 1 123456789abcdef67890123456789abcdef67890",
    wire: "0201123456789abcdef67890123456789abcdef67890",
  },
  { type: "CAA", text: '0 issue "ca.example; a=b"', wire: "0005697373756563612e6578616d706c653b20613d62" },
  { type: "CAA", text: '128 tbs ""', wire: "8003746273" },
  { type: "URI", text: '10 1 "ftp://a/"', wire: "000a00016674703a2f2f612f" },
  {
    // RFC 1876 §4
    type: "LOC",
    text: "42 21 54 N 71 06 18 W -24m 30m",
    wire: "00331613 8917 2dd0 70be15f0 00988d20".replaceAll(" ", ""),
    back: "42 21 54.000 N 71 6 18.000 W -24.00m 30m 10000m 10m",
  },
  { type: "OPENPGPKEY", text: "AQ ID", wire: "010203", back: "AQID" },
  { type: "CERT", text: "PGP 7 0 AQID", wire: "0003000700010203", back: "3 7 0 AQID" },
  { type: "CSYNC", text: "66 3 A NS AAAA", wire: "00000042000300 0460000008".replace(" ", ""), back: "66 3 A NS AAAA" }, // RFC 7477 §2.1.2
  { type: "ZONEMD", text: "2018031500 1 240 aabb", wire: "7848 b7 8c 01f0aabb".replaceAll(" ", "") },
  { type: "EUI48", text: "00-00-5E-00-53-2a", wire: "00005e00532a", back: "00-00-5e-00-53-2a" }, // RFC 7043 §3.2
  { type: "EUI64", text: "00-00-5e-ef-10-00-00-2a", wire: "00005eef1000002a" },
  {
    // RFC 4701 §3.6.1
    type: "DHCID",
    text: "( AAIBY2/AuCccgoJbsaxcQc9TUapptP69l OjxfNuVAA2kjEA= )",
    wire: "000201636fc0b8271c82825bb1ac5c41cf5351aa69b4febd94e8f17cdb95000da48c40",
    back: "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=",
  },
  {
    // RFC 4025 §3.1
    type: "IPSECKEY",
    text: "10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==",
    wire: "0a0102c000022601035153798 6ed35533b6064478eeeb27b5bd74dae149b6e81ba3a0521af82ab7801".replace(" ", ""),
  },
  { type: "IPSECKEY", text: "10 0 2 .", wire: "0a0002" },
  { type: "IPSECKEY", text: "10 3 2 example.net. AQID", wire: `0a0302${EXAMPLE_NET}010203` },
  {
    // RFC 3123 §5
    type: "APL",
    text: "1:192.168.32.0/21 !1:192.168.38.0/28",
    wire: "00011503c0a82000011c83c0a826",
  },
  {
    type: "APL",
    text: "1:224.0.0.0/4 2:FF00:0:0:0:0:0:0:0/8",
    wire: "00010401e000020801ff",
    back: "1:224.0.0.0/4 2:ff00::/8",
  },
  { type: "APL", text: "", wire: "" },
  { type: "L64", text: "10 2001:0DB8:1140:1000", wire: "000a20010db811401000", back: "10 2001:db8:1140:1000" }, // RFC 6742 §2.3
  { type: "NID", text: "20 14:4fff:ff20:ee64", wire: "001400144fffff20ee64" },
  { type: "L32", text: "10 10.1.2.0", wire: "000a0a010200" },
  {
    type: "DSYNC",
    text: "CDS NOTIFY 5359 example.net.",
    wire: `003b0114ef${EXAMPLE_NET}`,
    back: "CDS 1 5359 example.net.",
  },
  // RFC 9460 appendix D
  { type: "HTTPS", text: "0 foo.example.com.", wire: "000003666f6f076578616d706c6503636f6d00" },
  { type: "SVCB", text: "1 .", wire: "000100" },
  { type: "SVCB", text: "16 foo.example.com. port=53", wire: "001003666f6f076578616d706c6503636f6d00000300020035" },
  {
    type: "SVCB",
    text: "1 foo.example.com. key667=hello",
    wire: "000103666f6f076578616d706c6503636f6d00029b000568656c6c6f",
    back: '1 foo.example.com. key667="hello"',
  },
  {
    type: "SVCB",
    text: '1 foo.example.com. key667="hello\\210qoo"',
    wire: "000103666f6f076578616d706c6503636f6d00029b000968656c6c6fd2716f6f",
  },
  {
    type: "SVCB",
    text: '1 foo.example.com. ( ipv6hint="2001:db8::1,2001:db8::53:1" )',
    wire: "000103666f6f076578616d706c6503636f6d000006002020010db800000000000000000000000120010db8000000000000000000530001",
    back: "1 foo.example.com. ipv6hint=2001:db8::1,2001:db8::53:1",
  },
  {
    type: "SVCB",
    text: "16 foo.example.org. ( alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1 )",
    wire: "001003666f6f076578616d706c65036f7267000000000400010004000100090268320568332d313900040004c0000201",
    back: '16 foo.example.org. mandatory=alpn,ipv4hint alpn="h2,h3-19" ipv4hint=192.0.2.1',
  },
  {
    type: "SVCB",
    text: '16 foo.example.org. alpn="f\\\\\\\\oo\\\\,bar,h2"',
    wire: "001003666f6f076578616d706c65036f726700000100 0c08665c6f6f2c626172026832".replace(" ", ""),
  },
  {
    type: "SVCB",
    text: "16 foo.example.org. alpn=f\\\\\\092oo\\092,bar,h2",
    wire: "001003666f6f076578616d706c65036f726700000100 0c08665c6f6f2c626172026832".replace(" ", ""),
    back: '16 foo.example.org. alpn="f\\\\\\\\oo\\\\,bar,h2"',
  },
  // RFC 3597 §5
  { type: "TYPE731", text: "\\# 6 abcd ( ef 01 23 45 )", wire: "abcdef012345", back: "\\# 6 abcdef012345" },
  { type: "TYPE62347", text: "\\# 0", wire: "" },
  { type: "A", text: "\\# 4 0A000001", wire: "0a000001", back: "10.0.0.1" },
];

for (const { type, text, wire, back = text } of VECTORS) {
  test(`parseRdata() and formatRdata() agree on ${type} ${text}`, () => {
    assert.equal(wireOf(type, text), wire);
    const number = typeNumber(type);
    const octets = Uint8Array.fromHex(wire);
    assert.equal(checkRdata(number, octets), undefined);
    const formatted = formatRdata(number, octets);
    assert.equal(formatted, back === "\\# 0" ? "\\# 0" : back);
    if (type !== "APL" || text !== "") assert.equal(wireOf(type, formatted), wire);
  });
}

const NONSENSE: readonly { type: string; text: string; says: string }[] = [
  { type: "A", text: "", says: "The address is missing" },
  { type: "A", text: "192.0.2", says: 'The address "192.0.2" is not an IPv4 address' },
  { type: "A", text: "192.0.2.256", says: 'The address "192.0.2.256" is not an IPv4 address' },
  { type: "A", text: "192.0.2.01", says: 'The address "192.0.2.01" is not an IPv4 address' },
  { type: "A", text: "192.0.2.1 192.0.2.2", says: '"192.0.2.2" is more than A takes' },
  { type: "AAAA", text: "192.0.2.1", says: 'The address "192.0.2.1" is not an IPv6 address' },
  { type: "MX", text: "mail 10", says: 'The preference "mail" is not a number from 0 to 65535' },
  { type: "MX", text: "65536 mail", says: 'The preference "65536" is not a number from 0 to 65535' },
  { type: "MX", text: "-1 mail", says: 'The preference "-1" is not a number from 0 to 65535' },
  { type: "MX", text: "10", says: "The mail exchange is missing" },
  { type: "NS", text: "a..b", says: 'The name server "a..b" has an empty label' },
  { type: "CNAME", text: "\\300", says: 'The canonical name "\\\\300" has a bad escape' },
  { type: "SOA", text: "a b 1 2 3 4", says: "The negative TTL is missing" },
  { type: "SOA", text: "a b 4294967296 2 3 4 5", says: 'The serial "4294967296" is not a number from 0 to 4294967295' },
  { type: "SOA", text: "a b 1 2x 3 4 5", says: 'The refresh interval "2x" is not a time' },
  { type: "TXT", text: "", says: "The text is missing" },
  { type: "TXT", text: "x".repeat(256), says: "The text has 256 octets" },
  { type: "TXT", text: "\\256", says: 'The text "\\\\256" has a bad escape' },
  { type: "DS", text: "1 8 2 aabb", says: "A digest of type 2 has 32 octets, this one 2" },
  { type: "DS", text: "1 RSA 2 aabb", says: 'The algorithm "RSA" is unknown' },
  { type: "DS", text: "1 8 9 abc", says: "The digest has an odd number of hex digits" },
  { type: "DS", text: "1 8 9 zz", says: 'The digest "zz" is not hex' },
  { type: "DNSKEY", text: "257 3 8 A===", says: 'The public key "A===" is not base64' },
  { type: "RRSIG", text: "A 8 2 300 20261301000000 0 1 . AQID", says: 'The expiration "20261301000000" is not a time' },
  { type: "NSEC", text: "a. BOGUS", says: 'The type "BOGUS" is unknown' },
  { type: "NSEC3", text: "1 0 0 - w A", says: 'The next hashed name "w" is not base32hex' },
  { type: "CAA", text: '0 is-sue "x"', says: 'The tag "is-sue" is malformed' },
  {
    type: "TLSA",
    text: "3 1 1 aabb",
    says: "A certificate association data with matching type 1 has 32 octets, this one 2",
  },
  { type: "SSHFP", text: "4 2 aabb", says: "A fingerprint with fingerprint type 2 has 32 octets, this one 2" },
  { type: "LOC", text: "91 0 0 N 0 0 0 E 0m", says: "The latitude is out of range" },
  { type: "LOC", text: "1 0 0 Q 0 0 0 E 0m", says: 'The latitude "Q" is not understood' },
  { type: "EUI48", text: "00:00:5e:00:53:2a", says: 'The address "00:00:5e:00:53:2a" is malformed' },
  { type: "APL", text: "3:1.2.3.4/8", says: 'The prefix "3:1.2.3.4/8" is malformed' },
  { type: "APL", text: "1:1.2.3.4/8", says: 'The prefix "1:1.2.3.4/8" is malformed' },
  { type: "IPSECKEY", text: "1 4 1 .", says: "The gateway type 4 is unknown" },
  { type: "IPSECKEY", text: "1 0 1 a.", says: 'The gateway "a." does not fit type 0' },
  { type: "HTTPS", text: "1 . alpn", says: "alpn has no value" },
  { type: "HTTPS", text: "1 . alpn=h2,,h3", says: "alpn has a protocol of 0 octets" },
  { type: "HTTPS", text: "1 . port=65536", says: 'The port "65536" is not a number up to 65535' },
  { type: "HTTPS", text: "1 . port=1 port=2", says: "The parameter port stands twice" },
  { type: "HTTPS", text: "1 . colour=red", says: 'The parameter "colour" is unknown' },
  { type: "HTTPS", text: "1 . no-default-alpn", says: "no-default-alpn stands without alpn" },
  { type: "HTTPS", text: "1 . no-default-alpn=1 alpn=h2", says: "no-default-alpn takes no value" },
  { type: "HTTPS", text: "1 . mandatory=port", says: "mandatory names port, which is not there" },
  { type: "HTTPS", text: "1 . mandatory=mandatory", says: "mandatory names itself" },
  { type: "HTTPS", text: "1 . mandatory=port,port port=1", says: "mandatory names port twice or out of order" },
  { type: "HTTPS", text: "1 . mandatory=x", says: 'mandatory names the unknown key "x"' },
  { type: "HTTPS", text: "1 . ipv4hint=::1", says: 'The hint "::1" is not an address of its family' },
  { type: "HTTPS", text: "1 . ech=%", says: 'The value of ech "%" is not base64' },
  { type: "HTTPS", text: "1 . key65535=a", says: 'The parameter "key65535" is unknown' },
  { type: "A", text: "\\# 3 0a0000", says: "\\# holds bad A data: The address is cut off" },
  { type: "A", text: "\\# 5 0a00000101", says: "\\# holds bad A data: 1 octets are more than A takes" },
  { type: "TYPE731", text: "\\# 2 ab", says: "\\# says 2 octets, and 1 follow" },
  { type: "TYPE731", text: "\\# 65536 ab", says: 'The length "65536" is not a number from 0 to 65535' },
  { type: "TYPE731", text: "ab", says: "TYPE731 has no text form here" },
  { type: "WKS", text: "192.0.2.1 6 25", says: "WKS has no text form here" },
];

for (const { type, text, says } of NONSENSE) {
  test(`parseRdata() refuses ${type} ${text.slice(0, 40)}`, () => assert.equal(wireOf(type, text), says));
}

test("parseRdata() shows what the type looks like, and blames the right token", () => {
  const problem = parse(TYPE.SRV, "10 60 http example.net.");
  assert.ok(!(problem instanceof Uint8Array));
  assert.equal(problem.token, 2);
  assert.equal(problem.fix, "Write a number from 0 to 65535; SRV looks like: 10 60 5060 sip.example.net.");
  const missing = parse(TYPE.SRV, "10 60 80");
  assert.ok(!(missing instanceof Uint8Array));
  assert.equal(missing.token, 3);
});

test("parseRdata() needs an origin for relative names only", () => {
  const entries = new Tokenizer("10 mail");
  entries.next();
  const relative = parseRdata(TYPE.MX, entries.tokens, 0, 2, undefined);
  assert.ok(!(relative instanceof Uint8Array));
  assert.equal(relative.says, 'The mail exchange "mail" is relative, and there is no origin');
});

test("every type's example is good, comes back as it is, and has names where the table says", () => {
  for (const [type, { example }] of RDATA_TYPES) {
    const rdata = parse(type, example);
    assert.ok(rdata instanceof Uint8Array, `${typeText(type)}: ${example}`);
    const again = parse(type, formatRdata(type, rdata));
    assert.deepEqual(again, rdata, typeText(type));
    assert.equal(formatRdata(type, rdata).startsWith("\\#"), false, typeText(type));
    const names = rdataNames(type);
    assert.equal(firstNameOffset(type, rdata) >= 0, names !== undefined);
    if (names) assert.ok(example.includes("."), typeText(type));
  }
});

test("only types of RFC 1035 are compressible", () => {
  const compressible = [...RDATA_TYPES]
    .filter(([, { names }]) => names?.isCompressible)
    .map(([type]) => typeText(type));
  assert.deepEqual(compressible.sort(), "CNAME MB MD MF MG MINFO MR MX NS PTR SOA".split(" "));
});

test("firstNameOffset() finds NAPTR's replacement behind its strings", () => {
  const rdata = parse(TYPE.NAPTR, '1 1 "u" "abc" "" a.');
  assert.ok(rdata instanceof Uint8Array);
  assert.equal(firstNameOffset(TYPE.NAPTR, rdata), rdata.length - 3);
});

const anyType = fc.oneof(fc.constantFrom(...RDATA_TYPES.keys()), fc.integer({ min: 0, max: 0xffff }));

test("checkRdata() and formatRdata() never throw, and what passes comes back as it is", () => {
  const property = fc.property(anyType, fc.uint8Array({ maxLength: 80 }), (type, rdata) => {
    const problem = checkRdata(type, rdata);
    const text = formatRdata(type, rdata);
    assert.doesNotMatch(text, /[^ -~]/);
    if (problem) assert.ok(text.startsWith("\\# "));
    else if (text !== "") assert.deepEqual(parse(type, text), rdata);
  });
  fc.assert(property, { seed: 1, numRuns: 20_000 });
});

test("parseRdata() never throws on any tokens, and what it takes passes checkRdata()", () => {
  const word = fc.oneof(
    fc.constantFrom("10", "0", "a.", "@", "\\#", "4", "0a000001", "-", "A", "AQID", "192.0.2.1", "::1", "alpn=h2"),
    fc.constantFrom('"', "\\", "port=", "mandatory=alpn", "key1=a", "N", "E", "1m", "20260101000000", "issue", "PKIX"),
    fc.string({ maxLength: 8 }),
  );
  const property = fc.property(anyType, fc.array(word, { maxLength: 9 }), (type, words) => {
    const tokens = words.map((text) => ({ text, isQuoted: false }));
    const rdata = parseRdata(type, tokens, 0, tokens.length, ORIGIN);
    if (rdata instanceof Uint8Array) {
      assert.equal(checkRdata(type, rdata), undefined);
      const again = formatRdata(type, rdata);
      if (again !== "") assert.deepEqual(parse(type, again), rdata);
    } else assert.ok(rdata.token >= 0 && rdata.token <= tokens.length && rdata.says !== "" && rdata.fix !== "");
  });
  fc.assert(property, { seed: 2, numRuns: 20_000 });
});

test("checkRdata() stands every example cut or with one octet changed", () => {
  for (const [type, { example }] of RDATA_TYPES) {
    const rdata = parse(type, example) as Uint8Array;
    for (let length = 0; length < rdata.length; length++) {
      const cut = rdata.subarray(0, length);
      if (checkRdata(type, cut)) assert.ok(formatRdata(type, cut).startsWith("\\#"));
    }
    for (let at = 0; at < rdata.length; at++) {
      for (const flip of [1, 0x40, 0x80, 0xff]) {
        const changed = rdata.slice();
        changed[at]! ^= flip;
        const text = formatRdata(type, changed);
        if (!checkRdata(type, changed) && text !== "") assert.deepEqual(parse(type, text), changed, typeText(type));
      }
    }
  }
});
