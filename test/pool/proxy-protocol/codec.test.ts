import assert from "node:assert/strict";
import test from "node:test";
import { parseIp, unmapIp } from "#base/ip.ts";
import { createSeededRng } from "#base/rng.ts";
import { type ProxyHeaderToWrite, parseProxyHeader, writeProxyHeader } from "#pool/proxy-protocol/codec.ts";
import { crc32c } from "#pool/proxy-protocol/crc32c.ts";
import { type ProxyHeader, SSL_CLIENT } from "#pool/proxy-protocol/header.ts";

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ""), "hex");
const line = (text: string): Buffer => Buffer.from(text, "latin1");
const SIGNATURE = "0d0a0d0a000d0a515549540a";
/** 192.0.2.7:50123 to 198.51.100.1:443. */
const ENDS4 = "c0000207 c6336401 c3cb 01bb";
const SOURCE = { address: "192.0.2.7", port: 50_123 };
const DESTINATION = { address: "198.51.100.1", port: 443 };
const SOURCE6 = { address: "2001:db8::7", port: 50_123 };
const DESTINATION6 = { address: "2001:db8::1", port: 443 };
const ENDS6 = "20010db8000000000000000000000007 20010db8000000000000000000000001 c3cb 01bb";
/** A version 2 header with the right length. */
function v2(commandAndFamily: string, block: string): Buffer {
  const octets = hex(block);
  const length = octets.length.toString(16).padStart(4, "0");
  return Buffer.concat([hex(SIGNATURE + commandAndFamily + length), octets]);
}

function parsed(octets: Uint8Array): ProxyHeader {
  const result = parseProxyHeader(octets);
  assert.equal(result.kind, "header", JSON.stringify(result));
  return result as ProxyHeader;
}

test("crc32c() gives the values of RFC 3720 appendix B.4", () => {
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, at) => at)), 0x46dd794e);
  assert.equal(crc32c(Buffer.from("123456789")), 0xe3069283);
  assert.equal(crc32c(Uint8Array.of(1, 9, 9, 9, 9, 2), 1), crc32c(Uint8Array.of(1, 0, 0, 0, 0, 2)));
});

const GOOD: { name: string; octets: Buffer; expected: Partial<ProxyHeader> }[] = [
  {
    name: "version 1, IPv4",
    octets: line("PROXY TCP4 192.0.2.7 198.51.100.1 50123 443\r\n"),
    expected: { version: 1, command: "proxy", transport: "stream", source: SOURCE, destination: DESTINATION },
  },
  {
    name: "version 1, IPv6, in any spelling",
    octets: line("PROXY TCP6 2001:DB8:0::7 2001:db8::1 50123 443\r\n"),
    expected: { version: 1, command: "proxy", source: SOURCE6, destination: DESTINATION6 },
  },
  {
    name: "version 1 of the greatest length",
    octets: line(`PROXY TCP6 ${"ffff:".repeat(7)}ffff ${"ffff:".repeat(7)}ffff 65535 65535\r\n`),
    expected: { source: { address: `${"ffff:".repeat(7)}ffff`, port: 65_535 } },
  },
  {
    name: "version 1, unknown",
    octets: line("PROXY UNKNOWN\r\n"),
    expected: { version: 1, command: "local", source: undefined, destination: undefined },
  },
  {
    name: "version 1, unknown with addresses, 107 octets",
    octets: line(`PROXY UNKNOWN ${"f".repeat(91)}\r\n`),
    expected: { command: "local", source: undefined },
  },
  {
    name: "version 2, TCP over IPv4",
    octets: v2("2111", ENDS4),
    expected: { version: 2, command: "proxy", transport: "stream", source: SOURCE, destination: DESTINATION },
  },
  { name: "version 2, UDP over IPv4", octets: v2("2112", ENDS4), expected: { transport: "datagram", source: SOURCE } },
  {
    name: "version 2, TCP over IPv6",
    octets: v2("2121", ENDS6),
    expected: { transport: "stream", source: SOURCE6, destination: DESTINATION6 },
  },
  { name: "version 2, UDP over IPv6", octets: v2("2122", ENDS6), expected: { transport: "datagram", source: SOURCE6 } },
  {
    name: "version 2, a Unix socket",
    octets: v2("2131", "2f".repeat(216)),
    expected: { command: "proxy", source: undefined },
  },
  { name: "version 2, unspecified", octets: v2("2100", ""), expected: { command: "proxy", source: undefined } },
  {
    name: "version 2, unspecified with something",
    octets: v2("2100", "010203"),
    expected: { command: "proxy", source: undefined, tlvs: { other: [] } },
  },
  { name: "version 2, local", octets: v2("2000", ""), expected: { command: "local", source: undefined } },
  {
    name: "version 2, local with a family and a block that are to be ignored",
    octets: v2("20ff", "0102"),
    expected: { command: "local", source: undefined, tlvs: { other: [] } },
  },
  {
    name: "AUTHORITY", // as reg-tests/connection/proxy_protocol_tlv_validation.vtc of HAProxy has it
    octets: v2("2111", "7f000001 7f000001 002a 0539 02 0005 3132333435"),
    expected: {
      source: { address: "127.0.0.1", port: 42 },
      destination: { address: "127.0.0.1", port: 1337 },
      tlvs: { authority: "12345", other: [] },
    },
  },
  {
    name: "ALPN, UNIQUE_ID, NETNS, NOOP and unknown types",
    octets: v2("2111", `${ENDS4} 01 0002 6832 04 0003 000000 05 0002 aabb 30 0002 6e31 ea 0003 01 7670 e1 0000`),
    expected: {
      tlvs: {
        alpn: new Uint8Array(hex("6832")),
        uniqueId: new Uint8Array(hex("aabb")),
        netns: "n1",
        other: [
          { type: 0xea, value: new Uint8Array(hex("017670")) },
          { type: 0xe1, value: new Uint8Array(0) },
        ],
      },
    },
  },
  {
    name: "SSL with what it has inside",
    octets: v2(
      "2111",
      `${ENDS4} 20 0028 05 00000001 21 0007 544c5376312e33 22 0001 63 23 0001 64 24 0001 65 25 0001 66 28 0006 010203040506`,
    ),
    expected: {
      tlvs: {
        ssl: {
          client: SSL_CLIENT.ssl | SSL_CLIENT.certificateOfSession,
          verify: 1,
          version: "TLSv1.3",
          commonName: "c",
          cipher: "d",
          signatureAlgorithm: "e",
          keyAlgorithm: "f",
          other: [{ type: 0x28, value: new Uint8Array(hex("010203040506")) }],
        },
        other: [],
      },
    },
  },
];

for (const { name, octets, expected } of GOOD) {
  test(`parseProxyHeader() takes ${name}`, () => {
    const header = parsed(octets);
    assert.equal(header.length, octets.length);
    for (const key of Object.keys(expected) as (keyof ProxyHeader)[]) {
      const value = key === "tlvs" ? plain(header.tlvs) : header[key];
      assert.deepEqual(value, expected[key], key);
    }
  });
  test(`parseProxyHeader() waits for all of ${name}, and leaves what follows`, () => {
    for (let length = 0; length < octets.length; length++)
      assert.equal(parseProxyHeader(octets.subarray(0, length)).kind, "more", `${length} octets`);
    for (const next of ["0200053534333231", "0d0a", SIGNATURE, "ff"])
      assert.deepEqual(parsed(Buffer.concat([octets, hex(next)])), parsed(octets));
  });
}
/** Buffers as arrays, so that they compare with arrays. */
const plain = (value: unknown): unknown =>
  value instanceof Uint8Array
    ? new Uint8Array(value)
    : Array.isArray(value)
      ? value.map(plain)
      : typeof value === "object" && value !== null
        ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]))
        : value;

const CRC_AT = 16 + 12 + 3;
const withCrc = Buffer.from(
  writeProxyHeader({
    version: 2,
    command: "proxy",
    source: SOURCE,
    destination: DESTINATION,
    crc32c: true,
  }),
);

const BAD: { name: string; octets: Buffer; says: RegExp }[] = [
  { name: "something else", octets: line("GET / HTTP/1.1\r\n"), says: /does not begin/ },
  { name: "lower case", octets: line("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n"), says: /does not begin/ },
  { name: "a line feed alone", octets: line("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"), says: /without a carriage return/ },
  { name: "a carriage return alone", octets: line("PROXY UNKNOWN\rx\n"), says: /not followed by a line feed/ },
  { name: "two spaces", octets: line("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n"), says: /two addresses/ },
  { name: "a space at the end", octets: line("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n"), says: /two addresses/ },
  { name: "a field too few", octets: line("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"), says: /two addresses/ },
  { name: "no such protocol", octets: line("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"), says: /none of/ },
  { name: "IPv6 as TCP4", octets: line("PROXY TCP4 ::1 ::1 1 2\r\n"), says: /addresses/ },
  { name: "IPv4 as TCP6", octets: line("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n"), says: /addresses/ },
  { name: "leading zeros", octets: line("PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n"), says: /addresses/ },
  { name: "a port with leading zero", octets: line("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n"), says: /ports/ },
  { name: "a port too great", octets: line("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"), says: /ports/ },
  { name: "a signed port", octets: line("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n"), says: /ports/ },
  { name: "108 octets", octets: line(`PROXY UNKNOWN ${"f".repeat(92)}\r\n`), says: /longer than 107/ },
  { name: "a line that never ends", octets: line(`PROXY UNKNOWN ${"f".repeat(200)}`), says: /longer than 107/ },
  { name: "another signature", octets: hex("0d0a0d0a000d0a515549540b"), says: /signature/ },
  { name: "another version", octets: hex(`${SIGNATURE}11`), says: /version/ },
  { name: "another command", octets: hex(`${SIGNATURE}22`), says: /command/ },
  { name: "another family", octets: v2("2141", ENDS4), says: /family/ },
  { name: "another transport", octets: v2("2113", ENDS4), says: /family/ },
  { name: "a family without transport", octets: v2("2110", ENDS4), says: /family/ },
  { name: "a block too short for IPv4", octets: hex(`${SIGNATURE}2111000b`), says: /too short/ },
  { name: "a block too short for IPv6", octets: hex(`${SIGNATURE}21210023`), says: /too short/ },
  { name: "a block too short for a Unix socket", octets: hex(`${SIGNATURE}213100d7`), says: /too short/ },
  { name: "a block too long", octets: hex(`${SIGNATURE}21114001`), says: /longer than 16384/ },
  { name: "an extension longer than the header", octets: v2("2111", `${ENDS4} 02 000a 3132333435`), says: /longer/ },
  { name: "a list that ends within a length", octets: v2("2111", `${ENDS4} 02 0004 31323334 ee`), says: /within/ },
  { name: "AUTHORITY of 256 octets", octets: v2("2111", `${ENDS4} 02 0100 ${"61".repeat(256)}`), says: /AUTHORITY/ },
  { name: "AUTHORITY that is no text", octets: v2("2111", `${ENDS4} 02 0001 ff`), says: /UTF-8/ },
  { name: "AUTHORITY twice", octets: v2("2111", `${ENDS4} 02 0001 61 02 0001 62`), says: /twice/ },
  { name: "UNIQUE_ID of 129 octets", octets: v2("2111", `${ENDS4} 05 0081 ${"61".repeat(129)}`), says: /UNIQUE_ID/ },
  { name: "CRC32C of three octets", octets: v2("2111", `${ENDS4} 03 0003 000000`), says: /CRC32C/ },
  { name: "CRC32C that does not match", octets: v2("2111", `${ENDS4} 03 0004 00000000`), says: /checksum/ },
  { name: "CRC32C twice", octets: v2("2111", `${ENDS4} 03 0004 00000000 03 0004 00000000`), says: /twice/ },
  { name: "SSL of four octets", octets: v2("2111", `${ENDS4} 20 0004 01000000`), says: /SSL/ },
  {
    name: "SSL whose inner list is longer than itself",
    octets: v2("2111", `${ENDS4} 20 0009 01 00000000 21 0002 61 04 0000`),
    says: /longer/,
  },
  {
    name: "SSL whose inner list ends within a length",
    octets: v2("2111", `${ENDS4} 20 0007 01 00000000 21 00`),
    says: /within/,
  },
];
for (const { name, octets, says } of BAD) {
  test(`parseProxyHeader() refuses ${name}`, () => {
    const result = parseProxyHeader(octets);
    assert.equal(result.kind, "bad");
    assert.match((result as { says: string }).says, says);
  });
}

test("parseProxyHeader() checks CRC32C over the whole header, itself as zeros", () => {
  assert.deepEqual(parsed(withCrc).source, SOURCE);
  for (let at = 16; at < withCrc.length; at++) {
    if (at >= CRC_AT - 3 && at < CRC_AT) continue; // its own type and length: another extension then
    const broken = Buffer.from(withCrc);
    broken[at]! ^= 0x10;
    assert.equal(parseProxyHeader(broken).kind, "bad", `octet ${at}`);
  }
});

test("a parsed header does not point into the octets that it came in", () => {
  const octets = v2("2111", `${ENDS4} 05 0002 aabb ea 0001 77`);
  const header = parsed(octets);
  octets.fill(0);
  assert.deepEqual(plain(header.tlvs), {
    uniqueId: new Uint8Array([0xaa, 0xbb]),
    other: [{ type: 0xea, value: new Uint8Array([0x77]) }],
  });
});

const WRITTEN: { name: string; header: ProxyHeaderToWrite; octets: Buffer }[] = [
  {
    name: "version 1, IPv4",
    header: { version: 1, command: "proxy", source: SOURCE, destination: DESTINATION },
    octets: line("PROXY TCP4 192.0.2.7 198.51.100.1 50123 443\r\n"),
  },
  {
    name: "version 1, IPv4 mapped into IPv6 on both ends, as IPv4",
    header: {
      version: 1,
      command: "proxy",
      source: { address: "::ffff:192.0.2.7", port: 50_123 },
      destination: { address: "::ffff:198.51.100.1", port: 443 },
    },
    octets: line("PROXY TCP4 192.0.2.7 198.51.100.1 50123 443\r\n"),
  },
  {
    name: "version 1, two families, as IPv6",
    header: { version: 1, command: "proxy", source: SOURCE6, destination: DESTINATION },
    octets: line("PROXY TCP6 2001:db8::7 ::ffff:198.51.100.1 50123 443\r\n"),
  },
  {
    name: "version 1, a link-local client",
    header: { version: 1, command: "proxy", source: { address: "fe80::1%eth0", port: 1 }, destination: DESTINATION6 },
    octets: line("PROXY TCP6 fe80::1 2001:db8::1 1 443\r\n"),
  },
  { name: "version 1, local", header: { version: 1, command: "local" }, octets: line("PROXY UNKNOWN\r\n") },
  {
    name: "version 1, no addresses",
    header: { version: 1, command: "proxy", source: SOURCE },
    octets: line("PROXY UNKNOWN\r\n"),
  },
  {
    name: "version 2, IPv4",
    header: { version: 2, command: "proxy", source: SOURCE, destination: DESTINATION },
    octets: v2("2111", ENDS4),
  },
  {
    name: "version 2, IPv6 datagrams",
    header: { version: 2, command: "proxy", transport: "datagram", source: SOURCE6, destination: DESTINATION6 },
    octets: v2("2122", ENDS6),
  },
  {
    name: "version 2, two families",
    header: { version: 2, command: "proxy", source: SOURCE, destination: DESTINATION6 },
    octets: v2("2121", "00000000000000000000ffffc0000207 20010db8000000000000000000000001 c3cb 01bb"),
  },
  {
    name: "version 2, local, without addresses",
    header: { version: 2, command: "local", source: SOURCE, destination: DESTINATION },
    octets: v2("2000", ""),
  },
  {
    name: "extensions, but none that is too long",
    header: {
      version: 2,
      command: "proxy",
      source: SOURCE,
      destination: DESTINATION,
      tlvs: { authority: "a.example", uniqueId: new Uint8Array(129) },
    },
    octets: v2("2111", `${ENDS4} 02 0009 612e6578616d706c65`),
  },
];
for (const { name, header, octets } of WRITTEN)
  test(`writeProxyHeader() writes ${name}`, () =>
    assert.equal(Buffer.from(writeProxyHeader(header)).toString("hex"), octets.toString("hex")));

/** What a header means to who takes it: addresses as they compare, extensions where they count. */
function meaning(header: ProxyHeader): unknown {
  const end = (each: ProxyHeader["source"]) => each && [unmapIp(parseIp(each.address)!).join("."), each.port];
  const { command, transport, source, destination, tlvs } = header;
  return source ? [command, transport, end(source), end(destination), plain(tlvs)] : [command];
}
function rewritten(header: ProxyHeader, crc: boolean): ProxyHeader {
  return parsed(writeProxyHeader({ ...header, crc32c: crc }));
}

test("writeProxyHeader() and parseProxyHeader() agree on every header of the table", () => {
  for (const { octets, name } of GOOD)
    for (const crc of [false, true])
      assert.deepEqual(meaning(rewritten(parsed(octets), crc)), meaning(parsed(octets)), name);
});

test("parseProxyHeader() of mutated headers never throws, and what it takes means the same when written again", () => {
  const rng = createSeededRng(20_260_801);
  const below = (limit: number): number => Math.floor(rng() * limit);
  const seeds = [...GOOD.map(({ octets }) => octets), withCrc];
  let taken = 0;
  for (let round = 0; round < 200_000; round++) {
    let octets = Buffer.from(seeds[below(seeds.length)]!);
    for (let change = below(4); change >= 0; change--) {
      const at = below(octets.length);
      const kind = below(6);
      if (kind === 0) octets = octets.subarray(0, Math.max(1, at));
      else if (kind === 1)
        octets = Buffer.concat([octets.subarray(0, at), Buffer.from([below(256)]), octets.subarray(at)]);
      else if (kind === 2) octets[at] = [0, 1, 0x7f, 0x80, 0xff, 0x0d, 0x0a, 0x20][below(8)]!;
      else if (kind === 3) octets[at]! ^= 1 << below(8);
      else if (kind === 4 && octets.length > 15) octets[15] = below(256);
      else octets = Buffer.concat([octets, Buffer.from([below(256), 0, below(4)])]);
    }
    const result = parseProxyHeader(octets);
    if (result.kind !== "header") continue;
    taken++;
    assert.ok(result.length <= octets.length);
    const alone = parsed(octets.subarray(0, result.length));
    assert.deepEqual(meaning(alone), meaning(result), octets.toString("hex"));
    if (result.length > 1) assert.equal(parseProxyHeader(octets.subarray(0, result.length - 1)).kind, "more");
    assert.deepEqual(meaning(rewritten(result, below(2) === 0)), meaning(result), octets.toString("hex"));
  }
  assert.ok(taken > 5_000, `only ${taken} were taken`);
});
